"""KerasTuner's Bayesian oracle, made quick: few random trials first, a bounded fit, and candidates by the thousand."""

from __future__ import annotations

from typing import Any

import keras_tuner
import numpy as np
from threadpoolctl import threadpool_limits

LEAST_RANDOM, RANDOM_A_DIMENSION = 5, 2
MOST_FITTED = 200  # trials that the Gaussian process sees: half of them the best, half the latest
CANDIDATES, BEST, ROUNDS = 2000, 20, 4
MOST = 1 - 1e-6  # KerasTuner takes 1 itself for one more than the greatest whole number of a range
WIDTH = 0.1  # of the neighbourhood of the best candidates, in the unit cube; halved each round


class BayesianOracle(keras_tuner.oracles.BayesianOptimizationOracle):
    """Proposes what a Gaussian process expects most of, its doubt included.

    KerasTuner's own draws three random trials for each hyperparameter, fixed ones counted, before it learns from
    any, fits to all trials, and follows slopes that it finds by differences, point by point. This one draws two for
    each that varies, and no more than a third of all trials; fits to the best and the latest; asks of many
    candidates at once, and then of neighbours of the best. Scores enter by their ranks, as normal quantiles (Salinas,
    Shen and Perrone 2020, "A Quantile-based Approach for Hyperparameter Transfer Learning"), so that one diverged
    training does not hide all differences.

    Args:
        **options: Those of ``keras_tuner.oracles.BayesianOptimizationOracle``.
    """

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Return the next values to try, as KerasTuner's oracles do."""
        with threadpool_limits(1):  # while workers have all cores, threads that wait for each other take thrice as long
            return self._populate_space(trial_id)

    def _populate_space(self, trial_id: str) -> dict[str, Any]:
        done = [trial for trial in self.trials.values() if trial.status == "COMPLETED"]
        space = self._nonfixed_space()
        wanted = min(max(LEAST_RANDOM, RANDOM_A_DIMENSION * len(space)), max(LEAST_RANDOM, (self.max_trials or 0) // 3))
        if not space or len(done) < wanted:
            answer: dict[str, Any] = self._random_populate_space()
            return answer
        sign = 1 if self.objective.direction == "min" else -1
        ranked = sorted(done, key=lambda trial: sign * trial.score)[: MOST_FITTED // 2]
        seen = {trial.trial_id: trial for trial in [*ranked, *done[-MOST_FITTED // 2 :]]}
        x = np.array([self._vector(trial, space) for trial in seen.values()])
        y = _normal_ranks(np.array([sign * trial.score for trial in seen.values()], float))
        self.gpr.set_params(n_restarts_optimizer=1)
        self.gpr.fit(x, y)
        ongoing = [self._vector(trial, space) for trial in self.ongoing_trials.values()]
        if ongoing:  # what is being tried is taken to be as bad as it may be, so that it is not proposed again
            mean, deviation = self.gpr.predict(np.array(ongoing), return_std=True)
            x, y = np.concatenate([x, ongoing]), np.concatenate([y, mean + deviation])
            self.gpr.set_params(optimizer=None)
            self.gpr.fit(x, y)
            self.gpr.set_params(optimizer="fmin_l_bfgs_b")
        values = self._vector_to_values(self._best_candidate(len(space)))
        return {"status": "RUNNING", "values": values}

    def _best_candidate(self, dimensions: int) -> np.ndarray:
        """The point whose lower confidence bound is the least, among random ones and neighbours of the best."""
        points = self._random_state.uniform(size=(CANDIDATES, dimensions))
        width = WIDTH
        for _ in range(ROUNDS):
            mean, deviation = self.gpr.predict(points, return_std=True)
            best = points[np.argsort(mean - self.beta * deviation)[:BEST]]
            near = np.repeat(best, CANDIDATES // BEST // 4, axis=0)
            moved = near + self._random_state.normal(0, width, near.shape)
            points = np.concatenate([best, np.clip(moved, 0, MOST)])
            width /= 2
        return np.asarray(best[0])

    def _vector(self, trial: Any, space: list[Any]) -> list[float]:
        known = trial.hyperparameters
        there = [hp.name in known.values and known.is_active(hp) for hp in space]
        return [
            hp.value_to_prob(known.values[hp.name] if here else hp.default)
            for hp, here in zip(space, there, strict=True)
        ]


def _normal_ranks(scores: np.ndarray) -> np.ndarray:
    from scipy.stats import norm, rankdata

    return np.asarray(norm.ppf((rankdata(scores) - 0.5) / len(scores)))
