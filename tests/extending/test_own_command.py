"""A task with two targets, a command of its own as in CONTRIBUTING.md, and its own option of ``predict``."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mlflow
import numpy as np
import pytest
from command import Answer
from test_new_model import python_of

import zoo
from zoo.data.sources.read import read_table
from zoo.errors import UsageError

TASK = '''
"""Doses: a number, rounded on request."""

from pydantic import Field

from zoo.jobs.fit_options import TaskOptions
from zoo.supervised.supervised_task import SupervisedTask


class PredictOptions(TaskOptions):
    """Options of prediction."""

    decimals: int | None = Field(None, ge=0, description="number of decimals that doses are rounded to")


class Doses(SupervisedTask):
    """Numbers that are rounded."""

    predict_options = PredictOptions

    def predict(self, model, spec, frame, inputs, options):
        output, predictions = super().predict(model, spec, frame, inputs, options)
        return output, predictions if options.decimals is None else predictions.round(options.decimals)


TASK = Doses("doses", example="diabetes", target_kind="number", estimators=lambda level, spec: [])
'''

MODEL = '''
"""Linear model of doses.

Least squares: Legendre 1805.

Run: ``zoo train doses/linear diabetes``.
"""

from zoo.networks import Knobs, build_table_model


def build(hp, spec):
    """Return the compiled model."""
    return build_table_model(spec, Knobs(hp, vary=("learning_rate",), defaults={"learning_rate": 0.1, "epochs": 5}))
'''

COMMANDS = python_of("CONTRIBUTING.md", "SensitivityJob")

FUNCTION = '''
import sys
from dataclasses import dataclass

from zoo.data.sources.read import read_table
from zoo.stored_runs.lookup import load

from ._commands import SensitivityJob


@dataclass
class Sensitivity:
    """The mean change of predictions."""

    column: str
    change: float

    def as_dict(self):
        return vars(self)

    def __str__(self):
        return f"{self.column}: {self.change:.3g}"


def sensitivity(job, *, quiet=False):
    """Return how much predictions change when a column grows by a step."""
    assert isinstance(job, SensitivityJob)
    if not quiet:
        print("predicting twice", file=sys.stderr)
    model, rows = load(job.run), read_table("doses.csv").frame
    grown = rows.assign(**{job.column: rows[job.column] + job.step})
    difference = model.predict(grown) - model.predict(rows)
    return Sensitivity(job.column, float(difference.to_numpy().mean()))
'''


@pytest.fixture
def doses(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = workspace / "mine" / "doses"
    folder.mkdir(parents=True)
    for name, text in {
        "__init__": TASK, "linear": MODEL, "_commands": COMMANDS, "_sensitivity": FUNCTION,
    }.items():  # fmt: skip
        (folder / f"{name}.py").write_text(text.lstrip())
    frame = read_table("diabetes").frame.rename(columns={"progression": "morning", "target": "morning"})
    frame.assign(evening=200 - frame["morning"] / 2).to_csv("doses.csv", index=False)
    monkeypatch.setenv("ZOO_TASKS", str(workspace / "mine"))
    monkeypatch.setenv("PYTHONPATH", str(Path(zoo.__file__).parent.parent))
    return folder


def run(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "zoo", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.slow
def test_a_command_and_an_option_of_predict_end_to_end(doses: Path, command: Callable[..., Answer]) -> None:
    trained = run("train", "doses/linear", "doses.csv", "--target", "morning", "--target", "evening", "--json")
    assert trained.returncode == 0, trained.stderr[-3000:]
    result = json.loads(trained.stdout)
    assert {"test_rmse", "test_rmse_morning", "test_rmse_evening"} <= set(result["metrics"])
    run_id = result["run_id"]
    _the_command(run_id, command)
    _the_option(run_id, command)


def _the_command(run_id: str, command: Callable[..., Answer]) -> None:
    assert "sensitivity" in run("--help").stdout
    described = run("sensitivity", "--help").stdout
    assert "--step" in described
    assert "How much it grows; default" in described
    text = run("sensitivity", run_id[:8], "--step", "0.01")
    assert "predicting twice" in text.stderr
    by_words = command("sensitivity", run_id, "--step", "0.01", "--json").json
    assert by_words["change"] != 0
    assert text.stdout == f"bmi: {by_words['change']:.3g}\n"
    Path("job.yaml").write_text(f"command: sensitivity\nrun: {run_id}\nstep: 0.01\n")
    assert command("run", "job.yaml", "--json").json == by_words
    result = zoo.run_job("sensitivity", run=run_id, step=0.01, quiet=True)
    assert result.change == pytest.approx(by_words["change"])
    wrong = command("sensitivity", run_id, "--step", "-1")
    assert (wrong.status, "step: received -1.0" in wrong.err) == (2, True), wrong.err


def _the_option(run_id: str, command: Callable[..., Answer]) -> None:
    by_words = run("predict", run_id, "doses.csv", "--decimals", 1, "--json")
    assert by_words.returncode == 0, by_words.stderr[-3000:]
    rounded = [row["prediction_evening"] for row in json.loads(by_words.stdout)["predictions"]]
    assert rounded == [round(value, 1) for value in rounded]
    Path("job.yaml").write_text(f"command: predict\nrun: {run_id}\ninput: doses.csv\noptions: {{decimals: 1}}\n")
    assert [row["prediction_evening"] for row in command("run", "job.yaml", "--json").json["predictions"]] == rounded
    model, rows = zoo.load(run_id), read_table("doses.csv").frame
    exact = model.predict(rows)["prediction_evening"]
    np.testing.assert_allclose(model.predict(rows, decimals=1)["prediction_evening"], rounded)
    assert np.abs(exact - rounded).max() > 0.01
    assert len(model.predict(rows.head(3), keep=["age"], decimals=1).columns) == 3
    served = mlflow.pyfunc.load_model(f"runs:/{run_id}/model")
    np.testing.assert_allclose(served.predict(rows, params={"decimals": 1})["prediction_evening"], rounded)
    np.testing.assert_allclose(served.predict(rows)["prediction_evening"], exact)
    shown = command("show", run_id).out
    assert "--decimals" in shown
    assert "number of decimals" in shown
    wrong = command("predict", run_id, "doses.csv", "--decimal", 1)
    assert (wrong.status, "did you mean 'decimals'" in wrong.err) == (2, True), wrong.err
    with pytest.raises(UsageError, match="decimals: received 'few'"):
        model.predict(rows, decimals="few")


def test_other_tasks_have_no_such_option(workspace: Path) -> None:
    trained = zoo.train("regression/linear", "diabetes", epochs=1, baselines="none", quiet=True, figures=False)
    with pytest.raises(UsageError, match="regression has none of its own of predict"):
        trained.model.predict("diabetes", decimals=1)
    with pytest.raises(UsageError, match="did you mean 'intervals'"):
        trained.model.predict("diabetes", interval=90)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("COMMANDS = (", "its commands are left out: SyntaxError"),
        ("import no_such_module", "its commands are left out: ModuleNotFoundError"),
        (COMMANDS.replace("sensitivity", "train"), "the command 'train' exists already; choose another name"),
        (COMMANDS.replace('command: Literal["sensitivity"]', "kind: str"), "SensitivityJob needs the field: command"),
    ],
)
def test_an_error_in_a_file_of_commands_breaks_no_other(doses: Path, text: str, says: str) -> None:
    (doses / "_commands.py").write_text(text)
    described = run("--help")
    assert (described.returncode, "reproduce" in described.stdout) == (0, True)
    (line,) = described.stderr.splitlines()
    assert line.startswith(f"zoo: {doses / '_commands.py'}: ")
    assert says in line
    unknown = run("sensitivty", "--json")
    assert unknown.returncode == 2
    assert "unknown command 'sensitivty'" in json.loads(unknown.stdout)["error"]["message"]
    listed = run("list", "doses/*")
    assert (listed.stdout.split()[0], listed.stderr) == ("doses/linear", "")
