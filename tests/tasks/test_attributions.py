"""What predictions of sequences and texts depend on: complete, and drawn in each run."""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from drawing import assert_draws
from zoo.tasks.sequence._attribution_figures import draw_attributions
from zoo.tasks.sequence._attributions import can_attribute, compute_attributions, split_contributions

import zoo
from zoo.data.ragged import Ragged
from zoo.fitting.fit import Plan, fit
from zoo.fitting.model_builder import create_model_builder
from zoo.jobs.data_options import DataJob
from zoo.models.built_model import find_network
from zoo.task import load_task
from zoo.tracking.store import Store

NUMBERS, TEXTS = "japanese_vowels", "color_families"
SMALL = {
    "gru": {"units": 16}, "lite": {"filters": 8}, "transformer": {"width": 16, "depth": 1}, "text": {"bits": 12}
}  # fmt: skip


@cache
def train(name: str, source: str) -> Any:
    dataset = load_task("sequence").read(DataJob(source=source))
    return fit(create_model_builder(f"sequence/{name}"), dataset, SMALL.get(name, {}), Plan(epochs=3))


def compute_log_odds(fitted: Any, model: Any, inputs: dict[str, Any], chosen: np.ndarray) -> np.ndarray:
    probability = np.asarray(fitted.task.output(model, inputs), np.float64)[np.arange(len(chosen)), chosen]
    return np.asarray(np.log(probability / (1 - probability)))


def explain(fitted: Any, count: int = 12) -> tuple[dict[str, Any], np.ndarray, np.ndarray, np.ndarray]:
    """The inputs, the predicted classes, the contributions and the gap."""
    model = fitted.built_model.full_model()
    inputs = {key: values[np.arange(count)] for key, values in fitted.dataset.splits["validation"].inputs.items()}
    chosen = np.asarray(fitted.task.output(model, inputs)).argmax(axis=1)
    return inputs, chosen, *compute_attributions(model, inputs, chosen)


def score_baseline(fitted: Any, inputs: dict[str, Any], chosen: np.ndarray) -> np.ndarray:
    """The log-odds of what the model predicts for the mean of all steps, zero embeddings, or no n-grams."""
    model, ((key, values),) = fitted.built_model.full_model(), inputs.items()
    if isinstance(values, Ragged):
        mean = np.array(fitted.dataset.spec.inputs[0].mean, np.float32)
        means = Ragged(np.broadcast_to(mean, values.values.shape).copy(), values.sizes)
        return compute_log_odds(fitted, model, {key: means}, chosen)
    layers = {layer.name: layer for layer in find_network(model).layers}
    layer = layers.get("embedding", layers["output"])  # the output layer of n-grams reads them directly
    first, *others = layer.get_weights()
    layer.set_weights([np.zeros_like(first), *others])
    try:
        return compute_log_odds(fitted, model, inputs, chosen)
    finally:
        layer.set_weights([first, *others])


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("gru", NUMBERS),
        pytest.param("lite", NUMBERS, marks=pytest.mark.slow),
        pytest.param("transformer", NUMBERS, marks=pytest.mark.slow),
        ("gru", TEXTS),
        pytest.param("tcn", TEXTS, marks=pytest.mark.slow),
        ("text", TEXTS),
    ],
)
def test_contributions_add_up_to_the_change_of_the_prediction(name: str, source: str) -> None:
    fitted = train(name, source)
    model = fitted.built_model.full_model()
    inputs, chosen, found, gap = explain(fitted)
    change = compute_log_odds(fitted, model, inputs, chosen) - score_baseline(fitted, inputs, chosen)
    assert np.median(gap) < 0.05
    np.testing.assert_allclose(found.reshape(len(found), -1).sum(axis=1), change, rtol=0.05, atol=0.05)
    if source == NUMBERS:
        (sequences,) = inputs.values()
        real = np.arange(found.shape[1]) < sequences.lengths[:, None]
        assert not real.all()
        assert not found[~real].any()
        assert np.abs(found[real]).sum(axis=1).min() > 0
    else:
        tokens, values = split_contributions(model, inputs, found)
        assert [len(words) for words in tokens] == [len(each) for each in values]
        np.testing.assert_allclose([each.sum() for each in values], change, rtol=0.05, atol=0.05)
    assert_draws(draw_attributions(model, fitted.dataset, lambda given: fitted.task.output(model, given)))


def test_padding_of_texts_has_none() -> None:
    inputs, _, found, _ = explain(train("gru", TEXTS))
    (texts,) = inputs.values()
    real = np.arange(found.shape[1]) < np.array([len(str(text)) for text in np.asarray(texts)])[:, None]
    assert not found[~real].any()


