"""Parquet: a file or a folder of parts is one table, and the folder holds nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from zoo.data.sources.read import read_table
from zoo.errors import DataError

SIZES = pd.CategoricalDtype(["small", "medium", "large"], ordered=True)


def split(start: int, sizes: list[str]) -> pd.DataFrame:
    return pd.DataFrame(
        {"a": np.arange(start, start + len(sizes)) / 2, "size": pd.Categorical(sizes, dtype=SIZES), "b": "x"}
    )


SPLITS = [split(0, ["large", "small"]), split(2, ["medium"]), split(3, ["small", "small"])]


def folder_of(root: Path) -> Path:
    root.mkdir()
    for number, frame in enumerate(SPLITS):
        frame.to_parquet(root / f"part-{number}.parquet")
    return root


def test_ordered_categories_survive(tmp_path: Path) -> None:
    SPLITS[0].to_parquet(tmp_path / "a.parquet")
    table = read_table(tmp_path / "a.parquet")
    pd.testing.assert_frame_equal(table.frame, SPLITS[0])
    assert table.frame["size"].cat.ordered


@pytest.mark.parametrize("name", ["shop", "shop.parquet"])
def test_a_folder_of_parts(tmp_path: Path, name: str) -> None:
    folder = folder_of(tmp_path / name)
    (folder / "_SUCCESS").write_text("")
    (folder / ".crc").write_text("")
    table = read_table(folder)
    pd.testing.assert_frame_equal(table.frame, pd.concat(SPLITS, ignore_index=True))
    assert table.name == "shop"
    assert list(table.frame["size"].dtype.categories) == ["small", "medium", "large"]


def test_parts_may_have_categories_of_their_own_and_columns_in_another_order(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "shop")
    first = SPLITS[0].assign(size=pd.Categorical(["tiny", "small"]))[["size", "b", "a"]]
    for path in folder.iterdir():
        path.unlink()
    first.to_parquet(folder / "1.parquet")
    SPLITS[2].astype({"size": "category"}).assign(size=pd.Categorical(["huge"] * 2)).to_parquet(folder / "2.parquet")
    assert read_table(folder).frame["size"].tolist() == ["tiny", "small", "huge", "huge"]


def test_an_index_with_a_name_is_a_column(tmp_path: Path) -> None:
    SPLITS[0].set_index("b").to_parquet(tmp_path / "a.parquet")
    assert sorted(read_table(tmp_path / "a.parquet").frame) == ["a", "b", "size"]
    SPLITS[0].set_index(pd.Index([5, 7])).to_parquet(tmp_path / "a.parquet")
    assert read_table(tmp_path / "a.parquet").frame.index.tolist() == [0, 1]


def other_file(folder: Path) -> None:
    (folder / "readme.md").write_text("about")


def other_folder(folder: Path) -> None:
    (folder / "year=2020").mkdir()


def other_columns(folder: Path) -> None:
    SPLITS[0].assign(c=1).to_parquet(folder / "part-9.parquet")


def damaged(folder: Path) -> None:
    (folder / "part-9.parquet").write_bytes(b"PAR1 nothing PAR1")


def outside(folder: Path) -> None:
    SPLITS[0].to_parquet(folder.parent / "secret.parquet")
    (folder / "part-9.parquet").symlink_to(folder.parent / "secret.parquet")


@pytest.mark.parametrize(
    "spoil, message",
    [
        (other_file, "the folder has another file, readme.md; expected only"),
        (other_folder, "the folder has a folder, year=2020; expected only"),
        (other_columns, "only part-9.parquet has 'c'"),
        (damaged, "part-9.parquet: cannot be read"),
        (outside, "part-9.parquet: the symbolic link leads out of the folder"),
    ],
)
def test_a_folder_with_other_things(tmp_path: Path, spoil, message: str) -> None:
    folder = folder_of(tmp_path / "shop")
    spoil(folder)
    with pytest.raises(DataError, match=message):
        read_table(folder)


def test_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").mkdir()
    with pytest.raises(DataError, match=r"the folder is empty; expected files that end in .parquet"):
        read_table(tmp_path / "a.parquet")
