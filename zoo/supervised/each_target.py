"""One scikit-learn estimator for each of several targets, fitted on the rows that have it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.dummy import DummyClassifier

from zoo.metrics.numbers import find_present
from zoo.supervised.classical_estimators import take_rows


class EstimatorOfEachTarget(BaseEstimator):
    """One estimator for each of several targets.

    Args:
        classifier: Unfitted estimator for targets with classes.
        regressor: Unfitted estimator for numbers.
        classes: Number of classes of each of the K targets; 0 for a number.
    """

    def __init__(self, classifier: Any, regressor: Any, classes: Sequence[int]) -> None:
        self.classifier, self.regressor, self.classes = classifier, regressor, classes

    def set_params(self, **params: Any) -> EstimatorOfEachTarget:
        """Set parameters of both estimators, such as which columns are categories."""
        for estimator in (self.classifier, self.regressor):
            estimator.set_params(**params)
        return self

    def fit(self, features: Any, target: np.ndarray, sample_weight: np.ndarray | None = None) -> EstimatorOfEachTarget:
        """Fit on N rows.

        Args:
            features: Features of N rows.
            target: Class indices and standardised numbers (N, K), NaN where a row lacks the target.
            sample_weight: Weights (N,), for estimators that take them.
        """
        from sklearn.utils.validation import has_fit_parameter

        self.fitted_ = []
        for index, classes in enumerate(self.classes):
            rows = find_present(target[:, index])
            estimator = clone(self.classifier if classes else self.regressor)
            values = target[rows, index].astype(np.int64) if classes else target[rows, index]
            if classes and np.ptp(values) == 0:  # a rare label that no training row has
                estimator = DummyClassifier(strategy="prior")
            options = {}
            if sample_weight is not None and has_fit_parameter(estimator, "sample_weight"):
                options["sample_weight"] = np.asarray(sample_weight)[rows]
            self.fitted_.append(estimator.fit(take_rows(features, rows), values, **options))
        return self

    def predict(self, features: Any) -> np.ndarray:
        """Return the outputs of all targets (N, P), as those of a network."""
        outputs = []
        for classes, estimator in zip(self.classes, self.fitted_, strict=True):
            if not classes:
                outputs.append(np.asarray(estimator.predict(features), float)[:, None])
                continue
            shares = np.asarray(estimator.predict_proba(features))
            probabilities = np.zeros((len(shares), classes))
            probabilities[:, estimator.classes_] = shares
            outputs.append(probabilities[:, 1:] if classes == 2 else probabilities)
        return np.concatenate(outputs, axis=1)
