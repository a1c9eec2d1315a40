"""A new model is one file: the one that CONTRIBUTING.md shows, in a folder of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def python_of(page: str, holding: str) -> str:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    (block,) = [block for block in blocks if holding in block]
    return str(block)


SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
import contract, zoo
from zoo.registry import load_build
from zoo.task import task_of
assert [entry.name for entry in zoo.list_models("*/wide")] == ["classification/wide"]
build, task = load_build("classification/wide"), task_of("classification")
for name in ("compiled", "output", "batches", "preparation", "one_step", "defaults", "meanings"):
    getattr(contract, "check_" + name)(build, task, contract.example_of("classification"))
contract.check_docstring(build, "classification/wide")
run = zoo.train("classification/wide", "wine", epochs=2, quiet=True, baselines="none")
search = zoo.tune("classification/wide", "wine", trials=2, workers=2, epochs=2, quiet=True, baselines="none")
assert {{t.status for t in search.trials}} == {{"COMPLETED"}}
assert len(zoo.load(search.run_id).predict("wine")) == 178
"""


def test_the_model_of_the_page_in_a_folder_of_its_own(workspace: Path) -> None:
    folder = workspace / "mine" / "classification"
    folder.mkdir(parents=True)
    (folder / "wide.py").write_text(python_of("CONTRIBUTING.md", "classification/wide"), encoding="utf-8")
    environment = {**os.environ, "ZOO_TASKS": str(workspace / "mine")}
    script = SCRIPT.format(tests=str(ROOT / "tests"))
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=False)
    assert ended.returncode == 0, ended.stderr
    listed = subprocess.run(
        [sys.executable, "-m", "zoo", "list"], capture_output=True, text=True, env=environment, check=True
    )
    assert "classification/wide       Wide network for classes" in listed.stdout


@pytest.mark.slow
@pytest.mark.parametrize("holding", ["run.figures", "def build"])
def test_the_python_of_the_readme_runs(workspace: Path, holding: str) -> None:
    script = python_of("README.md", holding)
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
