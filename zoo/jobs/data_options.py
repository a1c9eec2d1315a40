"""Options of the data: source, target, columns, split, folds, weights, sampling."""

from __future__ import annotations

import re
from collections.abc import Mapping
from numbers import Real
from typing import Annotated, Any, Literal

from pydantic import ValidationInfo, field_validator, model_validator

from zoo.errors import UsageError, describe_unknown, find_nearest_name
from zoo.jobs.job import Job
from zoo.jobs.option import create_pair_validator, declare_option, parse_pairs

SPLIT_METHODS = (
    "random", "stratified", "order", "group=COLUMN", "time=COLUMN", "hash=COLUMN", "column=NAME", "file=PATH"
)  # fmt: skip
SUGGESTED = "suggested"
MOST_FACTOR = 1e12  # networks train in 32-bit float
LEAVE_ONE_GROUP_OUT = "leave-one-group-out"


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return not isinstance(value, bool)


Fraction = float | Literal["suggested"]


class DataJob(Job):
    """Which data a job uses and how they are split."""

    source: Any = declare_option(..., "A file, or a bundled name.")
    target: tuple[str, ...] = declare_option(
        (), "Column to predict; may be repeated.", theme="Columns", metavar="COLUMN"
    )
    drop: tuple[str, ...] = declare_option(
        (), "Column to leave out; may be repeated.", theme="Columns", metavar="COLUMN"
    )
    column: Annotated[dict[str, str], create_pair_validator("--column", "age=number")] = declare_option(
        {},
        "Kind of a column, if zoo data detects it wrongly, such as age=number, zip=category or price=number:1.234,5 "
        "(how its numbers are written); the target's: category, number, or labels:SEPARATOR for several in a cell.",
        theme="Columns",
        metavar="COLUMN=KIND",
    )
    missing: Annotated[dict[str, str], create_pair_validator("--missing", "age=median")] = declare_option(
        {},
        "What replaces missing values: mean, median, most_frequent, last or constant:VALUE; *=WAY for all columns. "
        "COLUMN=drop leaves the column out, TARGET=drop the rows whose target reads None or NA.",
        theme="Columns",
        metavar="COLUMN=WAY",
    )
    positive: str | None = declare_option(
        None,
        "The positive class of two, for f1 and others; default the rarer in training.",
        theme="Columns",
        metavar="CLASS",
    )
    ordered: tuple[str, ...] = declare_option(
        (), "Classes from low to high, such as low,medium,high.", theme="Columns", metavar="CLASS,…"
    )
    test: Any = declare_option(None, "Another source that is the test split.", theme="Splits", metavar="SOURCE")
    split: str | None = declare_option(
        None,
        "random, stratified, order (the last rows are the test split), group=COLUMN (a group is in one split only), "
        "time=COLUMN (the latest rows are the test split), hash=COLUMN (the value decides), column=NAME (values train, "
        "validation or valid, test) or file=PATH (split.json of a run); default the task's.",
        theme="Splits",
        metavar="WAY",
    )
    gap: str | None = declare_option(
        None,
        "Time left out between splits, such as 7d, or a number in the column's units.",
        theme="Splits",
        metavar="TIME",
    )
    test_size: Fraction = declare_option(
        0.2, "Fraction of rows for test; default 0.2; or: suggested.", theme="Splits", metavar="FRACTION"
    )
    validation_size: Fraction = declare_option(
        0.2, "Fraction of the rest; default 0.2, 0: none; or: suggested.", theme="Splits", metavar="FRACTION"
    )
    calibration_size: float = declare_option(
        0.0,
        "Fraction of training rows for calibration and intervals.",
        theme="Calibration",
        metavar="FRACTION",
        ge=0,
        lt=1,
    )
    conformal: Literal["marginal", "by-class"] | None = declare_option(
        None,
        "Coverage of prediction sets: marginal, over all rows together and less in a rare class, or by-class, in each "
        "class, with larger sets; default marginal.",
        theme="Calibration",
    )
    calibrate: Literal["temperature", "isotonic"] | None = declare_option(
        None, "Calibrate the probabilities.", theme="Calibration"
    )
    weight: str | None = declare_option(
        None, "Column with the weight of each row; it is not a feature.", theme="Weights and classes", metavar="COLUMN"
    )
    weight_kind: Literal["importance", "frequency"] = declare_option(
        "importance",
        "importance: a weight scales the loss; frequency: a weight of 2 is the same row twice; default importance.",
        theme="Weights and classes",
    )
    sample: str | None = declare_option(
        None,
        "Sample unbalanced classes of the training split: down=10 keeps one in ten rows of the most frequent class, "
        "up=10 repeats the others.",
        theme="Weights and classes",
        metavar="down=N|up=N",
    )
    class_weight: Literal["balanced"] | dict[str, float] | None = declare_option(
        None,
        "Factors of the loss by class; metrics do not use them.",
        theme="Weights and classes",
        metavar="balanced|CLASS=FACTOR,…",
    )
    sample_rows: float | None = declare_option(
        None,
        "Use a random sample of the source to try things on: a fraction such as 0.1, or a number of rows.",
        theme="Reading",
        metavar="FRACTION|ROWS",
    )
    data_dir: str | None = declare_option(
        None, "Folder of prepared tensorflow-datasets.", theme="Reading", metavar="FOLDER"
    )
    skip_broken: bool = declare_option(
        False, "Leave out images that cannot be read, and say how many and which.", theme="Reading"
    )
    stream: bool | None = declare_option(
        None, "Stream rows instead of holding them in memory; default by their size.", theme="Reading"
    )
    fold: str | None = declare_option(None, "Use the K-th of N folds as the test split.", theme="Splits", metavar="K/N")
    folds: str | None = declare_option(
        None,
        "How the folds are made: leave-one-group-out or file=PATH; default by the split.",
        theme="Splits",
        metavar="WAY",
    )
    seed: int = declare_option(0, "Seed of split, weights and order; default 0.", theme="Splits", ge=0, lt=2**32)
    split_seed: int | None = declare_option(
        None, "Seed of the split only; default the seed.", theme="Splits", ge=0, lt=2**32
    )
    aside: bool = declare_option(
        False, "Take the test split out before the folds are made, as a search does.", shown=False
    )
    searched: int = declare_option(
        0, "Number of hyperparameters that the validation split chooses, for suggested sizes.", ge=0, shown=False
    )
    options: dict[str, Any] = declare_option(
        {}, "Options of the model's task; in Python also keywords of their own.", shown=False
    )

    @field_validator("split")
    @classmethod
    def _known_split(cls, value: str | None) -> str | None:
        named = r"(column|group|time|hash|file)=.+"
        if value is None or value in ("random", "stratified", "order") or re.fullmatch(named, value):
            return value
        word = value.partition("=")[0]
        nearest = next(
            (method for method in SPLIT_METHODS if find_nearest_name(word, [method.partition("=")[0]])), None
        )
        error = describe_unknown("split", value, SPLIT_METHODS, where="split")
        raise UsageError(error.message, where="split", nearest=error.nearest or nearest)

    @field_validator("test_size", "validation_size", mode="before")
    @classmethod
    def _known_fraction(cls, value: Any, info: ValidationInfo) -> Any:
        if value == SUGGESTED:
            return value
        if not _is_number(value) or not 0 <= float(value) < 1:
            allowed = f"input should be a number from 0 to below 1, or {SUGGESTED!r}"
            raise UsageError(f"{info.field_name}: received {value!r}; {allowed}")
        return float(value)

    @field_validator("sample_rows", mode="before")
    @classmethod
    def _known_sample_size(cls, value: Any) -> Any:
        if value is None:
            return None
        size = float(value) if _is_number(value) else 0.0
        if not (0 < size < 1 or (size >= 1 and size.is_integer())):
            message = "it must be a fraction above 0 and below 1, such as 0.1, or a number of rows"
            raise UsageError(f"received {value!r}; {message}", where="sample_rows")
        return size

    @property
    def seed_of_split(self) -> int:
        """The seed of everything that is drawn before training."""
        return self.seed if self.split_seed is None else self.split_seed

    @property
    def split_column(self) -> str | None:
        """The column that names each row's split, if the split is ``column=NAME``."""
        return self.split_by("column")

    def split_by(self, method: str) -> str | None:
        """Return the value of ``method=`` in the split, such as the column of ``group=COLUMN``; None for others."""
        name, sign, value = (self.split or "").partition("=")
        return value if sign and name == method else None

    @property
    def calibration_fraction(self) -> float:
        """Fraction of the training rows that is held out; 0.2 if calibration was requested without a size."""
        return self.calibration_size or (0.2 if self.calibrate is not None else 0.0)

    @field_validator("gap", mode="before")
    @classmethod
    def _gap_in_words(cls, value: Any) -> Any:
        return str(value) if isinstance(value, Real) and not isinstance(value, bool) else value

    @field_validator("folds")
    @classmethod
    def _known_folds(cls, value: str | None) -> str | None:
        if value is None or value == LEAVE_ONE_GROUP_OUT or re.fullmatch(r"file=.+", value):
            return value
        raise describe_unknown("way to make folds", value, (LEAVE_ONE_GROUP_OUT, "file=PATH"), where="folds")

    @field_validator("sample")
    @classmethod
    def _known_sample(cls, value: str | None) -> str | None:
        if value is None or (re.fullmatch(r"(down|up)=[0-9]+(\.[0-9]+)?", value) and float(value.split("=")[1]) > 1):
            return value
        raise UsageError(
            f"received {value!r}; it must be down=N or up=N with N above 1, such as down=10", where="sample"
        )

    @field_validator("class_weight", mode="before")
    @classmethod
    def _classes_as_levels(cls, value: Any) -> Any:
        if isinstance(value, str) and value != "balanced":
            value = parse_pairs(value.split(","), "--class-weight", "yes=5")
        if not isinstance(value, Mapping):
            return value
        if any(not _is_number(factor) or not 0 <= float(factor) <= MOST_FACTOR for factor in value.values()):
            message = f"received {dict(value)}; factors must be numbers from 0 to {MOST_FACTOR:g}"
            raise UsageError(message, where="class_weight")
        return {str(cls._as_level(name)): factor for name, factor in value.items()}

    @model_validator(mode="after")
    def _options_that_belong_together(self) -> DataJob:
        if self.gap is not None and self.split_by("time") is None:
            raise UsageError("a gap needs --split time=COLUMN", where="gap")
        if self.folds == LEAVE_ONE_GROUP_OUT and self.split_by("group") is None:
            raise UsageError("leave-one-group-out needs --split group=COLUMN", where="folds")
        return self

    @field_validator("fold")
    @classmethod
    def _known_fold(cls, value: str | None) -> str | None:
        match = re.fullmatch(r"([1-9][0-9]*)/([1-9][0-9]*)", value or "")
        if value is None or (match and int(match[1]) <= int(match[2]) and int(match[2]) >= 2):
            return value
        raise UsageError(f"received {value!r}; it must be k/n for the k-th of n folds, such as 2/5", where="fold")

    @field_validator("target", mode="before")
    @classmethod
    def _as_target(cls, value: Any) -> Any:
        values = value if isinstance(value, (list, tuple)) else [] if value is None else [value]
        names = [cls._as_name(name) for name in values]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise UsageError(f"{twice!r} is given twice", where="target")
        return names

    @staticmethod
    def _as_name(value: Any) -> Any:
        return str(value) if isinstance(value, Real) else value

    @field_validator("ordered", mode="before")
    @classmethod
    def _as_order(cls, value: Any) -> Any:
        """Split ``low,medium,high``, which the command line hands over as a list of one text."""
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, (list, tuple)):
            return values
        if len(values) == 1 and isinstance(values[0], str):
            values = [level.strip() for level in values[0].split(",")]
        levels = [cls._as_level(level) for level in values]
        if len(set(levels)) < len(levels):
            message = f"received {', '.join(map(str, levels))}; give each class once, from low to high"
            raise UsageError(message, where="ordered")
        return levels

    @field_validator("positive", mode="before")
    @classmethod
    def _as_level(cls, value: Any) -> Any:
        """Spell a class as in the data: ``true`` and ``1``, not ``True`` and ``1.0``."""
        if isinstance(value, bool):
            return str(value).lower()
        integer = isinstance(value, Real) and float(value).is_integer()
        return str(int(value)) if integer else cls._as_name(value)

    @field_validator("column", "missing", mode="before")
    @classmethod
    def _as_words(cls, value: Any) -> Any:
        return {str(k): str(v) for k, v in value.items()} if isinstance(value, Mapping) else value

    @field_validator("weight", mode="before")
    @classmethod
    def _as_column(cls, value: Any) -> Any:
        return cls._as_name(value)

    @field_validator("drop", mode="before")
    @classmethod
    def _as_names(cls, value: Any) -> Any:
        return [cls._as_name(item) for item in value] if isinstance(value, (list, tuple)) else value
