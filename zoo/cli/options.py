"""Options that several commands share."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from zoo.errors import UsageError

Words = list[str] | None

# Options of the data, in the order of --help.
DATA_OPTIONS: dict[str, Any] = {
    "target": Annotated[str | None, typer.Option(metavar="COLUMN", help="Column to predict.")],
    "drop": Annotated[Words, typer.Option(metavar="COLUMN", help="Column to leave out; may be repeated.")],
    "column": Annotated[
        Words, typer.Option(metavar="COLUMN=KIND", help="Kind of a column, if zoo data detects it wrongly.")
    ],
    "missing": Annotated[
        Words,
        typer.Option(
            metavar="COLUMN=WAY",
            help="Imputation of missing values: drop, mean, median, most_frequent, last or constant:VALUE; "
            "*=WAY for all columns.",
        ),
    ],
    "positive": Annotated[
        str | None, typer.Option(metavar="CLASS", help="The positive class of two, for f1 and others.")
    ],
    "test": Annotated[str | None, typer.Option(metavar="SOURCE", help="Another source that is the test split.")],
    "split": Annotated[
        str | None,
        typer.Option(
            metavar="WAY",
            help="random, stratified, order, group=COLUMN, time=COLUMN, hash=COLUMN, column=NAME or file=PATH.",
        ),
    ],
    "gap": Annotated[str | None, typer.Option(metavar="TIME", help="Time left out between splits, such as 7d.")],
    "test_size": Annotated[
        str | None, typer.Option(metavar="FRACTION", help="Fraction of rows for test; default 0.2; or: suggested.")
    ],
    "validation_size": Annotated[
        str | None, typer.Option(metavar="FRACTION", help="Fraction of the rest; default 0.2, 0: none; or: suggested.")
    ],
    "calibration_size": Annotated[
        float | None, typer.Option(metavar="FRACTION", help="Fraction of training rows for calibration and intervals.")
    ],
    "calibrate": Annotated[
        str | None, typer.Option(metavar="temperature|isotonic", help="Calibrate the probabilities.")
    ],
    "weight": Annotated[str | None, typer.Option(metavar="COLUMN", help="Column with the weight of each row.")],
    "weight_kind": Annotated[
        str | None, typer.Option(metavar="importance|frequency", help="What a weight means; default importance.")
    ],
    "sample": Annotated[
        str | None, typer.Option(metavar="down=N|up=N", help="Sample unbalanced classes of the training split.")
    ],
    "class_weight": Annotated[
        str | None, typer.Option(metavar="balanced|CLASS=FACTOR,…", help="Factors of the loss by class.")
    ],
    "data_dir": Annotated[str | None, typer.Option(metavar="FOLDER", help="Folder of prepared tensorflow-datasets.")],
    "stream": Annotated[
        bool | None, typer.Option("--stream/--no-stream", help="Stream rows instead of holding them in memory.")
    ],
    "seed": Annotated[int | None, typer.Option(help="Seed of split, weights and order; default 0.")],
}

# Options of training, in a single run, a search or a comparison.
TRAINING_OPTIONS: dict[str, Any] = {
    "deterministic": Annotated[
        bool | None, typer.Option("--deterministic", help="Bit-identical weights each time; slower.")
    ],
    "figures": Annotated[
        bool | None, typer.Option("--figures/--no-figures", help="Draw figures after training, or none.")
    ],
}
# Options of a search.
SEARCH_OPTIONS: dict[str, Any] = {
    "trials": Annotated[int | None, typer.Option(help="Maximum number of trials; default 20.")],
    "workers": Annotated[int | None, typer.Option(help="Trials at the same time; default 1.")],
    "search": Annotated[
        str | None,
        typer.Option(metavar="random|bayesian|hyperband|grid|asha", help="Or MODULE:CLASS of a keras_tuner.Oracle."),
    ],
    "ranges": Annotated[
        Words,
        typer.Option("--range", metavar="NAME=LOW..HIGH", help="Range to search, such as units=32..512 or norm=a|b."),
    ],
    "objective": Annotated[
        str | None, typer.Option(metavar="METRIC", help="What to optimise, such as val_log_loss or latency_ms.")
    ],
    "subject_to": Annotated[
        Words, typer.Option(metavar="CONSTRAINT", help="Such as 'n_parameters<100000'; repeatable.")
    ],
    "seeds": Annotated[int | None, typer.Option(help="Evaluate each trial by the mean over this many seeds.")],
    "time_budget": Annotated[str | None, typer.Option(metavar="TIME", help="Time limit of the search, such as 20m.")],
    "trial_timeout": Annotated[str | None, typer.Option(metavar="TIME", help="Time limit of one trial.")],
    "memory": Annotated[str | None, typer.Option(metavar="SIZE", help="Memory limit of one trial, such as 2GiB.")],
    "start": Annotated[
        Words, typer.Option(metavar="NAME=VALUE,…", help="Values to try first, after the defaults; repeatable.")
    ],
    "start_from": Annotated[
        str | None, typer.Option(metavar="RUN", help="Try the best hyperparameters of a run or a search first.")
    ],
    "refit": Annotated[bool | None, typer.Option("--refit", help="Train the best again, on validation rows too.")],
    "keep": Annotated[int | None, typer.Option(help="Number of best trials whose checkpoints are kept; default 3.")],
    "fresh": Annotated[bool | None, typer.Option("--fresh", help="Discard an earlier search of this name or job.")],
    "cluster": Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Run trials on Ray: ray://HOST:10001, HOST:6379 or auto.")
    ],
    "storage": Annotated[
        str | None, typer.Option(metavar="URL", help="Shared storage of a cluster, such as s3://bucket/searches.")
    ],
    "cpus": Annotated[float | None, typer.Option(help="CPUs of one trial on a cluster; default 1.")],
    "gpus": Annotated[float | None, typer.Option(help="GPUs of one trial on a cluster; default 0.")],
}
# Options of a comparison.
COMPARE_OPTIONS: dict[str, Any] = {
    "models": Annotated[
        str | None, typer.Option(metavar="MODEL,…", help="Names that zoo list shows, or patterns such as 'TASK/*'.")
    ],
    "runs": Annotated[str | None, typer.Option(metavar="RUN,…", help="Existing runs, in place of models.")],
    "refit": Annotated[bool | None, typer.Option("--refit", help="Train the runs again, on the data of the first.")],
    "seeds": Annotated[int | None, typer.Option(help="Number of seeds to train each with; default 5.")],
    "repeats": Annotated[int | None, typer.Option(help="With --cv: number of cross-validations, each on new folds.")],
    "baselines": Annotated[str | None, typer.Option(metavar="quick|all", help="Classical models on the same splits.")],
    "output": Annotated[str | None, typer.Option(metavar="FILE", help="Write the comparison as a page, .html.")],
}
# Options with NAME=VALUE texts, each with an example.
_NAMED = {
    "column": ("--column", "age=number"),
    "missing": ("--missing", "age=median"),
    "ranges": ("--range", "units=32..512"),
}


def takes(*tables: dict[str, Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the options of tables to a command; they reach its ``**shared``, those that are not set as None."""
    options = {name: annotation for table in tables for name, annotation in table.items()}

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(command, eval_str=True)
        parameters = [
            parameter for parameter in signature.parameters.values() if parameter.kind is not parameter.VAR_KEYWORD
        ]
        keyword = inspect.Parameter.KEYWORD_ONLY
        parameters += [inspect.Parameter(n, keyword, default=None, annotation=a) for n, a in options.items()]
        parameters.sort(key=lambda parameter: parameter.kind is keyword)
        command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return command

    return decorate


def job_values(options: dict[str, Any]) -> dict[str, Any]:
    """Return options as a job takes them: ``NAME=VALUE`` texts become dictionaries."""
    values = dict(options)
    for name, (option, example) in _NAMED.items():
        values[name] = named_values(options.get(name), option, example)
    weights = options.get("class_weight")
    if weights is not None and weights != "balanced":
        values["class_weight"] = named_values(weights.split(","), "--class-weight", "yes=5")
    return values


def named_values(texts: Words, option: str, example: str) -> dict[str, str]:
    """Parse ``NAME=VALUE`` texts into a dictionary.

    Raises:
        UsageError: A text without a sign, or a name that is set twice.
    """
    values: dict[str, str] = {}
    for text in texts or []:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise UsageError(f"received {text!r}; it must be NAME=VALUE, such as {example}", where=option)
        if name in values and values[name] != value:
            raise UsageError(f"{name} is set twice, to {values[name]} and to {value}", where=option)
        values[name] = value
    return values
