"""What a job says of its data: source, target, columns, split, folds, weights, sampling."""

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


Share = float | Literal["suggested"]


class DataJob(Job):
    """The part of a job that says which data are used and how they are split.

    Args:
        source: A file, a bundled name, or in Python a frame or arrays.
        target: Column to predict; a bundled set knows its own.
        drop: Columns that are left out.
        positive: Of two classes the one that scores such as f1 are about; default the rarer.
        test: Another source that is the test part.
        split: ``random``, ``stratified``, ``order`` (the last rows are the test part), ``group=COLUMN`` (a group is
            never on two sides), ``hash=COLUMN`` (a value's side is its own, whatever other rows there are),
            ``time=COLUMN`` (the latest are the test part), ``column=NAME`` (values train,
            validation or valid, test) or ``file=PATH`` (the ``split.json`` of a run); the default is the task's.
        gap: With ``time=COLUMN``, what is left out before each part, such as ``7d``, or a number in the column's units.
        test_size: Share of the rows that is the test part; ``suggested`` for what their number asks for.
        validation_size: Share of the other rows that is the validation part; 0 for none; ``suggested`` likewise.
        calibration_size: Share of the rows that would train that is set aside for calibration and intervals.
        calibrate: ``temperature`` or ``isotonic``: probabilities are brought in line with the calibration part.
        seed: Seed of the split, the weights and the order of rows.
        split_seed: Seed of the split alone; default the seed.
        fold: ``k/n``: of n folds the k-th is the test part.
        folds: How the folds of ``fold`` are made: ``leave-one-group-out`` or ``file=PATH`` (masks of test rows);
            default by the split.
        aside: Whether the test part is set aside before the folds are made, as a search does.
        column: Kinds that overrule what was found out, by column.
        missing: What stands for a missing value, by column; ``*`` for all.
        weight: Column with the weight of each row; it is no feature.
        weight_kind: What a weight means: ``importance`` (it scales the loss; weights say nothing of how many rows
            there are) or ``frequency`` (a weight of 2 is the same row twice).
        sample: ``down=10`` keeps one in ten training rows of the most frequent class, with ten times the weight;
            ``up=10`` repeats those of all others ten times.
        class_weight: ``balanced``, or factors of the loss by class such as ``{yes: 5}``; scores do not see them.
        data_dir: Folder of tensorflow-datasets' prepared sets; default ``TFDS_DATA_DIR``, else its own.
        stream: Whether rows pass by in batches instead of being held in memory; default by their size.
        options: What only the model's task understands; the task checks it (:meth:`zoo.task.Task.settings`).
    """

    source: Any
    target: str | None = None
    drop: tuple[str, ...] = ()
    positive: str | None = None
    test: Any = None
    split: str | None = None
    gap: str | None = None
    test_size: Share = 0.2
    validation_size: Share = 0.2
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
        close = next((known for known in SPLIT_METHODS if nearest_name(word, [known.partition("=")[0]])), None)
        error = unknown("split", value, SPLIT_METHODS, where="split")
        raise UsageError(error.message, where="split", nearest=error.nearest or close)

    @field_validator("test_size", "validation_size", mode="before")
    @classmethod
    def _known_share(cls, value: Any, info: ValidationInfo) -> Any:
        if value == SUGGESTED:
            return value
        if not _is_number(value) or not 0 <= float(value) < 1:
            allowed = f"input should be a number from 0 up to, and less than 1, or {SUGGESTED!r}"
            raise UsageError(f"{info.field_name}: received {value!r}; {allowed}")
        return float(value)

    @property
    def split_column(self) -> str | None:
        """The column that names each row's part, where the split is ``column=NAME``."""
        return self.split_by("column")

    def split_by(self, way: str) -> str | None:
        """Return what stands behind ``way=`` in the split, such as the column of ``group=COLUMN``; None for others."""
        name, sign, value = (self.split or "").partition("=")
        return value if sign and name == way else None

    @property
    def calibration_share(self) -> float:
        """Share of the training rows that is set aside; a fifth where calibration was asked for and no size given."""
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
            raise UsageError(f"received {dict(value)}; factors are numbers from 0 upwards", where="class_weight")
        return {str(cls._as_level(name)): factor for name, factor in value.items()}

    @model_validator(mode="after")
    def _options_that_belong_together(self) -> DataJob:
        if self.gap is not None and self.split_by("time") is None:
            raise UsageError("a gap is left out between times: it needs --split time=COLUMN", where="gap")
        if self.folds == LEAVE_ONE_GROUP_OUT and self.split_by("group") is None:
            raise UsageError("leaving one group out needs to know the groups: --split group=COLUMN", where="folds")
        return self

    @field_validator("fold")
    @classmethod
    def _known_fold(cls, value: str | None) -> str | None:
        match = re.fullmatch(r"([1-9][0-9]*)/([1-9][0-9]*)", value or "")
        if value is None or (match and int(match[1]) <= int(match[2]) and int(match[2]) >= 2):
            return value
        raise UsageError(f"received {value!r}; it must be k/n, the k-th of n folds, such as 2/5", where="fold")

    @field_validator("target", mode="before")
    @classmethod
    def _as_name(cls, value: Any) -> Any:
        return str(value) if isinstance(value, Real) else value

    @field_validator("positive", mode="before")
    @classmethod
    def _as_level(cls, value: Any) -> Any:
        """Spell a class as the data's levels are spelled: ``true`` and ``1``, not ``True`` and ``1.0``."""
        if isinstance(value, bool):
            return str(value).lower()
        whole = isinstance(value, Real) and float(value).is_integer()
        return str(int(value)) if whole else cls._as_name(value)

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
