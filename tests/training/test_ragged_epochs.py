"""Epochs over sequences: every one is seen once, whole, among others of its length, in an order that is drawn."""

from __future__ import annotations

from itertools import chain, pairwise
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.data.ragged import Ragged
from zoo.networks.recurrent import PoolSteps, RealSteps
from zoo.portable.preprocessing import LENGTH
from zoo.training.epochs import MOST_WIDTHS, POOL_BATCHES, CompiledEpochs, CompiledScores, choose_widths
from zoo.training.fit_loop import fit
from zoo.training.fit_settings import FitSettings
from zoo.training.preprocessed_arrays import Arrays, iterate_batches
from zoo.training.training_state import FitPlan

rng = np.random.default_rng(0)


class Watch(keras.layers.Layer):
    """Lets steps through, and writes down the batches that it sees in training."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.seen: list[tuple[np.ndarray, np.ndarray]] = []

    def call(self, steps: Any, length: Any, training: bool = False) -> Any:
        if training:
            tf.numpy_function(lambda *seen: self.seen.append(seen), [steps, length], [])
        return steps

    def compute_output_spec(self, steps: Any, length: Any, training: bool = False) -> Any:
        return keras.KerasTensor(steps.shape)


def network(rate: float = 0.0, features: int = 1) -> tuple[keras.Model, Watch]:
    keras.utils.set_random_seed(0)
    steps, length = keras.Input((None, features), name="steps"), keras.Input((), dtype="int32", name=LENGTH)
    watch = Watch(name="watch")
    pooled = PoolSteps("mean")(watch(steps, length), RealSteps()(steps, length))
    model = keras.Model({"steps": steps, LENGTH: length}, keras.layers.Dense(1)(pooled))
    model.compile(keras.optimizers.SGD(rate), "mse")
    return model, watch


def numbered(lengths: Any) -> Arrays:
    """Sequences whose every step is their number, from 1 on."""
    sequences_ = [np.full((length, 1), row, np.float32) for row, length in enumerate(lengths, 1)]
    return Arrays({"steps": Ragged.of(sequences_, axes=1)}, np.arange(1, len(sequences_) + 1, dtype=np.float32))


def rows_of(steps: np.ndarray, length: np.ndarray) -> list[int]:
    """The numbers of a batch's sequences; each one is whole, with zeros behind."""
    real = np.arange(steps.shape[1]) < length[:, None]
    rows = steps[:, 0, 0]
    assert (length >= 1).all()
    assert np.array_equal(steps[..., 0], np.where(real, rows[:, None], 0))
    return rows.astype(int).tolist()


