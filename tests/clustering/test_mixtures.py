"""Mixtures of latent vectors."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits
from threadpoolctl import threadpool_limits
from zoo.tasks.clustering._mixture import fit_mixture


@pytest.mark.parametrize("kind", ["k_means", "gaussian"])
def test_the_number_of_threads_changes_no_mixture(kind: str) -> None:
    latent = load_digits().data[:1149]
    means = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            means.append(fit_mixture(latent, 10, kind, 0, starts=1).means)
    np.testing.assert_array_equal(*means)
