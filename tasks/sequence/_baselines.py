"""Classical baselines of sequence models: statistics of each feature, or TF-IDF weighted word counts for texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from zoo.data.dataset import Split
from zoo.spec import Spec, TextInput
from zoo.supervised.classical_estimators import ClassicalBaseline, Estimator
from zoo.supervised.several_baselines import choose_several_baselines

from ._statistics import compute_statistics

# A support vector machine returns margins; Platt scaling (1999) converts them to probabilities.
SVC = Estimator(
    "sklearn.calibration:CalibratedClassifierCV",
    {"estimator": Estimator("sklearn.svm:SVC", {"C": 10}), "ensemble": False, "cv": 3},
)
LOGISTIC = Estimator("sklearn.linear_model:LogisticRegression", {"C": 10, "max_iter": 1000})
RIDGE = Estimator("sklearn.linear_model:Ridge")


def choose_baselines(level: str, spec: Spec) -> Sequence[ClassicalBaseline]:
    """Return the baselines of a level, ``none``, ``quick`` or ``all``, for the spec's input and target."""
    if len(spec.targets) > 1:
        texts = bool(spec.of_kind(TextInput))
        first = _tf_idf("word", (1, 2)) if texts else Estimator("sklearn.preprocessing:StandardScaler")
        return choose_several_baselines(level, spec, _texts if texts else compute_statistics, [first])
    classes = spec.has_classes
    constant = Estimator("sklearn.dummy:DummyClassifier", {"strategy": "prior"})
    if classes:
        dummy = ClassicalBaseline("majority", constant, is_dummy=True)
    else:
        dummy = ClassicalBaseline("mean", Estimator("sklearn.dummy:DummyRegressor"), is_dummy=True)
    quick, *slow = _of_texts(classes) if spec.of_kind(TextInput) else _of_sequences(classes)
    return {"none": (), "quick": (dummy, quick), "all": (dummy, quick, *slow)}[level]


def _of_texts(classes: bool) -> tuple[ClassicalBaseline, ...]:
    name, last = ("tf_idf_logistic", LOGISTIC) if classes else ("tf_idf_ridge", RIDGE)
    words, characters = _tf_idf("word", (1, 2)), _tf_idf("char", (1, 4))
    nearest = (words, _nearest_neighbours(classes))  # rows of TF-IDF have length 1, so that distances follow the cosine
    return (
        ClassicalBaseline(name, (words, last), _texts),
        ClassicalBaseline("tf_idf_characters", (characters, last), _texts),
        ClassicalBaseline("tf_idf_nearest_neighbours", nearest, _texts, most_rows=50_000),
    )


def _of_sequences(classes: bool) -> tuple[ClassicalBaseline, ...]:
    scaler = Estimator("sklearn.preprocessing:StandardScaler")
    svm = (scaler, SVC if classes else Estimator("sklearn.svm:SVR"))
    forest = Estimator(f"sklearn.ensemble:RandomForest{'Classifier' if classes else 'Regressor'}")
    nearest = (scaler, _nearest_neighbours(classes))
    return (
        ClassicalBaseline("statistics_svm", svm, compute_statistics, most_rows=10_000),
        ClassicalBaseline("statistics_forest", forest, compute_statistics, most_rows=200_000),
        ClassicalBaseline("statistics_nearest_neighbours", nearest, compute_statistics, most_rows=50_000),
    )


def _nearest_neighbours(classes: bool) -> Estimator:
    return Estimator(f"sklearn.neighbors:KNeighbors{'Classifier' if classes else 'Regressor'}")


def _tf_idf(analyzer: str, ngrams: tuple[int, int]) -> Estimator:
    options = {"analyzer": analyzer, "ngram_range": ngrams, "sublinear_tf": True}
    return Estimator("sklearn.feature_extraction.text:TfidfVectorizer", options)


def _texts(split: Split, spec: Spec) -> Any:
    return [str(text) for text in np.asarray(split.inputs[spec.only(TextInput).key])]
