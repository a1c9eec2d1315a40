"""The command ``zoo``: thin over the functions that Python calls."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand
from typer.exceptions import TyperException

from zoo.cli_options import COMPARE_OPTIONS, DATA_OPTIONS, SEARCH_OPTIONS, job_values, named_values, takes
from zoo.errors import JobError, UsageError, ZooError
from zoo.quietly import import_tensorflow

INTERRUPTED = 130
app = typer.Typer(
    name="zoo",
    help="Train, tune, compare and serve Keras models; every run is tracked in MLflow.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

OWN_OPTIONS = "zoo.options"
OPTIONS_HELP = "Options that only the model's task understands (--clusters 10) are listed by: zoo show MODEL"


class TaskCommand(TyperCommand):
    """A command that passes on options that it does not know: the model's task may know them.

    Each takes a value, ``--name VALUE`` or ``--name=VALUE``; one that is followed by another option is ``true``.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Set the task's options aside, then parse the others."""
        known = {name for parameter in self.get_params(ctx) for name in parameter.opts + parameter.secondary_opts}
        own: dict[str, list[str]] = {}
        others: list[str] = []
        left = list(args)
        while left:
            word = left.pop(0)
            name, sign, value = word.partition("=")
            if not word.startswith("--") or word == "--" or name in known:
                others.append(word)
                if word in known and left and self._takes_value(ctx, word):
                    others.append(left.pop(0))
                continue
            if not sign:
                value = left.pop(0) if left and not left[0].startswith("--") else "true"
            own.setdefault(name.removeprefix("--").replace("-", "_"), []).append(value)
        ctx.meta[OWN_OPTIONS] = {name: values[0] if len(values) == 1 else values for name, values in own.items()}
        rest: list[str] = super().parse_args(ctx, others)
        return rest

    def _takes_value(self, ctx: Any, word: str) -> bool:
        return any(word in p.opts and not getattr(p, "is_flag", False) for p in self.get_params(ctx))


Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, and nothing else, on standard output.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Print a line for each epoch or trial.")]
Cv = Annotated[
    str | None,
    typer.Option(metavar="N|leave-one-group-out|file=PATH", help="Cross-validate: number of folds, or which."),
]
Threshold = Annotated[
    str | None,
    typer.Option(metavar="METRIC", help="Call the positive class so that accuracy, f1, … or cost=1:5 is best."),
]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Fix a hyperparameter.")]
Epochs = Annotated[int | None, typer.Option(help="Most epochs; default the model's.")]
Baselines = Annotated[str | None, typer.Option(metavar="quick|all|none", help="Classical models beside it.")]
Experiment = Annotated[str | None, typer.Option(help="MLflow experiment; default the data's name.")]
Name = Annotated[str | None, typer.Option(help="Name of the run or search.")]


@app.command("list")
def list_command(pattern: Annotated[str, typer.Argument()] = "*", as_json: Json = False) -> None:
    """List the models whose name matches PATTERN, with a line on each."""
    from zoo.registry import list_models

    models = [{"model": entry.name, "summary": entry.summary} for entry in list_models(pattern)]
    if as_json:
        return _print_json({"models": models})
    if not models:
        print("no model has such a name", file=sys.stderr)
    for known in models:
        print(f"{known['model']:<26}{known['summary']}")
    return None


@app.command(cls=TaskCommand, epilog=OPTIONS_HELP)
@takes(DATA_OPTIONS)
def show(
    context: typer.Context,
    model: str,
    source: Annotated[str | None, typer.Argument()] = None,
    set_: Set = None,
    as_json: Json = False,
    **shared: Any,
) -> None:
    """Show a model's hyperparameters and, on SOURCE or the task's own example, its layers and steps."""
    own = context.meta[OWN_OPTIONS]
    given = _given(source=source, hyperparameters=_settings(set_), options=own, **job_values(shared))
    _run_job({"command": "show", "model": model, **given}, as_json)


