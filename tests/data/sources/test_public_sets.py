"""Public sets: prepared folders are read as they are, and without a network the answer comes at once."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from zoo.data.sources import public_sets
from zoo.data.sources.read import read_table
from zoo.errors import DataError

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import tensorflow_datasets as tfds
    from data.sources import public_builders

    folder = tmp_path_factory.mktemp("sets")
    tfds.disable_progress_bar()
    for builder in (public_builders.ZooPeople, public_builders.ZooShades):
        builder(data_dir=str(folder)).download_and_prepare()
    return folder


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(public_sets, "_online", lambda: False)


@pytest.mark.parametrize("name", ["tfds:zoo_people", "tfds:zoo_people/1.0.0", "tfds:zoo_people:1.0.0", "zoo_people"])
def test_a_table(prepared: Path, name: str) -> None:
    table = read_table(name, data_dir=str(prepared))
    frame = table.frame.assign(part=table.split)
    assert list(table.frame) == ["age", "home_rooms", "home_town", "note", "visits", "kind"]
    assert (table.name, table.source, table.target) == ("zoo_people", name, "kind")
    assert frame["part"].value_counts().to_dict() == {"train": 12, "test": 6, "validation": 4}
    assert table.notes == ("zoo_people: the splits extra are left out",)
    assert frame["note"].str.split().str[0].tolist() == frame["part"].tolist()
    assert set(frame["home_town"]) == {"Köln"}
    assert (frame["kind"] == frame["visits"].map(lambda index: ("good", "bad")[index % 2])).all()
    assert (frame["age"] * 2 == frame["visits"]).all()


def test_images(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared))
    table = read_table("tfds:zoo_shades", cells="image")
    assert (list(table.frame), table.target) == (["image", "label"], "label")
    assert [cell.shape for cell in table.frame["image"]] == [(4, 5, 1)] * 14
    assert table.frame["label"].tolist() == ["light" if cell[0, 0, 0] else "dark" for cell in table.frame["image"]]
    with pytest.raises(DataError, match=r"has images, which this task does not read; tasks that do: .*image"):
        read_table("tfds:zoo_shades")


def test_without_a_network_the_answer_says_what_to_do(prepared: Path, offline: None) -> None:
    start = time.perf_counter()
    with pytest.raises(DataError, match=r"mnist is not prepared in .*, and there is no network") as caught:
        read_table("tfds:mnist", data_dir=str(prepared))
    assert time.perf_counter() - start < 2
    assert f"run: tfds build mnist --data_dir {prepared}" in str(caught.value)
    assert "prepared there: zoo_people, zoo_shades" in str(caught.value)
    with pytest.raises(DataError, match="did you mean 'zoo_people'"):
        read_table("tfds:zoo_poeple", data_dir=str(prepared))
    with pytest.raises(DataError, match=r"9\.9\.9 is not prepared"):
        read_table("tfds:zoo_people/9.9.9", data_dir=str(prepared))


def test_a_network_that_swallows_everything_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def swallow(*_: object, **__: object) -> None:
        time.sleep(5)
        raise TimeoutError

    monkeypatch.setattr(public_sets.socket, "create_connection", swallow)
    start = time.perf_counter()
    with pytest.raises(DataError, match="there is no network"):
        read_table("tfds:mnist", data_dir=str(tmp_path))
    assert time.perf_counter() - start < 2


def test_with_a_network_a_set_is_prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from data.sources import public_builders

    monkeypatch.setattr(public_sets, "_online", lambda: True)
    table = read_table("tfds:zoo_people", data_dir=str(tmp_path))
    assert len(table.frame) == sum(public_builders.ZooPeople.SIZES.values()) - 2
    assert (tmp_path / "zoo_people" / "1.0.0" / "dataset_info.json").is_file()
    with pytest.raises(DataError, match=r"no dataset of that name \(did you mean 'tfds:zoo_people'\?\)"):
        read_table("tfds:zoo_peopel", data_dir=str(tmp_path))


@pytest.mark.parametrize("name", ["tfds:", "tfds:../etc", "tfds:MNIST", "tfds:mnist/../.."])
def test_names_that_are_none(tmp_path: Path, offline: None, name: str) -> None:
    with pytest.raises(DataError):
        read_table(name, data_dir=str(tmp_path))


def test_the_newest_version_is_read(tmp_path: Path) -> None:
    for version in ("1.9.0", "1.10.0", "1.2.0"):
        put(tmp_path / "some" / version)
    put(tmp_path / "many" / "b" / "1.0.0")
    put(tmp_path / "many" / "a" / "2.0.0")
    assert found("some", tmp_path) == "some/1.10.0"
    assert found("some/1.2.0", tmp_path) == "some/1.2.0"
    assert found("many", tmp_path) == "many/a/2.0.0"
    assert found("many/b", tmp_path) == "many/b/1.0.0"
    assert found("none", tmp_path) is None


def put(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "dataset_info.json").write_text("{}")


def found(wanted: str, folder: Path) -> Any:
    path = public_sets._prepared(wanted, folder)
    return None if path is None else path.relative_to(folder).as_posix()
