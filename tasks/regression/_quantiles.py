"""Classical quantile regression: one estimator per quantile level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin


class EachQuantile(RegressorMixin, BaseEstimator):
    """Predicts several quantiles, each with an estimator fitted to its pinball loss.

    Args:
        kind: ``dummy`` (quantiles of the training split), ``linear`` or ``boosting``.
        levels: Levels of the quantiles.
        random_state: Seed of boosting.
        categorical_features: Columns of integer codes, for boosting.
    """

    def __init__(self, kind: str, levels: Sequence[float], random_state: int, categorical_features: Any = None) -> None:
        self.kind, self.levels, self.random_state = kind, levels, random_state
        self.categorical_features = categorical_features

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> EachQuantile:
        """Fit an estimator for each level."""
        self.estimators_ = [self._estimator(level).fit(X, y, sample_weight=sample_weight) for level in self.levels]
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return quantiles (N, Q)."""
        return np.stack([estimator.predict(X) for estimator in self.estimators_], axis=1)

    def _estimator(self, level: float) -> Any:
        from sklearn.dummy import DummyRegressor
        from sklearn.ensemble import HistGradientBoostingRegressor
        from sklearn.linear_model import QuantileRegressor

        if self.kind == "dummy":
            return DummyRegressor(strategy="quantile", quantile=level)
        if self.kind == "linear":
            return QuantileRegressor(quantile=level, alpha=0.0)
        return HistGradientBoostingRegressor(
            loss="quantile",
            quantile=level,
            random_state=self.random_state,
            categorical_features=self.categorical_features,
        )
