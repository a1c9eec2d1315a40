"""``resume`` is a key of a job: the same from Python, the command line and YAML."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest
from command import Answer

import zoo
from zoo.errors import UsageError
from zoo.jobs.fit_options import TrainJob
from zoo.jobs.job import make_job
from zoo.tracking.store import Store


class Stop(keras.callbacks.Callback):
    """Interrupts the second epoch, as Ctrl-C would."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if epoch == 1:
            raise KeyboardInterrupt


@pytest.fixture
def interrupted(workspace: Path) -> str:
    with pytest.raises(KeyboardInterrupt):
        zoo.train(
            "classification/linear", "iris", epochs=4, baselines="none", callbacks=[Stop()], quiet=True, figures=False
        )
    (run,) = Store().search("attributes.status = 'KILLED'")
    return str(run.info.run_id)


def test_a_training_resumes_from_a_file(interrupted: str, command: Callable[..., Answer]) -> None:
    Path("job.yaml").write_text(f"command: train\nresume: {interrupted[:10]}\n")
    resumed = command("run", "job.yaml", "--json")
    assert resumed.status == 0, resumed.err
    assert (resumed.json["run_id"], resumed.json["epochs_run"]) == (interrupted, 4)
    again = command("train", "--resume", interrupted)
    assert (again.status, "finished" in again.err) == (2, True)


@pytest.mark.slow
def test_a_search_resumes_with_more_trials_from_a_file(workspace: Path, command: Callable[..., Answer]) -> None:
    options = {"epochs": 1, "baselines": "none", "search": "random", "quiet": True, "figures": False}
    search = zoo.tune("classification/linear", "iris", trials=1, **options)
    Path("job.yaml").write_text(f"command: tune\nresume: {search.run_id}\ntrials: 2\n")
    resumed = command("run", "job.yaml", "--json")
    assert resumed.status == 0, resumed.err
    assert (resumed.json["run_id"], len(resumed.json["trials"])) == (search.run_id, 2)
    Path("job.yaml").write_text(f"command: tune\nresume: {search.run_id}\nepochs: 9\n")
    refused = command("run", "job.yaml")
    assert (refused.status, "cannot change epochs of a search" in refused.err) == (2, True), refused.err


@pytest.mark.parametrize(
    ("values", "others"),
    [({"epochs": 3}, "epochs"), ({"model": "m", "source": "s"}, "model, source")],
)
def test_what_resume_excludes(values: dict[str, Any], others: str) -> None:
    with pytest.raises(UsageError, match=f"leave out {others}"):
        make_job(TrainJob, {"resume": "abcdef", **values})


def test_options_of_a_task_that_resume_excludes(interrupted: str) -> None:
    with pytest.raises(UsageError, match="it uses the options of the run; leave out labels"):
        zoo.train(resume=interrupted, options={"labels": "x"})


def test_data_in_memory_are_given_again() -> None:
    job = make_job(TrainJob, {"resume": "abcdef", "source": {"x": [1.0]}, "model": None})
    assert job.given == {"source": {"x": [1.0]}}
