"""A new model is one file and a new task one folder: those that CONTRIBUTING.md shows, in a folder of their own."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
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
from zoo.registry import resolve
from zoo.task import load_task
assert [entry.name for entry in zoo.list_models("*/wide")] == ["classification/wide"]
build, task = resolve("classification/wide").load_build(), load_task("classification")
for name in ("compiled", "output", "batches", "preprocessing", "one_step", "defaults", "meanings"):
    getattr(contract, "check_" + name)(build, task, contract.example_of("classification"))
contract.check_docstring(build, "classification/wide")
run = zoo.train("classification/wide", "wine", epochs=2, quiet=True, baselines="none", figures=False)
options = dict(epochs=2, quiet=True, baselines="none", figures=False)
search = zoo.tune("classification/wide", "wine", trials=2, workers=2, **options)
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
    assert "classification/wide Wide network for classes" in " ".join(listed.stdout.split())


TASK_SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
import contract, zoo
from zoo.registry import resolve
from zoo.task import load_task
build, task = resolve("quantiles/mlp").load_build(), load_task("quantiles")
for name in ("compiled", "output", "batches", "preprocessing", "one_step", "defaults", "meanings"):
    getattr(contract, "check_" + name)(build, task, contract.example_of("quantiles"))
contract.check_docstring(build, "quantiles/mlp")
search = zoo.tune("quantiles/mlp", "diabetes", trials=2, workers=2, epochs=2, quiet=True)
assert {{t.status for t in search.trials}} == {{"COMPLETED"}}
folds = zoo.train("quantiles/mlp", "diabetes", epochs=2, cv=2, quiet=True)
assert len(folds.runs) == 2 and folds.metrics["test_pinball"] > 0, folds.metrics
"""


@pytest.mark.slow
def test_the_task_of_the_page_in_a_folder_of_its_own(workspace: Path) -> None:
    folder = workspace / "mine" / "quantiles"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(python_of("CONTRIBUTING.md", "QuantileRules"), encoding="utf-8")
    (folder / "mlp.py").write_text(python_of("CONTRIBUTING.md", "zoo train quantiles/mlp"), encoding="utf-8")
    environment = {**os.environ, "ZOO_TASKS": str(workspace / "mine")}
    script = TASK_SCRIPT.format(tests=str(ROOT / "tests"))
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=False)
    assert ended.returncode == 0, ended.stderr

    def command(*arguments: str) -> str:
        ended = subprocess.run(
            [sys.executable, "-m", "zoo", *arguments], capture_output=True, text=True, env=environment, check=False
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    assert "quantiles/mlp" in command("list")
    assert "units" in command("show", "quantiles/mlp")
    report = json.loads(command("train", "quantiles/mlp", "diabetes", "--json", "--epochs", "30"))
    assert report["metrics"]["test_pinball"] < 40
    predicted = pd.read_csv(io.StringIO(command("predict", report["run_id"], "diabetes")))
    assert (predicted["quantile_0.05"] <= predicted["prediction"]).all()
    assert (predicted["prediction"] <= predicted["quantile_0.95"]).all()


@pytest.mark.slow
@pytest.mark.parametrize("holding", ["run.figures", "def build"])
def test_the_python_of_the_readme_runs(workspace: Path, holding: str) -> None:
    script = python_of("README.md", holding)
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
