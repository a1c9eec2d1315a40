"""Knobs: every choice builds and trains, and values that a user fixed are checked."""

import keras
import keras_tuner
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.errors import UsageError
from zoo.jobs.search_options import parse_range
from zoo.models.activations import ACTIVATIONS, check_trainable
from zoo.models.search_space import CheckedHyperParameters, check_value
from zoo.models.shared_hyperparameters import FULL_BATCH, INITIALIZERS, KNOBS, OPTIMIZERS, choose_batch_size
from zoo.networks import Knobs, add_dense_layers, add_head
from zoo.networks.heads import CLASS_LOSSES, NUMBER_LOSSES
from zoo.networks.losses import ClassKLDivergence, ProbabilityHinge
from zoo.spec import Spec, Target
from zoo.training.fit_loop import fit
from zoo.training.fit_settings import FitSettings
from zoo.training.preprocessed_arrays import Arrays
from zoo.training.training_state import FitPlan

X = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
TARGETS = {
    1: Target("y", "number"),
    2: Target("y", "class", ("a", "b")),
    3: Target("y", "class", ("a", "b", "c")),
}


def network(fixed, classes=2, **options):
    """A small network whose knobs are fixed, and its hyperparameters."""
    keras.utils.set_random_seed(0)
    hp = CheckedHyperParameters(fixed)
    knobs = Knobs(hp, **options)
    inputs = keras.Input((3,))
    units = hp.Int("units", 4, 64, default=4)
    x = add_dense_layers(inputs, knobs, units=units, layers=hp.Int("layers", 1, 3, default=1))
    output, loss = add_head(x, Spec("t", (), (TARGETS[classes],)), knobs)
    knobs.training(100)
    model = keras.Model(inputs, output)
    model.compile(optimizer=knobs.optimizer(), loss=loss)
    hp.check_all_used("tiny")
    return model, hp


def one_step(model, classes=2):
    """Train one step and return the loss."""
    model.run_eagerly = True  # tracing would take longer than the step
    y = np.arange(8) % 3 % classes if classes > 1 else X[:, 0]
    return float(model.train_on_batch(X, y))


EVERY = [
    *[{"optimizer": name, "momentum": 0.5} for name in OPTIMIZERS],
    *[{"activation": name} for name in ACTIVATIONS if name != "step"],
    *[{"initializer": name} for name in INITIALIZERS],
    *[{"normalization": name} for name in ("none", "batch", "layer")],
    {"dropout": 0.5, "l1": 0.1, "l2": 0.1, "clip_norm": 1, "weight_decay": 0.1},
]


@pytest.mark.parametrize("fixed", EVERY, ids=str)
def test_every_choice_trains(fixed):
    model, _ = network(fixed)
    before = [weight.numpy() for weight in model.weights]
    assert np.isfinite(one_step(model))
    assert any((weight.numpy() != old).any() for weight, old in zip(model.weights, before, strict=True))
    assert model(X).shape == (8, 1)


@pytest.mark.parametrize(
    "loss, classes",
    [*((loss, classes) for loss in CLASS_LOSSES for classes in (2, 3)), *((loss, 1) for loss in NUMBER_LOSSES)],
)
def test_every_loss_trains(loss, classes):
    model, hp = network({"loss": loss}, classes)
    first = one_step(model, classes)
    assert one_step(model, classes) < first
    assert hp.get("loss") == loss
    if classes == 3:
        assert np.allclose(model(X).numpy().sum(axis=1), 1)


def test_hinge_of_two_classes():
    p, y = np.array([0.9, 0.4, 0.1, 0.5]), np.array([1, 1, 0, 0])
    margin = (2 * y - 1) * np.log(p / (1 - p))
    expected = np.maximum(0, 1 - margin)
    for truth in (y, y[:, None]):
        assert float(ProbabilityHinge()(truth, p[:, None])) == pytest.approx(expected.mean(), abs=1e-5)
    weights = np.array([1.0, 0, 0, 3])
    weighted = float(ProbabilityHinge()(y, p[:, None], sample_weight=weights))
    assert weighted == pytest.approx((expected * weights).mean(), abs=1e-5)
    logits = np.log(p / (1 - p))
    assert float(keras.losses.Hinge()(y, logits)) == pytest.approx(expected.mean(), abs=1e-5)


