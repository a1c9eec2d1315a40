"""Classical classifiers as baselines."""

from __future__ import annotations

from collections.abc import Sequence

from zoo.spec import Spec
from zoo.supervised.classical_estimators import ClassicalBaseline, Estimator
from zoo.supervised.several_baselines import choose_several_baselines

# A support vector machine returns margins; Platt scaling (1999) converts them to probabilities.
SVM = Estimator(
    "sklearn.calibration:CalibratedClassifierCV",
    {"estimator": Estimator("sklearn.svm:SVC"), "ensemble": False, "cv": 3},
)
QUICK = (
    ClassicalBaseline("majority", Estimator("sklearn.dummy:DummyClassifier", {"strategy": "prior"}), is_dummy=True),
    ClassicalBaseline(
        "logistic", Estimator("sklearn.linear_model:LogisticRegression", {"max_iter": 1000}), most_rows=1_000_000
    ),
    ClassicalBaseline(
        "histogram_boosting", Estimator("sklearn.ensemble:HistGradientBoostingClassifier"), columns="coded"
    ),
)
SLOW = (
    ClassicalBaseline("svm", SVM, most_rows=10_000),
    ClassicalBaseline("nearest_neighbours", Estimator("sklearn.neighbors:KNeighborsClassifier"), most_rows=50_000),
    ClassicalBaseline("random_forest", Estimator("sklearn.ensemble:RandomForestClassifier"), most_rows=200_000),
)


def choose_baselines(level: str, spec: Spec) -> Sequence[ClassicalBaseline]:
    """Return the baselines of a level: ``none``, ``quick`` or ``all``."""
    if len(spec.targets) > 1:
        return choose_several_baselines(level, spec)
    return {"none": (), "quick": QUICK, "all": QUICK + SLOW}[level]
