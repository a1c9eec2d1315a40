"""Mistakes in a folder of models of one's own: the message says what is wrong, in which file, and breaks no other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from command import Answer

WIDE = '''"""A model whose output is as wide as WIDTH."""

import keras

from zoo.networks import Knobs, assemble, join_features, preprocess_table


def build(hp, spec):
    """Return the compiled model."""
    knobs = Knobs(hp, vary=("learning_rate",), defaults={"epochs": 1})
    preprocessing = preprocess_table(spec)
    inputs = preprocessing.tensors()
    knobs.training(spec.rows)
    output = keras.layers.Dense(WIDTH)(join_features(inputs, preprocessing))
    return assemble(preprocessing, inputs, output, "mse", knobs)
'''
FILES = {
    "broken": '"""Broken."""\n\ndef build(hp, spec:\n',
    "lacking": '"""Lacking."""\n\nimport no_such_module\n',
    "raising": '"""Raising."""\n\n\ndef build(hp, spec):\n    raise ValueError("boom")\n',
    "wide": WIDE.replace("WIDTH", "3"),
}


@pytest.fixture
def mine(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = workspace / "mine" / "regression"
    folder.mkdir(parents=True)
    for name, text in FILES.items():
        (folder / f"{name}.py").write_text(text)
    (workspace / "mine" / "unfinished").mkdir()
    (workspace / "mine" / "unfinished" / "mlp.py").write_text('"""A model."""\n')
    monkeypatch.setenv("ZOO_TASKS", str(workspace / "mine"))
    return folder


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (("train", "regression/broken"), 2, ("not valid Python", "regression/broken.py, line 3")),
        (("train", "regression/lacking"), 2, ("No module named 'no_such_module'", "regression/lacking.py, line 3")),
        (("train", "regression/raising"), 1, ("ValueError: boom", "regression/raising.py, line 5")),
        (("train", "regression/wide"), 2, ("must have shape (None, 1)", "(None, 3)", "regression/wide")),
        (("tune", "regression/wide", "--trials", 1), 2, ("must have shape (None, 1)", "(None, 3)")),
        (("train", "unfinished/mlp"), 2, ("mine/unfinished is not a task: it has no __init__.py with a TASK",)),
    ],
)
def test_a_mistake_is_named_with_its_file(
    mine: Path, command: Callable[..., Answer], words: tuple[str, ...], status: int, says: tuple[str, ...]
) -> None:
    answer = command(words[0], words[1], "diabetes", *words[2:], "--baselines", "none")
    assert answer.status == status, answer.err
    assert all(text in answer.err for text in says), answer.err
    assert "Traceback" not in answer.err


def test_the_other_models_are_listed(mine: Path, command: Callable[..., Answer]) -> None:
    answer = command("list", "regression/*")
    assert answer.status == 0
    assert "regression/mlp" in answer.out
    assert "regression/broken" not in answer.out
    assert "regression/broken.py, line 3: not valid Python" in answer.err
