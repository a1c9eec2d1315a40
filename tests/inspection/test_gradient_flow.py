"""Gradients over time and depth: equal to those of networks whose gradients are known."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.data.ragged import Ragged
from zoo.inspection.gradient_flow import (
    create_hidden_part,
    has_recurrent_layers,
    measure_over_depth,
    measure_over_time,
    shorten_arrays,
)
from zoo.networks.recurrent import RealSteps
from zoo.reporting.diagnosis import EXPLODING, VANISHING
from zoo.reporting.gradient_checks import check_gradients
from zoo.training.preprocessed_arrays import Arrays


def build_linear_rnn(weight: float, *, padded: bool = False, backward: bool = False) -> keras.Model:
    """A network whose state is multiplied by ``weight`` at each step, and whose output is the last state."""
    steps = keras.Input((None, 1), name="steps")
    inputs: dict[str, Any] = {"steps": steps}
    mask = None
    if padded:
        inputs["length"] = keras.Input((), dtype="int32", name="length")
        mask = RealSteps()(steps, inputs["length"])
    layer = keras.layers.SimpleRNN(1, activation="linear", go_backwards=backward, name="rnn")
    output = layer(steps, mask=mask)
    network = keras.Model(inputs, output)
    layer.set_weights([np.ones((1, 1)), np.full((1, 1), weight), np.zeros(1)])
    network.compile("sgd", "mse")
    return network


@pytest.mark.parametrize("weight", [0.5, 1.0, 1.5])
@pytest.mark.parametrize("backward", [False, True])
def test_a_linear_state_has_powers_of_its_weight(weight: float, backward: bool) -> None:
    network = build_linear_rnn(weight, backward=backward)
    arrays = Arrays({"steps": np.random.default_rng(0).normal(size=(5, 12, 1)).astype("float32")}, np.zeros((5, 1)))
    norms = measure_over_time(network, arrays)["rnn"]
    np.testing.assert_allclose(norms / norms[0], weight ** np.arange(12), rtol=1e-4)
    error = np.abs(2 * network(arrays.x).numpy()).mean()  # of the squared error of each row
    assert norms[0] == pytest.approx(error, rel=1e-4)


def test_padding_counts_in_neither_direction() -> None:
    lengths, random = [3, 9, 6], np.random.default_rng(0)
    ragged = Ragged.of([random.normal(size=(length, 1)).astype("float32") for length in lengths], axes=1)
    arrays = Arrays({"steps": ragged}, np.zeros((3, 1)))
    for backward in (False, True):
        network = build_linear_rnn(0.5, padded=True, backward=backward)
        errors = np.abs(2 * network(arrays.padded()).numpy()[:, 0])
        expected = [
            np.mean([error for error, length in zip(errors, lengths, strict=True) if length > step]) * 0.5**step
            for step in range(9)
        ]
        norms = measure_over_time(network, arrays)["rnn"]
        np.testing.assert_allclose(norms, expected, rtol=1e-4, err_msg=str(backward))


@pytest.mark.parametrize(
    "kind", [keras.layers.SimpleRNN, keras.layers.LSTM, pytest.param(keras.layers.GRU, marks=pytest.mark.slow)]
)
def test_layers_are_left_as_they_were(kind: Any) -> None:
    keras.utils.set_random_seed(0)
    steps = keras.Input((None, 2), name="steps")
    hidden = keras.layers.Bidirectional(kind(4, return_sequences=True), name="both")(steps)
    output = keras.layers.Dense(1)(kind(3, name="second")(hidden))
    network = keras.Model({"steps": steps}, output)
    network.compile("sgd", "mse")
    x = np.random.default_rng(0).normal(size=(6, 8, 2)).astype("float32")
    before = network({"steps": x}).numpy()
    norms = measure_over_time(network, Arrays({"steps": x}, np.ones((6, 1))))
    assert {name: len(values) for name, values in norms.items()} == {"both forward": 8, "both backward": 8, "second": 8}
    assert all(np.isfinite(values).all() and (values > 0).all() for values in norms.values())
    np.testing.assert_array_equal(network({"steps": x}).numpy(), before)
    assert not any(layer.unroll for layer in network._flatten_layers() if isinstance(layer, keras.layers.RNN))
    for state in norms["second"], norms["both forward"]:
        assert state[0] != state[-1]
    network.fit({"steps": x}, np.ones((6, 1)), verbose=0)  # it can still be traced


def test_layers_that_are_called_more_than_once_are_left_out() -> None:
    one, two = keras.Input((12, 2), name="one"), keras.Input((12, 2), name="two")
    shared = keras.layers.LSTM(3, name="shared")
    inner = keras.layers.TimeDistributed(keras.layers.LSTM(3, name="inner"))(keras.layers.Reshape((3, 4, 2))(one))
    outer = keras.layers.LSTM(3, name="outer")(inner)
    hidden = keras.layers.Concatenate()([shared(one), shared(two), outer])
    network = keras.Model({"one": one, "two": two}, keras.layers.Dense(1)(hidden))
    network.compile("sgd", "mse")
    x = {name: np.random.default_rng(0).normal(size=(5, 12, 2)).astype("float32") for name in ("one", "two")}
    norms = measure_over_time(network, Arrays(x, np.ones((5, 1))))
    assert {name: len(values) for name, values in norms.items()} == {"outer": 3}
    network.fit(x, np.ones((5, 1)), verbose=0)


def test_layers_that_read_very_many_steps_are_left_out() -> None:
    x = np.zeros((2, 201, 1), "float32")
    for steps, names in ((200, ["rnn"]), (201, [])):
        norms = measure_over_time(build_linear_rnn(0.5), Arrays({"steps": x[:, :steps]}, np.zeros((2, 1))))
        assert list(norms) == names


def build_deep(activation: str, scale: float, layers: int = 10) -> keras.Model:
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((8,), name="features")
    for index in range(layers):
        initializer = keras.initializers.VarianceScaling(scale, distribution="untruncated_normal", seed=index)
        x = keras.layers.Dense(8, activation=activation, kernel_initializer=initializer, name=f"dense_{index}")(x)
    network = keras.Model({"features": inputs}, keras.layers.Dense(1, name="output")(x))
    network.compile("sgd", "mse")
    return network


def test_gradients_over_depth_are_those_of_the_tape() -> None:
    network = build_deep("tanh", 1.0, layers=2)
    x, y = np.random.default_rng(0).normal(size=(7, 8)).astype("float32"), np.ones((7, 1), "float32")
    first, second, output = (network.get_layer(name) for name in ("dense_0", "dense_1", network.layers[-1].name))
    with tf.GradientTape(persistent=True) as tape:
        one = first(x)
        two = second(one)
        loss = tf.reduce_sum(tf.square(output(two) - y))
    norms = measure_over_depth(network, Arrays({"features": x}, y))
    for name, hidden in (("dense_0", one), ("dense_1", two)):
        expected = np.linalg.norm(tape.gradient(loss, hidden).numpy(), axis=1).mean()
        assert norms[name] == pytest.approx(expected, rel=1e-5)
    assert not has_recurrent_layers(network)
    assert measure_over_time(network, Arrays({"features": x}, y)) == {}


def test_inputs_in_a_list_are_looked_up_by_name() -> None:
    a, b = keras.Input((2,), name="a"), keras.Input((3,), name="b")
    hidden = keras.layers.Concatenate()([keras.layers.Dense(2, name="of_a")(a), keras.layers.Dense(2, name="of_b")(b)])
    network = keras.Model([b, a], keras.layers.Dense(1, name="output")(hidden))
    network.compile("sgd", "mse")
    random = np.random.default_rng(0)
    x = {"a": random.normal(size=(9, 2)).astype("float32"), "b": random.normal(size=(9, 3)).astype("float32")}
    network.fit(x, np.ones((9, 1)), verbose=0)
    (of_a,) = create_hidden_part(network, [network.get_layer("of_a").output])(x)
    np.testing.assert_allclose(of_a, network.get_layer("of_a")(x["a"]), rtol=1e-6)
    assert set(measure_over_depth(network, Arrays(x, np.ones((9, 1), "float32")))) == {"of_a", "of_b"}


def test_the_verdict_names_the_layer_and_what_to_change() -> None:
    arrays = Arrays({"features": np.random.default_rng(0).normal(size=(9, 8)).astype("float32")}, np.ones((9, 1)))
    (vanishing,) = check_gradients(build_deep("sigmoid", 1.0), arrays, ["activation", "units"])
    assert vanishing.topic == VANISHING
    assert "first hidden layer (dense_0)" in vanishing.text
    assert vanishing.advice == "--set activation=relu, fewer layers, or layers with residual connections"
    (exploding,) = check_gradients(build_deep("linear", 16.0), arrays, ["clip_norm"])
    assert exploding.topic == EXPLODING
    assert exploding.advice.startswith("--set clip_norm=1, ")
    assert check_gradients(build_deep("relu", 2.0), arrays) == []


def test_the_verdict_over_time() -> None:
    arrays = Arrays({"steps": np.random.default_rng(0).normal(size=(5, 30, 1)).astype("float32")}, np.zeros((5, 1)))
    (vanishing,) = check_gradients(build_linear_rnn(0.6), arrays, ["summary"])
    assert vanishing.text.startswith("the gradient at the first of 30 steps of rnn is ")
    assert vanishing.advice.startswith("a model with gates (lstm, gru), --set summary=mean")
    assert [finding.topic for finding in check_gradients(build_linear_rnn(1.5), arrays)] == [EXPLODING]
    assert check_gradients(build_linear_rnn(0.95), arrays) == []


def test_few_rows_and_the_last_steps() -> None:
    lengths = np.arange(1, 41)
    ragged = Ragged.of([np.arange(length, dtype="float32")[:, None] for length in lengths], axes=1)
    few = shorten_arrays(Arrays({"steps": ragged}, lengths), rows=10, steps=4)
    assert few.y is not None
    assert len(few.y) == 10
    assert np.array_equal(few.y, np.unique(few.y))  # no row twice
    assert few.y.max() > 20  # not the first rows, which may be of one class
    assert few.x["steps"].lengths.tolist() == np.minimum(few.y, 4).tolist()
    last = int(few.y[-1])
    assert few.x["steps"].example(9)[:, 0].tolist() == [last - 4, last - 3, last - 2, last - 1]
