"""The table of commands, and the commands that tasks add to it.

Nothing heavy is imported here: a job's class and the function that runs it are named, and imported when they are used.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.errors import UsageError, ZooError, describe_unknown, shorten_error

FILE, NAME = "_commands.py", "COMMANDS"


@dataclass(frozen=True)
class Command:
    """A command: the command line, jobs in YAML and, if it is public, a Python function are made from it.

    Args:
        name: Its name on the command line, and the job's ``command``.
        job: The job's class, or ``module:Class``; its fields are the options.
        run: ``module:function`` that takes a job and, if it has such parameters, ``verbose`` and ``quiet``. Its result
            has ``as_dict`` for ``--json`` and prints as text, or is a dictionary; None prints nothing.
        help: What it does, in one sentence.
        public: Whether ``zoo`` exports the function.
        flags: Which of ``--json`` and ``--verbose`` it has.
        light: Whether it needs no TensorFlow.
    """

    name: str
    job: Any
    run: str
    help: str
    public: bool = False
    flags: tuple[str, ...] = ("json",)
    light: bool = False

    @property
    def job_class(self) -> Any:
        """The job's class."""
        return _imported(self.job) if isinstance(self.job, str) else self.job

    @property
    def function(self) -> Any:
        """The function that runs a job."""
        return _imported(self.run)


_TRAINING = ("verbose", "json")
COMMANDS = (
    Command(
        "train", "zoo.jobs.fit_options:TrainJob", "zoo.running.dispatch:train", public=True, flags=_TRAINING,
        help="Train MODEL on SOURCE: one tracked run, with baselines on the same split.",
    ),
    Command(
        "tune", "zoo.jobs.search_options:TuneJob", "zoo.tuning.tune:tune", public=True, flags=_TRAINING,
        help="Search MODEL's hyperparameters on SOURCE; each trial is a run below one parent run.",
    ),
    Command(
        "compare", "zoo.jobs.compare_options:CompareJob", "zoo.comparing.compare:compare", public=True,
        flags=_TRAINING,
        help="Compare models on SOURCE with each other and with baselines, with significance tests.",
    ),
    Command(
        "data", "zoo.jobs.describe_jobs:ReportJob", "zoo.running.data_report:data_report", public=True,
        help="Report on SOURCE before training: the detected columns, and problems of the data.",
    ),
    Command(
        "list", "zoo.jobs.describe_jobs:ListJob", "zoo.cli.list_models:run_list", light=True,
        help="List the models whose name matches PATTERN, with a one-line summary each.",
    ),
    Command(
        "show", "zoo.jobs.describe_jobs:ShowJob", "zoo.stored_runs.show:show",
        help="Show a model's hyperparameters, layers and steps on SOURCE; or a run's scores and diagnosis.",
    ),
    Command(
        "runs", "zoo.jobs.run_jobs:RunsJob", "zoo.stored_runs.run_table:runs", public=True, light=True,
        help="List the latest runs, or the best by a metric; or remove leftovers of failed runs.",
    ),
    Command(
        "best", "zoo.jobs.run_jobs:BestJob", "zoo.stored_runs.run_table:rank_runs", light=True,
        help="Show the best run of an experiment, ranked by validation.",
    ),
    Command(
        "reproduce", "zoo.jobs.run_jobs:ReproduceJob", "zoo.running.reproduce:reproduce", public=True,
        help="Run the job of RUN again; report what has changed since, and whether the scores agree (else exit with "
        "1).",
    ),
    Command(
        "register", "zoo.jobs.run_jobs:RegisterJob", "zoo.serving.register:register", public=True,
        help="Register RUN's model; it becomes champion if there is none, or if it is significantly better on SOURCE.",
    ),
    Command(
        "card", "zoo.jobs.run_jobs:CardJob", "zoo.serving.card:card", public=True,
        help="Write the model card of RUN: data, intended use, scores also by subgroup, limits; logged to the run too.",
    ),
    Command(
        "study", "zoo.jobs.run_jobs:StudyJob", "zoo.comparing.study:study", public=True,
        help="Study RUN's network: architecture, input importance, learning rates, data sizes, loss landscape, layers, "
        "time steps.",
    ),
    Command(
        "export", "zoo.jobs.run_jobs:ExportJob", "zoo.serving.export:export", public=True,
        help="Export RUN's model to predict without zoo; each export is checked against the model.",
    ),
    Command(
        "predict", "zoo.jobs.run_jobs:PredictJob", "zoo.serving.predict_rows:predict",
        help="Predict raw rows with the model of RUN; for a search, its best trial.",
    ),
    Command(
        "ui", "zoo.jobs.run_jobs:UiJob", "zoo.serving.servers:serve_pages", flags=(), light=True,
        help="Serve MLflow's pages on this machine, and print the address of the runs.",
    ),
    Command(
        "serve", "zoo.jobs.run_jobs:ServeJob", "zoo.serving.serve:serve", flags=(), light=True,
        help="Serve predictions of RUN's model by MLflow's scoring server.",
    ),
)  # fmt: skip
_BY_NAME = {command.name: command for command in COMMANDS}
_OF_THE_COMMAND_LINE = ("run",)  # it runs files of jobs, and is no job itself


