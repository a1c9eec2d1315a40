"""Training and scoring on streamed rows, with memory use independent of the number of rows."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from zoo.calibration.fit_calibration import select_rows
from zoo.data.dataset import Split
from zoo.data.streaming.stream import hash_rows
from zoo.data.streaming.streamed_dataset import StreamedSplit
from zoo.metrics.intervals import count_rows
from zoo.training.preprocessed_arrays import Arrays, keep_raw_arrays, preprocess

BUFFER_ROWS = 1 << 18  # number of rows that are shuffled together
# Bins of the log-odds, 1/256 wide: the relative error of the mean log loss in a bin is about one in a million.
_BINS, _BINS_A_UNIT, _MOST = 8192, 256, 16.0
_DRAW = 7  # salt of the random seed for sampling the rows to score
MOST_VALUES = 1 << 21  # maximum number of predicted values to score; larger splits are sampled


class StreamedArrays:
    """Preprocessed training rows in buffers: chunks in a new order each epoch, rows shuffled within each buffer.

    Args:
        split: The training rows.
        preprocessing: Keras model from raw to preprocessed inputs; None for a network that takes raw columns.
        names: Names of the network's inputs.
        seed: Seed of the order.
    """

    def __init__(self, split: StreamedSplit, preprocessing: Any, names: set[str], seed: int) -> None:
        self.split, self.preprocessing, self.names, self.seed = split, preprocessing, names, seed
        self.ragged: dict[str, Any] = {}

    def __len__(self) -> int:
        return self.split.total

    def buffers(self, epoch: int, batch: int) -> Iterator[Arrays]:
        """Yield all rows once, several full batches at a time, while a thread preprocesses the next buffer."""
        most = max(1, BUFFER_ROWS // batch) * batch
        return _ahead(self._buffers(epoch, most))

    def _buffers(self, epoch: int, most: int) -> Iterator[Arrays]:
        order = np.random.default_rng([self.seed, epoch]).permutation(self.split.pieces).tolist()
        waiting: list[Arrays] = []
        for split in self.split.chunks(order):
            waiting.append(self.preprocessed(split))
            while sum(map(len, waiting)) >= most:
                together = _joined(waiting)
                yield _rows(together, slice(0, most))
                rest = _rows(together, slice(most, len(together)))
                waiting = [rest] if len(rest) else []
        if waiting:
            yield _joined(waiting)

    def preprocessed(self, split: Split) -> Arrays:
        """Return the arrays of a chunk; weights are scaled to mean 1 over all chunks."""
        raw = self.preprocessing is None
        arrays = keep_raw_arrays(split, self.names) if raw else preprocess(self.preprocessing, split, again=True)
        sample = self.split.weight
        weight = None if split.weight is None or sample is None else (split.weight / np.mean(sample)).astype(np.float32)
        return Arrays(arrays.x, arrays.y, weight)


def _rows(arrays: Arrays, chosen: slice) -> Arrays:
    x = {k: v[chosen] for k, v in arrays.x.items()} if isinstance(arrays.x, dict) else arrays.x[chosen]
    y, weight = arrays.y, arrays.weight
    return Arrays(x, None if y is None else y[chosen], None if weight is None else weight[chosen])


def _joined(splits: list[Arrays]) -> Arrays:
    if len(splits) == 1:
        return splits[0]
    first = splits[0]
    if isinstance(first.x, dict):
        x: Any = {key: np.concatenate([split.x[key] for split in splits]) for key in first.x}
    else:
        x = np.concatenate([split.x for split in splits])
    y = None if first.y is None else np.concatenate([split.y for split in splits])
    weight = None if first.weight is None else np.concatenate([split.weight for split in splits])
    return Arrays(x, y, weight)


def _ahead(items: Iterator[Arrays]) -> Iterator[Arrays]:
    """Yield items that a thread produces one ahead, so that reading and preprocessing overlap with training."""
    ready: queue.Queue[Any] = queue.Queue(maxsize=1)
    stop = threading.Event()

    def put(item: Any) -> None:
        while not stop.is_set():
            with contextlib.suppress(queue.Full):
                ready.put(item, timeout=0.1)
                return

    def work() -> None:
        try:
            for item in items:
                put((item, None))
                if stop.is_set():
                    return
            put((None, None))
        except BaseException as error:  # raised again in the thread that waits for the item
            put((None, error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if error is not None:
                raise error
            if item is None:
                return
            yield item
    finally:
        stop.set()
        thread.join()


def accumulate(
    split: StreamedSplit, probabilities: Callable[[Split], np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return truth (M,), probabilities (M, 2) and numbers of rows (M,) with the same scores as all rows of a split.

    The rows of two classes are counted in 8,192 bins of the log-odds, each with its mean probability: M is at most
    twice that, for any number of rows.

    Args:
        split: Streamed split whose targets are 0 and 1.
        probabilities: Function from rows to probabilities (N, 2).
    """
    weight, mass = np.zeros((2, _BINS)), np.zeros((2, _BINS))
    for chunk in split.chunks(None):
        p = np.clip(probabilities(chunk)[:, 1], 1e-12, 1 - 1e-12)
        odds = np.clip(np.log(p) - np.log1p(-p), -_MOST, _MOST - 1e-9)
        place = np.asarray(chunk.encoded_target) * _BINS + np.floor((odds + _MOST) * _BINS_A_UNIT).astype(np.int64)
        chunk_weight = np.ones(len(p)) if chunk.weight is None else np.asarray(chunk.weight, float)
        weight += np.bincount(place, weights=chunk_weight, minlength=2 * _BINS).reshape(2, _BINS)
        mass += np.bincount(place, weights=chunk_weight * p, minlength=2 * _BINS).reshape(2, _BINS)
    truth, bins = np.nonzero(weight)
    p = mass[truth, bins] / weight[truth, bins]
    counts = weight[truth, bins]
    if split.weight is not None:  # weights that are not counts represent fewer rows than their sum
        counts *= count_rows(np.asarray(split.weight), counts=False) / len(split) * split.total / counts.sum()
    return truth, np.stack([1 - p, p], axis=1), counts


def collect(
    split: StreamedSplit, predict: Callable[[Split], np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return encoded targets, predictions and weights (None for equal weights) of the rows of a split.

    Only predictions are kept in memory, at most ``MOST_VALUES`` numbers: a larger split is sampled at random.

    Args:
        split: Streamed split.
        predict: Function from rows to predictions (N,) or (N, K).
    """
    width = np.asarray(predict(select_rows(split, np.arange(1)))).size
    fraction = MOST_VALUES / width / max(split.total, 1)
    held: list[tuple[Any, ...]] = []
    for chunk in split.chunks(None):
        rows = np.flatnonzero(hash_rows(chunk.rows, _DRAW) < fraction)
        if len(rows):
            drawn = select_rows(chunk, rows)
            held.append((drawn.target, predict(drawn), drawn.weight))
    target, prediction, weight = (None if some[0] is None else np.concatenate(some) for some in zip(*held, strict=True))
    assert prediction is not None
    assert target is not None
    return target, prediction, weight