def test_a_linear_model_of_ngrams_has_weight_times_value() -> None:
    """With two classes, the log-odds are a sum over n-grams."""
    rows = [("good film", "yes"), ("a good day", "yes"), ("bad film", "no"), ("so bad", "no")] * 30
    table = pd.DataFrame(rows, columns=["text", "answer"])
    dataset = load_task("sequence").read(DataJob(source=table, target=["answer"]))
    fitted = fit(create_model_builder("sequence/text"), dataset, {"bits": 12}, Plan(epochs=20))
    model = fitted.built_model.full_model()
    inputs = {key: values[:8] for key, values in dataset.splits["validation"].inputs.items()}
    probability = np.asarray(fitted.task.output(model, inputs), np.float64)[:, 0]
    found, gap = compute_attributions(model, inputs, np.ones(8, int))
    assert gap.max() < 1e-3
    bias = float(np.asarray(find_network(model).get_layer("output").bias)[0])
    np.testing.assert_allclose(found.sum(axis=1) + bias, np.log(probability / (1 - probability)), rtol=1e-3, atol=1e-4)
    opposite, _ = compute_attributions(model, inputs, np.zeros(8, int))
    np.testing.assert_allclose(opposite, -found, rtol=1e-3, atol=1e-5)
    tokens, values = split_contributions(model, inputs, found)
    pairs = zip(tokens, values, strict=True)
    by_word = {word: value for words, row in pairs for word, value in zip(words, row, strict=True)}
    assert by_word["good"] > abs(by_word["film"])
    assert by_word["bad"] < -abs(by_word["film"])


@pytest.mark.slow
def test_a_step_that_decides_has_the_contribution(workspace: Path) -> None:
    """The target is the third step of the second channel."""
    random = np.random.default_rng(0)
    steps = random.normal(size=(400, 6, 2)).astype(np.float32)
    path = workspace / "third.npz"
    np.savez(path, x=steps.reshape(-1, 2), len=np.full(400, 6), y=10 * steps[:, 2, 1])
    dataset = load_task("sequence").read(DataJob(source=str(path)))
    fitted = fit(create_model_builder("sequence/gru"), dataset, {"units": 32}, Plan(epochs=40))
    model = fitted.built_model.full_model()
    inputs = {key: values[np.arange(40)] for key, values in dataset.splits["validation"].inputs.items()}
    found, gap = compute_attributions(model, inputs, None)
    assert np.median(gap) < 0.01
    shares = np.abs(found).mean(axis=0)
    assert shares.argmax() == 2 * 2 + 1
    figure = draw_attributions(model, dataset, lambda given: fitted.task.rules(dataset.spec).decode(
        fitted.task.output(model, given)))  # fmt: skip
    assert figure.axes[0].get_title().startswith("predicted ")


def test_constant_and_missing_values_are_explained(workspace: Path) -> None:
    """A channel that is constant in a sequence has no infinite gradient, and missing values have their share."""
    random = np.random.default_rng(0)
    examples = [random.normal(size=(length, 3)).astype(np.float32) for length in random.integers(1, 6, 120)]
    kinds = np.arange(120) % 2
    for example, kind in zip(examples, kinds, strict=True):
        example[:, 0] = kind
        example[0, 1] = np.nan if kind else 1.0
    sequences = Ragged.of(examples, axes=1)
    np.savez("constant.npz", x=sequences.values, len=sequences.lengths, y=kinds)
    dataset = load_task("sequence").read(DataJob(source="constant.npz"))
    fitted = fit(create_model_builder("sequence/gru"), dataset, {"units": 16}, Plan(epochs=5))
    model = fitted.built_model.full_model()
    validation = dataset.splits["validation"]
    found, gap = compute_attributions(model, validation.inputs, np.ones(len(validation), int))
    assert np.isfinite(found).all()
    assert found.shape[2] == 4  # three channels and an indicator
    assert np.median(gap) < 0.05
    assert_draws(draw_attributions(model, dataset, lambda given: fitted.task.rules(dataset.spec).decode(
        fitted.task.output(model, given))))  # fmt: skip


def test_minirocket_has_no_such_figure() -> None:
    fitted = train("minirocket", NUMBERS)
    assert not can_attribute(fitted.dataset, fitted.built_model.full_model())


def test_the_figure_is_an_artifact_unless_there_are_none(workspace: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run = zoo.train("sequence/gru", TEXTS, epochs=1, quiet=True, baselines="none", hyperparameters={"units": 16})
        bare = zoo.train(
            "sequence/gru", TEXTS, epochs=1, quiet=True, baselines="none", hyperparameters={"units": 16}, figures=False
        )
    assert "integrated_gradients" in run.figures
    assert not bare.figures
    files = {Path(file.path).name for file in Store().client.list_artifacts(run.run_id, "figures")}
    assert "integrated_gradients.png" in files
