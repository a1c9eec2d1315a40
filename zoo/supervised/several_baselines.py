"""The classical baselines of several targets: one estimator for each of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from zoo.data.dataset import Split
from zoo.spec import Spec
from zoo.supervised.classical_estimators import ClassicalBaseline, Estimator

# Names of each baseline where all targets have classes, where all are numbers, and where there are both.
NAMES = {"dummy": ("majority", "mean", "constant"), "linear": ("logistic", "ridge", "linear")}


def choose_several_baselines(
    level: str,
    spec: Spec,
    columns: str | Callable[[Split, Spec], Any] = "scaled",
    first: Sequence[Estimator] = (),
) -> Sequence[ClassicalBaseline]:
    """Return the baselines of several targets of a level: ``none``, ``quick`` or ``all``.

    Args:
        level: The level.
        spec: Spec with several targets.
        columns: As of :class:`zoo.supervised.classical_estimators.ClassicalBaseline`. Of ``scaled`` columns also
            histogram gradient boosting is fitted.
        first: Steps of a pipeline before the estimator.
    """
    classes = tuple(len(target.classes) for target in spec.targets)
    place = 0 if all(classes) else 1 if not any(classes) else 2

    def baseline(name: str, classifier: Estimator, regressor: Estimator, **options: Any) -> ClassicalBaseline:
        each = Estimator(
            "zoo.supervised.each_target:EstimatorOfEachTarget",
            {"classifier": classifier, "regressor": regressor, "classes": classes},
        )
        name = NAMES[name][place] if name in NAMES else name
        options.setdefault("columns", columns)
        return ClassicalBaseline(name, (*first, each) if first else each, **options)

    dummies = (
        Estimator("sklearn.dummy:DummyClassifier", {"strategy": "prior"}),
        Estimator("sklearn.dummy:DummyRegressor"),
    )
    linear = (
        Estimator("sklearn.linear_model:LogisticRegression", {"max_iter": 1000}),
        Estimator("sklearn.linear_model:Ridge"),
    )
    boosting, forest, neighbours = (
        (Estimator(f"sklearn.{name}Classifier"), Estimator(f"sklearn.{name}Regressor"))
        for name in ("ensemble:HistGradientBoosting", "ensemble:RandomForest", "neighbors:KNeighbors")
    )
    quick = [baseline("dummy", *dummies, is_dummy=True), baseline("linear", *linear, most_rows=1_000_000)]
    if columns == "scaled":
        quick.append(baseline("histogram_boosting", *boosting, columns="coded"))
    slow = [
        baseline("nearest_neighbours", *neighbours, most_rows=50_000),
        baseline("random_forest", *forest, most_rows=100_000),
    ]
    return {"none": (), "quick": tuple(quick), "all": (*quick, *slow)}[level]
