"""Soft assignment inside the model is scikit-learn's, and errors of reconstruction are mean squares."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture

from zoo.networks.autoencoder import MeanSquares, MixtureAssignment, OutputItself, add_cluster_outputs

rng = np.random.default_rng(0)


def heaps(k: int, size: int, rows: int = 200) -> np.ndarray:
    """Rows in k heaps of different size and form, which overlap a little."""
    rng = np.random.default_rng(10 * k + size)
    forms = [rng.normal(size=(size, size)) for _ in range(k)]
    middles = rng.normal(0, 3, (k, size))
    chosen = rng.integers(0, k, rows)
    return np.array([middles[code] + forms[code] @ rng.normal(size=size) for code in chosen])


def calibration(
    means: np.ndarray, factors: np.ndarray, weights: np.ndarray, kind: str = "gaussian"
) -> MixtureAssignment:
    layer = MixtureAssignment(len(means), kind)
    layer.build((None, means.shape[1]))
    layer.calibrate(means, factors, weights)
    return layer


@pytest.mark.parametrize("k, size", [(2, 1), (3, 2), (5, 4)])
def test_probabilities_are_those_of_a_gaussian_mixture(k: int, size: int) -> None:
    x = heaps(k, size)
    reference = GaussianMixture(k, random_state=0, reg_covar=1e-3).fit(x)
    layer = calibration(reference.means_, reference.precisions_cholesky_, reference.weights_)
    new = np.concatenate([x, rng.normal(0, 5, (50, size))])
    probabilities = np.asarray(layer(new))
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, reference.predict_proba(new), atol=2e-4)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert ((probabilities > 0.05) & (probabilities < 0.95)).any()  # some rows are in doubt


@pytest.mark.parametrize("k, size", [(2, 1), (3, 2), (6, 3)])
def test_the_most_probable_cluster_is_that_of_k_means(k: int, size: int) -> None:
    x = heaps(k, size)
    reference = KMeans(k, n_init=2, random_state=0).fit(x)
    variance = reference.inertia_ / x.size
    factors = np.repeat(np.eye(size)[None] / np.sqrt(variance), k, axis=0)
    layer = calibration(reference.cluster_centers_, factors, np.full(k, 1 / k), "k_means")
    new = np.concatenate([x, rng.normal(0, 5, (50, size))])
    probabilities = np.asarray(layer(new))
    distance = np.square(reference.transform(new))
    wanted = np.exp(-(distance - distance.min(axis=1, keepdims=True)) / (2 * variance))
    np.testing.assert_allclose(probabilities, wanted / wanted.sum(axis=1, keepdims=True), atol=2e-4)
    assert np.array_equal(probabilities.argmax(axis=1), reference.predict(new))


@settings(max_examples=40, deadline=None)
@given(
    latent=arrays(np.float32, (5, 2), elements=st.floats(-1e6, 1e6, width=32)),
    weights=st.lists(st.floats(0, 1), min_size=3, max_size=3).filter(lambda shares: sum(shares) > 0),
    seed=st.integers(0, 99),
)
def test_probabilities_sum_to_one_however_far_away(latent: np.ndarray, weights: list[float], seed: int) -> None:
    random = np.random.default_rng(seed)
    factors = np.stack([np.diag(random.uniform(0.1, 9, 2)) for _ in range(3)])
    shares = np.array(weights) / sum(weights)
    probabilities = np.asarray(calibration(random.normal(size=(3, 2)), factors, shares)(latent))
    assert np.isfinite(probabilities).all()
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_a_cluster_of_no_weight_takes_nothing() -> None:
    layer = calibration(np.array([[0.0], [0.1]]), np.ones((2, 1, 1)), np.array([1.0, 0.0]))
    assert np.asarray(layer(np.array([[0.1]])))[0, 1] < 1e-6


def test_before_it_is_settled_all_clusters_are_one() -> None:
    layer = MixtureAssignment(4)
    probabilities = np.asarray(layer(rng.normal(size=(3, 2))))
    np.testing.assert_allclose(probabilities, 0.25)
    assert layer.trainable_weights == []
    assert len(layer.non_trainable_weights) == 3


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=3), st.integers(1, 5), st.integers(0, 99))
def test_errors_are_mean_squares_of_each_example(shape: list[int], rows: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    original = random.integers(0, 256, (rows, *shape)).astype(np.uint8)
    reconstruction = random.normal(100, 50, (rows, *shape)).astype(np.float32)
    wanted = np.square(original - reconstruction.astype(float)).reshape(rows, -1).mean(axis=1)
    errors = np.asarray(MeanSquares()(original, reconstruction))
    assert errors.shape == (rows, 1)
    np.testing.assert_allclose(errors[:, 0], wanted, rtol=1e-4)


def test_the_output_is_the_loss() -> None:
    output = np.array([[1.0], [4.0]], np.float32)
    assert float(OutputItself()(np.zeros(2), output)) == 2.5
    assert float(OutputItself()(np.ones(2), output, sample_weight=np.array([1.0, 0.0]))) == 0.5


@pytest.mark.parametrize("kind", ["gaussian", "k_means"])
def test_an_autoencoder_that_clusters(tmp_path: Path, kind: str) -> None:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((3,), name="features")
    latent = keras.layers.Dense(2, name="code")(inputs)
    outputs = add_cluster_outputs(inputs, latent, keras.layers.Dense(3)(latent), clusters=4, kind=kind)
    model = keras.Model(inputs, outputs)
    assert {name: tensor.shape for name, tensor in model.output.items()} == {
        "cluster": (None, 4),
        "latent": (None, 2),
        "reconstruction": (None, 3),
        "error": (None, 1),
    }
    layer = model.get_layer("cluster")
    layer.calibrate(rng.normal(size=(4, 2)), np.stack([np.eye(2)] * 4), np.full(4, 0.25))
    x = rng.normal(size=(6, 3)).astype(np.float32)
    outputs_ = {name: value.numpy() for name, value in model(x).items()}
    np.testing.assert_allclose(
        outputs_["error"][:, 0], np.square(x - outputs_["reconstruction"]).mean(axis=1), rtol=1e-4
    )
    assert np.ptp(outputs_["cluster"], axis=0).max() > 0.01
    model.save(tmp_path / "model.keras")
    loaded: Any = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert loaded.get_layer("cluster").kind == kind
    for name, value in loaded(x).items():
        assert np.array_equal(value.numpy(), outputs_[name])
