"""A dataset: a source that was read and split, with the spec of its training part."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from zoo.data.ragged import Ragged
from zoo.spec import Spec

SPLITS = ("train", "calibration", "validation", "test")
COLUMNS = ("target", "rows", "weight", "fit_weight", "group")
# Texts are stored at one width unless that takes so many times what they have, and more than a few kilobytes.
MOST_PADDING, LEAST_PADDED = 8, 10_000


@dataclass(frozen=True)
class Split:
    """Rows of one part, as a model takes them before preparation.

    Args:
        inputs: Raw values by the input's key, each with N rows: float64 for numbers, text for categories, ragged
            arrays for images and sequences.
        target: Encoded target of N rows: class index or standardised number; None where there is none.
        rows: Position of each row in the source (in the test source, where that is another one).
        weight: Example weights of N rows; None for equal weights.
        fit_weight: Weights of N rows in the loss, where those are others, as by class.
        group: Group of N rows by name, where a split keeps groups together; the calibration part has it, which is
            halved.
    """

    inputs: Mapping[str, np.ndarray | Ragged | pd.Categorical]
    target: np.ndarray | None
    rows: np.ndarray
    weight: np.ndarray | None = None
    fit_weight: np.ndarray | None = None
    group: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def total(self) -> int:
        """Number of rows; more than there are here, where they pass by and are not held in memory."""
        return len(self)


@dataclass(frozen=True)
class Dataset:
    """A source that was read and split into train, validation and test.

    Args:
        name: Short name, which also names the experiment.
        source: Where the data come from, in words that can be typed again where that is possible.
        digest: Digest of the data as read, without the split.
        split_digest: Digest of data, split and target together: equal digests mean equal parts.
        spec: Description of the training part.
        splits: The splits that have rows.
        notes: What was noticed while reading, for people.
        labels: Names of the groups that are for scoring only, by code; empty where there are none.
        split_rows: Rows of the source in each part, before any sampling.
        folds: Number of folds that ``fold`` is one of; 0 without.
    """

    name: str
    source: str
    digest: str
    split_digest: str
    spec: Spec
    splits: Mapping[str, Split]
    notes: tuple[str, ...] = field(default=())
    labels: tuple[str, ...] = field(default=())
    split_rows: Mapping[str, np.ndarray] = field(default_factory=dict)
    folds: int = 0

    @property
    def sizes(self) -> dict[str, int]:
        """Number of rows of each part."""
        return {name: split.total for name, split in self.splits.items()}

    @property
    def nbytes(self) -> int:
        """Bytes of the numbers in memory, about."""
        return sum(getattr(values, "nbytes", 0) for split in self.splits.values() for values in split.inputs.values())

    @property
    def tests_another(self) -> bool:
        """Whether the test part is of a source of its own, which numbers its rows anew."""
        return "test" in self.splits and bool(self.split_rows) and "test" not in self.split_rows

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name} {rows}" for name, rows in self.sizes.items())
        return f"<Dataset {self.name}: {len(self.spec.inputs)} inputs, {sizes}>"


def save_dataset(dataset: Dataset, folder: Path) -> None:
    """Write a dataset where other processes can map it into memory (:func:`load_dataset`).

    Numbers are one ``.npy`` file an array, so that reading one copies nothing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, split in dataset.splits.items():
        for index, value in enumerate(split.inputs.values()):
            _save_input(folder, f"{name}-{index}", value)
        for column in COLUMNS:
            value = getattr(split, column)
            if value is not None:
                np.save(folder / f"{name}-{column}.npy", value)
    values = dataclasses.asdict(dataclasses.replace(dataset, splits={}, split_rows={}, spec=None))  # type: ignore[arg-type]
    values |= {"spec": dataset.spec.to_json(), "splits": {n: list(s.inputs) for n, s in dataset.splits.items()}}
    writing = folder / ".dataset.json"
    writing.write_text(json.dumps(values))
    writing.replace(folder / "dataset.json")  # last, and whole: who finds it finds all


