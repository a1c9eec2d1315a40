"""Datasets: a source that was read and split, with the spec of its training split."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.ragged import Ragged
from zoo.spec import CategoryInput, DateInput, Input, Spec

SPLITS = ("train", "calibration", "validation", "test")
COLUMNS = ("target", "rows", "weight", "fit_weight", "group", "files")
# Texts are stored at a fixed width, unless padding multiplies their size by this and exceeds a few kilobytes.
MOST_PADDING, LEAST_PADDED = 8, 10_000


@dataclass(frozen=True)
class Split:
    """The rows of one split, as raw model inputs before preprocessing.

    Args:
        inputs: Raw values by input key, each with N rows: float64 for numbers, text for categories, ragged arrays for
            images and sequences.
        target: Encoded target (N,): class index or standardised number; None if there is no target.
        rows: Position of each row in its source.
        weight: Sample weights (N,); None for equal weights.
        fit_weight: Weights in the loss (N,), if they differ from ``weight``, as with class weights.
        group: Group names (N,), if the split keeps groups together, except of the training split: calibration divides
            its rows by group, and intervals take the groups as the sample.
        files: Name of the file that each row comes from (N,), if the task keeps it.
    """

    inputs: Mapping[str, np.ndarray | Ragged | pd.Categorical]
    target: np.ndarray | None
    rows: np.ndarray
    weight: np.ndarray | None = None
    fit_weight: np.ndarray | None = None
    group: np.ndarray | None = None
    files: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def frame(
        self, spec: Spec, *, most_rows: int | None = None, columns: Collection[str] | None = None
    ) -> pd.DataFrame:
        """Return the inputs as the source has them: the inverse of :func:`zoo.data.columns.encode.extract_inputs`.

        A missing category or date is None; dates are text in their own format; sequences and images are arrays.

        Args:
            spec: The spec that the inputs were encoded by.
            most_rows: Number of rows, from the first; None for all.
            columns: Names of columns; None for all.
        """
        rows = range(len(self) if most_rows is None else min(most_rows, len(self)))
        cells: dict[str, Any] = {}
        for input_ in spec.inputs:
            if input_.name not in cells and (columns is None or input_.name in columns):
                cells[input_.name] = _source_cells(self.inputs[input_.key], input_, rows)
        return pd.DataFrame(cells)

    @property
    def encoded_target(self) -> np.ndarray:
        """The target of a split that has one."""
        if self.target is None:
            raise ValueError("the split has no target")
        return self.target

    @property
    def total(self) -> int:
        """Number of rows; larger than ``len`` when the data are streamed, not held in memory."""
        return len(self)


def _source_cells(values: np.ndarray | Ragged | pd.Categorical, input_: Input, rows: range) -> Any:
    if isinstance(values, Ragged):
        return [values.example(row) for row in rows]
    cells = np.asarray(values[: len(rows)])
    if isinstance(input_, DateInput):  # seconds
        form = input_.format or "%Y-%m-%d %H:%M:%S"
        return [None if np.isnan(cell) else pd.Timestamp(cell, unit="s").strftime(form) for cell in cells]
    if isinstance(input_, CategoryInput):
        return [cell or None for cell in cells.tolist()]
    return list(cells) if cells.ndim > 1 else cells


@dataclass(frozen=True)
class Dataset:
    """A source that was read and split into train, validation and test.

    Args:
        name: Short name, which also names the experiment.
        source: The source, as the user can type it again where possible.
        digest: Digest of the data, without the split.
        split_digest: Digest of data, split and target together: equal digests mean equal splits.
        spec: Description of the training split.
        splits: The splits that have rows, by name.
        notes: Notes for the user from reading.
        labels: Names of the labels used only for scoring, by code; empty if there are none.
        split_rows: Source rows of each split, before any sampling.
        folds: Number of cross-validation folds; 0 without.
        threshold: How baselines choose their decision threshold on the validation split; None for none.
        facts: What reading found beyond the spec, in plain values by name, for tables and figures of the task.
        content: Description of what the digests are computed from, for error messages.
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
    threshold: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    content: str = "the data"

    @property
    def sizes(self) -> dict[str, int]:
        """Number of rows of each split."""
        return {name: split.total for name, split in self.splits.items()}

    @property
    def nbytes(self) -> int:
        """Approximate size of the inputs in bytes."""
        return sum(getattr(values, "nbytes", 0) for split in self.splits.values() for values in split.inputs.values())

    @property
    def has_test_source(self) -> bool:
        """Whether the test split comes from a separate source, with row numbers of its own."""
        return "test" in self.splits and bool(self.split_rows) and "test" not in self.split_rows

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name} {rows}" for name, rows in self.sizes.items())
        return f"<Dataset {self.name}: {len(self.spec.inputs)} inputs, {sizes}>"


def save_dataset(dataset: Dataset, folder: Path) -> None:
    """Write a dataset so that other processes can memory-map it (:func:`load_dataset`).

    Each array of numbers is one ``.npy`` file, so that loading copies nothing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, split in dataset.splits.items():
        for index, value in enumerate(split.inputs.values()):
            _save_input(folder, f"{name}-{index}", value)
        for column in COLUMNS:
            value = getattr(split, column)
            if value is not None:
                np.save(folder / f"{name}-{column}.npy", value)
    # A task's own kind of dataset may hold more, for baselines, which run where the dataset was read.
    fields = {field.name: getattr(dataset, field.name) for field in dataclasses.fields(Dataset)}
    values = dataclasses.asdict(Dataset(**{**fields, "splits": {}, "split_rows": {}, "spec": None}))
    values |= {"spec": dataset.spec.to_json(), "splits": {n: list(s.inputs) for n, s in dataset.splits.items()}}
    writing = folder / ".dataset.json"
    writing.write_text(json.dumps(values))
    writing.replace(folder / "dataset.json")  # last and atomically: if it exists, everything exists


def load_dataset(folder: Path) -> Dataset:
    """Load a dataset that :func:`save_dataset` wrote, with memory-mapped arrays."""
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
    """Replace a dataset's numeric arrays in place by the memory-mapped files of :func:`save_dataset`.

    All values stay the same, and the memory of a large dataset is freed.
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
        else:  # a fixed width would give each text the size of the longest
            encoded = [str(text).encode("utf-8", "surrogatepass") for text in values]
            np.save(folder / f"{stem}.bytes.npy", [len(text) for text in encoded])
            values = np.frombuffer(b"".join(encoded), np.uint8)
    np.save(folder / f"{stem}.npy", values)


def _mapped(folder: Path, stem: str) -> np.ndarray | Ragged | pd.Categorical:
    values = np.load(folder / f"{stem}.npy", mmap_mode="r")
    categories = folder / f"{stem}.levels.json"
    if categories.exists():
        named = pd.Index(json.loads(categories.read_text(encoding="utf-8")), dtype=object)
        return pd.Categorical.from_codes(values, named, validate=False)
    sizes, lengths = folder / f"{stem}.sizes.npy", folder / f"{stem}.bytes.npy"
    if lengths.exists():
        texts, ends = values.tobytes(), np.cumsum(np.load(lengths))
        starts = np.concatenate([[0], ends[:-1]])
        restored = [texts[start:end].decode("utf-8", "surrogatepass") for start, end in zip(starts, ends, strict=True)]
        return np.array(restored, dtype=object)
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
