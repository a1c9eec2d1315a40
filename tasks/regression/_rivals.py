"""The classical regressions that stand beside the models."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from zoo.spec import Spec
from zoo.supervised.classical_estimators import Rival


def rivals(level: str, spec: Spec) -> Sequence[Rival]:
    """Return the rivals of a level: ``none``, ``quick`` or ``all``."""
    assert spec.target is not None
    if spec.target.quantiles:
        return _of_quantiles(level, spec.target.quantiles)
    quick = [
        Rival("mean", _mean, guesses=True),
        Rival("ridge", _ridge),
        Rival("histogram_boosting", _histogram_boosting, columns="coded"),
    ]
    slow = [
        Rival("linear", _linear),
        Rival("lasso", _lasso),
        Rival("svm", _svm, most_rows=10_000),
        Rival("random_forest", _random_forest, most_rows=100_000),
    ]
    return {"none": [], "quick": quick, "all": quick + slow}[level]


def _of_quantiles(level: str, levels: Sequence[float]) -> Sequence[Rival]:
    from ._quantiles import EachQuantile

    quick = [
        Rival("quantiles_of_train", partial(EachQuantile, "dummy", levels), guesses=True),
        Rival("quantile_boosting", partial(EachQuantile, "boosting", levels), columns="coded"),
    ]
    slow = [Rival("linear_quantiles", partial(EachQuantile, "linear", levels), most_rows=20_000)]
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
