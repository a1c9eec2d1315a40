"""Commands for tracked runs: runs, best, predict, serve, ui and others."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from zoo.cli.app import Json, app, given_values, print_result, run_job
from zoo.quiet_import import import_tensorflow


@app.command()
def runs(
    experiment: Annotated[str | None, typer.Argument()] = None,
    limit: Annotated[int | None, typer.Option(help="Maximum number of rows; default 20.")] = None,
    task: Annotated[str | None, typer.Option(help="Only runs of this task.")] = None,
    model: Annotated[str | None, typer.Option(help="Only runs of this model.")] = None,
    sort: Annotated[
        str | None, typer.Option(metavar="METRIC", help="Sort by a metric, best first, such as test_accuracy.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Also baselines, trials, seeds and folds.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Remove failed runs, and files without a run.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Remove without asking.")] = False,
    as_json: Json = False,
) -> None:
    """List the latest runs, or the best by a metric; or remove leftovers of failed runs."""
    if prune:
        return _prune(yes, as_json)
    values = given_values(experiment=experiment, limit=limit, task=task, model=model, sort=sort, every=every or None)
    run_job({"command": "runs", **values}, as_json)
    return None


def _prune(yes: bool, as_json: bool) -> None:
    from zoo.stored_runs.cleanup import leftovers

    leftovers_ = leftovers()
    if yes and leftovers_.items:
        leftovers_.remove()
    if as_json or yes or not leftovers_.items:
        return print_result(leftovers_, as_json)
    print(leftovers_)
    if sys.stdin.isatty() and typer.confirm("Remove them for good?"):
        leftovers_.remove()
        print("removed")
    elif not sys.stdin.isatty():
        print("nothing was removed; confirm with --yes")
    return None


@app.command()
def best(
    experiment: Annotated[str | None, typer.Argument()] = None,
    metric: Annotated[str | None, typer.Option(help="Validation metric to rank by, such as val_accuracy.")] = None,
    as_json: Json = False,
) -> None:
    """Show the best run of an experiment, ranked by validation."""
    run_job({"command": "best", **given_values(experiment=experiment, metric=metric)}, as_json)


@app.command()
def reproduce(run: str, as_json: Json = False) -> int:
    """Run the job of RUN again; report what has changed since, and whether the scores agree (else exit with 1)."""
    return run_job({"command": "reproduce", "run": run}, as_json)


@app.command()
def register(
    run: str,
    name: Annotated[str, typer.Argument(help="Name of the registered model.")],
    alias: Annotated[str | None, typer.Option(help="Alias to set; default champion.")] = None,
    on: Annotated[
        str | None, typer.Option(metavar="SOURCE", help="Rows unseen by both models, to compare with the champion.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Register RUN's model; it becomes champion if there is none, or if it is significantly better on SOURCE."""
    return run_job({"command": "register", "run": run, "name": name, **given_values(alias=alias, on=on)}, as_json)


@app.command()
def card(
    run: str,
    by: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="Score its groups separately; repeatable.")
    ] = None,
    use: Annotated[str | None, typer.Option(metavar="TEXT", help="Intended use of the model.")] = None,
    output: Annotated[str | None, typer.Option(metavar="FILE", help="Write it as Markdown.")] = None,
    as_json: Json = False,
) -> int:
    """Write the model card of RUN: data, intended use, scores also by subgroup, limits; logged to the run too."""
    return run_job({"command": "card", "run": run, **given_values(by=by, use=use, output=output)}, as_json)


@app.command()
def study(
    run: str,
    kinds: Annotated[
        list[str] | None,
        typer.Argument(metavar="[architecture|importance|rates|sizes|landscape|layers]...", help="Default all."),
    ] = None,
    as_json: Json = False,
) -> int:
    """Study RUN's network: architecture, input importance, learning rates, data sizes, loss landscape, layers."""
    return run_job({"command": "study", "run": run, **given_values(kinds=kinds)}, as_json)


@app.command()
def export(
    run: str,
    format_: Annotated[
        list[str] | None,
        typer.Option(
            "--format", metavar="savedmodel|onnx|litert", help="Repeatable; default all that support the model."
        ),
    ] = None,
    output: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Folder with a subfolder per format; default MODEL-RUN.")
    ] = None,
    quantize: Annotated[
        bool, typer.Option("--quantize", help="LiteRT: weights in 8 bits; reports the change of the score.")
    ] = False,
    on: Annotated[
        str | None, typer.Option(metavar="SOURCE", help="Rows to compare predictions on; default the run's own.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Export RUN's model to predict without zoo; each export is checked against the model."""
    values = given_values(format=format_, output=output, quantize=quantize or None, on=on)
    return run_job({"command": "export", "run": run, **values}, as_json)


@app.command()
def predict(
    run: str,
    input_: Annotated[str, typer.Argument(metavar="INPUT", help="A file with raw rows.")],
    output: Annotated[str | None, typer.Option(metavar="FILE", help="CSV to write; default standard output.")] = None,
    keep: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="Column to copy to the output; repeatable.")
    ] = None,
    intervals: Annotated[
        float | None,
        typer.Option(metavar="PERCENT", help="Coverage of prediction sets or intervals, such as 90."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Predict raw rows with the model of RUN; for a search, its best trial."""
    values = given_values(output=output, keep=keep, intervals=intervals)
    run_job({"command": "predict", "run": run, "input": input_, **values}, as_json)


@app.command()
def ui(
    experiment: Annotated[str | None, typer.Argument()] = None,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.", min=1, max=65535)] = 5000,
) -> None:
    """Serve MLflow's pages on 127.0.0.1, and print the address of the runs."""
    from zoo.serving.servers import serve_pages

    serve_pages(experiment, port)


@app.command()
def serve(
    run: str,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.", min=1, max=65535)] = 5001,
    isolated: Annotated[
        bool, typer.Option("--isolated", help="In a separate environment, built by uv from the model's requirements.")
    ] = False,
    wheel: Annotated[
        str | None, typer.Option(metavar="FILE", help="Zoo's wheel for it, if this version is not on a package index.")
    ] = None,
) -> None:
    """Serve predictions of RUN's model on 127.0.0.1 by MLflow's scoring server."""
    import_tensorflow()
    from zoo.serving.serve import serve as serve_run

    serve_run(run, port, isolated=isolated, wheel=wheel)
