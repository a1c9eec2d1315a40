"""Bundled datasets: tables, sequences, and one each of texts, baskets, series and images with masks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.examples.adding_problem import TARGET as ADDED
from zoo.data.examples.adding_problem import generate_adding_problem
from zoo.data.examples.array_columns import IMAGE, MASK, SEQUENCE, TEXT, convert_to_cells
from zoo.data.examples.digit_scenes import compose_digit_scenes
from zoo.data.source_errors import describe_wrong_source
from zoo.data.sources.text_files import read_texts
from zoo.errors import describe_unknown

_LOADERS = {
    "iris": "load_iris",
    "wine": "load_wine",
    "breast_cancer": "load_breast_cancer",
    "digits": "load_digits",
    "diabetes": "load_diabetes",
}
_IMAGES = {"digits": (8, 8, 1)}
# Kudo, Toyama and Shimbo 1999, UCI Machine Learning Repository, CC BY 4.0: see japanese_vowels.md beside the file.
_SEQUENCES = {"japanese_vowels": Path(__file__).with_name("japanese_vowels.npz")}
_GENERATED = ("adding_problem",)  # sequences too
# Munroe 2010, "Color Survey Results", CC0: see color_names.md beside the file.
# Market baskets that were drawn by a computer: see composed_baskets.md beside the file.
_TEXTS = {name: Path(__file__).with_name(f"{name}.txt") for name in ("color_names", "composed_baskets")}
# The same names of colours with the family of each colour: see color_names.md too.
_LABELLED_TEXTS = {"color_families": (Path(__file__).with_name("color_families.csv"), "family")}
# Box, Jenkins and Reinsel 1976, "Time Series Analysis", series G: monthly passengers of airlines, in thousands.
# Harrison and Rubinfeld 1978, PDDL 1.0: see boston.md beside the file, also about its column b.
_FILES = {
    "air_passengers": (Path(__file__).with_name("air_passengers.csv"), "passengers"),
    "boston": (Path(__file__).with_name("boston.csv"), "medv"),
}
_NOTES = {
    "boston": (
        "the column b encodes race, for which scikit-learn removed the data set; it is for courses, not for "
        "conclusions about people; --drop b leaves it out",
    )
}
_MASKS = ("digit_scenes",)
BUNDLED = (*_LOADERS, *_SEQUENCES, *_GENERATED, *_TEXTS, *_LABELLED_TEXTS, *_FILES, *_MASKS)


def list_bundled_notes(name: str) -> tuple[str, ...]:
    """Return what a user of a bundled dataset must know about it.

    Example:
        >>> list_bundled_notes("iris")
        ()
    """
    return _NOTES.get(name, ())


def load_bundled(name: str, *, cells: str | None = None) -> tuple[pd.DataFrame, str | None, np.ndarray | None]:
    """Load a bundled dataset: its frame, the name of its target (None for texts) and, if it has one, its split.

    Classes have their names, not codes; diabetes is in its original units.

    Args:
        name: One of ``BUNDLED``.
        cells: ``image``, ``sequence`` or ``mask`` (images with masks): content of a cell; by default a number.

    Raises:
        UsageError: If there is no bundled dataset of that name.
        DataError: If it does not have such cells.

    Example:
        >>> frame, target, split = load_bundled("wine")
        >>> frame.shape, target
        ((178, 14), 'class')
    """
    if name not in BUNDLED:
        raise describe_unknown("bundled set", name, BUNDLED)
    if name in _MASKS and cells == MASK:
        scenes = dict(zip((IMAGE, MASK), map(convert_to_cells, compose_digit_scenes()), strict=True))
        return pd.DataFrame(scenes), None, None
    if name in _MASKS:
        raise describe_wrong_source("masks", name)
    if name in _TEXTS and cells not in (IMAGE, MASK):
        return read_texts(_TEXTS[name])[0], None, None
    if name in _LABELLED_TEXTS and cells not in (IMAGE, MASK):
        path, target = _LABELLED_TEXTS[name]
        return pd.read_csv(path), target, None
    kind = SEQUENCE if name in (*_SEQUENCES, *_GENERATED) else IMAGE if cells == IMAGE and name in _IMAGES else None
    if kind != cells:
        raise describe_wrong_source(
            "sequences" if kind == SEQUENCE else TEXT if name in {*_TEXTS, *_LABELLED_TEXTS} else "table", name
        )
    if name in _GENERATED:
        return generate_adding_problem(), ADDED, None
    if kind == SEQUENCE:
        return _sequences(_SEQUENCES[name])
    frame, target = _table(name)
    if kind == IMAGE:
        images = frame.drop(columns=target).to_numpy().reshape(-1, *_IMAGES[name])
        # Scale the 16 grey levels to bytes, as in other images.
        frame = pd.DataFrame({IMAGE: convert_to_cells((images * 255 / 16).astype(np.uint8)), target: frame[target]})
    return frame, target, None


def _table(name: str) -> tuple[pd.DataFrame, str]:
    if name in _FILES:
        path, target = _FILES[name]
        return pd.read_csv(path), target
    import sklearn.datasets

    loader: Callable[..., Any] = getattr(sklearn.datasets, _LOADERS[name])
    bunch = loader(scaled=False) if name == "diabetes" else loader()
    columns = [str(column).replace(" (cm)", "_cm").replace(" ", "_") for column in bunch.feature_names]
    frame = pd.DataFrame(bunch.data, columns=columns)
    target = "progression" if name == "diabetes" else "class"
    if name == "diabetes" or name == "digits":
        frame[target] = bunch.target
    else:
        frame[target] = bunch.target_names[bunch.target].astype(str)
    return frame, target


def _sequences(path: Path) -> tuple[pd.DataFrame, str, np.ndarray]:
    frames, splits = [], []
    with np.load(path, allow_pickle=False) as file:
        for split in ("train", "test"):
            ends = np.cumsum(file[f"len_{split}"])[:-1]
            cells = convert_to_cells(np.split(file[f"x_{split}"], ends))
            frames.append(pd.DataFrame({SEQUENCE: cells, "speaker": file[f"y_{split}"].astype(np.int64)}))
            splits += [split] * len(cells)
    return pd.concat(frames, ignore_index=True), "speaker", np.array(splits)
