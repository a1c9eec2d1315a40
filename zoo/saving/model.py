"""A model that predicts from raw rows, as ``run.model`` and ``zoo.load`` return it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from zoo.calibration.conformal import ConformalQuantiles
from zoo.data.columns.encode import extract_inputs
from zoo.data.columns.missing_values import find_newly_missing
from zoo.data.columns.unseen_values import find_unseen
from zoo.data.sources.image_files import drop_broken_images
from zoo.errors import UsageError, find_nearest_name, join_first
from zoo.saving.few_rows import FewRows
from zoo.saving.given_rows import convert_rows
from zoo.spec import Spec
from zoo.task import OutputRules, load_task

_log = logging.getLogger("zoo")
# Kinds of inputs that consist of exactly one column.
_COLUMNS = ("number", "category", "date", "text")


class Model:
    """A trained model with the spec of its data: raw rows in, predictions out.

    Args:
        keras_model: The full Keras model, from raw inputs by key to its output.
        spec: Describes inputs and target.
        name: The model's name.
        conformal_quantiles: Limits of prediction sets and intervals (:mod:`zoo.calibration.conformal`); empty without.

    Example:
        >>> model = zoo.load(run_id)  # doctest: +SKIP
        >>> model.predict(frame)["prediction"]  # doctest: +SKIP
    """

    def __init__(self, keras_model: Any, spec: Spec, name: str, conformal_quantiles: ConformalQuantiles = ()) -> None:
        self.keras_model = keras_model
        self.spec = spec
        self.name = name
        self.conformal_quantiles = conformal_quantiles
        self._warned_missing: set[str] = set()
        self._warned_ignored: set[str] = set()
        self._warned_unseen: set[str] = set()
        self._few_rows = FewRows(keras_model, spec)
        # Looked up once, not at each call.
        self._task = load_task(spec.task)
        self._rules = self._task.rules(spec)
        self._default_settings = self._task.predict_settings({})

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes in the order of the probabilities; empty without classes."""
        return self.spec.target.classes if self.spec.has_classes else ()

    def predict(
        self,
        rows: Any,
        *,
        keep: Sequence[str] = (),
        intervals: float | None = None,
        skip_broken: bool = False,
        **options: Any,
    ) -> pd.DataFrame:
        """Return predictions for raw rows, in their order.

        Args:
            rows: A frame, a dict from column to a cell or to cells, a list of dicts, a series or list of cells,
                observations as an environment returns them, or any source that training reads: N rows with the columns
                that the model was trained on, in any order (or in that of training where they have no names) and
                unprocessed (text, missing cells). Other columns are ignored, which is logged once. Notes on how a
                source is read, such as on empty lines that are left out, are logged too.
            keep: Columns to copy to the front of the result.
            intervals: Coverage in per cent of the prediction sets or intervals, such as 90; None for none.
            skip_broken: Whether to leave out images that cannot be read, which is logged, rather than raise.
            **options: The task's own options of prediction, :attr:`zoo.task.Task.predict_options`.

        Returns:
            N rows with ``prediction``, before it ``file`` if each row is a file, and, for classes,
            ``probability_<class>`` of each; with ``intervals=90``
            also ``set_90`` (the classes, as a JSON list), or ``lower_90`` and ``upper_90``.

        Raises:
            DataError: When a column is missing or a number cannot be read.
            UsageError: When an option is unknown to the task or has an invalid value.
        """
        self._check_intervals(intervals)
        settings = self._task.predict_settings(options) if options else self._default_settings
        rows = convert_rows(rows, self.spec)
        raw = self._few_rows.raw(rows) if not keep and not self._task.predict_options.model_fields else None
        if raw is not None:
            self._warn_newly_missing(raw)
            self._warn_unseen(raw)
            output = self._few_rows.output(raw)
            return self._with_intervals(self._rules.predictions(output), output, intervals)
        with drop_broken_images(skip_broken):
            table = self._task.rows(rows, self.spec)
        for note in table.notes:  # such as lines, images or items that are left out
            _log.warning("%s", note)
        for column in keep:
            if column not in table.frame.columns:
                names = [str(name) for name in table.frame.columns]
                nearest = find_nearest_name(column, names)
                raise UsageError(f"there is no column {column!r} to keep", where=table.source, nearest=nearest)
        inputs = extract_inputs(table.frame, self.spec, where=table.source)
        self._warn_newly_missing(inputs)
        self._warn_unseen(inputs)
        self._warn_ignored({str(name) for name in table.frame.columns} - set(keep))
        output, predictions = self._task.predict(self.keras_model, self.spec, table.frame, inputs, settings)
        predictions = self._with_intervals(predictions, output, intervals)
        if keep and len(predictions) != len(table.frame):
            raise UsageError(
                f"{self.spec.task} predicts several rows for each row; no column can be kept", where="keep"
            )
        if table.files is not None and "file" not in keep and len(predictions) == len(table.files):
            predictions.insert(0, "file", table.files)
        kept = table.frame[list(keep)].reset_index(drop=True)
        return pd.concat([kept, predictions], axis=1) if keep else predictions

    def _check_intervals(self, percent: float | None) -> None:
        if percent is None:
            return
        if type(self._rules).intervals is OutputRules.intervals:
            self._rules.intervals(np.empty(0), (), percent)  # which says that there are none
        if not self.conformal_quantiles:
            raise UsageError(
                "the model has no prediction intervals because it was trained without a calibration split; train it "
                "with --calibration-size 0.2",
                where="intervals",
            )

    def _with_intervals(self, predictions: pd.DataFrame, output: Any, percent: float | None) -> pd.DataFrame:
        if percent is None:
            return predictions
        intervals = self._rules.intervals(output, self.conformal_quantiles, percent)
        return pd.concat([predictions, intervals], axis=1)

    def predict_proba(self, rows: Any) -> np.ndarray:
        """Return the probability of each class (N, K), in the order of ``classes``.

        Raises:
            UsageError: When the model predicts no classes.
        """
        if len(self.spec.targets) > 1:
            raise UsageError("the model predicts several targets; predict returns the probabilities of each")
        if not self.classes:
            raise UsageError(f"{self.name} does not predict classes")
        predictions = self.predict(rows)
        return predictions[[f"probability_{name}" for name in self.classes]].to_numpy()

    def _warn_newly_missing(self, inputs: Mapping[str, Any]) -> None:
        """Log, once for each column, that values are missing although none were in training."""
        for name in find_newly_missing(inputs, self.spec):
            if name not in self._warned_missing:
                self._warned_missing.add(name)
                _log.warning(
                    "column %s has missing values but had none in training: they are imputed with a typical value", name
                )

    def _warn_unseen(self, inputs: Mapping[str, Any]) -> None:
        """Log, once for each column, that no value of it occurred in training, as when it is spelled differently."""
        for name, values, categories in find_unseen(inputs, self.spec):
            if name not in self._warned_unseen:
                self._warned_unseen.add(name)
                _log.warning(
                    "column %s: none of its values occurred in training (%s); training had %s", name, values, categories
                )

    def _warn_ignored(self, columns: set[str]) -> None:
        """Log, once for each column, that the model does not use it; the target is not reported."""
        if any(input_.kind not in _COLUMNS or input_.name not in columns for input_ in self.spec.inputs):
            return  # several columns may form one input
        targets = {name for target in self.spec.targets for name in target.columns}
        used = {input_.name for input_ in self.spec.inputs} | targets
        if new := sorted(columns - used - self._warned_ignored):
            self._warned_ignored.update(new)
            _log.warning("columns that the model does not use are ignored: %s", join_first(new, 5))

    def __repr__(self) -> str:
        what = f" to {self.spec.target_names}" if self.spec.targets else ""
        size = f"{self.keras_model.count_params():,} parameters"
        return f"<Model {self.name}: {len(self.spec.inputs)} columns{what}, {size}>"
