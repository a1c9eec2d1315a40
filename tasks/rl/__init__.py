"""Reinforcement learning: an agent learns to act in a Gymnasium environment."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from collections.abc import Sequence as Several
from functools import partial
from pathlib import Path
from typing import Any, Literal

import gymnasium
import numpy as np

from zoo.data.columns.encode import extract_inputs
from zoo.data.dataset import Dataset, Split
from zoo.data.sources.read import Table, read_table
from zoo.errors import DataError, UsageError
from zoo.jobs.data_options import DataJob
from zoo.metrics.metric import Metric
from zoo.metrics.returns import declare_episode_metric, return_interval, return_metrics
from zoo.models.built_model import BuiltModel
from zoo.preprocessing.observations import OBSERVATION
from zoo.spec import Spec
from zoo.task import Baseline, Evaluation, OutputRules, Task
from zoo.training.interrupts import translate_interrupts
from zoo.training.preprocessed_arrays import convert_to_tensor, forward
from zoo.training.training_state import FitPlan, FitResult, Monitor

from ._acting import create_greedy_policy, create_sampling_policy
from ._actions import describe_actions, describe_decoding
from ._baselines import score_baseline, score_episodes
from ._diagnosis import diagnose_agent
from ._environments import (
    OWN,
    TRANSITIONS,
    EnvPoolStepper,
    EpisodePlayer,
    check_drawing,
    check_steps,
    describe_code,
    describe_content,
    describe_observations,
    describe_settings,
    draw_process,
    find_metrics,
    find_settings,
    find_threshold,
    get_baseline_policies,
    is_published,
    make_environment,
    make_random_policy,
    name_environment,
    play_episodes,
)
from ._options import Options
from ._training_state import AgentState, TrainingEnvironment

# Disjoint seeds of the episodes that select the policy and of those that evaluate it.
VALIDATION_SEEDS, TEST_SEEDS = range(1_000_000, 1_000_020), range(3_000_000, 3_000_100)


class ActionRules(OutputRules):
    """Predictions are ``prediction``, the action for each observation; for several actions ``prediction_0``, …."""

    def metrics(self) -> Several[Metric]:
        """Return those of the return, with greedy and with drawn actions, steps to solve, and the environment's own."""
        more = self.spec.options.get("metrics", {})
        return (*return_metrics(), *(declare_episode_metric(name, direction) for name, direction in more.items()))

    def decoding(self) -> Mapping[str, Any]:
        """Return how the greedy action is decoded from an output."""
        return describe_decoding(self.spec.target)


