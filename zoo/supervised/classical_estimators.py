"""Classical baselines from scikit-learn, on the same splits as the model, from the same raw columns."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.columns.date_parsing import calendar_parts
from zoo.data.columns.encode import MISSING
from zoo.data.columns.missing_values import LAST, is_missing
from zoo.data.dataset import SPLIT_PREFIX, Dataset, Split
from zoo.data.examples.describe_examples import tokens_of
from zoo.spec import Input, Spec

MOST_LEVELS = 254  # histogram boosting takes no more


@dataclass(frozen=True)
class ClassicalBaseline:
    """A scikit-learn estimator that models are compared with.

    Args:
        name: Its name, in snake case.
        make: From a seed to a fresh estimator that takes prepared columns.
        columns: ``scaled`` (standardised and one-hot), ``coded`` (as they are, categories as integer codes), or a
            function from a split and the spec to what the estimator takes, N rows.
        most_rows: Training rows beyond which it would take too long.
        is_dummy: Whether it uses the training split's targets alone.
    """

    name: str
    make: Callable[[int], Any]
    columns: str | Callable[[Split, Spec], Any] = "scaled"
    most_rows: int | None = None
    is_dummy: bool = False


Estimators = Callable[[str, Spec], Sequence[ClassicalBaseline]]


def with_columns(estimator: Any, spec: Spec, columns: str) -> Any:
    """Return the estimator behind the preparation of raw columns that suits it."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

    numbers = [name for column in spec.inputs for name in _names_of_numbers(column)]
    categories = [column.key for column in spec.of_kind("category") if not column.statistics.get("ordered")]
    if columns == "coded":
        codes = OrdinalEncoder(
            handle_unknown="use_encoded_value", unknown_value=np.nan, max_categories=MOST_LEVELS, dtype=np.float64
        )
        preprocess = ColumnTransformer(
            [("numbers", "passthrough", numbers), ("categories", codes, categories), *_bags(spec, MOST_LEVELS)],
            sparse_threshold=0,
        )
        if categories:
            places = range(len(numbers), len(numbers) + len(categories))
            estimator.set_params(categorical_features=list(places))
        return make_pipeline(preprocess, estimator)
    scale = make_pipeline(
        SimpleImputer(strategy="mean", add_indicator=True, keep_empty_features=True), StandardScaler()
    )
    one_hot = OneHotEncoder(handle_unknown="ignore", max_categories=1000, sparse_output=True)
    preprocess = ColumnTransformer([("numbers", scale, numbers), ("categories", one_hot, categories), *_bags(spec)])
    return make_pipeline(preprocess, estimator)


def _names_of_numbers(column: Input) -> list[str]:
    """The columns of numbers that :func:`raw_frame` makes of an input."""
    if column.kind == "date":
        return [f"{column.key} {split}" for split in column.statistics["parts"]] + _name_of_missing(column)
    if column.kind == "category":
        return [column.key] * bool(column.statistics.get("ordered")) + _name_of_missing(column)
    return [column.key, *_name_of_missing(column)] if column.kind == "number" else []


def _name_of_missing(column: Input) -> list[str]:
    """The column that says where a value was missing, if another stands for it and no other input says so."""
    has_indicator = "fill" in column.statistics and column.statistics["way"] != LAST and column.missing > 0
    return [f"{column.key} was missing"] if has_indicator else []


def _bags(spec: Spec, most: int | None = None) -> list[tuple[str, Any, str]]:
    """A bag of words for each column of text, of the words that the models know."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    bag = partial(TfidfVectorizer, analyzer=partial(tokens_of, unit="word"), sublinear_tf=True)
    return [(column.key, bag(vocabulary=column.levels[:most]), column.key) for column in spec.of_kind("text")]


def run_estimator(
    baseline: ClassicalBaseline, estimator: Any, dataset: Dataset
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Fit on the training split; return encoded target and prediction of each split.

    The validation split is left out of the training, as it is for a model: it ranks them both.

    Returns:
        For each split target (N,) and prediction: probabilities (N, K) of a classifier, else numbers (N,).
    """
    columns = baseline.columns
    pipeline = with_columns(estimator, dataset.spec, columns) if isinstance(columns, str) else estimator
    features: Callable[[Split, Spec], Any] = raw_frame if isinstance(columns, str) else columns
    train = dataset.splits["train"]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*failed to converge")  # a baseline has its limit of time
        pipeline.fit(features(train, dataset.spec), train.target, **_weights(pipeline, train))
    results = {}
    for name in SPLIT_PREFIX.keys() & dataset.splits.keys():
        split = dataset.splits[name]
        frame = features(split, dataset.spec)
        assert split.target is not None
        if hasattr(pipeline, "predict_proba"):
            target = dataset.spec.target
            assert target is not None
            prediction = np.zeros((len(split), len(target.classes)))
            prediction[:, pipeline.classes_] = pipeline.predict_proba(frame)
        else:
            prediction = pipeline.predict(frame)
        results[name] = (np.asarray(split.target), prediction)
    return results


def _weights(pipeline: Any, train: Split) -> dict[str, np.ndarray]:
    """The weights of the rows under the name that the pipeline's last step takes them by; it may take none.

    A search among neighbours has no use for them; up-sampling and weights by class are the model's own.
    """
    from sklearn.utils.validation import has_fit_parameter

    last = pipeline.steps[-1] if hasattr(pipeline, "steps") else (None, pipeline)
    if train.weight is None or not has_fit_parameter(last[1], "sample_weight"):
        return {}
    name = "sample_weight" if last[0] is None else f"{last[0]}__sample_weight"
    return {name: np.asarray(train.weight / np.mean(train.weight), np.float64)}


def raw_frame(split: Split, spec: Spec) -> pd.DataFrame:
    """Return the raw inputs of a split as a frame, a missing category as a level of its own.

    A date is a column for each part of the calendar, an ordered category the place of its level; what was asked to
    stand for a missing value stands there, with a column that says where.
    """
    columns: dict[str, np.ndarray] = {}
    for column in spec.inputs:
        values = np.asarray(split.inputs[column.key])
        values = values.astype(str) if values.dtype.kind in "OU" else values
        missing = is_missing(values)
        if "fill" in column.statistics:
            values = np.where(missing, column.statistics["fill"], values)
        columns |= {name: missing.astype(np.float64) for name in _name_of_missing(column)}
        if column.kind == "date":
            nothing = np.isnan(values)
            splits = calendar_parts(np.where(nothing, 0.0, values))
            named = column.statistics["parts"]
            columns |= {f"{column.key} {name}": np.where(nothing, np.nan, splits[name]) for name in named}
        elif column.statistics.get("ordered"):
            place = {level: index for index, level in enumerate(column.levels)}
            columns[column.key] = np.array([place.get(name, np.nan) for name in values.tolist()], np.float64)
        elif column.kind == "category":
            columns[column.key] = np.where(values == MISSING, "(missing)", values)
        else:
            columns[column.key] = values
    return pd.DataFrame(columns)
