"""What is settled after training: calibration inside the model, thresholds, and what each was chosen on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zoo
from zoo.calibration.calibration_layers import Isotonic, Temperature
from zoo.calibration.fit_calibration import choose_threshold, fit_calibration
from zoo.errors import UsageError
from zoo.metrics.classes import create_class_metrics, ece


def overconfident(rows: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities whose logits are three times what they should be, and the truth."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(rows, classes))
    right = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = np.array([rng.choice(classes, p=row) for row in right])
    sure = np.exp(3 * logits) / np.exp(3 * logits).sum(axis=1, keepdims=True)
    return sure, truth


@pytest.mark.parametrize("way", ["temperature", "isotonic"])
@pytest.mark.parametrize("classes", [2, 4])
def test_calibration_makes_probabilities_true_on_other_rows(way: str, classes: int) -> None:
    sure, truth = overconfident(4000, classes)
    output = sure[:, 1:] if classes == 2 else sure
    layer, facts = fit_calibration(way, output[:2000], truth[:2000], None)
    calibrated = np.asarray(layer(output[2000:].astype(np.float32)))
    both = np.concatenate([1 - calibrated, calibrated], axis=1) if classes == 2 else calibrated
    np.testing.assert_allclose(both.sum(axis=1), 1, atol=1e-5)
    assert ece(truth[2000:], both, np.ones((1, 2000)))[0] < 0.05 < ece(truth[2000:], sure[2000:], np.ones((1, 2000)))[0]
    if way == "temperature":
        assert facts["temperature"] == pytest.approx(3, rel=0.15)
        assert (calibrated.argmax(axis=1) == output[2000:].argmax(axis=1)).all()


@pytest.mark.parametrize("way", ["temperature", "isotonic"])
def test_a_weight_of_two_is_the_row_twice(way: str) -> None:
    sure, truth = overconfident(200, 2)
    weight = np.random.default_rng(0).integers(1, 4, 200)
    weighted, _ = fit_calibration(way, sure[:, 1:], truth, weight.astype(float))
    repeated, _ = fit_calibration(way, np.repeat(sure[:, 1:], weight, axis=0), np.repeat(truth, weight), None)
    points = np.linspace(0, 1, 50, dtype=np.float32)[:, None]
    np.testing.assert_allclose(weighted(points), repeated(points), atol=5e-3)


def test_too_few_rows() -> None:
    with pytest.raises(UsageError, match="19 rows are too few for calibration"):
        fit_calibration("isotonic", np.full((19, 1), 0.5), np.zeros(19, int), None)


def test_layers_load_from_their_configuration() -> None:
    points = np.linspace(0, 1, 11, dtype=np.float32)[:, None]
    for layer in (Temperature(2.5), Isotonic([[[0.2, 0.6], [0.1, 0.9]]])):
        again = type(layer).from_config(layer.get_config())
        np.testing.assert_array_equal(layer(points), again(points))
    assert float(Isotonic([[[0.2, 0.6], [0.1, 0.9]]])(points)[4, 0]) == pytest.approx(0.5)


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 40), st.integers(0, 10_000), st.sampled_from(["accuracy", "f1", "balanced_accuracy", "cost=1:5"]))
def test_no_other_threshold_is_better(rows: int, seed: int, way: str) -> None:
    rng = np.random.default_rng(seed)
    truth, p = rng.integers(0, 2, rows), rng.integers(0, 8, rows) / 8
    truth[:2] = [0, 1]
    prediction, weight = np.stack([1 - p, p], axis=1), rng.integers(1, 3, rows).astype(float)
    chosen = choose_threshold(way, truth, prediction, 1, weight)

    def gain(threshold: float) -> float:
        called = p >= threshold
        if way.startswith("cost"):
            return -float(weight @ (called & (truth == 0)) + 5 * weight @ (~called & (truth == 1)))
        if way == "balanced_accuracy":
            return float(np.mean([np.average(called[truth == k] == k, weights=weight[truth == k]) for k in (0, 1)]))
        score = next(s for s in create_class_metrics(2, 1, threshold) if s.name == way)
        return float(np.nan_to_num(score.function(truth, prediction, weight[None])[0]))

    assert gain(chosen) >= max(gain(t) for t in np.append(np.unique(p), 2.0)) - 1e-9


def test_calibration_that_makes_probabilities_worse_says_so(workspace: Path) -> None:
    """Rows set aside are whole groups, and one group's labels are turned round."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=1200), "house": np.arange(1200) // 50})
    turned = frame["house"] % 3 == 0
    frame["kind"] = np.where((frame["a"] > 0) != turned, "yes", "no")
    notes = []
    for seed in range(6):
        run = zoo.train(
            "classification/linear", frame, target="kind", split="group=house", calibrate="isotonic",
            epochs=3, seed=seed, baselines="none", quiet=True, figures=False,
        )  # fmt: skip
        notes += list(run.notes)
    assert any("calibration makes log_loss on validation worse" in note for note in notes)
    assert any("overfits below some 1,000 rows" in note for note in notes)
