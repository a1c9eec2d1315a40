"""A model that takes raw rows: what ``run.model`` and ``zoo.load`` give."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.inputs import raw_inputs
from zoo.data.missing import newly_missing
from zoo.errors import UsageError, nearest_name
from zoo.spec import Spec
from zoo.task import task_of

_log = logging.getLogger("zoo")


class Model:
    """A trained model with the spec of its data: raw rows in, predictions out.

    Args:
        keras_model: The whole Keras model, from raw inputs by key to its output.
        spec: Describes inputs and target.
        name: The model's name.
        limits: What prediction intervals are made by (:mod:`zoo.scoring.conformal`); empty without.

    Example:
        >>> model = zoo.load(run_id)  # doctest: +SKIP
        >>> model.predict(frame)["prediction"]  # doctest: +SKIP
    """

    def __init__(self, keras_model: Any, spec: Spec, name: str, limits: Sequence[float | None] = ()) -> None:
        self.keras_model = keras_model
        self.spec = spec
        self.name = name
        self.limits = limits
        self._told_missing: set[str] = set()

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes in the order of the probabilities; empty without classes."""
        return self.spec.target.classes if self.spec.target is not None else ()

    def predict(self, rows: Any, *, keep: Sequence[str] = (), intervals: float | None = None) -> pd.DataFrame:
        """Return predictions for raw rows, in their order.

        Args:
            rows: A frame, or any source that training reads: N rows with the columns that the model
                was trained on, in any order, as they are (text, missing cells); others are ignored.
            keep: Columns that are carried over in front.
            intervals: Of how many rows in a hundred the truth shall lie in the prediction set or interval, such
                as 90; None for none.

        Returns:
            N rows with ``prediction`` and, for classes, ``probability_<class>`` of each; with ``intervals=90``
            also ``set_90`` (the classes, as a JSON list), or ``lower_90`` and ``upper_90``.

        Raises:
            DataError: When a column is missing or a number cannot be read.
        """
        task = task_of(self.spec.task)
        table = task.rows(rows, self.spec)
        for column in keep:
            if column not in table.frame.columns:
                known = [str(name) for name in table.frame.columns]
                near = nearest_name(column, known)
                raise UsageError(f"there is no column {column!r} to keep", where=table.source, nearest=near)
        inputs = raw_inputs(table.frame, self.spec, where=table.source)
        self._tell_newly_missing(inputs)
        if intervals is not None and not self.limits:
            raise UsageError(
                "the model was trained without a calibration part, and knows no intervals; train it with "
                "--calibration-size 0.2",
                where="intervals",
            )
        output = task.output(self.keras_model, inputs)
        made = task.predictions(self.spec, output)
        if intervals is not None:
            made = pd.concat([made, task.intervals(self.spec, output, self.limits, intervals)], axis=1)
        return pd.concat([table.frame[list(keep)], made], axis=1) if keep else made

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

    def __repr__(self) -> str:
        target = self.spec.target
        what = f" to {target.name}" if target is not None else ""
        size = f"{self.keras_model.count_params():,} parameters"
        return f"<Model {self.name}: {len(self.spec.inputs)} columns{what}, {size}>"