def test_hinge_of_several_classes():
    p = np.array([[0.7, 0.2, 0.1], [0.3, 0.3, 0.4], [0.1, 0.8, 0.1]])
    y = np.array([0, 2, 0])
    logs = np.log(p)
    expected = [max(0, 1 + max(np.delete(logs[i], y[i])) - logs[i, y[i]]) for i in range(3)]
    assert float(ProbabilityHinge()(y, p)) == pytest.approx(np.mean(expected), abs=1e-5)
    # Keras' own counts the right class as 0 among the wrong ones: it wants positive numbers.
    assert float(keras.losses.CategoricalHinge()(np.eye(3)[y], logs + 9)) == pytest.approx(np.mean(expected), abs=1e-5)


def test_hinge_of_sure_predictions_is_finite():
    for p in ([[0.0]], [[1.0]], [[0.0, 1.0, 0.0]]):
        assert np.isfinite(float(ProbabilityHinge()(np.array([0]), np.array(p, np.float32))))


def test_kullback_leibler_is_cross_entropy():
    p, y = np.array([[0.9], [0.4], [0.1]]), np.array([1, 1, 0])
    expected = -np.log([0.9, 0.4, 0.9]).mean()
    assert float(ClassKLDivergence()(y, p)) == pytest.approx(expected, abs=1e-5)
    assert float(keras.losses.BinaryCrossentropy()(y[:, None], p)) == pytest.approx(expected, abs=1e-5)
    p = np.array([[0.7, 0.2, 0.1], [0.3, 0.3, 0.4]])
    expected = -np.log([0.2, 0.4]).mean()
    assert float(ClassKLDivergence()(np.array([1, 2]), p)) == pytest.approx(expected, abs=1e-5)
    assert float(keras.losses.KLDivergence()(np.eye(3)[[1, 2]], p)) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("loss", [ProbabilityHinge(), ClassKLDivergence()])
def test_losses_are_saved_by_name(loss):
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert type(again) is type(loss)
    assert again.name == loss.name


def test_step_is_for_inference_only():
    model, _ = network({"activation": "step"})
    with pytest.raises(UsageError, match="only for inference"):
        check_trainable(model)
    check_trainable(network({})[0])
    assert ACTIVATIONS["step"](keras.ops.array([-1.0, 0.0, 2.0])).numpy().tolist() == [0, 0, 1]
    whole = keras.Sequential([keras.Input((3,)), model])
    with pytest.raises(UsageError, match="zero gradient everywhere"):
        fit(whole, Arrays(X, np.arange(8) % 2), None, FitPlan(FitSettings()))


@pytest.mark.parametrize(
    "fixed, name, kept",
    [
        ({"units": 3}, "units", 3),
        ({"units": "1000"}, "units", 1000),
        ({"units": 3.0}, "units", 3),
        ({"learning_rate": "1e-9"}, "learning_rate", 1e-9),
        ({"dropout": 0}, "dropout", 0.0),
        ({"batch_size": "full"}, "batch_size", FULL_BATCH),
        ({"batch_size": 7}, "batch_size", 7),
        ({"activation": "tanh"}, "activation", "tanh"),
        ({"warmup": 2}, "warmup", 2.0),
    ],
)
@pytest.mark.parametrize("vary", [(), ("learning_rate", "dropout", "batch_size", "activation", "warmup")])
def test_values_may_lie_outside_of_the_range_of_a_search(fixed, name, kept, vary):
    model, hp = network(fixed, vary=vary)
    assert hp.get(name) == kept
    assert type(hp.get(name)) is type(kept)
    if name == "units":
        assert model.get_layer("dense_0").units == kept


