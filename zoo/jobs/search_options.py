"""What a job says of a search: how many trials, by which search, within what time, and what counts as the best."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationInfo, field_validator, model_validator

from zoo.errors import UsageError, unknown
from zoo.jobs.fit_options import TrainJob

SEARCHES = ("random", "bayesian", "hyperband", "grid", "asha")
_UNITS_OF_TIME = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_UNITS_OF_SIZE = {"": 1, "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


class TuneJob(TrainJob):
    """A search over a model's hyperparameters.

    Args:
        trials: Most sets of hyperparameters that are tried.
        workers: Trials that run at the same time, each in a process of its own.
        search: ``random``, ``bayesian``, ``hyperband``, ``grid``, ``asha``, or ``module:Class`` of an oracle of
            KerasTuner's kind; by default what suits the space and the number of trials.
        seeds: Judge each set of hyperparameters by the mean over so many seeds.
        ranges: Where to look, by hyperparameter: ``32..512``, or ``relu|gelu``; also of one that the model does not
            vary by itself.
        objective: What is to be best: a score on validation such as ``val_log_loss``, or ``n_parameters``,
            ``latency_ms`` (of one row) or ``seconds``; by default the task's first score.
        subject_to: What a set of hyperparameters must keep to, such as ``n_parameters<100000``.
        refit: Train the best once more, on training and validation rows together, and score that model on test.
        keep: Checkpoints of so many of the best trials are kept.
        time_budget: Most time of the search in all, such as ``20m`` or ``1h30m``; trials end with the epoch that
            they are in.
        trial_timeout: Most time of one trial; one that takes longer fails alone.
        memory: Most memory of one trial's data, such as ``2GiB``; one that needs more fails alone.
        start: Hyperparameters to try first, after the model's own default, such as ``units=128,dropout=0.2``.
        start_from: A run, or a search, whose best hyperparameters are tried first.
        cluster: Run the trials on a Ray cluster: ``auto``, ``HOST:PORT`` or ``ray://HOST:PORT``.
        storage: Where a cluster's nodes and this machine meet, any URL that fsspec knows such as ``s3://bucket/searches``;
            by default the folder of searches itself, which must then be a shared one.
        cpus: CPUs that a trial occupies on a cluster, and its threads; ``memory`` is occupied too.
        gpus: GPUs that a trial occupies on a cluster; parts such as 0.5 share one.
        fresh: Forget an earlier search of the same name or job, and begin anew; its runs stay.
    """

    command: Literal["tune"] = "tune"  # type: ignore[assignment]
    repeats: None = None
    trials: int = Field(20, ge=1)
    workers: int = Field(1, ge=1)
    search: str | None = None
    ranges: dict[str, str] = Field(default_factory=dict)
    objective: str | None = None
    subject_to: tuple[str, ...] = ()
    refit: bool = False
    keep: int = Field(3, ge=1)
    time_budget: str | None = None
    trial_timeout: str | None = None
    memory: str | None = None
    start: tuple[dict[str, Any], ...] = ()
    start_from: str | None = None
    cluster: str | None = None
    storage: str | None = None
    cpus: float = Field(1, gt=0)
    gpus: float = Field(0, ge=0)
    fresh: bool = False

    @property
    def memory_bytes(self) -> int | None:
        """Most memory of one trial's data, in bytes; None without a limit."""
        return None if self.memory is None else bytes_in(self.memory)

    @field_validator("search")
    @classmethod
    def _known_search(cls, value: str | None) -> str | None:
        if value is not None and value not in SEARCHES and not re.fullmatch(r"[\w.]+:\w+", value):
            raise unknown("search", value, (*SEARCHES, "module:Class"), where="search")
        return value

    @field_validator("time_budget", "trial_timeout", mode="before")
    @classmethod
    def _known_duration(cls, value: Any, info: ValidationInfo) -> str | None:
        if value is None:
            return None
        if seconds_in(str(value)) <= 0:
            raise UsageError(f"received {value!r}; it must be a time such as 90s, 20m or 1h30m", where=info.field_name)
        return str(value)

    @field_validator("memory", mode="before")
    @classmethod
    def _known_memory(cls, value: Any) -> str | None:
        if value is not None and bytes_in(str(value)) <= 0:
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
            range_of(name, text)
        return value

    @field_validator("subject_to", mode="before")
    @classmethod
    def _known_constraints(cls, value: Any) -> tuple[str, ...]:
        several = tuple(map(str, value)) if isinstance(value, (list, tuple)) else (str(value),)
        for text in several:
            constraint_of(text)
        return several

    @field_validator("start", mode="before")
    @classmethod
    def _several_starts(cls, value: Any) -> Any:
        several = value if isinstance(value, (list, tuple)) else (value,)
        return tuple(values_in(one) if isinstance(one, str) else one for one in several)

    @model_validator(mode="after")
    def _options_fit(self) -> TuneJob:
        twice = sorted(set(self.ranges) & set(self.hyperparameters))
        if twice:
            raise UsageError(f"{twice[0]} is fixed by --set, and has a range", where="ranges")
        fields = type(self).model_fields
        alone = [name for name in ("storage", "cpus", "gpus") if getattr(self, name) != fields[name].default]
        if alone and self.cluster is None:
            raise UsageError("it is said of trials on a cluster, and no --cluster is given", where=alone[0])
        if self.refit and self.threshold is not None:
            raise UsageError("a threshold is chosen on validation, which refit trains on", where="refit")
        if self.search == "grid" and (self.start or self.start_from):
            raise UsageError("a grid is tried in its own order, and takes no starting points", where="start")
        return self


