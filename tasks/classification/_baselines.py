"""Classical classifiers as baselines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zoo.spec import Spec
from zoo.supervised.classical_estimators import ClassicalBaseline


def baselines(level: str, spec: Spec) -> Sequence[ClassicalBaseline]:
    """Return the baselines of a level: ``none``, ``quick`` or ``all``."""
    quick = [
        ClassicalBaseline("majority", _majority, is_dummy=True),
        ClassicalBaseline("logistic", _logistic, most_rows=1_000_000),
        ClassicalBaseline("histogram_boosting", _histogram_boosting, columns="coded"),
    ]
    slow = [
        ClassicalBaseline("svm", _svm, most_rows=10_000),
        ClassicalBaseline("nearest_neighbours", _nearest_neighbours, most_rows=50_000),
        ClassicalBaseline("random_forest", _random_forest, most_rows=200_000),
    ]
    return {"none": [], "quick": quick, "all": quick + slow}[level]


def _majority(seed: int) -> Any:
    from sklearn.dummy import DummyClassifier

    return DummyClassifier(strategy="prior")


def _logistic(seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=1000)


def _histogram_boosting(seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(random_state=seed)


def _svm(seed: int) -> Any:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.svm import SVC

    # A support vector machine returns margins; Platt scaling (1999) converts them to probabilities.
    return CalibratedClassifierCV(SVC(random_state=seed), ensemble=False, cv=3)


def _nearest_neighbours(seed: int) -> Any:
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier()


def _random_forest(seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(random_state=seed)
