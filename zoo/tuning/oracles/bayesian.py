"""KerasTuner's Bayesian oracle, made faster: fewer random trials first, a bounded fit, thousands of candidates."""

from __future__ import annotations

from typing import Any

import keras_tuner
import numpy as np
from threadpoolctl import threadpool_limits

from zoo.metrics.direction import Direction

LEAST_RANDOM, RANDOM_A_DIMENSION = 5, 2
MOST_FITTED = 200  # trials that the Gaussian process is fitted to: half of them the best, half the latest
CANDIDATES, BEST, ROUNDS = 2000, 20, 4
MOST = 1 - 1e-6  # KerasTuner takes 1 itself for one more than the largest integer of a range
WIDTH = 0.1  # of the neighbourhood of the best candidates, in the unit cube; halved each round


class BayesianOracle(keras_tuner.oracles.BayesianOptimizationOracle):
    """Proposes the point with the best confidence bound of a Gaussian process.

    KerasTuner's oracle samples three random trials for each hyperparameter, fixed ones included, before it fits the
    Gaussian process; it fits to all trials, and optimises the acquisition function by numerical gradients, one point
    at a time. This one samples two for each hyperparameter that varies, at most a third of all trials; it fits to the
    best and the latest trials; and it evaluates many candidates at once, then neighbours of the best. Scores are
    replaced by the normal quantiles of their ranks (Salinas, Shen and Perrone 2020, "A Quantile-based Approach for
    Hyperparameter Transfer Learning"), so that one diverged training does not hide all differences.

    Args:
        **options: Those of ``keras_tuner.oracles.BayesianOptimizationOracle``.
    """

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Return the next values to try, as KerasTuner's oracles do."""
        with threadpool_limits(1):  # with all cores busy, several threads take three times as long
            return self._populate_space(trial_id)

    def _populate_space(self, trial_id: str) -> dict[str, Any]:
        done = [trial for trial in self.trials.values() if trial.status == "COMPLETED"]
        space = self._nonfixed_space()
        n_random = min(
            max(LEAST_RANDOM, RANDOM_A_DIMENSION * len(space)), max(LEAST_RANDOM, (self.max_trials or 0) // 3)
        )
        if not space or len(done) < n_random:
            answer: dict[str, Any] = self._random_populate_space()
            return answer
        sign = Direction(self.objective.direction).sign
        ranked = sorted(done, key=lambda trial: sign * trial.score)[: MOST_FITTED // 2]
        fitted = {trial.trial_id: trial for trial in [*ranked, *done[-MOST_FITTED // 2 :]]}
        x = np.array([self._vector(trial, space) for trial in fitted.values()])
        y = _normal_ranks(np.array([sign * trial.score for trial in fitted.values()], float))
        self.gpr.set_params(n_restarts_optimizer=1)
        self.gpr.fit(x, y)
        ongoing = [self._vector(trial, space) for trial in self.ongoing_trials.values()]
        if ongoing:  # running trials get a pessimistic score, so that they are not proposed again
            mean, std = self.gpr.predict(np.array(ongoing), return_std=True)
            x, y = np.concatenate([x, ongoing]), np.concatenate([y, mean + std])
            self.gpr.set_params(optimizer=None)
            self.gpr.fit(x, y)
            self.gpr.set_params(optimizer="fmin_l_bfgs_b")
        values = self._vector_to_values(self._best_candidate(len(space)))
        return {"status": "RUNNING", "values": values}

    def _best_candidate(self, dimensions: int) -> np.ndarray:
        """Return the point with the lowest confidence bound among random points and neighbours of the best."""
        points = self._random_state.uniform(size=(CANDIDATES, dimensions))
        width = WIDTH
        for _ in range(ROUNDS):
            mean, std = self.gpr.predict(points, return_std=True)
            best = points[np.argsort(mean - self.beta * std)[:BEST]]
            neighbours = np.repeat(best, CANDIDATES // BEST // 4, axis=0)
            moved = neighbours + self._random_state.normal(0, width, neighbours.shape)
            points = np.concatenate([best, np.clip(moved, 0, MOST)])
            width /= 2
        return np.asarray(best[0])

    def _vector(self, trial: Any, space: list[Any]) -> list[float]:
        hyperparameters = trial.hyperparameters
        active = [hp.name in hyperparameters.values and hyperparameters.is_active(hp) for hp in space]
        return [
            hp.value_to_prob(hyperparameters.values[hp.name] if is_active else hp.default)
            for hp, is_active in zip(space, active, strict=True)
        ]


def _normal_ranks(scores: np.ndarray) -> np.ndarray:
    from scipy.stats import norm, rankdata

    return np.asarray(norm.ppf((rankdata(scores) - 0.5) / len(scores)))