@app.command(cls=TaskCommand, epilog=OPTIONS_HELP)
@takes(DATA_OPTIONS)
def train(
    context: typer.Context,
    model: Annotated[str | None, typer.Argument(help="Such as classification/mlp.")] = None,
    source: Annotated[str | None, typer.Argument(help="A file, or a bundled name.")] = None,
    set_: Set = None,
    epochs: Epochs = None,
    seeds: Annotated[int | None, typer.Option(help="Repeat with so many seeds, on the same split.")] = None,
    cv: Cv = None,
    repeats: Annotated[int | None, typer.Option(help="Cross-validate so many times, on folds drawn anew.")] = None,
    folds: Annotated[str | None, typer.Option(hidden=True)] = None,
    fold: Annotated[str | None, typer.Option(metavar="K/N", help="Of N folds the K-th is the test part.")] = None,
    split_seed: Annotated[int | None, typer.Option(help="Seed of the split alone; default the seed.")] = None,
    threshold: Threshold = None,
    baselines: Baselines = None,
    experiment: Experiment = None,
    name: Name = None,
    resume: Annotated[str | None, typer.Option(metavar="RUN", help="Go on with a run that was cut short.")] = None,
    verbose: Verbose = False,
    as_json: Json = False,
    **shared: Any,
) -> None:
    """Train MODEL on SOURCE: one tracked run, with baselines beside it."""
    given = _given(
        model=model, source=source, hyperparameters=_settings(set_), epochs=epochs, seeds=seeds, cv=cv, repeats=repeats,
        fold=fold, folds=folds, split_seed=split_seed, threshold=threshold, baselines=baselines, experiment=experiment,
        name=name, options=context.meta[OWN_OPTIONS], **job_values(shared),
    )  # fmt: skip
    if resume is not None:
        if given:
            raise UsageError(f"--resume takes the job of the run; leave out {', '.join(given)}")
        import_tensorflow()
        from zoo.running.progress import Progress
        from zoo.running.train import resume_run

        progress = Progress(verbose=verbose, quiet=as_json)
        return _print(resume_run(resume, progress=progress), as_json)
    _needs(model, source, "train")
    return _run_job({"command": "train", **given}, as_json, verbose)


@app.command(cls=TaskCommand, epilog=OPTIONS_HELP)
@takes(SEARCH_OPTIONS, DATA_OPTIONS)
def tune(
    context: typer.Context,
    model: Annotated[str | None, typer.Argument(help="Such as classification/mlp.")] = None,
    source: Annotated[str | None, typer.Argument(help="A file, or a bundled name.")] = None,
    set_: Set = None,
    resume: Annotated[str | None, typer.Option(metavar="RUN", help="Go on with a search by its run.")] = None,
    cv: Cv = None,
    threshold: Threshold = None,
    epochs: Epochs = None,
    baselines: Baselines = None,
    experiment: Experiment = None,
    name: Name = None,
    verbose: Verbose = False,
    as_json: Json = False,
    **shared: Any,
) -> None:
    """Search MODEL's hyperparameters on SOURCE; each trial is a run below one parent run."""
    given = _given(
        model=model, source=source, hyperparameters=_settings(set_), cv=cv, threshold=threshold, epochs=epochs,
        baselines=baselines, experiment=experiment, name=name, options=context.meta[OWN_OPTIONS], **job_values(shared),
    )  # fmt: skip
    if resume is not None:
        import_tensorflow()
        from zoo.running.search_progress import SearchProgress
        from zoo.tuning.tune import resume_search

        progress = SearchProgress(verbose=verbose, quiet=as_json)
        return _print(resume_search(resume, progress=progress, **given), as_json)
    _needs(model, source, "tune")
    return _run_job({"command": "tune", **given}, as_json, verbose)


@app.command(cls=TaskCommand, epilog=OPTIONS_HELP)
@takes(COMPARE_OPTIONS, DATA_OPTIONS)
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
    """Compare models on SOURCE with each other and with baselines: what is better, and what is luck."""
    first, others = (source[0], source[1:]) if source else (None, [])
    given = _given(
        source=first, others=others, hyperparameters=_settings(set_), cv=cv, epochs=epochs, experiment=experiment,
        name=name, options=context.meta[OWN_OPTIONS], **job_values(shared),
    )  # fmt: skip
    _run_job({"command": "compare", **given}, as_json, verbose)


@app.command(cls=TaskCommand, epilog=OPTIONS_HELP)
@takes(DATA_OPTIONS)
def data(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="A file, a folder, a database or a name.")],
    task: Annotated[str | None, typer.Option(help="The task; default by the target.")] = None,
    model: Annotated[str | None, typer.Option(help="Model whose parameters the rows are held against.")] = None,
    output: Annotated[str | None, typer.Option(metavar="FILE", help="Write the report as a page, .html.")] = None,
    as_json: Json = False,
    **shared: Any,
) -> None:
    """Report on SOURCE before a model learns from it: what was understood, and what is wrong with it."""
    given = _given(task=task, model=model, output=output, options=context.meta[OWN_OPTIONS], **job_values(shared))
    _run_job({"command": "data", "source": source, **given}, as_json)


@app.command()
def runs(
    experiment: Annotated[str | None, typer.Argument()] = None,
    limit: Annotated[int | None, typer.Option(help="Most rows; default 20.")] = None,
    as_json: Json = False,
) -> None:
    """List the latest runs."""
    _run_job({"command": "runs", **_given(experiment=experiment, limit=limit)}, as_json)


@app.command()
def best(
    experiment: Annotated[str | None, typer.Argument()] = None,
    metric: Annotated[str | None, typer.Option(help="Score on validation to rank by, such as val_accuracy.")] = None,
    as_json: Json = False,
) -> None:
    """Show the best run of an experiment, ranked by validation."""
    _run_job({"command": "best", **_given(experiment=experiment, metric=metric)}, as_json)