def find_command(name: str, *, where: str | None = None) -> Command:
    """Return the command called ``name``; the tasks' own are read only if it is none of the engine's.

    Args:
        name: The name.
        where: Where it was read, for the error.

    Raises:
        UsageError: If there is none, with the nearest.
    """
    commands = _BY_NAME if name in _BY_NAME else {command.name: command for command in list_commands()}
    if name not in commands:
        raise describe_unknown("command", name, [*commands, *(() if where else _OF_THE_COMMAND_LINE)], where=where)
    return commands[name]


def list_commands() -> list[Command]:
    """Return the engine's commands and those of all tasks.

    A task's file that cannot be read, or a name that exists already, is reported on standard error and left out.
    """
    commands = dict(_BY_NAME)
    for path, command in _commands_of_tasks():
        if command.name in commands or command.name in _OF_THE_COMMAND_LINE:
            _warn(f"{path}: the command {command.name!r} exists already; choose another name")
        else:
            commands[command.name] = command
    return list(commands.values())


def _commands_of_tasks() -> Iterator[tuple[Path, Command]]:
    from zoo.registry import list_task_files

    try:
        paths = list_task_files(FILE)
    except ZooError as error:
        _warn(str(error))
        return
    for path in paths:
        for command in _commands_in(path, path.stat().st_mtime_ns):
            yield path, command


@functools.cache
def _commands_in(path: Path, changed_ns: int) -> tuple[Command, ...]:
    """Import a task's file of commands by its path, without the task's package, which imports Keras."""
    from zoo.registry import CATALOGUE

    name = f"{CATALOGUE}.{path.parent.name}.{path.stem}"
    former = sys.modules.get(name)
    if former is not None and getattr(former, "__file__", None) != str(path):
        name = f"{name}_{abs(hash(path))}"  # the same task in another folder
    try:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return tuple(_checked(command) for command in getattr(module, NAME))
    except Exception as error:  # one task's error must not break the commands of others
        sys.modules.pop(name, None)
        _warn(f"{path}: its commands are left out: {type(error).__name__}: {shorten_error(error)}")
        return ()


def _checked(command: Any) -> Command:
    """Return a task's command if it is one, and its job says so."""
    if not isinstance(command, Command):
        raise UsageError(f"{NAME} has a {type(command).__name__}, which is no zoo.jobs.commands.Command")
    field = command.job_class.model_fields.get("command")
    if field is None or field.default != command.name:
        name = command.job_class.__name__
        raise UsageError(f'{name} needs the field: command: Literal["{command.name}"] = "{command.name}"')
    return command


@functools.cache
def _warn(message: str) -> None:
    """Print a warning, once."""
    print(f"zoo: {message}", file=sys.stderr)


def _imported(reference: str) -> Any:
    from zoo.registry import import_object

    return import_object(reference)
