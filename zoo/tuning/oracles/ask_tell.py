"""KerasTuner's oracles with an ask-and-tell interface: they only propose hyperparameters."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras_tuner
from keras_tuner.engine.trial import Trial as KerasTrial

from zoo.errors import JobError, UsageError, shorten_error
from zoo.tuning.oracles.bayesian import BayesianOracle

HYPERBAND_PREFIX = "tuner/"


@dataclass(frozen=True)
class ProposedTrial:
    """An oracle's answer: a trial to run (``running``), none at the moment (``idle``), or no more (``stopped``).

    Args:
        status: ``running``, ``idle`` or ``stopped``.
        oracle_id: The oracle's id of the trial.
        hyperparameters: The model's hyperparameters, without those of the oracle itself.
        promotes: The oracle's id of the trial that this one continues for more epochs.
        epochs: Maximum number of epochs, if the oracle sets it.
    """

    status: str
    oracle_id: str = ""
    hyperparameters: Mapping[str, Any] | None = None
    promotes: str | None = None
    epochs: int | None = None


def import_oracle(path: str) -> type[keras_tuner.Oracle]:
    """Import a user's oracle from its path, ``module:Class``.

    Raises:
        UsageError: When there is no such module or class, or it is not an oracle that proposes trials.
    """
    module, _, name = path.partition(":")
    try:
        oracle: Any = getattr(importlib.import_module(module), name)
    except AttributeError:
        raise UsageError(f"module {module} has no {name}", where="search") from None
    except (Exception, SystemExit) as error:  # whatever a user's module does when it is imported
        raise UsageError(f"the oracle {path} cannot be imported: {shorten_error(error)}", where="search") from None
    is_oracle = isinstance(oracle, type) and issubclass(oracle, keras_tuner.Oracle)
    if not is_oracle:
        raise UsageError(f"{path} is not a keras_tuner.Oracle", where="search")
    if oracle.populate_space is keras_tuner.Oracle.populate_space:
        message = f"{path} is abstract: it has no populate_space; use a class of keras_tuner.oracles or your own"
        raise UsageError(message, where="search")
    return oracle


class AskTell:
    """An oracle of KerasTuner used without a Tuner, in one process, with a state that we store.

    The first trial uses the model's defaults. Failed trials do not stop the oracle: the driver handles failures.

    Args:
        search: ``random``, ``bayesian``, ``hyperband``, ``grid``, ``asha`` (which samples as ``random`` does), or
            ``module:Class`` of a ``keras_tuner.Oracle``.
        space: The hyperparameters that the model declares, fixed ones included.
        objective: Name of the objective.
        direction: ``min`` or ``max``.
        trials: Maximum number of trials.
        epochs: Maximum number of epochs of a trial, for Hyperband.
        seed: Seed of the oracle.
        starts: Starting points that are tried after the default; each replaces some of the default values.
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
        starts: Sequence[Mapping[str, Any]] = (),
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
        self.hyperband = search == "hyperband"
        if self.hyperband:
            self.oracle = oracles.HyperbandOracle(max_epochs=epochs, hyperband_iterations=10**6, **options)
            self.oracle._increment_bracket_num = self._next_bracket
            self._new_configuration = self.oracle._random_trial
            self.oracle._random_trial = self._configuration_within_trials
            # The constructor has begun with the bracket of most configurations.
            self.oracle._current_bracket, self.oracle._brackets = self.oracle._get_num_brackets(), []
            self._next_bracket()
            self.oracle._start_new_bracket()
        else:
            classes = {
                "random": oracles.RandomSearchOracle,
                "asha": oracles.RandomSearchOracle,
                "bayesian": BayesianOracle,
                "grid": oracles.GridSearchOracle,
            }
            kind = classes[search] if search in classes else import_oracle(search)
            try:
                self.oracle = kind(max_trials=trials, **options)
            except TypeError as error:  # its constructor takes other arguments than KerasTuner's do
                raise UsageError(f"the oracle {search} cannot be created: {error}", where="search") from error
        self.oracle.verbose = 0
        # The oracle's own save writes in place, so a kill could corrupt the file: the driver stores get_state().
        self.oracle.save = lambda: None
        self.oracle._save_trial = lambda trial: None
        self._first = [_with_defaults(space, values) for values in ({}, *starts)]
        self._proposed: dict[str, Any] = {}
        self._populate_space = self.oracle.populate_space
        self.oracle.populate_space = self._populate_and_note
        self._random_values = self.oracle._random_values
        self.oracle._random_values = self._default_first

    @property
    def first_values(self) -> Sequence[Mapping[str, Any]]:
        """Hyperparameters of the first trials: the defaults, then the starting points."""
        return self._first

    def ask(self) -> ProposedTrial:
        """Return the next trial to run."""
        if not self.hyperband and len(self.oracle.trials) >= self.trials:
            return ProposedTrial("stopped")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its lock uses a deprecated method of threading
            trial = self.oracle.create_trial(f"slot-{len(self.oracle.trials)}")
        if trial.status != "RUNNING":
            return ProposedTrial(str(trial.status).lower())
        # If several models declare a name, KerasTuner drops its value when one of them is not chosen.
        trial.hyperparameters.values = {**self._proposed, **trial.hyperparameters.values}
        values = dict(trial.hyperparameters.values)
        hyperband_values = {name: values.pop(name) for name in list(values) if name.startswith(HYPERBAND_PREFIX)}
        promotes, epochs = (
            hyperband_values.get(f"{HYPERBAND_PREFIX}trial_id"),
            hyperband_values.get(f"{HYPERBAND_PREFIX}epochs"),
        )
        return ProposedTrial("running", trial.trial_id, values, promotes, epochs)

    def tell(
        self,
        oracle_id: str,
        score: float | None,
        message: str = "",
        space: Mapping[str, Any] | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> None:
        """Report the result of a trial; without a score it failed.

        Args:
            oracle_id: The id that :meth:`ask` returned.
            score: Value of the objective.
            message: Why the trial failed.
            space: Configuration of all hyperparameters that the model declared; conditional ones appear only for
                certain values of others.
            values: Their values.
        """
        trial = self.oracle.trials[oracle_id]
        if space is not None:
            hyperband_values = {k: v for k, v in trial.hyperparameters.values.items() if k.startswith(HYPERBAND_PREFIX)}
            trial.hyperparameters = keras_tuner.HyperParameters.from_config(dict(space))
            trial.hyperparameters.values = {**(values or {}), **hyperband_values}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if score is None:
                trial.status, trial.message = "FAILED", message
            else:
                self.oracle.update_trial(oracle_id, {self.objective: score})
                trial.status = "COMPLETED"
            self.oracle.end_trial(trial)

    def may_promote(self, oracle_id: str) -> bool:
        """Return whether a trial may be promoted to more epochs, so that its checkpoint is needed."""
        if not self.hyperband:
            return False
        rounds = [trials for bracket in self.oracle._brackets for trials in bracket["rounds"]]
        return any(oracle_id == trial["id"] for trials in rounds for trial in trials)

    def forget(self, oracle_id: str) -> None:
        """Withdraw a proposed trial that will not be run."""
        trial = self.oracle.trials.pop(oracle_id)
        self.oracle.start_order.remove(oracle_id)
        self.oracle._tried_so_far.discard(self.oracle._compute_values_hash(trial.hyperparameters.values))
        for tuner, ongoing in list(self.oracle.ongoing_trials.items()):
            if ongoing is trial:
                del self.oracle.ongoing_trials[tuner]

    def trial_state(self, oracle_id: str) -> dict[str, Any]:
        """Return the state of one trial."""
        return dict(self.oracle.trials[oracle_id].get_state())

    def state(self) -> dict[str, Any]:
        """Return all that :meth:`restore` needs, as JSON."""
        trials = {oracle_id: self.trial_state(oracle_id) for oracle_id in self.oracle.trials}
        state = {"oracle": self.oracle.get_state(), "trials": trials}
        if isinstance(self.oracle, keras_tuner.oracles.GridSearchOracle):
            # The oracle's state lacks its position in the grid: the order of trials, and whose successor is next.
            order = self.oracle._ordered_ids
            state["grid"] = [
                order._memory,
                [[key, value] for key, value in order._next_index.items()],
                order._last_index,
                self.oracle._populate_next,
            ]
        return state

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore a stored state; trials that were running then count as running now."""
        try:
            self.oracle.trials = {key: KerasTrial.from_state(value) for key, value in state["trials"].items()}
            self.oracle.set_state(state["oracle"])
            self._sync_lists()
        except (KeyError, TypeError, ValueError) as error:
            raise JobError(f"the stored search cannot be read: {error}") from None
        if "grid" in state:
            order = self.oracle._ordered_ids
            order._memory, links, order._last_index, self.oracle._populate_next = state["grid"]
            order._data_to_index = {oracle_id: index for index, oracle_id in enumerate(order._memory)}
            order._next_index.update({key: value for key, value in links})
            finished = [key for key, trial in self.oracle.trials.items() if trial.status != "RUNNING"]
            self.oracle._populate_next += [key for key in finished if key not in self.oracle._populate_next]
        if self.oracle.max_trials is not None:
            self.oracle.max_trials = self.trials

    def _sync_lists(self) -> None:
        """Update the oracle's lists with trials that were stored after them."""
        started, ended, oracle = set(self.oracle.start_order), set(self.oracle.end_order), self.oracle
        for oracle_id, trial in oracle.trials.items():
            if oracle_id not in started:
                oracle.start_order.append(oracle_id)
                oracle.ongoing_trials[f"slot-late-{oracle_id}"] = trial
                oracle._tried_so_far.add(oracle._compute_values_hash(trial.hyperparameters.values))
            if trial.status != "RUNNING" and oracle_id not in ended:
                oracle.end_order.append(oracle_id)
        running = {name: trial for name, trial in oracle.ongoing_trials.items() if trial.status == "RUNNING"}
        oracle.ongoing_trials = running

    def _populate_and_note(self, oracle_id: str) -> Any:
        answer = self._populate_space(oracle_id)
        self._proposed = {}
        for hyperparameter in self.oracle.hyperparameters.space if answer.get("values") else ():
            chosen = all(condition.is_active(answer["values"]) for condition in hyperparameter.conditions)
            if chosen and hyperparameter.name in answer["values"]:
                self._proposed[hyperparameter.name] = answer["values"][hyperparameter.name]
        return answer

    def _default_first(self) -> Any:
        if len(self.oracle.start_order) >= len(self._first):
            return self._random_values()
        values = dict(self._first[len(self.oracle.start_order)])
        self.oracle._tried_so_far.add(self.oracle._compute_values_hash(values))
        return values

    def _configurations(self) -> int:
        """Return the number of sampled configurations; a promotion samples none."""
        promotion = f"{HYPERBAND_PREFIX}trial_id"
        return sum(promotion not in trial.hyperparameters.values for trial in self.oracle.trials.values())

    def _configuration_within_trials(self, oracle_id: str, bracket: Any) -> Any:
        if self._configurations() >= self.trials:
            return {"status": "IDLE" if self.oracle.ongoing_trials else "STOPPED"}
        return self._new_configuration(oracle_id, bracket)

    def _next_bracket(self) -> None:
        """Choose a bracket that the remaining trials can fill.

        KerasTuner begins with the bracket of most configurations, which with 20 trials of 200 epochs would give each
        three epochs and promote none.
        """
        oracle, remaining = self.oracle, self.trials - self._configurations()
        brackets = [b for b in range(oracle._get_num_brackets()) if oracle._get_size(b, 0) <= remaining]
        largest = max(brackets, default=0)
        next_bracket = oracle._current_bracket - 1
        oracle._current_bracket = next_bracket if 0 <= next_bracket <= largest else largest


def _with_defaults(space: keras_tuner.HyperParameters, start: Mapping[str, Any]) -> dict[str, Any]:
    """Return starting values, completed with the defaults of all other active hyperparameters."""
    values: dict[str, Any] = {}
    for hyperparameter in space.space:
        if all(condition.is_active(values) for condition in hyperparameter.conditions):
            values[hyperparameter.name] = start.get(hyperparameter.name, hyperparameter.default)
    return {**values, **start}