@app.command()
def predict(
    run: str,
    input_: Annotated[str, typer.Argument(metavar="INPUT", help="A file with raw rows.")],
    output: Annotated[str | None, typer.Option(metavar="FILE", help="CSV to write; default standard output.")] = None,
    keep: Annotated[list[str] | None, typer.Option(metavar="COLUMN", help="Column to carry over.")] = None,
    intervals: Annotated[
        float | None,
        typer.Option(metavar="PERCENT", help="Sets or intervals that hold the truth so often, such as 90."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Predict raw rows with the model of RUN, or of a search's best trial."""
    _run_job(
        {"command": "predict", "run": run, "input": input_, **_given(output=output, keep=keep, intervals=intervals)},
        as_json,
    )


@app.command()
def ui(
    experiment: Annotated[str | None, typer.Argument()] = None,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.", min=1, max=65535)] = 5000,
) -> None:
    """Serve MLflow's pages on 127.0.0.1, and print the address that opens at the runs."""
    from zoo.tracking.server import serve_pages

    serve_pages(experiment, port)


@app.command()
def serve(run: str, port: Annotated[int, typer.Option(help="Port on 127.0.0.1.", min=1, max=65535)] = 5001) -> None:
    """Serve predictions of RUN's model on 127.0.0.1 by MLflow's scoring server."""
    import_tensorflow()
    from zoo.running.serve import serve as serve_run

    serve_run(run, port)


@app.command("run")
def run_command(
    job: Annotated[list[Path], typer.Argument(help="Jobs as YAML files.")],
    jobs: Annotated[int, typer.Option(min=1, help="So many at the same time.")] = 1,
    verbose: Verbose = False,
    as_json: Json = False,
) -> int:
    """Carry out a job from a YAML file, or several, one of which may fail without the others."""
    from zoo.job import read_job

    read = [read_job(path) for path in job]  # what is wrong with the last is said before the first begins
    if len(read) == 1:
        _carry_out(read[0], as_json, verbose)
        return 0
    from zoo.cli_queue import run_jobs

    outcomes = run_jobs(job, jobs, quiet=as_json)
    _print(outcomes, as_json)
    return 1 if outcomes.failed else 0


def main() -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 wrong use or bad input, 130 interrupted."""
    sys.exit(_guarded(lambda: app(standalone_mode=False)))


def _guarded(command: Callable[[], Any]) -> int:
    """Call a command; turn what it raises into a message and an exit status."""
    try:
        status = command()
        sys.stdout.flush()
        if status == INTERRUPTED:  # Typer has caught Ctrl-C, and tells nobody
            raise KeyboardInterrupt
        return status if isinstance(status, int) else 0
    except ZooError as error:
        return _complain(error)
    except TyperException as error:
        return _complain(UsageError(getattr(error, "format_message", error.__str__)()))
    except (KeyboardInterrupt, typer.Abort):
        return _complain(JobError("interrupted"), status=INTERRUPTED)
    except BrokenPipeError:  # the reader has gone, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        where = str(error.filename) if error.filename else None
        return _complain(JobError(error.strerror or str(error), where=where))
    except Exception as error:
        if os.environ.get("ZOO_DEBUG"):
            raise
        text = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        return _complain(JobError(f"{text} (ZOO_DEBUG=1 shows where)"))


def _complain(error: ZooError, status: int | None = None) -> int:
    if "--json" in sys.argv:
        _print_json({"error": error.as_dict()})
    else:
        print(f"zoo: {error}", file=sys.stderr)
    return error.exit_status if status is None else status


def _run_job(values: dict[str, Any], as_json: bool, verbose: bool = False) -> None:
    from zoo.job import JOBS, make_job

    _carry_out(make_job(JOBS[values["command"]], values), as_json, verbose)


def _carry_out(job: Any, as_json: bool, verbose: bool) -> None:
    _check_names(job)
    import_tensorflow()
    from zoo.tuning.execute import execute

    _print(execute(job, verbose=verbose, quiet=as_json), as_json)


def _check_names(job: Any) -> None:
    """Say at once that there is no such model or file: TensorFlow takes seconds to load."""
    from zoo.data.read import check_there
    from zoo.registry import matching_entries

    if isinstance(getattr(job, "model", None), str):
        matching_entries(job.model)
    for source in ("source", "test"):
        check_there(getattr(job, source, None), getattr(job, "data_dir", None))


def _print(result: Any, as_json: bool) -> None:
    if as_json:
        _print_json(result.as_dict())
    elif str(result):
        print(result)


def _print_json(values: dict[str, Any]) -> None:
    print(json.dumps(values, ensure_ascii=False, allow_nan=False))


def _given(**options: Any) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in options.items() if value not in (None, [], {})}


def _needs(model: str | None, source: str | None, command: str) -> None:
    if model is None or source is None:
        missing = "MODEL" if model is None else "SOURCE"
        raise UsageError(f"{missing} is missing: zoo {command} MODEL SOURCE; zoo list shows the models")


def _settings(texts: list[str] | None) -> dict[str, str]:
    """Hyperparameters that are set, by name."""
    return named_values(texts, "--set", "units=64")
