"""Classical rivals from scikit-learn, on the same parts as the model, from the same raw columns."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.dataset import Dataset, Part
from zoo.data.inputs import MISSING
from zoo.spec import Spec

MOST_LEVELS = 254  # histogram boosting takes no more


@dataclass(frozen=True)
class Rival:
    """A scikit-learn estimator that stands beside the models.

    Args:
        name: Its name, in snake case.
        make: From a seed to a fresh estimator that takes prepared columns.
        columns: ``scaled`` (standardised and one-hot), ``coded`` (as they are, categories as integer codes), or a
            function from a part and the spec to what the estimator takes, N rows.
        most_rows: Training rows beyond which it would take too long.
    """

    name: str
    make: Callable[[int], Any]
    columns: str | Callable[[Part, Spec], Any] = "scaled"
    most_rows: int | None = None


Estimators = Callable[[str, Spec], Sequence[Rival]]


def with_columns(estimator: Any, spec: Spec, columns: str) -> Any:
    """Return the estimator behind the preparation of raw columns that suits it."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

    numbers = [known.key for known in spec.of_kind("number")]
    categories = [known.key for known in spec.of_kind("category")]
    if columns == "coded":
        codes = OrdinalEncoder(
            handle_unknown="use_encoded_value", unknown_value=np.nan, max_categories=MOST_LEVELS, dtype=np.float64
        )
        prepare = ColumnTransformer([("numbers", "passthrough", numbers), ("categories", codes, categories)])
        if categories:
            mask = [False] * len(numbers) + [True] * len(categories)
            estimator.set_params(categorical_features=mask)
        return make_pipeline(prepare, estimator)
    scale = make_pipeline(
        SimpleImputer(strategy="mean", add_indicator=True, keep_empty_features=True), StandardScaler()
    )
    one_hot = OneHotEncoder(handle_unknown="ignore", max_categories=1000, sparse_output=True)
    prepare = ColumnTransformer([("numbers", scale, numbers), ("categories", one_hot, categories)])
    return make_pipeline(prepare, estimator)


def run_estimator(rival: Rival, estimator: Any, dataset: Dataset) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Fit on the training part; return encoded target and prediction of each part.

    The validation part is left out of the training, as it is for a model: it ranks them both.

    Returns:
        For each part target (N,) and prediction: probabilities (N, K) of a classifier, else numbers (N,).
    """
    columns = rival.columns
    pipeline = with_columns(estimator, dataset.spec, columns) if isinstance(columns, str) else estimator
    features: Callable[[Part, Spec], Any] = raw_frame if isinstance(columns, str) else columns
    train = dataset.parts["train"]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*failed to converge")  # a rival has its limit of time
        pipeline.fit(features(train, dataset.spec), train.target)
    results = {}
    for name, part in dataset.parts.items():
        frame = features(part, dataset.spec)
        assert part.target is not None
        if hasattr(pipeline, "predict_proba"):
            target = dataset.spec.target
            assert target is not None
            prediction = np.zeros((len(part), len(target.classes)))
            prediction[:, pipeline.classes_] = pipeline.predict_proba(frame)
        else:
            prediction = pipeline.predict(frame)
        results[name] = (np.asarray(part.target), prediction)
    return results


def raw_frame(part: Part, spec: Spec) -> pd.DataFrame:
    """Return the raw inputs of a part as a frame, a missing category as a level of its own."""
    columns = {known.key: np.asarray(part.inputs[known.key]) for known in spec.inputs}
    return pd.DataFrame(
        {key: values.astype(str) if values.dtype.kind in "OU" else values for key, values in columns.items()}
    ).replace({MISSING: "(missing)"} if spec.of_kind("category") else {})