class ReinforcementLearning(Task):
    """Training of agents in environments."""

    options = Options
    reads = ("environment",)
    no_folds = "an agent has no rows to fold; --seeds repeats its training"

    def read(self, job: DataJob) -> Dataset:
        """Return the job's environment as a dataset whose splits are sets of episodes and whose rows are seeds."""
        if job.fold is not None:
            raise UsageError(self.no_folds, where="fold")
        for name in ("target", "positive", "test", "split", "drop", "test_size", "validation_size"):
            if getattr(job, name) != type(job).model_fields[name].default:
                raise UsageError("an environment has no columns and rows to choose from", where=name)
        options_, name = self.settings(job), name_environment(job.source)
        environment = make_environment(name, options_.env)
        if options_.solved == "auto" and find_threshold(name, None) is None:
            raise UsageError(f"{name} has no threshold of its own; say a mean return", where="solved")
        if options_.video:
            check_drawing(name, options_.env)
        if options_.envpool:
            EnvPoolStepper(name, options_.env, count=1)
        observation, action = describe_observations(environment, name), describe_actions(environment, name)
        splits = {}
        for split, seeds in (("validation", VALIDATION_SEEDS), ("test", TEST_SEEDS)):
            first = np.array([environment.reset(seed=seed)[0] for seed in seeds], np.float32)
            splits[split] = Split({OBSERVATION: first}, None, np.array(seeds))
        check_steps(environment, name)
        has_transitions = not observation.n or is_published(environment)
        policies, metrics = list(get_baseline_policies(environment, name)), find_metrics(environment, name)
        environment.close()
        options = options_.model_dump(exclude_none=True)
        facts = [name, options["env"], gymnasium.__version__, *describe_code(environment, job.source)]
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:16]
        if policies:
            options["baseline_policies"] = policies
        if metrics:
            options["metrics"] = dict(metrics)
        if not has_transitions:
            options[TRANSITIONS] = False
        settings = find_settings(name)
        if settings:
            options["settings"] = settings
        chosen = [*getattr(job, "hyperparameters", {}), *(["epochs"] if getattr(job, "epochs", None) else [])]
        notes = describe_settings(settings, name, getattr(job, "model", ""), chosen)
        spec = Spec(self.name, (observation,), (action,), rows=0, options=options)
        short = name.split(":")[-1].removeprefix(OWN).replace("/", "-")
        content = describe_content(environment, job.source)
        return Dataset(short, name, digest, digest, spec, splits, notes=notes, content=content)

    def open_source(self, source: Any) -> None:
        """Register an environment that is given as a class or an object."""
        name_environment(source)

    def rows(self, source: Any, spec: Spec) -> Table:
        """Return observations: columns ``observation_0``, …, or arrays."""
        return read_table(source, cells=OBSERVATION)

    def arrays(self, frame: Any, spec: Spec) -> tuple[Any, Any, Any]:
        """Return observations by key; there is no target."""
        table = self.rows(frame, spec)
        inputs = extract_inputs(table.frame, spec, where=table.source)
        return {key: convert_to_tensor(values) for key, values in inputs.items()}, None, None

    def rules(self, spec: Spec) -> ActionRules:
        """Return the metrics of episodes, and how actions are predicted."""
        return ActionRules(spec)

    def adopt(self, model: Any, spec: Spec) -> BuiltModel:
        """Raise: a user's own model does not say how to train it in an environment."""
        raise UsageError("a model of one's own has no agent; take a model of the catalogue", where=model.name)

    def fit(self, built_model: BuiltModel, dataset: Dataset, plan: FitPlan, *, cache: Path | None = None) -> FitResult:
        """Train the network with the model's trainer; keep the weights with the best validation episodes."""
        assert built_model.trainer is not None, "an agent passes its trainer to assemble"
        plan = dataclasses.replace(plan, monitor=Monitor("val_return_mean", "max"))
        state = AgentState(built_model, TrainingEnvironment.of(dataset), plan)
        try:
            with translate_interrupts():
                built_model.trainer.train(state)
        except KeyboardInterrupt:
            state.result.stopped = "interrupted"
        finally:
            state.close()
        result = state.finish()
        result.scores.setdefault("val_steps_to_solve", math.nan)
        result.notes = state.notes()
        return result

    def output(self, model: Any, inputs: Mapping[str, Any]) -> np.ndarray:
        """Return the value of each action (N, A)."""
        values: np.ndarray = forward(model, inputs)
        return values

    def evaluate(self, model: Any, dataset: Dataset, split: str, *, intervals: bool) -> Evaluation:
        """Play the split's episodes with the greedy policy, and once more with actions drawn from the policy."""
        environment, target = TrainingEnvironment.of(dataset), dataset.spec.target
        seeds, scores = dataset.splits[split].rows.tolist(), {}
        with EpisodePlayer(environment.name, environment.options, environment.processes) as player:
            played = player.play(create_greedy_policy(model, target), seeds)
            sampling_policy = create_sampling_policy(model, target, seed=0)
            if sampling_policy is not None:
                scores["sampled_return_mean"] = float(player.play(sampling_policy, seeds).returns.mean())
        returns = played.returns
        bounds = {"return_mean": return_interval(returns)} if intervals else {}

        def draw() -> Mapping[str, Any]:
            return {**_figures(returns, environment.threshold), **draw_process(dataset.source, dataset.spec, model)}

        return Evaluation({**score_episodes(played), **scores}, bounds, draw)

    def check_run(
        self, model: Any, dataset: Dataset, hyperparameters: Mapping[str, Any], history: Mapping[str, Several[float]]
    ) -> tuple[Several[Any], Mapping[str, Any]]:
        """Return what is wrong with the training of an agent that has learned little."""
        environment, target = TrainingEnvironment.of(dataset), dataset.spec.target
        if environment.threshold is not None and max(history["val_return_mean"]) >= environment.threshold:
            return (), {}
        policy = make_random_policy(target, seed=0)
        try:
            returns = play_episodes(
                environment.name, environment.options, policy, environment.seeds.tolist(), environment.processes
            ).returns
        except DataError:  # an environment that fails in some states must not fail a training that is finished
            return (), {}
        findings = diagnose_agent(
            history,
            returns,
            threshold=environment.threshold,
            actions=len(target.classes),
            hyperparameters=hyperparameters,
        )
        return findings, {}

    def draw_history(self, history: Mapping[str, Any], best_epoch: int) -> Mapping[str, Any]:
        """Return a figure of the return of the validation episodes during training."""
        from zoo.figures.returns import return_curve

        mean, std = history["val_return_mean"], history["val_return_std"]
        exploring = history.get("train_return_mean")
        return {"return_curve": return_curve(history["steps"], mean, std, best=best_epoch, exploring=exploring)}

    def baselines(self, level: Literal["quick", "all", "none"], spec: Spec) -> Several[Baseline]:
        """Return the random agent, the environment's own policies and, at level ``all``, each constant action."""
        always = [f"always_{name}" for name in spec.target.classes[:8]] if level == "all" else []
        names = [] if level == "none" else ["random", *spec.options.get("baseline_policies", []), *always]
        return [Baseline(name, partial(score_baseline, name), is_dummy=name == "random") for name in names]


def _figures(returns: np.ndarray, threshold: float | None) -> dict[str, Any]:
    from zoo.figures.returns import episode_returns as drawn

    return {"episode_returns": drawn(returns, threshold=threshold)}


TASK = ReinforcementLearning("rl", example="CartPole-v1")
