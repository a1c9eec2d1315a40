"""Commands for training: list, show, data, train, tune, compare, run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from zoo.cli.app import Json, Verbose, app, carry_out, given_values, print_json, print_result, run_job
from zoo.cli.options import (
    COMPARE_OPTIONS,
    DATA_OPTIONS,
    SEARCH_OPTIONS,
    TRAINING_OPTIONS,
    job_values,
    named_values,
    takes,
)
from zoo.errors import UsageError
from zoo.quiet_import import import_tensorflow

OWN_OPTIONS = "zoo.options"
OPTIONS_HELP = "Options of the model's task, such as --clusters 10, are listed by: zoo show MODEL"


class TaskCommand(TyperCommand):
    """A command that passes on unknown options, which may be options of the model's task.

    Each takes a value, ``--name VALUE`` or ``--name=VALUE``; without a value it is ``true``.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Collect the task's options, then parse the others."""
        names = {name for parameter in self.get_params(ctx) for name in parameter.opts + parameter.secondary_opts}
        task_options: dict[str, list[str]] = {}
        arguments: list[str] = []
        remaining = list(args)
        while remaining:
            word = remaining.pop(0)
            name, sign, value = word.partition("=")
            if not word.startswith("--") or word == "--" or name in names:
                arguments.append(word)
                if word in names and remaining and self._takes_value(ctx, word):
                    arguments.append(remaining.pop(0))
                continue
            if not sign:
                value = remaining.pop(0) if remaining and not remaining[0].startswith("--") else "true"
            task_options.setdefault(name.removeprefix("--").replace("-", "_"), []).append(value)
        ctx.meta[OWN_OPTIONS] = {
            name: values[0] if len(values) == 1 else values for name, values in task_options.items()
        }
        rest: list[str] = super().parse_args(ctx, arguments)
        return rest

    def _takes_value(self, ctx: Any, word: str) -> bool:
        return any(word in p.opts and not getattr(p, "is_flag", False) for p in self.get_params(ctx))


Cv = Annotated[
    str | None,
    typer.Option(metavar="N|leave-one-group-out|file=PATH", help="Cross-validate: number of folds, groups or a file."),
]
Threshold = Annotated[
    str | None,
    typer.Option(metavar="METRIC", help="Choose the decision threshold by accuracy, f1, … or cost=1:5."),
]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Fix a hyperparameter.")]
Epochs = Annotated[int | None, typer.Option(help="Maximum number of epochs; default the model's.")]
Baselines = Annotated[str | None, typer.Option(metavar="quick|all|none", help="Classical models on the same split.")]
Experiment = Annotated[str | None, typer.Option(help="MLflow experiment; default the data's name.")]
Name = Annotated[str | None, typer.Option(help="Name of the run or search.")]


@app.command("list")
def list_command(pattern: Annotated[str, typer.Argument()] = "*", as_json: Json = False) -> None:
    """List the models whose name matches PATTERN, with a one-line summary each."""
    from zoo.registry import list_models

    models = [{"model": entry.name, "summary": entry.summary} for entry in list_models(pattern)]
    if as_json:
        return print_json({"models": models})
    if not models:
        print("no model matches this name", file=sys.stderr)
    for model in models:
        print(f"{model['model']:<26}{model['summary']}")
    return None


@app.command(cls=TaskCommand, epilog=OPTIONS_HELP)
@takes(DATA_OPTIONS)
def show(
    context: typer.Context,
    model: Annotated[str, typer.Argument(metavar="MODEL|RUN")],
    source: Annotated[str | None, typer.Argument()] = None,
    set_: Set = None,
    as_json: Json = False,
    **shared: Any,
) -> None:
    """Show a model's hyperparameters, layers and steps on SOURCE; or a run's scores and diagnosis."""
    task_options = context.meta[OWN_OPTIONS]
    values = given_values(source=source, hyperparameters=_settings(set_), options=task_options, **job_values(shared))
    run_job({"command": "show", "model": model, **values}, as_json)


@app.command(cls=TaskCommand, epilog=OPTIONS_HELP)
@takes(TRAINING_OPTIONS, DATA_OPTIONS)
def train(
    context: typer.Context,
    model: Annotated[str | None, typer.Argument(help="Such as classification/mlp.")] = None,
    source: Annotated[str | None, typer.Argument(help="A file, or a bundled name.")] = None,
    set_: Set = None,
    epochs: Epochs = None,
    seeds: Annotated[int | None, typer.Option(help="Number of seeds to train with, on the same split.")] = None,
    cv: Cv = None,
    repeats: Annotated[int | None, typer.Option(help="Number of cross-validations, each on new folds.")] = None,
    folds: Annotated[str | None, typer.Option(hidden=True)] = None,
    fold: Annotated[str | None, typer.Option(metavar="K/N", help="Use the K-th of N folds as the test split.")] = None,
    split_seed: Annotated[int | None, typer.Option(help="Seed of the split only; default the seed.")] = None,
    threshold: Threshold = None,
    baselines: Baselines = None,
    experiment: Experiment = None,
    name: Name = None,
    resume: Annotated[str | None, typer.Option(metavar="RUN", help="Resume an interrupted run.")] = None,
    verbose: Verbose = False,
    as_json: Json = False,
    **shared: Any,
) -> int:
    """Train MODEL on SOURCE: one tracked run, with baselines on the same split."""
    values = given_values(
        model=model, source=source, hyperparameters=_settings(set_), epochs=epochs, seeds=seeds, cv=cv, repeats=repeats,
        fold=fold, folds=folds, split_seed=split_seed, threshold=threshold, baselines=baselines, experiment=experiment,
        name=name, options=context.meta[OWN_OPTIONS], **job_values(shared),
    )  # fmt: skip
    if resume is not None:
        if values:
            raise UsageError(f"--resume uses the job of the run; leave out {', '.join(values)}")
        import_tensorflow()
        from zoo.running.dispatch import resume_run
        from zoo.running.progress import Progress

        progress = Progress(verbose=verbose, quiet=as_json)
        print_result(resume_run(resume, progress=progress), as_json)
        return 0
    _needs(model, source, "train")
    return run_job({"command": "train", **values}, as_json, verbose)


