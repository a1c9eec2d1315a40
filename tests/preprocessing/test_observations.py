"""Observations inside the model: bounded numbers become -1 to 1, others stay, integers become indicators."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.preprocessing.observations import MOST_BOUND, ObservationPreprocessing, ScaleObservation
from zoo.spec import ObservationInput, Spec


def spec_of(shape: tuple[int, ...], **statistics: Any) -> Spec:
    return Spec("t", (ObservationInput("observation", "observation", shape=shape, **statistics),))


bounds = st.tuples(st.floats(-1000, 1000), st.floats(0.01, 1000)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@settings(max_examples=50, deadline=None)
@given(st.lists(bounds, min_size=1, max_size=5), st.lists(st.floats(0, 1), min_size=1, max_size=4))
def test_bounded_numbers_become_minus_1_to_1(bounds_: list[tuple[float, float]], shares: list[float]) -> None:
    low, high = np.array(bounds_).T
    rows = np.array([low + share * (high - low) for share in shares])
    scaled = np.asarray(ScaleObservation(low.tolist(), high.tolist())(rows))
    assert scaled.dtype == np.float32
    wanted = np.repeat(2 * np.array(shares)[:, None] - 1, len(bounds_), axis=1)
    tolerance = 1e-5 + 4e-7 * (np.abs(low) + np.abs(high)) / (high - low)  # of 32-bit floats far from zero
    assert (np.abs(scaled - wanted) <= tolerance).all()


@pytest.mark.parametrize(
    "low, high",
    [(None, 2.0), (-1.0, None), (None, None), (0.0, MOST_BOUND), (-3.4e38, 3.4e38), (2.0, 2.0), (3.0, 1.0)],
)
def test_numbers_without_bounds_stay_as_they_are(low: float | None, high: float | None) -> None:
    rows = np.array([[-7.5, 0.0], [1.0, 5.0], [3e30, 10.0]], np.float32)
    scaled = np.asarray(ScaleObservation([low, 0.0], [high, 10.0])(rows))
    assert scaled[:, 0].tolist() == rows[:, 0].tolist()
    np.testing.assert_allclose(scaled[:, 1], [-1, 0, 1], atol=1e-6)


def test_a_bound_just_below_the_greatest_counts() -> None:
    scaled = ScaleObservation([0.0], [MOST_BOUND - 1])(np.array([[0.0], [MOST_BOUND - 1]]))
    np.testing.assert_allclose(scaled, [[-1], [1]], atol=1e-6)


def test_numbers_through_the_preparation(tmp_path: Path) -> None:
    preprocessing = ObservationPreprocessing(spec_of((2,), low=(-2.0, None), high=(6.0, None)))
    model = preprocessing.model()
    raw = {"observation": np.array([[2.0, 9.0], [6.0, -1.0]], np.float32)}
    wanted = [[0.0, 9.0], [1.0, -1.0]]
    assert model(raw)["observations"].numpy().tolist() == wanted
    assert model.weights == []
    assert preprocessing.tensors()["observations"].shape == (None, 2)
    model.save(tmp_path / "model.keras")
    loaded: Any = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert loaded(raw)["observations"].numpy().tolist() == wanted


@pytest.mark.parametrize("start", [0, -2, 5])
@pytest.mark.parametrize("kind", [np.int64, np.float32])
def test_a_whole_number_becomes_indicators(tmp_path: Path, kind: Any, start: int) -> None:
    preprocessing = ObservationPreprocessing(spec_of((), n=4, start=start))
    model = preprocessing.model()
    raw = {"observation": np.array([0, 3, 1], kind) + kind(start)}
    assert model(raw)["observations"].numpy().tolist() == np.eye(4)[[0, 3, 1]].tolist()
    assert model({"observation": raw["observation"][:1]})["observations"].shape == (1, 4)
    assert preprocessing.tensors()["observations"].shape == (None, 4)
    model.save(tmp_path / "model.keras")
    loaded: Any = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert loaded(raw)["observations"].numpy().tolist() == np.eye(4)[[0, 3, 1]].tolist()


def test_the_digest_is_of_what_is_prepared() -> None:
    spec = spec_of((2,), low=(0.0, None), high=(1.0, None))
    digest = ObservationPreprocessing(spec).digest
    assert digest == ObservationPreprocessing(Spec.from_json(spec.to_json())).digest
    others = [spec_of((2,), low=(0.0, None), high=(2.0, None)), spec_of((), n=4, start=0), spec_of((), n=4, start=1)]
    assert len({digest, *(ObservationPreprocessing(other).digest for other in others)}) == 4
