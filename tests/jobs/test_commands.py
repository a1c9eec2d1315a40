"""The table of commands: what each entry names exists, and agrees with the job's class."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import zoo
from zoo.errors import UsageError
from zoo.jobs.commands import COMMANDS, Command, find_command
from zoo.jobs.fit_options import TrainJob
from zoo.jobs.job import make_job
from zoo.jobs.keywords import accept_keywords
from zoo.jobs.option import list_options
from zoo.jobs.run_jobs import StudyJob


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_an_entry_agrees_with_its_job_and_its_function(command: Command) -> None:
    assert command.job_class.model_fields["command"].default == command.name
    options = list_options(command.job_class)
    assert [name for name, (field, _) in options.items() if not field.description] == []
    assert callable(command.function)
    if command.public:
        assert getattr(zoo, command.function.__name__) is command.function
        assert set(options) <= set(inspect.signature(command.function).parameters)


def test_an_unknown_command_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'reproduce'"):
        find_command("reprodce")


@accept_keywords(StudyJob, "run", "kinds")
def study(job: StudyJob, *, quiet: bool = False) -> Any:
    """Return what it was called with."""
    return job.run, job.kinds, quiet


def test_a_function_takes_a_job_or_its_keys() -> None:
    assert study("a", ["rates"], quiet=True) == ("a", ("rates",), True)
    assert study(run="a", kinds="rates") == study(StudyJob(run="a", kinds=("rates",)))
    assert list(inspect.signature(study).parameters) == ["run", "kinds", "quiet"]
    assert "run: MLflow's id" in (study.__doc__ or "")
    with pytest.raises(TypeError, match="missing a required argument: 'run'"):
        study()
    with pytest.raises(TypeError, match="unexpected keyword argument 'kind'"):
        study("a", kind="rates")
    with pytest.raises(UsageError, match="did you mean 'rates'"):
        study("a", ["rate"])


def test_names_and_values_may_be_a_list_of_texts() -> None:
    values = {"hyperparameters": ["units=4"], "missing": ["age=median"], "class_weight": "yes=5,no=1"}
    job = make_job(TrainJob, {"model": "m", "source": "s", **values})
    assert job.hyperparameters == {"units": "4"}
    assert job.missing == {"age": "median"}
    assert job.class_weight == {"yes": 5.0, "no": 1.0}
