"""A model that takes raw rows: what ``run.model`` and ``zoo.load`` give."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.columns.encode import raw_inputs
from zoo.data.columns.missing_values import newly_missing
from zoo.errors import UsageError, listed, nearest_name
from zoo.saving.few_rows import FewRows
from zoo.spec import Spec
from zoo.task import task_of

_log = logging.getLogger("zoo")
# Kinds of inputs that stand in a column of their own, whatever other columns there are.
_COLUMNS = ("number", "category", "date", "text")


class Model:
    """A trained model with the spec of its data: raw rows in, predictions out.

    Args:
        keras_model: The whole Keras model, from raw inputs by key to its output.
        spec: Describes inputs and target.
        name: The model's name.
        limits: What prediction intervals are made by (:mod:`zoo.calibration.conformal`); empty without.

    Example:
        >>> model = zoo.load(run_id)  # doctest: +SKIP
        >>> model.predict(frame)["prediction"]  # doctest: +SKIP
    """

    def __init__(
        self, keras_model: Any, spec: Spec, name: str, conformal_quantiles: Sequence[float | None] = ()
    ) -> None:
        self.keras_model = keras_model
        self.spec = spec
        self.name = name
        self.conformal_quantiles = conformal_quantiles
        self._told_missing: set[str] = set()
        self._told_ignored: set[str] = set()
        self._few_rows = FewRows(keras_model, spec)
        self._task = task_of(spec.task)  # the catalogue is not looked through at each call

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes in the order of the probabilities; empty without classes."""
        return self.spec.target.classes if self.spec.target is not None else ()

    def predict(self, rows: Any, *, keep: Sequence[str] = (), intervals: float | None = None) -> pd.DataFrame:
        """Return predictions for raw rows, in their order.

        Args:
            rows: A frame, a dict from column to a cell or to cells, or any source that training reads: N rows with
                the columns that the model was trained on, in any order, as they are (text, missing cells); others
                are ignored, which is logged once.
            keep: Columns that are carried over in front.
            intervals: Of how many rows in a hundred the truth shall lie in the prediction set or interval, such
                as 90; None for none.

        Returns:
            N rows with ``prediction`` and, for classes, ``probability_<class>`` of each; with ``intervals=90``
            also ``set_90`` (the classes, as a JSON list), or ``lower_90`` and ``upper_90``.

        Raises:
            DataError: When a column is missing or a number cannot be read.
        """
        self._check_intervals(intervals)
        rows = _one_row(rows)
        raw = self._few_rows.raw(rows) if not keep else None
        if raw is not None:
            self._tell_newly_missing(raw)
            return self._predictions(self._few_rows.output(raw), intervals)
        table = self._task.rows(rows, self.spec)
        for column in keep:
            if column not in table.frame.columns:
                known = [str(name) for name in table.frame.columns]
                near = nearest_name(column, known)
                raise UsageError(f"there is no column {column!r} to keep", where=table.source, nearest=near)
        inputs = raw_inputs(table.frame, self.spec, where=table.source)
        self._tell_newly_missing(inputs)
        self._tell_ignored({str(name) for name in table.frame.columns} - set(keep))
        made = self._predictions(self._task.output(self.keras_model, inputs), intervals)
        return pd.concat([table.frame[list(keep)], made], axis=1) if keep else made

    def _check_intervals(self, percent: float | None) -> None:
        if percent is not None and not self.conformal_quantiles:
            raise UsageError(
                "the model was trained without a calibration part, and knows no intervals; train it with "
                "--calibration-size 0.2",
                where="intervals",
            )

    def _predictions(self, output: Any, percent: float | None) -> pd.DataFrame:
        made: pd.DataFrame = self._task.predictions(self.spec, output)
        if percent is None:
            return made
        return pd.concat([made, self._task.intervals(self.spec, output, self.conformal_quantiles, percent)], axis=1)

    def predict_proba(self, rows: Any) -> np.ndarray:
        """Return the probability of each class (N, K), in the order of ``classes``.

        Raises:
            UsageError: When the model predicts no classes.
        """
        if not self.classes:
            raise UsageError(f"{self.name} predicts no classes")
        made = self.predict(rows)
        return made[[f"probability_{name}" for name in self.classes]].to_numpy()

    def _tell_newly_missing(self, inputs: Mapping[str, Any]) -> None:
        """Log, once for each column, that values are missing where training never lacked one."""
        for name in newly_missing(inputs, self.spec):
            if name not in self._told_missing:
                self._told_missing.add(name)
                _log.warning("column %s lacks values, and never did in training: they are taken as usual ones", name)

    def _tell_ignored(self, columns: set[str]) -> None:
        """Log, once for each column, that the model does not use it; the target is expected not to be."""
        if any(known.kind not in _COLUMNS or known.name not in columns for known in self.spec.inputs):
            return  # columns may belong to an input together
        used = {known.name for known in self.spec.inputs} | {self.spec.target.name if self.spec.target else ""}
        if new := sorted(columns - used - self._told_ignored):
            self._told_ignored.update(new)
            _log.warning("columns that the model does not use are ignored: %s", listed(new, 5))

    def __repr__(self) -> str:
        target = self.spec.target
        what = f" to {target.name}" if target is not None else ""
        size = f"{self.keras_model.count_params():,} parameters"
        return f"<Model {self.name}: {len(self.spec.inputs)} columns{what}, {size}>"


def _one_row(rows: Any) -> Any:
    """A dict of cells as one row, and anything else as it is."""
    if isinstance(rows, Mapping) and rows and all(map(_is_cell, rows.values())):
        return {name: [cell] for name, cell in rows.items()}
    return rows


def _is_cell(value: Any) -> bool:
    """Tell a single cell from several of them."""
    return not isinstance(value, (list, tuple, Mapping, np.ndarray, pd.Series, pd.Index))
