"""The linear models have the solutions of scikit-learn's, once the penalties are translated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import Lasso, LogisticRegression, Ridge

from zoo.fitting.fit import Plan, fit
from zoo.fitting.model_builder import create_model_builder
from zoo.jobs.fit_options import TrainJob
from zoo.jobs.job import make_job

# As the docstrings of the models say.
CONVERGING = {"scaling": "standard", "batch_size": "full", "schedule": "cosine", "learning_rate": 0.3}


def fit_linear(task: str, source: str, penalties: dict[str, float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return coefficients (D, K), preprocessed columns (N, D) and targets (N,) of the training split."""
    builder = create_model_builder(f"{task}/linear")
    job = make_job(TrainJob, {"model": builder.name, "source": source, "validation_size": 0})
    dataset = builder.task.read(job)
    fitted = fit(builder, dataset, {**CONVERGING, "l1": 0.0, "l2": 0.0, **penalties}, Plan(epochs=1000))
    split, preprocess = dataset.splits["train"], fitted.built_model.preprocessing_model
    assert preprocess is not None
    (columns,) = preprocess(split.inputs).values()
    return fitted.built_model.network.get_weights()[0], np.asarray(columns, float), np.asarray(split.target)


@pytest.mark.parametrize("source", ["breast_cancer", "wine"])
def test_logistic_regression_has_the_coefficients_of_scikit_learn(source: str) -> None:
    coefficients, columns, classes = fit_linear("classification", source, {"l2": 1e-3})
    expected = LogisticRegression(C=1 / (2 * len(classes) * 1e-3), tol=1e-10, max_iter=100_000).fit(columns, classes)
    np.testing.assert_allclose(coefficients.T, expected.coef_, atol=0.002)


@pytest.mark.parametrize(
    ("source", "penalties", "estimator", "tolerance"),
    [
        ("diabetes", {"l2": 1e-3}, lambda n: Ridge(alpha=n * 1e-3), 1e-5),
        ("boston", {"l2": 0.1}, lambda n: Ridge(alpha=n * 0.1), 1e-5),
        ("boston", {"l1": 0.05}, lambda n: Lasso(alpha=0.05 / 2, tol=1e-9), 1e-3),
        ("diabetes", {"l1": 0.05}, lambda n: Lasso(alpha=0.05 / 2, tol=1e-9), 5e-3),  # columns are correlated
    ],
)
def test_linear_regression_has_the_coefficients_of_scikit_learn(
    source: str, penalties: dict[str, float], estimator: Any, tolerance: float
) -> None:
    coefficients, columns, numbers = fit_linear("regression", source, penalties)
    standardized = (numbers - numbers.mean()) / numbers.std()
    expected = estimator(len(numbers)).fit(columns, standardized.ravel())
    np.testing.assert_allclose(coefficients[:, 0], expected.coef_.ravel(), atol=tolerance)
