"""Classical regressors as baselines."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from zoo.spec import Spec
from zoo.supervised.classical_estimators import ClassicalBaseline


def baselines(level: str, spec: Spec) -> Sequence[ClassicalBaseline]:
    """Return the baselines of a level: ``none``, ``quick`` or ``all``."""
    if spec.target.quantiles:
        return _of_quantiles(level, spec.target.quantiles)
    quick = [
        ClassicalBaseline("mean", _mean, is_dummy=True),
        ClassicalBaseline("ridge", _ridge),
        ClassicalBaseline("histogram_boosting", _histogram_boosting, columns="coded"),
    ]
    slow = [
        ClassicalBaseline("linear", _linear),
        ClassicalBaseline("lasso", _lasso),
        ClassicalBaseline("svm", _svm, most_rows=10_000),
        ClassicalBaseline("random_forest", _random_forest, most_rows=100_000),
    ]
    return {"none": [], "quick": quick, "all": quick + slow}[level]


def _of_quantiles(level: str, levels: Sequence[float]) -> Sequence[ClassicalBaseline]:
    from ._quantiles import EachQuantile

    quick = [
        ClassicalBaseline("quantiles_of_train", partial(EachQuantile, "dummy", levels), is_dummy=True),
        ClassicalBaseline("quantile_boosting", partial(EachQuantile, "boosting", levels), columns="coded"),
    ]
    slow = [ClassicalBaseline("linear_quantiles", partial(EachQuantile, "linear", levels), most_rows=20_000)]
    return {"none": [], "quick": quick, "all": quick + slow}[level]


def _mean(seed: int) -> Any:
    from sklearn.dummy import DummyRegressor

    return DummyRegressor()


def _ridge(seed: int) -> Any:
    from sklearn.linear_model import Ridge

    return Ridge()


def _histogram_boosting(seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(random_state=seed)


def _linear(seed: int) -> Any:
    from sklearn.linear_model import LinearRegression

    return LinearRegression()


def _lasso(seed: int) -> Any:
    from sklearn.linear_model import LassoCV

    return LassoCV(random_state=seed)


def _svm(seed: int) -> Any:
    from sklearn.svm import SVR

    return SVR()


def _random_forest(seed: int) -> Any:
    from sklearn.ensemble import RandomForestRegressor

    return RandomForestRegressor(random_state=seed)
