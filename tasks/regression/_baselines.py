"""Classical regressors as baselines."""

from __future__ import annotations

from collections.abc import Sequence

from zoo.spec import Spec
from zoo.supervised.classical_estimators import ClassicalBaseline, Estimator
from zoo.supervised.several_baselines import choose_several_baselines

QUICK = (
    ClassicalBaseline("mean", Estimator("sklearn.dummy:DummyRegressor"), is_dummy=True),
    ClassicalBaseline("ridge", Estimator("sklearn.linear_model:Ridge")),
    ClassicalBaseline(
        "histogram_boosting", Estimator("sklearn.ensemble:HistGradientBoostingRegressor"), columns="coded"
    ),
)
SLOW = (
    ClassicalBaseline("linear", Estimator("sklearn.linear_model:LinearRegression")),
    ClassicalBaseline("lasso", Estimator("sklearn.linear_model:LassoCV")),
    ClassicalBaseline("svm", Estimator("sklearn.svm:SVR"), most_rows=10_000),
    ClassicalBaseline("random_forest", Estimator("sklearn.ensemble:RandomForestRegressor"), most_rows=100_000),
)


def choose_baselines(level: str, spec: Spec) -> Sequence[ClassicalBaseline]:
    """Return the baselines of a level: ``none``, ``quick`` or ``all``."""
    if len(spec.targets) > 1:
        return choose_several_baselines(level, spec)
    quick, slow = _of_quantiles(spec.target.quantiles) if spec.target.quantiles else (QUICK, SLOW)
    return {"none": (), "quick": quick, "all": quick + slow}[level]


def _of_quantiles(levels: Sequence[float]) -> tuple[tuple[ClassicalBaseline, ...], tuple[ClassicalBaseline, ...]]:
    dummy, boosting, linear = (
        Estimator("zoo.tasks.regression._quantiles:EachQuantile", {"kind": kind, "levels": tuple(levels)})
        for kind in ("dummy", "boosting", "linear")
    )
    quick = (
        ClassicalBaseline("quantiles_of_train", dummy, is_dummy=True),
        ClassicalBaseline("quantile_boosting", boosting, columns="coded"),
    )
    return quick, (ClassicalBaseline("linear_quantiles", linear, most_rows=20_000),)
