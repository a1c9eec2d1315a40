"""Options of the data: source, target, columns, split, folds, weights, sampling."""

from __future__ import annotations

import re
from collections.abc import Mapping
from numbers import Real
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from zoo.errors import UsageError, nearest_name, unknown
from zoo.jobs.job import Job

SPLIT_METHODS = (
    "random", "stratified", "order", "group=COLUMN", "time=COLUMN", "hash=COLUMN", "column=NAME", "file=PATH"
)  # fmt: skip
SUGGESTED = "suggested"
LEAVE_ONE_GROUP_OUT = "leave-one-group-out"


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return not isinstance(value, bool)


Fraction = float | Literal["suggested"]


class DataJob(Job):
    """Which data a job uses and how they are split.

    Args:
        source: A file, a bundled name, or in Python a frame or arrays.
        target: Column to predict, or several; a bundled set has its own.
        drop: Columns to leave out.
        positive: For two classes, the positive class of metrics such as f1; default the rarer.
        test: Another source that is the test split.
        split: ``random``, ``stratified``, ``order`` (the last rows are the test split), ``group=COLUMN`` (a group is
            in one split only), ``hash=COLUMN`` (a row's split depends only on its value in this column),
            ``time=COLUMN`` (the latest rows are the test split), ``column=NAME`` (values train,
            validation or valid, test) or ``file=PATH`` (the ``split.json`` of a run); the default is the task's.
        gap: With ``time=COLUMN``, what is left out between splits, such as ``7d``, or a number in the column's units.
        test_size: Fraction of the rows for the test split; ``suggested`` to choose it by the number of rows.
        validation_size: Fraction of the other rows for the validation split; 0 for none; ``suggested`` likewise.
        calibration_size: Fraction of the training rows that is held out for calibration and intervals.
        calibrate: ``temperature`` or ``isotonic``: calibrate probabilities on the calibration split.
        seed: Seed of the split, the weights and the order of rows.
        split_seed: Seed of the split only; default the seed.
        fold: ``k/n``: the k-th of n folds is the test split.
        folds: How the folds of ``fold`` are made: ``leave-one-group-out`` or ``file=PATH`` (masks of test rows);
            default by the split.
        aside: Whether the test split is taken out before the folds are made, as a search does.
        column: Kinds that override the detected ones, by column.
        missing: Imputation of missing values, by column; ``*`` for all.
        weight: Column with the weight of each row; it is not a feature.
        weight_kind: What a weight means: ``importance`` (it scales the loss and is not a number of rows) or
            ``frequency`` (a weight of 2 is the same row twice).
        sample: ``down=10`` keeps one in ten training rows of the most frequent class, with ten times the weight;
            ``up=10`` repeats those of all others ten times.
        class_weight: ``balanced``, or factors of the loss by class such as ``{yes: 5}``; metrics do not use them.
        data_dir: Folder of tensorflow-datasets' prepared sets; default ``TFDS_DATA_DIR``, else its own.
        stream: Whether rows are streamed in batches instead of held in memory; default by their size.
        options: Options of the model's task, which checks them (:meth:`zoo.task.Task.settings`).
    """

    source: Any
    target: str | tuple[str, ...] | None = None
    drop: tuple[str, ...] = ()
    positive: str | None = None
    test: Any = None
    split: str | None = None
    gap: str | None = None
    test_size: Fraction = 0.2
    validation_size: Fraction = 0.2
    calibration_size: float = Field(0.0, ge=0, lt=1)
    calibrate: Literal["temperature", "isotonic"] | None = None
    seed: int = Field(0, ge=0, lt=2**32)
    split_seed: int | None = Field(None, ge=0, lt=2**32)
    fold: str | None = None
    folds: str | None = None
    aside: bool = False
    column: dict[str, str] = Field(default_factory=dict)
    missing: dict[str, str] = Field(default_factory=dict)
    weight: str | None = None
    weight_kind: Literal["importance", "frequency"] = "importance"
    sample: str | None = None
    class_weight: Literal["balanced"] | dict[str, float] | None = None
    data_dir: str | None = None
    stream: bool | None = None
    options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("split")
    @classmethod
    def _known_split(cls, value: str | None) -> str | None:
        named = r"(column|group|time|hash|file)=.+"
        if value is None or value in ("random", "stratified", "order") or re.fullmatch(named, value):
            return value
        word = value.partition("=")[0]
        nearest = next((method for method in SPLIT_METHODS if nearest_name(word, [method.partition("=")[0]])), None)
        error = unknown("split", value, SPLIT_METHODS, where="split")
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

    @property
    def targets(self) -> tuple[str, ...]:
        """The columns to predict; empty for the source's own target."""
        return (self.target,) if isinstance(self.target, str) else self.target or ()

    @property
    def split_column(self) -> str | None:
        """The column that names each row's split, if the split is ``column=NAME``."""
        return self.split_by("column")

    def split_by(self, way: str) -> str | None:
        """Return the value of ``way=`` in the split, such as the column of ``group=COLUMN``; None for other splits."""
        name, sign, value = (self.split or "").partition("=")
        return value if sign and name == way else None

    @property
    def calibration_share(self) -> float:
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
        raise unknown("way to make folds", value, (LEAVE_ONE_GROUP_OUT, "file=PATH"), where="folds")

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
        if not isinstance(value, Mapping):
            return value
        if any(not _is_number(factor) or not 0 <= float(factor) < float("inf") for factor in value.values()):
            raise UsageError(f"received {dict(value)}; factors must be numbers of at least 0", where="class_weight")
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
        if isinstance(value, (list, tuple)):
            names = tuple(cls._as_name(name) for name in value)
            return names[0] if len(names) == 1 else names or None
        return cls._as_name(value)

    @staticmethod
    def _as_name(value: Any) -> Any:
        return str(value) if isinstance(value, Real) else value

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