def epoch(epochs: CompiledEpochs, watch: Watch, order: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    watch.seen.clear()
    epochs.run(order, None)
    return list(watch.seen)


@settings(max_examples=8, deadline=None)
@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=30),
    st.integers(1, 9),
    st.sampled_from([1, 10**6]),
    st.integers(0, 99),
)
def test_each_sequence_is_seen_once_and_whole(lengths: list[int], batch: int, planned: int, seed: int) -> None:
    model, watch = network()
    epochs = CompiledEpochs(model, numbered(lengths), batch, epochs=planned, xla=False)
    for _ in range(2):
        order = np.random.default_rng(seed).permutation(len(lengths))
        seen = epoch(epochs, watch, order)
        rows = [rows_of(*batch) for batch in seen]
        assert sorted(chain.from_iterable(rows)) == list(range(1, len(lengths) + 1))
        assert [len(batch_rows) for batch_rows in rows[:-1]] == [batch] * (len(rows) - 1)
        assert len(rows) == -(-len(lengths) // batch)
        for (steps, length), batch_rows in zip(seen, rows, strict=True):
            assert length.tolist() == [lengths[row - 1] for row in batch_rows]
            assert length.max() <= steps.shape[1] <= max(lengths)


def test_batches_hold_sequences_of_like_length() -> None:
    lengths = rng.integers(1, 101, 330)
    model, watch = network()
    epochs = CompiledEpochs(model, numbered(lengths), 8, epochs=10**6, xla=False)
    assert 1 < len(epochs.widths) <= MOST_WIDTHS
    seen = epoch(epochs, watch, rng.permutation(330))
    assert len(seen) == 42
    whole = [length for _, length in seen[:-1]]
    spans = sorted((int(length.min()), int(length.max())) for length in whole)
    for one, other in pairwise(spans):
        assert one[1] <= other[0]  # sorted within the pool of all whole batches
    for steps, length in seen[:-1]:
        assert steps.shape[1] == min(width for width in epochs.widths if width >= length.max())
    padded = sum(steps.shape[0] * steps.shape[1] for steps, _ in seen)
    assert padded < 0.7 * 330 * 100
    # The order of batches has nothing to do with their lengths.
    assert abs(np.corrcoef(np.arange(41), [length.mean() for length in whole])[0, 1]) < 0.5


def test_pools_are_drawn_anew() -> None:
    lengths = np.tile([1, 50], 110 * 2)
    model, watch = network()
    epochs = CompiledEpochs(model, numbered(lengths), 4, epochs=10**6, xla=False)
    assert len(lengths) // 4 > 2 * POOL_BATCHES
    first, second = (epoch(epochs, watch, np.random.default_rng(seed).permutation(440)) for seed in (0, 1))
    together = [{frozenset(rows_of(*batch)) for batch in seen} for seen in (first, second)]
    assert len(together[0] & together[1]) < 5  # other rows stand together
    for seen in (first, second):
        mixed = [length for _, length in seen if len(set(length.tolist())) > 1]
        assert len(mixed) <= 1 + 440 // (4 * POOL_BATCHES)  # at most one in each pool
        begin = [rows_of(*batch) for batch in seen[:POOL_BATCHES]]
        assert {lengths[row - 1] for row in chain.from_iterable(begin)} == {1, 50}


def test_one_width_keeps_the_order_as_given() -> None:
    lengths = [3, 1, 2, 3, 1]
    model, watch = network()
    epochs = CompiledEpochs(model, numbered(lengths), 2, xla=False)
    assert epochs.widths == [3]
    seen = epoch(epochs, watch, np.array([4, 0, 2, 1, 3]))
    assert [rows_of(*batch) for batch in seen] == [[5, 1], [3, 2], [4]]


def orders(seed: int, epochs: int = 3) -> list[list[int]]:
    """The order of rows in each epoch of a fit."""
    lengths = np.tile([1, 4, 9], 8)
    model, watch = network()
    fit(model, numbered(lengths), None, FitPlan(FitSettings(batch_size=5, epochs=epochs), seed=seed))
    rows = [row for seen in watch.seen for row in rows_of(*seen)]
    return [rows[start : start + 24] for start in range(0, len(rows), 24)]


def test_the_order_changes_from_epoch_to_epoch_and_depends_on_the_seed_alone() -> None:
    one, other = orders(3), orders(4)
    keras.utils.set_random_seed(99)
    np.random.default_rng().random()
    assert orders(3) == one
    assert len(one) == 3
    for epoch in (*one, *other):
        assert sorted(epoch) == list(range(1, 25))
    assert len({tuple(epoch) for epoch in (*one, *other)}) == 6
    assert orders(3, epochs=2) == one[:2]


@pytest.mark.parametrize("planned", [1, 10**6])
def test_an_epoch_learns_what_keras_learns(planned: int) -> None:
    lengths = rng.integers(1, 30, 23)
    sequences_ = [rng.normal(size=(length, 2)).astype(np.float32) for length in lengths]
    arrays = Arrays({"steps": Ragged.of(sequences_, axes=1)}, rng.normal(size=23).astype(np.float32))
    (ours, watch), (theirs, _) = network(0.1, 2), network(0.1, 2)
    epochs = CompiledEpochs(ours, arrays, 4, epochs=planned, xla=False)
    assert (len(epochs.widths) > 1) == (planned > 1)
    assert arrays.y is not None
    for _ in range(2):
        watch.seen.clear()
        logs = epochs.run(rng.permutation(23), None)
        total = 0.0
        for steps, length in watch.seen:
            rows = [[sequence[0, 0] for sequence in sequences_].index(first) for first in steps[:, 0, 0]]
            total += len(rows) * float(theirs.train_on_batch({"steps": steps, LENGTH: length}, arrays.y[rows]))
        assert logs["loss"] == pytest.approx(total / 23, rel=1e-4)
    for one, two in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_allclose(one.numpy(), two.numpy(), atol=1e-5)


@pytest.mark.slow
def test_xla_makes_no_difference() -> None:
    lengths = rng.integers(1, 30, 19)
    arrays = numbered(lengths)
    order = rng.permutation(19)
    losses = []
    for xla in (False, True):
        steps, length = keras.Input((None, 1), name="steps"), keras.Input((), dtype="int32", name=LENGTH)
        keras.utils.set_random_seed(0)
        hidden = keras.layers.GRU(3)(steps, mask=RealSteps()(steps, length))
        model = keras.Model({"steps": steps, LENGTH: length}, keras.layers.Dense(1)(hidden))
        model.compile(keras.optimizers.SGD(0.01), "mse")
        logs = CompiledEpochs(model, arrays, 6, xla=xla).run(order, None)
        losses.append([logs["loss"], *(weight.numpy() for weight in model.weights)])
    for one, two in zip(*losses, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-4)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 500), min_size=1, max_size=60).map(np.array), st.integers(0, 10**7))
