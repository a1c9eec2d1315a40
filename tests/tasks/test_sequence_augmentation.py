"""Random changes of sequences in training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from zoo.tasks.sequence._augmentation import AugmentSteps

import zoo
from zoo.errors import UsageError

ROWS, LENGTH = 200, 20
COUNTS = np.random.default_rng(0).integers(1, LENGTH + 1, ROWS)
REAL = np.arange(LENGTH)[None] < COUNTS[:, None]
# Each value says its place, so that the window of a sequence can be read from it.
STEPS = (np.where(REAL, np.arange(LENGTH), -1)[..., None] + np.zeros(2)).astype(np.float32)


def _changed(**amounts: Any) -> tuple[np.ndarray, np.ndarray]:
    steps, real = AugmentSteps(**amounts, seed=1)(STEPS, REAL, training=True)
    return np.asarray(steps), np.asarray(real)


def test_nothing_is_changed_in_inference() -> None:
    steps, real = AugmentSteps(slicing=0.5, jitter=1.0, scaling=1.0)(STEPS, REAL)
    assert np.array_equal(steps, STEPS)
    assert np.array_equal(real, REAL)


@pytest.mark.parametrize("slicing", [0.2, 0.9])
def test_a_window_of_successive_steps_is_kept(slicing: float) -> None:
    steps, real = _changed(slicing=slicing)
    kept = real.sum(axis=1)
    assert np.array_equal(real, np.arange(LENGTH)[None] < kept[:, None])  # padding comes last
    assert (kept <= COUNTS).all()
    assert (kept >= np.maximum(np.floor(COUNTS * (1 - slicing)), 1)).all()
    assert len(set(COUNTS - kept)) > 2
    first = steps[:, 0, 0]
    for row in range(ROWS):
        window = first[row] + np.arange(kept[row])
        assert np.array_equal(steps[row, : kept[row], 0], window)
        assert window[-1] < COUNTS[row]
    assert (first == 0).any()
    assert (first > 0).any()


def test_noise_and_scale_have_the_size_that_they_say() -> None:
    noise = (_changed(jitter=0.5)[0] - STEPS)[REAL]
    assert noise.mean() == pytest.approx(0, abs=0.03)
    assert noise.std() == pytest.approx(0.5, rel=0.05)
    factors = _changed(scaling=0.1)[0][:, 1] / STEPS[:, 1]
    assert factors[COUNTS > 1].std() == pytest.approx(0.1, rel=0.15)
    long = COUNTS > 5
    scaled = _changed(scaling=0.1)[0][long]
    np.testing.assert_allclose(scaled[:, 4] / 4, scaled[:, 2] / 2, rtol=1e-5)  # one factor for all steps


def test_columns_that_say_what_is_missing_are_not_changed() -> None:
    steps, _ = _changed(jitter=0.5, scaling=0.5, columns=1)
    assert np.array_equal(steps[..., 1], STEPS[..., 1])
    assert not np.array_equal(steps[..., 0], STEPS[..., 0])


@pytest.mark.parametrize(("name", "amount"), [("slicing", 0.95), ("jitter", -0.1), ("scaling", 3.0)])
def test_impossible_amounts_are_refused(name: str, amount: float) -> None:
    with pytest.raises(UsageError, match=f"{name}: received {amount}"):
        zoo.train("sequence/gru", "japanese_vowels", hyperparameters={name: amount}, quiet=True)


def test_a_saved_model_predicts_unchanged_sequences() -> None:
    options = {"slicing": 0.5, "jitter": 0.1, "scaling": 0.1, "units": 8}
    run = zoo.train(
        "sequence/gru",
        "japanese_vowels",
        hyperparameters=options,
        epochs=1,
        baselines="none",
        figures=False,
        quiet=True,
    )
    rows = {"sequence": [np.random.default_rng(0).normal(size=(9, 12))] * 2}
    first, second = run.load().predict_proba(rows)
    assert np.array_equal(first, second)
