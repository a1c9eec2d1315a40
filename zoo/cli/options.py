"""Options of the command line that several commands share, declared once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from zoo.errors import UsageError

Words = list[str] | None

# The keys of a job that say which data are used, in the order of --help.
DATA_OPTIONS: dict[str, Any] = {
    "target": Annotated[str | None, typer.Option(metavar="COLUMN", help="Column to predict.")],
    "drop": Annotated[Words, typer.Option(metavar="COLUMN", help="Column to leave out; may be repeated.")],
    "column": Annotated[
        Words, typer.Option(metavar="COLUMN=KIND", help="What a column holds, where zoo data got it wrong.")
    ],
    "missing": Annotated[
        Words,
        typer.Option(
            metavar="COLUMN=WAY",
            help="What stands for a missing value: drop, mean, median, most_frequent, last or constant:VALUE; "
            "*=WAY for all columns.",
        ),
    ],
    "positive": Annotated[str | None, typer.Option(metavar="CLASS", help="Of two classes the one that f1 is about.")],
    "test": Annotated[str | None, typer.Option(metavar="SOURCE", help="Another source that is the test part.")],
    "split": Annotated[
        str | None,
        typer.Option(
            metavar="WAY",
            help="random, stratified, order, group=COLUMN, time=COLUMN, hash=COLUMN, column=NAME or file=PATH.",
        ),
    ],
    "gap": Annotated[str | None, typer.Option(metavar="TIME", help="Left out between parts in time, such as 7d.")],
    "test_size": Annotated[
        str | None, typer.Option(metavar="SHARE", help="Share of the rows for test; default 0.2; or: suggested.")
    ],
    "validation_size": Annotated[
        str | None, typer.Option(metavar="SHARE", help="Share of the rest; default 0.2, 0: none; or: suggested.")
    ],
    "calibration_size": Annotated[
        float | None, typer.Option(metavar="SHARE", help="Share of the training rows for calibration and intervals.")
    ],
    "calibrate": Annotated[
        str | None, typer.Option(metavar="temperature|isotonic", help="Make probabilities true ones.")
    ],
    "weight": Annotated[str | None, typer.Option(metavar="COLUMN", help="Column with the weight of each row.")],
    "weight_kind": Annotated[
        str | None, typer.Option(metavar="importance|frequency", help="What a weight means; default importance.")
    ],
    "sample": Annotated[
        str | None, typer.Option(metavar="down=N|up=N", help="Sample unbalanced classes of the training part.")
    ],
    "class_weight": Annotated[
        str | None, typer.Option(metavar="balanced|CLASS=FACTOR,…", help="Factors of the loss by class.")
    ],
    "data_dir": Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Where prepared sets of tensorflow-datasets lie.")
    ],
    "stream": Annotated[
        bool | None, typer.Option("--stream/--no-stream", help="Pass rows by instead of holding them in memory.")
    ],
    "seed": Annotated[int | None, typer.Option(help="Seed of split, weights and order; default 0.")],
}

# The keys of a job that say how a training goes, alone, in a search or in a comparison.
TRAINING_OPTIONS: dict[str, Any] = {
    "deterministic": Annotated[
        bool | None, typer.Option("--deterministic", help="Equal weights, bit for bit, each time; slower.")
    ],
    "figures": Annotated[
        bool | None, typer.Option("--figures/--no-figures", help="Draw figures once training is over, or none.")
    ],
}
# The keys of a job that say how a search goes.
SEARCH_OPTIONS: dict[str, Any] = {
    "trials": Annotated[int | None, typer.Option(help="Most sets of hyperparameters; default 20.")],
    "workers": Annotated[int | None, typer.Option(help="Trials at the same time; default 1.")],
    "search": Annotated[
        str | None,
        typer.Option(
            metavar="random|bayesian|hyperband|grid|asha", help="Or MODULE:CLASS of an oracle of KerasTuner's kind."
        ),
    ],
    "ranges": Annotated[
        Words,
        typer.Option("--range", metavar="NAME=LOW..HIGH", help="Where to look, such as units=32..512 or norm=a|b."),
    ],
    "objective": Annotated[
        str | None, typer.Option(metavar="SCORE", help="What is to be best, such as val_log_loss or latency_ms.")
    ],
    "subject_to": Annotated[Words, typer.Option(metavar="LIMIT", help="Such as 'n_parameters<100000'; repeatable.")],
    "seeds": Annotated[int | None, typer.Option(help="Judge each trial by the mean over so many seeds.")],
    "time_budget": Annotated[str | None, typer.Option(metavar="TIME", help="Most time in all, such as 20m.")],
    "trial_timeout": Annotated[str | None, typer.Option(metavar="TIME", help="Most time of one trial.")],
    "memory": Annotated[str | None, typer.Option(metavar="SIZE", help="Most memory of one trial, such as 2GiB.")],
    "start": Annotated[Words, typer.Option(metavar="NAME=VALUE,…", help="Tried first, after the default; repeatable.")],
    "start_from": Annotated[
        str | None, typer.Option(metavar="RUN", help="Try the best hyperparameters of a run or a search first.")
    ],
    "refit": Annotated[bool | None, typer.Option("--refit", help="Train the best anew, on validation rows too.")],
    "keep": Annotated[int | None, typer.Option(help="Checkpoints of so many best trials stay; default 3.")],
    "fresh": Annotated[bool | None, typer.Option("--fresh", help="Forget an earlier search of this name or job.")],
    "cluster": Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Run trials on Ray: ray://HOST:10001, HOST:6379 or auto.")
    ],
    "storage": Annotated[
        str | None, typer.Option(metavar="URL", help="Where a cluster's nodes meet, such as s3://bucket/searches.")
    ],
    "cpus": Annotated[float | None, typer.Option(help="Of one trial on a cluster; default 1.")],
    "gpus": Annotated[float | None, typer.Option(help="Of one trial on a cluster; default 0.")],
}
# The keys of a job that say what is compared.
COMPARE_OPTIONS: dict[str, Any] = {
    "models": Annotated[
        str | None, typer.Option(metavar="MODEL,…", help="Names that zoo list shows, or patterns such as 'TASK/*'.")
    ],
    "runs": Annotated[str | None, typer.Option(metavar="RUN,…", help="Runs that were made, in place of models.")],
    "refit": Annotated[bool | None, typer.Option("--refit", help="Train the runs again, on the data of the first.")],
    "seeds": Annotated[int | None, typer.Option(help="Train each so many times; default 5.")],
    "repeats": Annotated[int | None, typer.Option(help="With --cv, so many times, on folds drawn anew.")],
    "baselines": Annotated[str | None, typer.Option(metavar="quick|all", help="Classical models beside them.")],
    "output": Annotated[str | None, typer.Option(metavar="FILE", help="Write the comparison as a page, .html.")],
}
# The options whose texts are NAME=VALUE, with an example.
_NAMED = {
    "column": ("--column", "age=number"),
    "missing": ("--missing", "age=median"),
    "ranges": ("--range", "units=32..512"),
}


def takes(*tables: dict[str, Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the options of tables: they reach its ``**shared``, those that were not given as None."""
    options = {name: annotation for table in tables for name, annotation in table.items()}

    def given(command: Callable[..., Any]) -> Callable[..., Any]:
        own = inspect.signature(command, eval_str=True)
        parameters = [known for known in own.parameters.values() if known.kind is not known.VAR_KEYWORD]
        keyword = inspect.Parameter.KEYWORD_ONLY
        parameters += [inspect.Parameter(n, keyword, default=None, annotation=a) for n, a in options.items()]
        parameters.sort(key=lambda known: known.kind is keyword)
        command.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {known.name: known.annotation for known in parameters}
        return command

    return given


def job_values(options: dict[str, Any]) -> dict[str, Any]:
    """Return options as a job has them: ``NAME=VALUE`` texts become dictionaries."""
    made = dict(options)
    for name, (option, example) in _NAMED.items():
        made[name] = named_values(options.get(name), option, example)
    weights = options.get("class_weight")
    if weights is not None and weights != "balanced":
        made["class_weight"] = named_values(weights.split(","), "--class-weight", "yes=5")
    return made


def named_values(texts: Words, option: str, example: str) -> dict[str, str]:
    """Return ``NAME=VALUE`` texts as a dictionary.

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
