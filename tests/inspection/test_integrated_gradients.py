"""Integrated gradients: by hand, and their completeness."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from zoo.inspection import integrated_gradients
from zoo.inspection.integrated_gradients import compute_integrated_gradients

RANDOM = np.random.default_rng(0)
STEPS = RANDOM.normal(size=(3, 5, 2)).astype(np.float32)
WEIGHTS = RANDOM.normal(size=(5, 2)).astype(np.float32)


def test_a_linear_score_has_weight_times_value() -> None:
    def score(tensors: Mapping[str, Any]) -> Any:
        return 7 + tf.reduce_sum(WEIGHTS * tensors["steps"], axis=(1, 2))

    found, gap = compute_integrated_gradients(score, {"steps": STEPS}, "steps")
    np.testing.assert_allclose(found, WEIGHTS * STEPS, rtol=1e-6)
    assert (gap < 1e-5).all()
    found, gap = compute_integrated_gradients(score, {"steps": STEPS}, "steps", baseline=np.float32(2))
    np.testing.assert_allclose(found, WEIGHTS * (STEPS - 2), rtol=1e-5, atol=1e-6)
    assert (gap < 1e-5).all()


def test_a_product_is_shared_equally() -> None:
    """The integral of b a s ds and that of a b s ds are both a b / 2; the other input keeps its value."""

    def score(tensors: Mapping[str, Any]) -> Any:
        return tensors["times"] * tensors["pair"][:, 0] * tensors["pair"][:, 1]

    pair, times = np.array([[2, 3], [5, -1]], np.float32), np.array([1, 10], np.float32)
    found, gap = compute_integrated_gradients(score, {"pair": pair, "times": times}, "pair")
    np.testing.assert_allclose(found, [[3, 3], [-25, -25]], rtol=1e-5)
    assert (gap < 1e-5).all()


def test_the_gap_is_that_of_too_few_points() -> None:
    def score(tensors: Mapping[str, Any]) -> Any:
        return tf.reduce_sum(tensors["x"] ** 4, axis=1)

    x = np.array([[2.0]], np.float32)
    found, gap = compute_integrated_gradients(score, {"x": x}, "x", points=1)
    np.testing.assert_allclose(found, [[2 * 4]], rtol=1e-6)  # the derivative 4 x³ at 1, times 2
    np.testing.assert_allclose(gap, [0.5], rtol=1e-6)  # 8 of 16
    assert compute_integrated_gradients(score, {"x": x}, "x", points=2)[1] < 1e-6


def test_a_score_without_gradient_is_not_explained() -> None:
    found, gap = compute_integrated_gradients(
        lambda tensors: tf.reduce_sum(tf.cast(tensors["steps"] > 0.1, tf.float32), axis=(1, 2)),
        {"steps": STEPS},
        "steps",
    )
    assert not found.any()
    np.testing.assert_allclose(gap, 1)


def test_calls_of_few_values_give_the_same(monkeypatch: Any) -> None:
    def score(tensors: Mapping[str, Any]) -> Any:
        return tf.reduce_sum(tf.tanh(WEIGHTS * tensors["steps"]), axis=(1, 2))

    at_once = compute_integrated_gradients(score, {"steps": STEPS}, "steps")
    monkeypatch.setattr(integrated_gradients, "MOST_VALUES", STEPS.size * 5)
    in_parts = compute_integrated_gradients(score, {"steps": STEPS}, "steps")
    np.testing.assert_allclose(in_parts[0], at_once[0], rtol=1e-5, atol=1e-7)
    assert (in_parts[1] < 1e-5).all()
