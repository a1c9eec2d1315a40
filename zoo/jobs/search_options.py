"""Options of a search: trials, algorithm, time limits, objective and constraints."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import ValidationInfo, field_validator, model_validator

from zoo.errors import UsageError, describe_unknown
from zoo.jobs.fit_options import MOST_REPEATS, TrainJob
from zoo.jobs.option import create_pair_validator, declare_option
from zoo.yaml_text import parse_yaml

DEFAULT_TRIALS, UNLIMITED_TRIALS = 20, 10_000
# Part of a time budget for the evaluation, the figures and the model of the best trial.
_RESERVED_SHARE, _MOST_RESERVED_S = 0.1, 60.0
LEAST_S_FOR_REPORT = 300.0
SEARCHES = ("random", "bayesian", "hyperband", "grid", "asha")
_UNITS_OF_TIME = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_UNITS_OF_SIZE = {"": 1, "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


class TuneJob(TrainJob):
    """A search over a model's hyperparameters."""

    command: Literal["tune"] = "tune"  # type: ignore[assignment]
    repeats: None = None
    track_layers: None = None  # type: ignore[assignment]
    trials: int | None = declare_option(
        None, "Maximum number of trials; default 20, or as many as fit into --time-budget.", theme="Search", ge=1
    )
    workers: int = declare_option(
        1, "Trials at the same time, each in its own process; default 1.", theme="Search", ge=1
    )
    search: str | None = declare_option(
        None,
        "Or MODULE:CLASS of a keras_tuner.Oracle; default by the search space.",
        theme="Search",
        metavar="|".join(SEARCHES),
    )
    ranges: Annotated[dict[str, str], create_pair_validator("--range", "units=32..512")] = declare_option(
        {},
        "Range to search, such as units=32..512 or norm=a|b.",
        theme="Search",
        name="--range",
        metavar="NAME=LOW..HIGH",
    )
    objective: str | None = declare_option(
        None,
        "What to optimise, such as val_log_loss or latency_ms; default the task's first metric.",
        theme="Selection",
        metavar="METRIC",
    )
    subject_to: tuple[str, ...] = declare_option(
        (), "Such as 'n_parameters<100000'; repeatable.", theme="Selection", metavar="CONSTRAINT"
    )
    seeds: int | None = declare_option(
        None, "Evaluate each trial by the mean over this many seeds.", theme="Evaluation", ge=2, le=MOST_REPEATS
    )
    time_budget: str | None = declare_option(
        None,
        "Time limit of the search with baselines, report and figures, such as 20m or 1h30m.",
        theme="Limits",
        metavar="TIME",
    )
    trial_timeout: str | None = declare_option(
        None,
        "Time limit of one trial; a trial that exceeds it fails, the search continues.",
        theme="Limits",
        metavar="TIME",
    )
    memory: str | None = declare_option(
        None, "Memory limit of one trial, such as 2GiB.", theme="Limits", metavar="SIZE"
    )
    start: tuple[dict[str, Any], ...] = declare_option(
        (), "Values to try first, after the defaults; repeatable.", theme="Search", metavar="NAME=VALUE,…"
    )
    start_from: str | None = declare_option(
        None, "Try the best hyperparameters of a run or a search first.", theme="Search", metavar="RUN"
    )
    refit: bool = declare_option(False, "Train the best again, on validation rows too.", theme="Selection")
    select: Literal["significant", "best-score"] = declare_option(
        "significant",
        "significant: the default hyperparameters, unless a trial is significantly better on validation; best-score: "
        "the trial with the best score, however small the difference; default significant.",
        theme="Selection",
    )
    keep: int = declare_option(
        3, "Number of best trials whose checkpoints are kept; default 3.", theme="Selection", ge=1
    )
    fresh: bool = declare_option(False, "Discard an earlier search of this name or job; its runs stay.", theme="Run")
    resume: str | None = declare_option(
        None, "Resume a search, given its run or one of its trials.", theme="Run", metavar="RUN"
    )
    cluster: str | None = declare_option(
        None, "Run trials on Ray: ray://HOST:10001, HOST:6379 or auto.", theme="Cluster", metavar="ADDRESS"
    )
    storage: str | None = declare_option(
        None, "Shared storage of a cluster, such as s3://bucket/searches.", theme="Cluster", metavar="URL"
    )
    cpus: float = declare_option(1, "CPUs of one trial on a cluster; default 1.", theme="Cluster", gt=0)
    gpus: float = declare_option(0, "GPUs of one trial on a cluster; default 0.", theme="Cluster", ge=0)

    def check_resume(self) -> None:
        """Check nothing here: which options may change depends on the stored search."""

    @property
    def most_trials(self) -> int:
        """Maximum number of trials."""
        return self.trials or (DEFAULT_TRIALS if self.time_budget is None else UNLIMITED_TRIALS)

    @property
    def trial_seconds(self) -> float:
        """Seconds for reading data, report, baselines and trials; the rest of the time budget is for what follows."""
        budget_s = math.inf if self.time_budget is None else parse_duration(self.time_budget)
        return budget_s - min(_RESERVED_SHARE * budget_s, _MOST_RESERVED_S) if math.isfinite(budget_s) else budget_s

    @property
    def report_level(self) -> str:
        """Level of the baselines for the report of the data; within little time, it trains no models."""
        return self.baselines if self.trial_seconds >= LEAST_S_FOR_REPORT else "none"

    @property
    def memory_bytes(self) -> int | None:
        """Memory limit of one trial's data in bytes; None without a limit."""
        return None if self.memory is None else parse_size(self.memory)

    @field_validator("search")
    @classmethod
    def _known_search(cls, value: str | None) -> str | None:
        if value is not None and value not in SEARCHES and not re.fullmatch(r"\w+(\.\w+)*:\w+", value):
            raise describe_unknown("search", value, (*SEARCHES, "module:Class"), where="search")
        return value

    @field_validator("time_budget", "trial_timeout", mode="before")
    @classmethod
    def _known_duration(cls, value: Any, info: ValidationInfo) -> str | None:
        if value is None:
            return None
        if parse_duration(str(value)) <= 0:
            raise UsageError(f"received {value!r}; it must be a time such as 90s, 20m or 1h30m", where=info.field_name)
        return str(value)

    @field_validator("memory", mode="before")
    @classmethod
    def _known_memory(cls, value: Any) -> str | None:
        if value is not None and parse_size(str(value)) <= 0:
            raise UsageError(f"received {value!r}; it must be a size such as 2GiB or 500MB", where="memory")
        return None if value is None else str(value)

    @field_validator("cluster")
    @classmethod
    def _known_cluster(cls, value: str | None) -> str | None:
        if value is not None and value != "auto" and not re.fullmatch(r"(ray://)?[\w.\-\[\]:]+:\d+", value):
            raise UsageError(
                f"received {value!r}; it must be auto, HOST:PORT of a cluster's head or ray://HOST:PORT",
                where="cluster",
            )
        return value

    @field_validator("ranges")
    @classmethod
    def _known_ranges(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            parse_range(name, text)
        return value

    @field_validator("subject_to", mode="before")
    @classmethod
    def _known_constraints(cls, value: Any) -> tuple[str, ...]:
        constraints = tuple(map(str, value)) if isinstance(value, (list, tuple)) else (str(value),)
        for text in constraints:
            parse_constraint(text)
        return constraints

    @field_validator("start", mode="before")
    @classmethod
    def _several_starts(cls, value: Any) -> Any:
        starts = value if isinstance(value, (list, tuple)) else (value,)
        return tuple(parse_values(start) if isinstance(start, str) else start for start in starts)

    @model_validator(mode="after")
    def _options_fit(self) -> TuneJob:
        twice = sorted(set(self.ranges) & set(self.hyperparameters))
        if twice:
            raise UsageError(f"{twice[0]} is fixed by --set and also has a range; use one of them", where="ranges")
        fields = type(self).model_fields
        cluster_options = [name for name in ("storage", "cpus", "gpus") if getattr(self, name) != fields[name].default]
        if cluster_options and self.cluster is None:
            raise UsageError("this option needs --cluster", where=cluster_options[0])
        if self.refit and self.threshold is not None:
            raise UsageError(
                "threshold and refit exclude each other: refit trains on the validation split",
                where="refit",
            )
        if self.search == "grid" and (self.start or self.start_from):
            raise UsageError("a grid search has a fixed order and takes no starting points", where="start")
        return self


@dataclass(frozen=True)
class Range:
    """The range of a hyperparameter: from ``low`` to ``high``, or one of ``choices``."""

    low: float = 0.0
    high: float = 0.0
    choices: tuple[Any, ...] = ()


def parse_range(name: str, text: str) -> Range:
    """Parse a range.

    Raises:
        UsageError: When it is not a range, or its lower end is not below its upper end.

    Example:
        >>> parse_range("units", "32..512"), parse_range("activation", "relu|gelu").choices
        (Range(low=32.0, high=512.0, choices=()), ('relu', 'gelu'))
    """
    number = r"[-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?"
    if match := re.fullmatch(rf"\s*({number})\s*\.\.\s*({number})\s*", text):
        low, high = float(match[1]), float(match[2])
        if not low < high:
            raise UsageError(f"{name}: received {text!r}; its lower end must be below its upper end", where="range")
        return Range(low, high)
    choices = tuple(parse_yaml(piece, where=f"range of {name}") for piece in text.split("|")) if text.strip() else ()
    if len(choices) < 2 or None in choices or len(set(map(str, choices))) < len(choices):
        raise UsageError(
            f"{name}: received {text!r}; it must be LOW..HIGH, such as 32..512, or values such as relu|gelu",
            where="range",
        )
    return Range(choices=choices)


@dataclass(frozen=True)
class Constraint:
    """A constraint on a trial: a name, ``<``, ``<=``, ``>`` or ``>=``, and a number."""

    name: str
    sign: str
    limit: float

    def excess(self, value: float) -> float:
        """Return the relative excess of a value over the limit; 0 if it satisfies the constraint."""
        satisfied = {"<": value < self.limit, "<=": value <= self.limit, ">": value > self.limit}
        if satisfied.get(self.sign, value >= self.limit):
            return 0.0
        return max(abs(value - self.limit) / max(abs(self.limit), 1e-12), 1e-9) if value == value else 1.0

    def __str__(self) -> str:
        return f"{self.name} {self.sign} {self.limit:g}"


def parse_constraint(text: str) -> Constraint:
    """Parse a constraint.

    Raises:
        UsageError: When it is not a constraint.

    Example:
        >>> str(parse_constraint("n_parameters<1e5")), parse_constraint("latency_ms <= 2").excess(3.0)
        ('n_parameters < 100000', 0.5)
    """
    match = re.fullmatch(r"\s*(\w+)\s*(<=|>=|<|>)\s*([-+]?\.?[0-9][0-9.]*(?:[eE][-+]?[0-9]+)?)\s*", text)
    if match is None or match[3].count(".") > 1:
        example = "such as n_parameters<100000 or val_accuracy>=0.9"
        raise UsageError(
            f"received {text!r}; a constraint is a name, a sign and a number, {example}", where="subject_to"
        )
    return Constraint(match[1], match[2], float(match[3]))


def parse_values(text: str) -> dict[str, Any]:
    """Parse names and values, such as ``units=128,dropout=0.2``.

    Raises:
        UsageError: When a piece is not ``NAME=VALUE``.
    """
    pairs = [piece.partition("=") for piece in text.split(",")]
    for name, sign, _ in pairs:
        if not sign or not name.strip():
            raise UsageError(f"received {text!r}; it must be NAME=VALUE,NAME=VALUE", where="start")
    return {name.strip(): parse_yaml(value, where="start") for name, _, value in pairs}


def parse_duration(text: str) -> float:
    """Parse a duration into seconds; 0 if the text is not one.

    Example:
        >>> parse_duration("1h30m"), parse_duration("90"), parse_duration("soon")
        (5400.0, 90.0, 0.0)
    """
    number = r"(\d+(?:\.\d+)?)"
    if re.fullmatch(number, text):
        return float(text)
    if not re.fullmatch(f"({number}[smhd])+", text):
        return 0.0
    return sum(float(value) * _UNITS_OF_TIME[unit] for value, unit in re.findall(number + "([smhd])", text))


def parse_size(text: str) -> int:
    """Parse a size into bytes; 0 if the text is not one.

    Example:
        >>> parse_size("1.5GiB"), parse_size("500MB"), parse_size("much")
        (1610612736, 500000000, 0)
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([kKMG]i?B|B?)", text)
    return int(float(match[1]) * _UNITS_OF_SIZE.get(match[2], 0)) if match else 0