def load_dataset(folder: Path) -> Dataset:
    """Return the dataset that :func:`save_dataset` wrote, its arrays mapped and not copied."""
    values = json.loads((folder / "dataset.json").read_text())
    splits = {}
    if "parts" in values:  # as zoo 0.1.0 wrote it
        values["splits"], values["split_rows"] = values.pop("parts"), values.pop("split")
    for name, keys in values.pop("splits").items():
        inputs = {key: _mapped(folder, f"{name}-{i}") for i, key in enumerate(keys)}
        others = {
            column: np.load(path, mmap_mode="r") if (path := folder / f"{name}-{column}.npy").exists() else None
            for column in COLUMNS
        }
        splits[name] = Split(inputs, **others)  # type: ignore[arg-type]
    spec = Spec.from_json(values.pop("spec"))
    return Dataset(
        spec=spec, splits=splits, **{**values, "notes": tuple(values["notes"]), "labels": tuple(values["labels"])}
    )


def map_numbers(dataset: Dataset, folder: Path) -> None:
    """Give up a dataset's numbers in memory for the files that :func:`save_dataset` wrote them to, in their place.

    Whoever holds the dataset has the same values as before, and the memory of a large one is free.
    """
    mapped = load_dataset(folder)
    assert isinstance(dataset.splits, dict)
    for name, split in dataset.splits.items():
        numbers = {
            key: mapped.splits[name].inputs[key]
            for key, values in split.inputs.items()
            if isinstance(values, np.ndarray) and values.dtype.kind in "fiu"
        }
        dataset.splits[name] = dataclasses.replace(split, inputs={**split.inputs, **numbers})


def _save_input(folder: Path, stem: str, values: np.ndarray | Ragged | pd.Categorical) -> None:
    if isinstance(values, pd.Categorical):
        (folder / f"{stem}.levels.json").write_text(json.dumps(values.categories.tolist()), encoding="utf-8")
        values = np.asarray(values.codes)
    if isinstance(values, Ragged):
        np.save(folder / f"{stem}.sizes.npy", values.sizes)
        values = values.values
    elif values.dtype == object:  # text; objects would need pickle
        lengths = np.array([len(text) for text in values])
        if lengths.max(initial=0) * len(values) <= MOST_PADDING * (lengths.sum() + LEAST_PADDED):
            values = values.astype(str)
        else:  # of one width it would take that of the longest for each
            encoded = [str(text).encode("utf-8", "surrogatepass") for text in values]
            np.save(folder / f"{stem}.bytes.npy", [len(text) for text in encoded])
            values = np.frombuffer(b"".join(encoded), np.uint8)
    np.save(folder / f"{stem}.npy", values)


def _mapped(folder: Path, stem: str) -> np.ndarray | Ragged | pd.Categorical:
    values = np.load(folder / f"{stem}.npy", mmap_mode="r")
    levels = folder / f"{stem}.levels.json"
    if levels.exists():
        named = pd.Index(json.loads(levels.read_text(encoding="utf-8")), dtype=object)
        return pd.Categorical.from_codes(values, named, validate=False)
    sizes, lengths = folder / f"{stem}.sizes.npy", folder / f"{stem}.bytes.npy"
    if lengths.exists():
        texts, ends = values.tobytes(), np.cumsum(np.load(lengths))
        starts = np.concatenate([[0], ends[:-1]])
        whole = [texts[start:end].decode("utf-8", "surrogatepass") for start, end in zip(starts, ends, strict=True)]
        return np.array(whole, dtype=object)
    return Ragged(values, np.load(sizes)) if sizes.exists() else values


SPELLINGS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "calibration": "calibration",
    "test": "test",
}


SPLIT_PREFIX = {"train": "train_", "validation": "val_", "test": "test_"}
