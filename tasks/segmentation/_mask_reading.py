"""Reading of images with masks: folders, ``.npz`` files, arrays and frames."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.dataset import SPELLINGS
from zoo.data.example_layouts import read_image_table
from zoo.data.examples.array_columns import IMAGE, MASK, convert_lists, convert_to_cells
from zoo.data.examples.describe_examples import describe_image
from zoo.data.examples.digit_scenes import CLASSES
from zoo.data.layout import Layout
from zoo.data.source_errors import describe_wrong_source
from zoo.data.sources.bundled import BUNDLED
from zoo.data.sources.image_files import decode_images, list_image_files
from zoo.data.sources.npz import load_arrays
from zoo.data.sources.read import Table, check_there, read_table
from zoo.errors import DataError, join_first
from zoo.spec import Spec, Target

from ._mask_arrays import check_pairs, check_size, read_arrays
from ._mask_files import read_mask

COLOURS = 3
IMAGES, MASKS, NAMES_FILE = "images", "masks", "classes.txt"
EXPECTED = f"expected FOLDER/{IMAGES}/1.png, … and FOLDER/{MASKS}/1.png, …"


@dataclass
class MaskLayout:
    """The layout of images with masks, which keeps the tables that it read.

    Args:
        names: Names of the classes, if a source has them.
        tables: The tables, in the order of reading.
    """

    names: tuple[str, ...] = ()
    tables: list[Table] = field(default_factory=list)

    def layout(self) -> Layout:
        """Return the functions that read and describe a source."""
        return Layout(self.read, self.describe)

    def read(self, source: Any, text: Collection[str] = ()) -> Table:
        """Return a table with a row for each image and its mask.

        Raises:
            DataError: If images or masks are missing or cannot be read, or a mask has another size than its image.
        """
        table, names = _read_pairs(source)
        self.names = self.names or names
        self.tables.append(table)
        return table

    def describe(self, frame: pd.DataFrame, targets: tuple[Target, ...], task: str) -> tuple[Spec, list[str]]:
        """Return the spec of the training images, which keep their sizes, and notes."""
        input_ = describe_image(IMAGE, frame[IMAGE], size=None, where="the images")
        channels = {np.shape(image)[2:] for image in frame[IMAGE]}
        notes = ["grey and colour images are mixed: grey ones are read as colours"] if len(channels) > 1 else []
        return Spec(task, (replace(input_, height=0, width=0),), targets, len(frame)), notes


def read_images(source: Any) -> Table:
    """Return a table of images to predict: a file or folder, an array, a list of arrays; masks are not read.

    Raises:
        DataError: If the source has no images.
    """
    if isinstance(source, np.ndarray) and source.ndim == 3 and source.shape[-1] == COLOURS:
        source = source[None]  # one image in colour rather than many grey ones that are three pixels wide
    if isinstance(source, list):
        source = {IMAGE: source}
    path = _find_path(source)
    if path is not None and path.is_dir() and (path / IMAGES).is_dir():
        return replace(read_image_table(str(path / IMAGES)), source=str(source))
    if path is not None and path.suffix.lower() == ".npz":
        frame, split = read_arrays(path, masks=False)
        return Table(frame, path.stem, str(source), split=split)
    if _is_bundled(source) or isinstance(source, (pd.DataFrame, Mapping, tuple)):
        return _read_pairs(source, masks=False)[0]
    return read_image_table(source)


def _read_pairs(source: Any, *, masks: bool = True) -> tuple[Table, tuple[str, ...]]:
    """Return the table of a source, and the names of its classes, if it has them."""
    if isinstance(source, Table):
        return source, ()
    path = _find_path(source)
    if path is not None and path.is_dir():
        return _read_folder(path, str(source))
    if path is not None and path.suffix.lower() == ".npz":
        frame, split = read_arrays(path, masks=masks)
        names = tuple(map(str, load_arrays(path).get("names", ())))
        return Table(frame, path.stem, str(source), split=split), names
    if isinstance(source, tuple) and len(source) == 2 and np.ndim(source[1]) >= 2:
        source = {IMAGE: convert_to_cells(source[0]), MASK: convert_to_cells(source[1])}
    check_there(source)
    table = read_table(source, cells=MASK)
    frame = convert_lists(table.frame)
    if IMAGE not in frame.columns or (masks and MASK not in frame.columns):
        if isinstance(source, (pd.DataFrame, Mapping)):
            columns = ", ".join(map(str, frame.columns))
            message = f"a frame needs the columns {IMAGE} and {MASK}, with an array in each cell; it has {columns}"
            raise DataError(message, where=table.source)
        raise describe_wrong_source("table", table.source, hint=f"; {EXPECTED}, or an .npz file with x and y")
    if masks:
        frame = frame.assign(**{MASK: check_pairs(frame[IMAGE], frame[MASK], table.source).to_numpy()})
    return replace(table, frame=frame, target=None), CLASSES if _is_bundled(source) else ()


def _find_path(source: Any) -> Path | None:
    """Return the path of a source that is a file or folder; None for others and for bundled names."""
    if not isinstance(source, (str, Path)) or _is_bundled(source):
        return None
    path = Path(source).expanduser()
    return path if path.exists() else None


def _is_bundled(source: Any) -> bool:
    return isinstance(source, str) and source in BUNDLED


# --- folders ---


def _read_folder(path: Path, source: str) -> tuple[Table, tuple[str, ...]]:
    by_split = {child: SPELLINGS[child.name.lower()] for child in _list_folders(path) if child.name in SPELLINGS}
    parts = {child: split for child, split in by_split.items() if (child / IMAGES).is_dir()} or {path: ""}
    pairs, splits = [], []
    for folder, split in parts.items():
        part = _match_files(folder, path)
        pairs += part
        splits += [split] * len(part)
    files = [str(image.relative_to(path)) for image, _ in pairs]
    images, places, notes = decode_images([image for image, _ in pairs], files)
    masks = [read_mask(pairs[place][1]) for place in places]
    for image, mask, place in zip(images, masks, places, strict=True):
        check_size(image, mask, str(pairs[place][1]))
    frame = pd.DataFrame({IMAGE: convert_to_cells(images), MASK: convert_to_cells(masks)})
    split_column = np.array(splits)[places] if by_split and "" not in parts.values() else None
    names = _read_names(path / NAMES_FILE)
    table = Table(
        frame, path.resolve().name.split(".")[0], source, split=split_column, notes=tuple(notes),
        files=np.array(files, object)[places],
    )  # fmt: skip
    return table, names


def _list_folders(path: Path) -> list[Path]:
    return sorted(child for child in path.iterdir() if child.is_dir())


def _match_files(folder: Path, root: Path) -> list[tuple[Path, Path]]:
    """Return the pairs of image and mask below a folder, which have equal names apart from their endings."""
    for name in (IMAGES, MASKS):
        if not (folder / name).is_dir():
            raise DataError(f"there is no folder {name}; {EXPECTED}", where=str(folder))
    by_name: list[dict[str, Path]] = []
    for name in (IMAGES, MASKS):
        files: dict[str, Path] = {}
        for file in list_image_files(folder / name, root):
            stem = str(file.relative_to(folder / name).with_suffix(""))
            if stem in files:
                raise DataError(f"two files have the name {stem}: remove one of them", where=str(file))
            files[stem] = file
        by_name.append(files)
    images, masks = by_name
    if not images:
        raise DataError(f"the folder {IMAGES} has no images; {EXPECTED}", where=str(folder))
    for first, second, kind, what in ((images, masks, "image", "mask"), (masks, images, "mask", "image")):
        alone = [stem for stem in first if stem not in second]
        if alone:
            other = folder / (MASKS if what == "mask" else IMAGES) / f"{alone[0]}.png"
            message = f"{len(alone):,} of {len(first):,} {kind}s have no {what}: {join_first(alone, 3)}; expected"
            raise DataError(f"{message} {other}", where=str(first[alone[0]]))
    return [(file, masks[stem]) for stem, file in images.items()]


def _read_names(path: Path) -> tuple[str, ...]:
    """Return the names of classes in a text file, one a line, the first for the value 0; none without a file."""
    if not path.is_file():
        return ()
    try:
        names = tuple(line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    except UnicodeDecodeError:
        raise DataError("the names of the classes are not text in UTF-8", where=str(path)) from None
    if len(set(names)) < len(names):
        raise DataError("two classes have the same name", where=str(path))
    return names