@dataclass(frozen=True)
class Range:
    """Where a search looks for a hyperparameter: from ``low`` to ``high``, or among ``choices``."""

    low: float = 0.0
    high: float = 0.0
    choices: tuple[Any, ...] = ()


def range_of(name: str, text: str) -> Range:
    """Return the range that a text stands for.

    Raises:
        UsageError: When it is none, or its least value is above its greatest.

    Example:
        >>> range_of("units", "32..512"), range_of("activation", "relu|gelu").choices
        (Range(low=32.0, high=512.0, choices=()), ('relu', 'gelu'))
    """
    number = r"[-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?"
    if matched := re.fullmatch(rf"\s*({number})\s*\.\.\s*({number})\s*", text):
        low, high = float(matched[1]), float(matched[2])
        if not low < high:
            raise UsageError(f"{name}: received {text!r}; its least value must be below its greatest", where="range")
        return Range(low, high)
    choices = tuple(yaml.safe_load(piece) for piece in text.split("|")) if text.strip() else ()
    if len(choices) < 2 or None in choices or len(set(map(str, choices))) < len(choices):
        raise UsageError(
            f"{name}: received {text!r}; it must be LOW..HIGH, such as 32..512, or values such as relu|gelu",
            where="range",
        )
    return Range(choices=choices)


@dataclass(frozen=True)
class Constraint:
    """What a set of hyperparameters must keep to: a name, ``<``, ``<=``, ``>`` or ``>=``, and a number."""

    name: str
    sign: str
    limit: float

    def excess(self, value: float) -> float:
        """Return by how much a value is beyond the limit, as a share of it; 0 where it keeps to it."""
        keeps = {"<": value < self.limit, "<=": value <= self.limit, ">": value > self.limit}
        if keeps.get(self.sign, value >= self.limit):
            return 0.0
        return max(abs(value - self.limit) / max(abs(self.limit), 1e-12), 1e-9) if value == value else 1.0

    def __str__(self) -> str:
        return f"{self.name} {self.sign} {self.limit:g}"


def constraint_of(text: str) -> Constraint:
    """Return the constraint that a text stands for.

    Raises:
        UsageError: When it is none.

    Example:
        >>> str(constraint_of("n_parameters<1e5")), constraint_of("latency_ms <= 2").excess(3.0)
        ('n_parameters < 100000', 0.5)
    """
    matched = re.fullmatch(r"\s*(\w+)\s*(<=|>=|<|>)\s*([-+]?\.?[0-9][0-9.]*(?:[eE][-+]?[0-9]+)?)\s*", text)
    if matched is None or matched[3].count(".") > 1:
        known = "such as n_parameters<100000 or val_accuracy>=0.9"
        raise UsageError(f"received {text!r}; a constraint is a name, a sign and a number, {known}", where="subject_to")
    return Constraint(matched[1], matched[2], float(matched[3]))


def values_in(text: str) -> dict[str, Any]:
    """Return names and values of a text such as ``units=128,dropout=0.2``.

    Raises:
        UsageError: When a piece is no ``NAME=VALUE``.
    """
    pairs = [piece.partition("=") for piece in text.split(",")]
    for name, sign, _ in pairs:
        if not sign or not name.strip():
            raise UsageError(f"received {text!r}; it must be NAME=VALUE,NAME=VALUE", where="start")
    return {name.strip(): yaml.safe_load(value) for name, _, value in pairs}


def seconds_in(text: str) -> float:
    """Return a time in seconds; 0 for a text that is none.

    Example:
        >>> seconds_in("1h30m"), seconds_in("90"), seconds_in("soon")
        (5400.0, 90.0, 0.0)
    """
    number = r"(\d+(?:\.\d+)?)"
    if re.fullmatch(number, text):
        return float(text)
    if not re.fullmatch(f"({number}[smhd])+", text):
        return 0.0
    return sum(float(value) * _UNITS_OF_TIME[unit] for value, unit in re.findall(number + "([smhd])", text))


def bytes_in(text: str) -> int:
    """Return a size in bytes; 0 for a text that is none.

    Example:
        >>> bytes_in("1.5GiB"), bytes_in("500MB"), bytes_in("much")
        (1610612736, 500000000, 0)
    """
    matched = re.fullmatch(r"(\d+(?:\.\d+)?) ?([kKMG]i?B|B?)", text)
    return int(float(matched[1]) * _UNITS_OF_SIZE.get(matched[2], 0)) if matched else 0