@pytest.mark.parametrize(
    "fixed, message, nearest",
    [
        ({"units": -1}, "units: received -1; it must be at least 1", None),
        ({"units": 0}, "it must be at least 1", None),
        ({"units": "many"}, "units: received 'many'; it must be an integer", None),
        ({"units": 2.5}, "units: received 2.5; it must be an integer", None),
        ({"units": True}, "it must be an integer", None),
        ({"units": float("inf")}, "it must be an integer", None),
        ({"dropout": 1}, "dropout: received 1; it must be below 1", None),
        ({"dropout": -0.1}, "dropout: received -0.1; it must be at least 0", None),
        ({"dropout": float("nan")}, "it must be a number", None),
        ({"learning_rate": "fast"}, "it must be a number", None),
        ({"epochs": 0}, "epochs: received 0; it must be at least 1", None),
        ({"batch_size": -1}, "batch_size: received -1", None),
        ({"activation": "rleu"}, "unknown value of activation 'rleu'; known: relu", "relu"),
        ({"optimizer": "Adm"}, "unknown value of optimizer", "adam"),
        ({"loss": "squared_error"}, "unknown value of loss 'squared_error'; known: crossentropy", None),
        ({"lerning_rate": 0.1}, "tiny: unknown hyperparameter 'lerning_rate'", "learning_rate"),
    ],
    ids=str,
)
@pytest.mark.parametrize("vary", [(), ("dropout", "learning_rate", "epochs", "batch_size", "activation")])
def test_values_that_make_no_sense(fixed, message, nearest, vary):
    with pytest.raises(UsageError, match=message) as caught:
        network(fixed, vary=vary)
    assert caught.value.nearest == nearest


def test_an_unknown_knob_of_a_models_own():
    with pytest.raises(UsageError, match=r"unknown shared hyperparameters droput; known: .*dropout"):
        Knobs(keras_tuner.HyperParameters(), vary=["droput"])


def test_defaults_lie_in_the_range_of_the_search():
    for name, knob in KNOBS.items():
        assert knob.meaning
        assert not knob.choices or knob.default in knob.choices
        if name not in ("loss", "optimizer", "activation") and not knob.choices:
            assert knob.range[0] < knob.range[1]


@pytest.mark.parametrize("hyperparameters", [keras_tuner.HyperParameters, CheckedHyperParameters])
def test_a_search_varies_what_the_model_says(hyperparameters):
    hp = hyperparameters()
    knobs = Knobs(hp, vary=("dropout", "batch_size", "activation"), defaults={"dropout": 0.2, "batch_size": 64})
    assert [knobs.get(name) for name in ("dropout", "batch_size", "activation", "l2")] == [0.2, 64, "relu", 0.0]
    kinds = {hyperparameter.name: type(hyperparameter).__name__ for hyperparameter in hp.space}
    assert kinds == {"dropout": "Float", "batch_size": "Int", "activation": "Choice", "l2": "Fixed"}


@pytest.mark.parametrize(
    "value, kind, kept",
    [("yes", bool, True), ("False", bool, False), ("3", int, 3), ("1e2", int, 100), (3, float, 3.0), (3, str, "3")],
)
def test_text_is_read_in_the_type(value, kind, kept):
    typed = check_value("name", value, kind)
    assert typed == kept
    assert type(typed) is kind


def test_booleans_and_choices_of_numbers():
    hp = CheckedHyperParameters({"tied": "yes", "heads": "4"})
    assert hp.Boolean("tied") is True
    assert hp.Choice("heads", [2, 4, 8]) == 4
    with pytest.raises(UsageError, match="heads: received 3; known: 2, 4, 8"):
        CheckedHyperParameters({"heads": 3}).Choice("heads", [2, 4, 8])
    with pytest.raises(UsageError, match="it must be true or false"):
        CheckedHyperParameters({"tied": 3}).Boolean("tied")


@settings(deadline=None)
@given(st.integers(1, 10**7))
def test_the_default_batch_size_is_a_twentieth(rows):
    size = choose_batch_size(rows)
    assert size in (16, 32, 64, 128, 256)
    assert size == 16 or size <= rows / 20 + 1
    assert size == 256 or size * 2 > rows / 20 - 1


def test_a_default_of_zero_stays_where_its_range_holds_it():
    hp = CheckedHyperParameters({}, {"shift": parse_range("shift", "-2..3")})
    assert hp.Float("shift", -1, 1, default=0.0) == 0.0
