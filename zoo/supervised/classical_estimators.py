"""Classical baselines from scikit-learn, on the same splits and raw columns as the model."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.columns.encode import MISSING
from zoo.data.columns.missing_values import LAST
from zoo.data.dataset import SPLIT_PREFIX, Dataset, Split
from zoo.data.splitting.sample_weights import repeat_rows
from zoo.portable.preprocessing import extract_calendar_parts, split_into_tokens
from zoo.portable.rows import is_missing
from zoo.registry import import_object
from zoo.spec import CategoryInput, ColumnInput, DateInput, Input, NumberInput, Spec, TextInput

MOST_LEVELS = 254  # limit of histogram gradient boosting
MOST_REPEATED = 100_000  # rows, with frequency weights


@dataclass(frozen=True)
class Estimator:
    """An estimator by its import string, so that nothing is imported before it is needed.

    Args:
        path: Module and class, such as ``sklearn.svm:SVC``.
        options: Arguments of its constructor; those that are estimators themselves are constructed too.

    Example:
        >>> Estimator("sklearn.dummy:DummyClassifier", {"strategy": "prior"}).construct(0)
        DummyClassifier(random_state=0)
    """

    path: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def construct(self, seed: int) -> Any:
        """Return the unfitted estimator; one that takes a ``random_state`` gets the seed."""
        cls = import_object(self.path)
        options = {key: v.construct(seed) if isinstance(v, Estimator) else v for key, v in self.options.items()}
        if "random_state" in inspect.signature(cls).parameters:
            options.setdefault("random_state", seed)
        return cls(**options)


@dataclass(frozen=True)
class ClassicalBaseline:
    """A scikit-learn estimator that models are compared with.

    Args:
        name: Its name, in snake case.
        steps: The estimator, or the steps of a pipeline that ends with it.
        columns: ``scaled`` (standardized and one-hot), ``coded`` (unscaled, categories as integer codes), or a function
            from a split and the spec to the estimator's input, N rows.
        most_rows: Maximum number of training rows; with more it would take too long.
        is_dummy: Whether it uses only the targets of the training split.
    """

    name: str
    steps: Estimator | tuple[Estimator, ...]
    columns: str | Callable[[Split, Spec], Any] = "scaled"
    most_rows: int | None = None
    is_dummy: bool = False

    def construct(self, seed: int) -> Any:
        """Return the unfitted estimator."""
        from sklearn.pipeline import make_pipeline

        if isinstance(self.steps, Estimator):
            return self.steps.construct(seed)
        return make_pipeline(*(step.construct(seed) for step in self.steps))


Estimators = Callable[[str, Spec], Sequence[ClassicalBaseline]]


def add_column_preprocessing(estimator: Any, spec: Spec, columns: str) -> Any:
    """Return a pipeline of suitable preprocessing for raw columns and the estimator."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

    numbers = [name for column in spec.inputs for name in _names_of_numbers(column)]
    categories = [column.key for column in spec.of_kind(CategoryInput) if not column.ordered]
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
    """Return the names of the numeric columns that :func:`create_raw_frame` creates for an input."""
    if isinstance(column, DateInput):
        return [f"{column.key} {part}" for part in column.parts] + _name_of_missing(column)
    if isinstance(column, CategoryInput):
        return [column.key] * column.ordered + _name_of_missing(column)
    return [column.key, *_name_of_missing(column)] if isinstance(column, NumberInput) else []


def _name_of_missing(column: Input) -> list[str]:
    """Return the name of the missing-value indicator of an imputed column, if no other input provides it."""
    imputed = isinstance(column, ColumnInput) and column.imputation not in (None, LAST)
    return [f"{column.key} was missing"] if imputed and column.missing > 0 else []