def test_widths_hold_every_sequence(lengths: np.ndarray, steps: int) -> None:
    widths = choose_widths(lengths, steps)
    assert widths == sorted(set(widths))
    assert 1 <= len(widths) <= MOST_WIDTHS
    assert widths[-1] == lengths.max()
    assert set(widths) <= set(lengths.tolist())
    assert choose_widths(lengths, 0) == [lengths.max()]


def test_more_widths_come_with_more_steps() -> None:
    lengths = np.arange(1, 1001)
    counts = [len(choose_widths(lengths, steps)) for steps in (0, 10, 100, 1000, 10**6)]
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (1, MOST_WIDTHS)
    assert choose_widths(np.full(50, 7), 10**6) == [7]


@pytest.mark.parametrize("uniform", [False, True])
def test_predictions_stand_in_the_order_of_the_rows(uniform: bool) -> None:
    lengths = np.full(40, 5) if uniform else rng.integers(1, 20, 40)
    model, _ = network()
    arrays = numbered(lengths)
    weight, bias = (float(variable.numpy().ravel()[0]) for variable in model.weights)
    loss, output = CompiledScores(model, arrays).loss_and_prediction()
    assert arrays.y is not None
    np.testing.assert_allclose(output[:, 0], weight * arrays.y + bias, rtol=1e-5)
    assert loss == pytest.approx(np.square(output[:, 0] - arrays.y).mean(), rel=1e-4)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=30))
def test_batches_for_prediction_are_sorted_and_whole(lengths: list[int]) -> None:
    batched_rows, longest = [], 0
    for chosen, tensors in iterate_batches(numbered(lengths).x):
        rows = rows_of(tensors["steps"].numpy(), tensors[LENGTH].numpy())
        assert rows == (np.arange(1, len(lengths) + 1)[chosen]).tolist()
        assert min(tensors[LENGTH].numpy()) >= longest or len(set(lengths)) == 1
        longest = int(max(tensors[LENGTH].numpy()))
        batched_rows += rows
    assert sorted(batched_rows) == list(range(1, len(lengths) + 1))
    if len(set(lengths)) > 1:
        assert [lengths[row - 1] for row in batched_rows] == sorted(lengths)


def test_missing_values_stay_with_their_sequence() -> None:
    ragged = Ragged.of([np.ones((1, 1)), np.full((3, 1), np.nan), np.ones((2, 1))], axes=1)
    model, watch = network()
    arrays = Arrays({"steps": Ragged(ragged.values.astype(np.float32), ragged.sizes)}, np.zeros(3, np.float32))
    epochs = CompiledEpochs(model, arrays, 3, xla=False)
    ((steps, _),) = epoch(epochs, watch, np.arange(3))
    assert steps[0, :, 0].tolist() == [1, 0, 0]
