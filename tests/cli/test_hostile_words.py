"""Names, weights and models on the command line that cannot be used: one line in words, and status 2."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command import Answer
from PIL import Image

QUICK = ("--epochs", "1", "--baselines", "none", "--no-figures")
LONG = "n" * 300


def refused(answer: Answer, words: str) -> None:
    """Assert that a command was refused in one line."""
    assert answer.status == 2, answer.err
    assert words in answer.err
    assert "Traceback" not in answer.err
    assert len(answer.err.strip().splitlines()[-1]) < 1000


@pytest.mark.parametrize(
    ("search", "words"),
    [
        ("..x:y", "unknown search '..x:y'"),
        (".:y", "unknown search"),
        ("no_such_module:Oracle", "cannot be imported"),
        ("keras_tuner:Oracle", "is abstract"),
        ("keras_tuner:tuners", "is not a keras_tuner.Oracle"),
        ("keras_tuner:Nothing", "has no Nothing"),
        ("keras_tuner.oracles:HyperbandOracle", "cannot be created"),
        ("raising:Oracle", "cannot be imported: unlucky"),
        ("leaving:Oracle", "cannot be imported: 3"),
    ],
)
def test_an_oracle_that_cannot_be_used_is_named(
    command: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch, search: str, words: str
) -> None:
    Path("raising.py").write_text("raise RuntimeError('unlucky')")
    Path("leaving.py").write_text("raise SystemExit(3)")
    monkeypatch.syspath_prepend(str(Path.cwd()))
    refused(command("tune", "regression/linear", "diabetes", "--trials", 1, "--search", search, *QUICK), words)


@pytest.mark.parametrize(
    "words",
    [
        ("train", "regression/linear", "diabetes", "--name", LONG, *QUICK),
        ("train", "regression/linear", "diabetes", "--experiment", LONG, *QUICK),
        ("tune", "regression/linear", "diabetes", "--name", LONG, "--trials", 1, *QUICK),
        ("register", "0" * 8, LONG),
        ("register", "0" * 8, "wine", "--alias", LONG),
    ],
)
def test_names_that_are_too_long_are_refused_before_anything_is_done(
    command: Callable[..., Answer], words: tuple[object, ...]
) -> None:
    refused(command(*words), "at most 200 characters")


@pytest.mark.parametrize("weight", [1e300, 1e-300, 1e13])
def test_weights_that_overflow_are_refused(command: Callable[..., Answer], people: pd.DataFrame, weight: float) -> None:
    people.assign(w=np.where(people.index == 3, weight, 1.0)).to_csv("people.csv", index=False)
    words = ("train", "classification/linear", "people.csv", "--target", "rich", *QUICK)
    refused(command(*words, "--weight", "w"), "column w: weights must be 0 or from 1e-12 to 1e+12")
    refused(command(*words, "--class-weight", f"yes={1 / weight if weight < 1 else weight}"), "from 0 to 1e+12")
    refused(command(*words, "--drop", "w", "--sample", "up=1000000000000"), "repeated rows would need")


def call(*words: bytes | str, cwd: bytes | None = None) -> tuple[int, str]:
    """Call the command line in a process of its own, with names of any bytes."""
    code = "from zoo.cli import main; main()"
    arguments = [sys.executable, "-c", code, *words]
    ended = subprocess.run(arguments, capture_output=True, cwd=cwd, check=False, timeout=300)
    return ended.returncode, ended.stderr.decode(errors="replace")


@pytest.mark.slow
def test_names_that_are_not_utf_8_are_refused(workspace: Path, people: pd.DataFrame) -> None:
    people.to_csv(os.fsdecode(b"caf\xe9.csv"), index=False)
    Path(os.fsdecode(b"caf\xe9")).mkdir()
    image = Path("images", os.fsdecode(b"caf\xe9"), "a.png")
    image.parent.mkdir(parents=True)
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(image)
    train = ("train", "classification/linear")
    for words in [
        (*train, b"caf\xe9.csv", "--target", "rich"),
        (*train, "iris", "--name", b"caf\xe9"),
        (*train, "iris", "--test", b"caf\xe9.csv"),
        ("train", "image/cnn", "images"),
        ("runs", b"caf\xe9"),
    ]:
        status, err = call(*words)
        assert status == 2, err
        assert "valid UTF-8" in err
    status, err = call(*train, "iris", *QUICK, cwd=b"caf\xe9")
    assert (status, "valid UTF-8" in err) == (2, True), err


def test_a_model_that_raises_on_import_leaves_the_others_usable(workspace: Path) -> None:
    folder = Path("own/regression")
    folder.mkdir(parents=True)
    (folder / "broken.py").write_text('"""Broken."""\n1 / 0\n')
    Path("own/wrong").mkdir()
    Path("own/wrong/__init__.py").write_text("raise RuntimeError('unlucky')")
    code = """
import os
from zoo.cli import main
os.environ["ZOO_TASKS"] = "own"
import sys
for words in (["list"], ["train", "regression/linear", "CartPole-v1"], ["train", "regression/broken", "diabetes"]):
    sys.argv = ["zoo", *words]
    try:
        main()
    except SystemExit as ended:
        print("status", ended.code)
import zoo
print("run", zoo.train("regression/linear", "diabetes", epochs=1, baselines="none", figures=False).task)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=300)
    assert ended.returncode == 0, ended.stderr
    assert "regression/broken" in ended.stdout
    assert [line for line in ended.stdout.splitlines() if line.startswith(("status", "run"))] == [
        "status 0", "status 2", "status 2", "run regression"
    ]  # fmt: skip
    assert "broken.py, line 2: cannot be imported: ZeroDivisionError: division by zero" in ended.stderr
    assert "Traceback" not in ended.stderr
