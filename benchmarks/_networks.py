"""The networks whose epochs are timed, each with its rows: tables, sequences, texts, images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _adult import TARGET, adult_frame, prepared_columns

from zoo.training.preprocessed_arrays import Arrays

EVERY_SIDE = ("fit_s", "fit_steps_s", "plain_s", "xla_s", "products_s", "products_xla_s")
FIT_AND_ZOO = ("fit_s", "plain_s", "xla_s")
NO_XLA = ("fit_s", "plain_s")  # XLA makes convolutions on a CPU 35 times slower, and is never chosen for them
SEQUENCES, STEPS, FEATURES = 2048, 40, 12
TEXTS, LONGEST_TEXT = 4096, 190
IMAGES, SIDE = 4096, 28


@dataclass(frozen=True)
class Case:
    """A network with its rows.

    Args:
        make: From hyperparameters to the compiled network, always with the same weights.
        data: Prepared rows.
        batch: Rows a step.
        theirs: Hyperparameters of the network that ``keras.Model.fit`` trains.
        ours: Hyperparameters of the one that zoo trains.
        still: Hyperparameters that leave nothing to chance; None where the order of rows is zoo's own.
        sides: What is measured.
    """

    make: Callable[..., Any]
    data: Arrays
    batch: int
    theirs: Mapping[str, Any] = field(default_factory=dict)
    ours: Mapping[str, Any] = field(default_factory=dict)
    still: Mapping[str, Any] | None = field(default_factory=dict)
    sides: tuple[str, ...] = EVERY_SIDE


def case_of(name: str, data: Path | None, share: float) -> Case:
    """Return a case.

    Args:
        name: Its key in ``CASES``.
        data: Folder with real data; None for what is drawn with a fixed seed.
        share: Share of the rows that is taken.
    """
    return CASES[name](data, share)


def _plain(data: Path | None, share: float) -> Case:
    import keras

    x, y = prepared_columns(_adult(data, share))

    def make() -> Any:
        keras.utils.set_random_seed(0)
        hidden = [keras.layers.Dense(128, activation="relu") for _ in range(2)]
        network = keras.Sequential([keras.Input(x.shape[1:]), *hidden, keras.layers.Dense(1, activation="sigmoid")])
        network.compile(keras.optimizers.Adam(1e-3), keras.losses.BinaryCrossentropy())
        return network

    return Case(make, Arrays(x, y), batch=256)


def _table(data: Path | None, share: float) -> Case:
    return _catalogue("classification/mlp", _adult(data, share), TARGET, batch=256, still={"dropout": 0})


def _equal_sequences(data: Path | None, share: float, *, bidirectional: bool) -> Case:
    random = np.random.default_rng(0)
    rows = int(SEQUENCES * share)
    steps = random.normal(size=(rows, STEPS, FEATURES)).astype(np.float32).cumsum(axis=1)
    source = steps, np.arange(rows) % 4
    ways = {"bidirectional": bidirectional}
    return _catalogue(
        "sequence/gru",
        source,
        None,
        batch=64,
        theirs=ways,
        ours=ways,
        still={**ways, "dropout": 0},
        sides=FIT_AND_ZOO,
    )


def _texts(data: Path | None, share: float) -> Case:
    rows = int(TEXTS * share)
    if data is not None:
        frame = pd.read_csv(data / "sms_spam" / "data.csv.gz")[["text", "label"]].iloc[:rows]
    else:
        random = np.random.default_rng(0)
        # Words of a message, as they are spread in sms_spam: half have 13 or fewer, one in a hundred more than 55.
        lengths = np.clip(random.lognormal(2.55, 0.71, rows).round(), 1, LONGEST_TEXT).astype(int)
        lengths[0] = LONGEST_TEXT
        words = np.minimum(random.zipf(1.5, lengths.sum()), 4000)
        texts = [" ".join(f"w{word}" for word in split) for split in np.split(words, np.cumsum(lengths)[:-1])]
        frame = pd.DataFrame({"text": texts, "label": np.where(random.random(rows) < 0.13, "spam", "ham")})
    return _catalogue("sequence/gru", frame, "label", batch=64, still=None, sides=FIT_AND_ZOO)


def _images(data: Path | None, share: float, *, augmented: bool) -> Case:
    rows = int(IMAGES * share)
    if data is not None:
        with np.load(data / "mnist" / "data.npz") as arrays:
            source = arrays["x_train"][:rows], arrays["y_train"][:rows]
    else:
        random = np.random.default_rng(0)
        source = random.integers(0, 256, (rows, SIDE, SIDE), np.uint8), np.arange(rows) % 10
    none = {"shift": 0, "zoom": 0}
    return _catalogue(
        "image/cnn",
        source,
        None,
        batch=128,
        theirs=none,
        ours={} if augmented else none,
        still={**none, "dropout": 0},
        sides=NO_XLA,
    )


def _adult(data: Path | None, share: float) -> pd.DataFrame:
    frame = adult_frame(data)
    return frame.iloc[: int(len(frame) * share)]


def _catalogue(model: str, source: Any, target: str | None, **options: Any) -> Case:
    from zoo.fitting.model_builder import create_model_builder
    from zoo.jobs.data_options import DataJob
    from zoo.jobs.job import make_job
    from zoo.training.preprocessed_arrays import preprocess

    builder = create_model_builder(model)
    job = {"source": source, "target": target, "test_size": 0, "validation_size": 0}
    dataset = builder.task.read(make_job(DataJob, job))

    def make(**hyperparameters: Any) -> Any:
        return builder.build_checked(hyperparameters, dataset.spec, seed=0)[0].network

    built_model, _ = builder.build_checked({}, dataset.spec, seed=0)
    assert built_model.preprocessing is not None
    return Case(make, preprocess(built_model.preprocessing.model(), dataset.splits["train"]), **options)


CASES: dict[str, Callable[[Path | None, float], Case]] = {
    "108-128-128-1": _plain,
    "classification/mlp": _table,
    "sequence/gru, equal lengths": lambda data, share: _equal_sequences(data, share, bidirectional=True),
    "sequence/gru, equal lengths, one way": lambda data, share: _equal_sequences(data, share, bidirectional=False),
    "sequence/gru, texts": _texts,
    "image/cnn": lambda data, share: _images(data, share, augmented=False),
    "image/cnn, augmentation": lambda data, share: _images(data, share, augmented=True),
}