@app.command(cls=TaskCommand, epilog=OPTIONS_HELP)
@takes(SEARCH_OPTIONS, TRAINING_OPTIONS, DATA_OPTIONS)
def tune(
    context: typer.Context,
    model: Annotated[str | None, typer.Argument(help="Such as classification/mlp.")] = None,
    source: Annotated[str | None, typer.Argument(help="A file, or a bundled name.")] = None,
    set_: Set = None,
    resume: Annotated[str | None, typer.Option(metavar="RUN", help="Resume a search, given its run.")] = None,
    cv: Cv = None,
    threshold: Threshold = None,
    epochs: Epochs = None,
    baselines: Baselines = None,
    experiment: Experiment = None,
    name: Name = None,
    verbose: Verbose = False,
    as_json: Json = False,
    **shared: Any,
) -> int:
    """Search MODEL's hyperparameters on SOURCE; each trial is a run below one parent run."""
    values = given_values(
        model=model, source=source, hyperparameters=_settings(set_), cv=cv, threshold=threshold, epochs=epochs,
        baselines=baselines, experiment=experiment, name=name, options=context.meta[OWN_OPTIONS], **job_values(shared),
    )  # fmt: skip
    if resume is not None:
        import_tensorflow()
        from zoo.running.search_progress import SearchProgress
        from zoo.tuning.tune import resume_search

        progress = SearchProgress(verbose=verbose, quiet=as_json)
        print_result(resume_search(resume, progress=progress, **values), as_json)
        return 0
    _needs(model, source, "tune")
    return run_job({"command": "tune", **values}, as_json, verbose)


@app.command(cls=TaskCommand, epilog=OPTIONS_HELP)
@takes(COMPARE_OPTIONS, TRAINING_OPTIONS, DATA_OPTIONS)
def compare(
    context: typer.Context,
    source: Annotated[list[str] | None, typer.Argument(help="One or more files, or bundled names.")] = None,
    set_: Set = None,
    cv: Cv = None,
    epochs: Epochs = None,
    experiment: Experiment = None,
    name: Name = None,
    verbose: Verbose = False,
    as_json: Json = False,
    **shared: Any,
) -> None:
    """Compare models on SOURCE with each other and with baselines, with significance tests."""
    first, others = (source[0], source[1:]) if source else (None, [])
    values = given_values(
        source=first, others=others, hyperparameters=_settings(set_), cv=cv, epochs=epochs, experiment=experiment,
        name=name, options=context.meta[OWN_OPTIONS], **job_values(shared),
    )  # fmt: skip
    run_job({"command": "compare", **values}, as_json, verbose)


@app.command(cls=TaskCommand, epilog=OPTIONS_HELP)
@takes(DATA_OPTIONS)
def data(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="A file, a folder, a database or a name.")],
    task: Annotated[str | None, typer.Option(help="The task; default by the target.")] = None,
    model: Annotated[
        str | None, typer.Option(help="Model whose number of parameters is compared with the rows.")
    ] = None,
    output: Annotated[str | None, typer.Option(metavar="FILE", help="Write the report as a page, .html.")] = None,
    as_json: Json = False,
    **shared: Any,
) -> None:
    """Report on SOURCE before training: the detected columns, and problems of the data."""
    values = given_values(
        task=task, model=model, output=output, options=context.meta[OWN_OPTIONS], **job_values(shared)
    )
    run_job({"command": "data", "source": source, **values}, as_json)


@app.command("run")
def run_command(
    job: Annotated[list[Path], typer.Argument(help="Jobs as YAML files.")],
    jobs: Annotated[int, typer.Option(min=1, help="Number of jobs at the same time.")] = 1,
    verbose: Verbose = False,
    as_json: Json = False,
) -> int:
    """Run one or more jobs from YAML files; with several, a job that fails does not stop the others."""
    from zoo.jobs.commands import read_job

    parsed = [read_job(path) for path in job]  # raises errors of all jobs before the first begins
    if len(parsed) == 1:
        return carry_out(parsed[0], as_json, verbose)
    from zoo.cli.queue import run_jobs

    outcomes = run_jobs(job, jobs, quiet=as_json)
    print_result(outcomes, as_json)
    return 1 if outcomes.failed else 0


def _needs(model: str | None, source: str | None, command: str) -> None:
    if model is None or source is None:
        missing = "MODEL" if model is None else "SOURCE"
        raise UsageError(f"{missing} is missing: zoo {command} MODEL SOURCE; zoo list shows the models")


def _settings(texts: list[str] | None) -> dict[str, str]:
    """Return the hyperparameters set by ``--set``, by name."""
    return named_values(texts, "--set", "units=64")
