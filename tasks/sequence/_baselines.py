"""Classical baselines of sequence models: statistics of each feature, or TF-IDF weighted word counts for texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from zoo.data.dataset import Split
from zoo.spec import Spec, TextInput
from zoo.supervised.classical_estimators import ClassicalBaseline

from ._statistics import statistics


def baselines(level: str, spec: Spec) -> Sequence[ClassicalBaseline]:
    """Return the baselines of a level, ``none``, ``quick`` or ``all``, for the spec's input and target."""
    classes = spec.target.kind == "class"
    dummy_name, make_dummy = ("majority", _majority) if classes else ("mean", _mean)
    dummy = ClassicalBaseline(dummy_name, make_dummy, _nothing, is_dummy=True)
    if spec.of_kind(TextInput):
        name, make = ("tf_idf_logistic", _words_logistic) if classes else ("tf_idf_ridge", _words_ridge)
        quick = [dummy, ClassicalBaseline(name, make, _texts)]
        slow = [ClassicalBaseline("tf_idf_characters", _character_logistic if classes else _character_ridge, _texts)]
    else:
        quick = [dummy, ClassicalBaseline("statistics_svm", _svm if classes else _svr, statistics, most_rows=10_000)]
        slow = [
            ClassicalBaseline(
                "statistics_forest", _forest if classes else _forest_number, statistics, most_rows=200_000
            )
        ]
    return {"none": [], "quick": quick, "all": quick + slow}[level]


def _texts(split: Split, spec: Spec) -> Any:
    return [str(text) for text in np.asarray(split.inputs[spec.only(TextInput).key])]


def _nothing(split: Split, spec: Spec) -> np.ndarray:
    return np.zeros((len(split), 1))


def _majority(seed: int) -> Any:
    from sklearn.dummy import DummyClassifier

    return DummyClassifier(strategy="prior")


def _mean(seed: int) -> Any:
    from sklearn.dummy import DummyRegressor

    return DummyRegressor()


def _scaled(estimator: Any) -> Any:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), estimator)


def _svm(seed: int) -> Any:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.svm import SVC

    # A support vector machine returns margins; Platt scaling (1999) converts them to probabilities.
    return _scaled(CalibratedClassifierCV(SVC(C=10, random_state=seed), ensemble=False, cv=3))


def _svr(seed: int) -> Any:
    from sklearn.svm import SVR

    return _scaled(SVR())


def _forest(seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(random_state=seed)


def _forest_number(seed: int) -> Any:
    from sklearn.ensemble import RandomForestRegressor

    return RandomForestRegressor(random_state=seed)


def _tf_idf(analyzer: str, ngrams: tuple[int, int], estimator: Any) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline

    return make_pipeline(TfidfVectorizer(analyzer=analyzer, ngram_range=ngrams, sublinear_tf=True), estimator)


def _logistic() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=10, max_iter=1000)


def _ridge() -> Any:
    from sklearn.linear_model import Ridge

    return Ridge()


def _words_logistic(seed: int) -> Any:
    return _tf_idf("word", (1, 2), _logistic())


def _words_ridge(seed: int) -> Any:
    return _tf_idf("word", (1, 2), _ridge())


def _character_logistic(seed: int) -> Any:
    return _tf_idf("char", (1, 4), _logistic())


def _character_ridge(seed: int) -> Any:
    return _tf_idf("char", (1, 4), _ridge())
