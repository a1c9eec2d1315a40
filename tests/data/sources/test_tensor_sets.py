"""A tf.data.Dataset is what its arrays are, whether batched or not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from zoo.data.sources import tensor_sets as tensors
from zoo.data.sources.read import read_table
from zoo.errors import DataError

rng = np.random.default_rng(0)
X, Y, W = rng.normal(size=(10, 3)), np.arange(10) % 2, np.linspace(1, 2, 10)
NAMED = {"a": np.arange(10), "b": np.array([f"é{index}" for index in range(10)])}
IMAGES = rng.integers(0, 256, (10, 4, 4, 1), dtype=np.uint8)


def made(arrays: Any, batch: int | None = None, drop: bool = False) -> Any:
    import tensorflow as tf

    whole = tf.data.Dataset.from_tensor_slices(arrays)
    return whole if batch is None else whole.batch(batch, drop_remainder=drop)


BATCHES = [(None, False), (4, False), (5, True)]


@pytest.mark.parametrize("batch, drop", BATCHES)
def test_pairs(batch: int | None, drop: bool) -> None:
    table = read_table(made((X, Y), batch, drop))
    assert table.target == "y"
    assert list(table.frame) == ["x0", "x1", "x2", "y"]
    np.testing.assert_array_equal(table.frame[["x0", "x1", "x2"]], X)
    assert table.frame["y"].tolist() == Y.tolist()
    assert read_table(made((X, Y[:, None]), batch, drop)).frame["y"].tolist() == Y.tolist()


@pytest.mark.parametrize("batch, drop", BATCHES)
def test_dicts_and_weights(batch: int | None, drop: bool) -> None:
    table = read_table(made((NAMED, Y, W), batch, drop))
    assert list(table.frame) == ["a", "b", "y", "weight"]
    assert table.frame["b"].tolist() == NAMED["b"].tolist()
    assert table.frame["weight"].tolist() == W.tolist()
    assert table.notes == ("the third component of each element is the sample weight, as in Keras: column weight",)
    assert table.weight == "weight"
    alone = read_table(made(NAMED, batch, drop))
    assert (list(alone.frame), alone.target) == (["a", "b"], None)


@pytest.mark.parametrize("batch, drop", BATCHES)
def test_images(batch: int | None, drop: bool) -> None:
    table = read_table(made((IMAGES, Y), batch, drop), cells="image")
    np.testing.assert_array_equal(np.stack(table.frame["image"]), IMAGES)
    assert table.frame["y"].tolist() == Y.tolist()


def test_sequences_of_several_lengths() -> None:
    import tensorflow as tf

    def examples():
        for length in (2, 3, 4):
            yield np.ones((length, 2), np.float32), length

    signature = (tf.TensorSpec((None, 2), tf.float32), tf.TensorSpec((), tf.int64))
    table = read_table(tf.data.Dataset.from_generator(examples, output_signature=signature), cells="sequence")
    assert [len(cell) for cell in table.frame["sequence"]] == [2, 3, 4]


def test_what_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorflow as tf

    with pytest.raises(DataError, match=r"the dataset is infinite; use take\(n\)"):
        read_table(made((X, Y)).repeat())
    with pytest.raises(DataError, match="no elements"):
        read_table(made((X, Y)).take(0))
    with pytest.raises(DataError, match=r"elements x, \(x, y\) or \(x, y, w\)"):
        read_table(made((X, Y, W, W)))
    monkeypatch.setattr(tensors, "MOST_EXAMPLES", 100)
    endless = tf.data.Dataset.from_generator(lambda: iter(int, 1), output_signature=tf.TensorSpec((), tf.int64))
    with pytest.raises(DataError, match="more than 100 examples, the limit"):
        read_table(endless)
