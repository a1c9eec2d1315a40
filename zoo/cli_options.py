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


Ranges = Annotated[
    list[str] | None,
    typer.Option("--range", metavar="NAME=LOW..HIGH", help="Where to look, such as units=32..512 or norm=a|b."),
]
Objective = Annotated[
    str | None, typer.Option(metavar="SCORE", help="What is to be best, such as val_log_loss or latency_ms.")
]
SubjectTo = Annotated[
    list[str] | None, typer.Option(metavar="LIMIT", help="Such as 'n_parameters<100000'; repeatable.")
]


def takes_data(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of ``DATA_OPTIONS``: they reach its ``**data``, those that were not given as None."""
    own = inspect.signature(command, eval_str=True)
    parameters = [known for known in own.parameters.values() if known.kind is not known.VAR_KEYWORD]
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters += [inspect.Parameter(n, keyword, default=None, annotation=a) for n, a in DATA_OPTIONS.items()]
    parameters.sort(key=lambda known: known.kind is keyword)
    command.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {known.name: known.annotation for known in parameters}
    return command


def data_values(data: dict[str, Any]) -> dict[str, Any]:
    """Return options as a job has them: ``NAME=VALUE`` texts become dictionaries."""
    made = dict(data)
    for name in ("column", "missing"):
        made[name] = named_values(data.get(name), f"--{name}", "age=number" if name == "column" else "age=median")
    weights = data.get("class_weight")
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
