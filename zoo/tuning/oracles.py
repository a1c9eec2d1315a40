"""KerasTuner's oracles by ask and tell: they decide what to try, and nothing else."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras_tuner
from keras_tuner.engine.trial import Trial as KerasTrial

from zoo.errors import JobError

HYPERBAND_PREFIX = "tuner/"


@dataclass(frozen=True)
class Asked:
    """An oracle's answer: a trial to run, or that none can be had now (``idle``), or no more at all (``stopped``)."""

    status: str
    trial_id: str = ""
    hyperparameters: Mapping[str, Any] | None = None


class AskTell:
    """An oracle of KerasTuner outside of a Tuner, in one process, with state that we store.

    The model's default is the first trial. Failed trials do not stop it: who fails, and why, the driver knows.

    Args:
        search: ``random``, ``bayesian``, ``hyperband`` or ``grid``.
        space: The model's hyperparameters, declared, with fixed ones fixed.
        objective: Name of the score.
        direction: ``min`` or ``max``.
        trials: Most trials.
        epochs: Most epochs of a trial, for Hyperband.
        seed: Seed of the oracle.
    """

    def __init__(
        self,
        search: str,
        space: keras_tuner.HyperParameters,
        *,
        objective: str,
        direction: str,
        trials: int,
        epochs: int,
        seed: int,
    ) -> None:
        self.objective = objective
        self.trials = trials
        options: dict[str, Any] = {
            "objective": keras_tuner.Objective(objective, direction),
            "hyperparameters": space,
            "seed": seed + 1,  # KerasTuner takes 0 for "draw a seed"
            "max_consecutive_failed_trials": 10**9,
        }
        oracles = keras_tuner.oracles
        if search == "hyperband":
            self.oracle = oracles.HyperbandOracle(max_epochs=epochs, **options)
        else:
            classes = {
                "random": oracles.RandomSearchOracle,
                "bayesian": oracles.BayesianOptimizationOracle,
                "grid": oracles.GridSearchOracle,
            }
            self.oracle = classes[search](max_trials=trials, **options)
        self.oracle.verbose = 0
        # Its own way of saving writes in place, so that a kill tears the file: the driver stores get_state().
        self.oracle.save = lambda: None
        self.oracle._save_trial = lambda trial: None
        self._defaults = {known.name: known.default for known in space.space}
        self._random_values = self.oracle._random_values
        self.oracle._random_values = self._default_first

    def ask(self) -> Asked:
        """Return the next trial to run."""
        if len(self.oracle.trials) >= self.trials:
            return Asked("stopped")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its lock asks threading for names in a way that is deprecated
            trial = self.oracle.create_trial(f"slot-{len(self.oracle.trials)}")
        if trial.status != "RUNNING":
            return Asked(str(trial.status).lower())
        return Asked("running", trial.trial_id, dict(trial.hyperparameters.values))

    def tell(self, trial_id: str, score: float | None, message: str = "") -> None:
        """Say how a trial went; without a score it failed."""
        trial = self.oracle.trials[trial_id]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if score is None:
                trial.status, trial.message = "FAILED", message
            else:
                self.oracle.update_trial(trial_id, {self.objective: score})
                trial.status = "COMPLETED"
            self.oracle.end_trial(trial)

    def state(self) -> dict[str, Any]:
        """Return all that :meth:`restore` needs, as JSON."""
        trials = {trial_id: trial.get_state() for trial_id, trial in self.oracle.trials.items()}
        return {"oracle": self.oracle.get_state(), "trials": trials}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a state; trials that were running then count as running now."""
        try:
            self.oracle.trials = {key: KerasTrial.from_state(value) for key, value in state["trials"].items()}
            self.oracle.set_state(state["oracle"])
        except (KeyError, TypeError, ValueError) as error:
            raise JobError(f"the stored search cannot be read: {error}") from None
        if self.oracle.max_trials is not None:
            self.oracle.max_trials = self.trials

    def _default_first(self) -> Any:
        if self.oracle.start_order:
            return self._random_values()
        values = dict(self._defaults)
        self.oracle._tried_so_far.add(self.oracle._compute_values_hash(values))
        return values