def _bags(spec: Spec, most: int | None = None) -> list[tuple[str, Any, str]]:
    """Return a bag of words for each text column, with the same vocabulary as the models."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    bag = partial(TfidfVectorizer, analyzer=partial(split_into_tokens, unit="word"), sublinear_tf=True)
    return [(column.key, bag(vocabulary=column.vocabulary[:most]), column.key) for column in spec.of_kind(TextInput)]


def run_estimator(
    baseline: ClassicalBaseline, estimator: Any, dataset: Dataset
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Fit on the training split; return encoded target and prediction of each split.

    As for a model, the validation split is not used for fitting, because both are ranked by it.

    Returns:
        For each split the target (N,) and the prediction: probabilities (N, K) of a classifier, otherwise numbers (N,).
    """
    columns = baseline.columns
    pipeline = add_column_preprocessing(estimator, dataset.spec, columns) if isinstance(columns, str) else estimator
    features: Callable[[Split, Spec], Any] = create_raw_frame if isinstance(columns, str) else columns
    if baseline.is_dummy:  # it uses the targets alone
        pipeline, features = estimator, _no_features
    train = dataset.splits["train"]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*failed to converge")  # baselines are limited in time
        frame, target = features(train, dataset.spec), train.encoded_target
        if dataset.spec.weights_count:
            rows = repeat_rows(np.arange(len(train)), train.weight, most=MOST_REPEATED)
            pipeline.fit(take_rows(frame, rows), target[rows])
        else:
            pipeline.fit(frame, target, **_weights(pipeline, train))
    results = {}
    for name in SPLIT_PREFIX.keys() & dataset.splits.keys():
        split = dataset.splits[name]
        frame = features(split, dataset.spec)
        if hasattr(pipeline, "predict_proba"):
            prediction = np.zeros((len(split), len(dataset.spec.target.classes)))
            prediction[:, pipeline.classes_] = pipeline.predict_proba(frame)
        else:
            prediction = pipeline.predict(frame)
        results[name] = (np.asarray(split.encoded_target), prediction)
    return results


def take_rows(features: Any, rows: np.ndarray) -> Any:
    """Return some rows of a frame, an array or a list."""
    if hasattr(features, "iloc"):
        return features.iloc[rows]
    return features[rows] if hasattr(features, "shape") else [features[row] for row in rows]


def _no_features(split: Split, spec: Spec) -> np.ndarray:
    return np.zeros((len(split), 1))


def _weights(pipeline: Any, train: Split) -> dict[str, np.ndarray]:
    """Return the row weights as a fit parameter of the pipeline's last step, if it supports them.

    Nearest neighbours ignore them; oversampling and class weights apply only to the model.
    """
    from sklearn.utils.validation import has_fit_parameter

    last = pipeline.steps[-1] if hasattr(pipeline, "steps") else (None, pipeline)
    if train.weight is None or not has_fit_parameter(last[1], "sample_weight"):
        return {}
    name = "sample_weight" if last[0] is None else f"{last[0]}__sample_weight"
    return {name: np.asarray(train.weight / np.mean(train.weight), np.float64)}


def create_raw_frame(split: Split, spec: Spec) -> pd.DataFrame:
    """Return the raw inputs of a split as a frame, with a missing category as a category of its own.

    A date becomes one column per calendar field, an ordered category its rank. Missing values are imputed as the spec
    says, with an indicator column.
    """
    columns: dict[str, np.ndarray] = {}
    for column in spec.inputs:
        values = np.asarray(split.inputs[column.key])
        values = values.astype(str) if values.dtype.kind in "OU" else values
        missing = is_missing(values)
        if isinstance(column, ColumnInput) and column.fill is not None:
            values = np.where(missing, column.fill, values)
        columns |= {name: missing.astype(np.float64) for name in _name_of_missing(column)}
        if isinstance(column, DateInput):
            nothing = np.isnan(values)
            parts = extract_calendar_parts(np.where(nothing, 0.0, values))
            columns |= {f"{column.key} {name}": np.where(nothing, np.nan, parts[name]) for name in column.parts}
        elif isinstance(column, CategoryInput) and column.ordered:
            place = {name: index for index, name in enumerate(column.categories)}
            columns[column.key] = np.array([place.get(name, np.nan) for name in values.tolist()], np.float64)
        elif isinstance(column, CategoryInput):
            columns[column.key] = np.where(values == MISSING, "(missing)", values)
        else:
            columns[column.key] = values
    return pd.DataFrame(columns)
