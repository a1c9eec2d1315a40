"""Files and texts of jobs that are not what they seem are refused in words, at once."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command import Answer
from hypothesis import given
from hypothesis import strategies as st

from zoo.errors import UsageError
from zoo.jobs.compare_options import CompareJob
from zoo.jobs.fit_options import TrainJob
from zoo.jobs.job import Job, make_job
from zoo.jobs.job_file import read_job
from zoo.jobs.search_options import TuneJob, parse_range, parse_values
from zoo.small_files import check_regular_file, read_small_text
from zoo.yaml_text import MOST_DEPTH, MOST_VALUES, parse_yaml

KINDS = ("fifo", "zero", "urandom", "sparse", "folder")
ALIASES = "\n".join(f"x{i + 1}: &x{i + 1} [{', '.join([f'*x{i}'] * 10)}]" for i in range(12))
BOMBS = {
    "aliases": f"x0: &x0 [a, a]\n{ALIASES}",
    "deep list": "a: " + "[" * 5000,
    "deep map": "{a: " * 5000,
    "deep blocks": "\n".join(" " * i + "a:" for i in range(600)),
    "itself": "a: &a [*a]",
    "no date": "name: 2024-13-45",
    "long integer": f"seed: {'9' * 6000}",
    "no integer": "seed: !!int x",
    "no float": "seed: !!float x",
    "no date by tag": "seed: !!timestamp x",
    "no base64": "seed: !!binary é",
    "code": "seed: !!python/object/apply:os.getcwd []",
    "list as key": "? [a]\n: b",
    "NUL": "a: \0",
}


def make_special(path: Path, kind: str) -> Path:
    """Make a file that never ends, or seems to be very large."""
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "sparse":
        with path.open("wb") as file:
            file.truncate(50 * 10**9)
    else:
        path.symlink_to(f"/dev/{kind}")
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_only_small_regular_files_are_read(tmp_path: Path, kind: str) -> None:
    path = make_special(tmp_path / "job.yaml", kind)
    with pytest.raises(UsageError, match=r"cannot read the job: it (is|has)") as caught:
        read_job(path)
    assert caught.value.where == str(path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "words",
    [
        ["--split", "file=bad.json"],
        ["--fold", "1/2", "--folds", "file=bad.npz"],
        ["--cv", "file=bad.npy"],
        ["--cv", "file=bad.csv"],
        ["--test", "bad.csv"],
        ["--test", "bad.parquet"],
    ],
)
def test_every_file_of_a_job_is_checked(command: Callable[..., Answer], kind: str, words: list[str]) -> None:
    make_special(Path(words[-1].removeprefix("file=")), kind)
    start = time.monotonic()
    answer = command("train", "regression/linear", "diabetes", "--baselines", "none", *words)
    assert answer.status == 2
    assert "bad." in answer.err
    assert "Traceback" not in answer.err
    assert time.monotonic() - start < 30


def test_a_small_file_is_read_and_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("é", encoding="utf-8")
    (tmp_path / "link").symlink_to("text")
    assert read_small_text(tmp_path / "link", "the text") == "é"
    check_regular_file(tmp_path / "text", "the text", most_bytes=2)
    with pytest.raises(UsageError, match="it has 2 bytes; the limit is 1"):
        check_regular_file(tmp_path / "text", "the text", most_bytes=1)
    (tmp_path / "text").write_bytes(b"\xff")
    with pytest.raises(UsageError, match="not a text file in UTF-8"):
        read_small_text(tmp_path / "text", "the text")
    with pytest.raises(UsageError, match="the text"):
        read_small_text(tmp_path / "a\0b", "the text")


@pytest.mark.parametrize("name", BOMBS)
def test_hostile_yaml_is_an_error_with_its_place(name: str) -> None:
    start = time.monotonic()
    with pytest.raises(UsageError, match=r"^job\.yaml"):
        parse_yaml(BOMBS[name], where="job.yaml")
    assert time.monotonic() - start < 5


def test_the_place_of_a_wrong_value_is_named() -> None:
    with pytest.raises(UsageError, match=r"job\.yaml, line 2, column 7: .*month must be in 1\.\.12"):
        parse_yaml("command: data\nname: 2024-13-45", where="job.yaml")


def test_a_few_aliases_are_fine() -> None:
    assert parse_yaml("a: &a [1, 2]\nb: [*a, *a]", where="job.yaml")["b"] == [[1, 2], [1, 2]]
    assert parse_yaml("", where="job.yaml") is None


def test_the_limits_are_exact() -> None:
    deep = "[" * (MOST_DEPTH - 1) + "1" + "]" * (MOST_DEPTH - 1)
    assert parse_yaml(deep, where="x") is not None
    with pytest.raises(UsageError, match="50 levels"):
        parse_yaml(f"[{deep}]", where="x")
    texts = "- a\n" * (MOST_VALUES // 100 - 1)  # with the list itself, a hundredth of the limit
    many = f"- &a\n{''.join('  ' + line + chr(10) for line in texts.splitlines())}" + "- *a\n" * 98
    assert len(parse_yaml(many, where="x")) == 99
    with pytest.raises(UsageError, match="100,000 values"):
        parse_yaml(many + "- *a\n", where="x")


@given(st.text(max_size=80) | st.text(alphabet="[]{}:,-&*!?|> \n\"'#%@`09aé", max_size=40))
def test_any_text_gives_a_value_or_an_error_in_words(text: str) -> None:
    with contextlib.suppress(UsageError):
        parse_yaml(text, where="job.yaml")


@pytest.mark.parametrize("value", ["2024-13-45", "[" * 3000, "9" * 6000, "!!int x"])
def test_values_on_the_command_line_are_parsed_as_carefully(value: str) -> None:
    with pytest.raises(UsageError):
        parse_range("units", f"{value}|3")
    with pytest.raises(UsageError):
        parse_values(f"units={value}")


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (TrainJob, {"model": "classification/linear", "seeds": 10**30}),
        (TrainJob, {"model": "classification/linear", "cv": 3, "repeats": 10**30}),
        (CompareJob, {"models": "classification/linear", "seeds": 10**30}),
        (TuneJob, {"model": "classification/linear", "seeds": 10**30}),
    ],
)
def test_more_trainings_than_anyone_waits_for_are_refused(kind: type[Job], values: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="less than or equal to 1000"):
        make_job(kind, {"source": "wine", **values})
