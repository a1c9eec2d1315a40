"""Studies of a trained network, on request: figures that take too long to draw after every training."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from zoo.calibration.fit_calibration import select_rows
from zoo.data.dataset import SPLIT_PREFIX, Dataset
from zoo.data.ragged import Ragged
from zoo.data.streaming.streamed_dataset import StreamedSplit
from zoo.errors import UsageError
from zoo.figures.layers import gradients_over_time, layer_curves
from zoo.figures.studies import architecture, input_importances, loss_landscape, rate_curve, size_curve
from zoo.fitting.describe_model import describe_layers
from zoo.fitting.fit import Fitted, Plan, choose_evaluated_split, evaluate, fit_built
from zoo.fitting.model_builder import ModelBuilder, create_model_builder
from zoo.inspection.gradient_flow import MOST_STEPS, has_recurrent_layers, measure_over_time, shorten_arrays
from zoo.inspection.layer_statistics import DEAD_UNITS, GRADIENT_NORM, compute_loss_landscape, select_layer_curves
from zoo.inspection.probe_rows import preprocess_sample
from zoo.jobs.fit_options import TrainJob
from zoo.jobs.keywords import accept_keywords
from zoo.jobs.run_jobs import StudyJob
from zoo.metrics.direction import Direction
from zoo.models.built_model import BuiltModel, split_model
from zoo.running.progress import Progress
from zoo.saving.model import Model
from zoo.spec import ImageInput
from zoo.stored_runs.lookup import load, load_job, load_run, resolve_run
from zoo.stored_runs.results import Run
from zoo.task import Task
from zoo.text import convert_to_plain, format_number
from zoo.tracking.store import Store
from zoo.tracking.tracked_run import TrackedRun
from zoo.training.adapted_layers import prepare_layers
from zoo.training.fit_settings import FitSettings
from zoo.training.preprocessed_arrays import Arrays, convert_to_tensor, prepare_inputs

MOST_ROWS, MOST_INPUTS, SHUFFLES = 2_000, 60, 5
RATES, LOWEST_RATE, HIGHEST_RATE = 120, 1e-6, 3.0
SMOOTHING, WINDOW, WARM_UP = 0.9, 15, 10  # steps
BEGUN = 0.1  # fraction of the fall of the loss, before which a learning rate is too low
SHARES = (0.1, 0.2, 0.4, 0.7, 1.0)
DISTANCES = np.linspace(-1, 1, 15)
WATCHED_EPOCHS = 30
STEP_ROWS = 64  # for gradients over time


@dataclass
class Study:
    """Results of the studies of a run, by name of the study.

    Args:
        run_id: MLflow id of the run.
        results: Data behind each figure.
        summaries: One-line summary of each study.
        figures: Figures, which are also logged to the run.
    """

    run_id: str
    results: dict[str, Any] = field(default_factory=dict)
    summaries: dict[str, str] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the output of ``zoo study --json``."""
        return convert_to_plain(
            {"run_id": self.run_id, "results": self.results, "summaries": self.summaries, "figures": list(self.figures)}
        )

    def __repr__(self) -> str:
        lines = [f"{name}: {text}" for name, text in self.summaries.items()]
        return "\n".join([*lines, f"the figures are with run {self.run_id[:8]}: {', '.join(self.figures)}"])


@accept_keywords(StudyJob, "run", "kinds")
def study(job: StudyJob, *, quiet: bool = False) -> Study:
    """Study the trained network of a run, and log the figures to the run.

    The studies are ``architecture``; ``importance``, the permutation importance of inputs (Breiman 2001, "Random
    Forests", section 10); ``rates``, a learning-rate range test (Smith 2017, "Cyclical Learning Rates"); ``sizes``, the
    score by number of training rows; ``landscape``, the loss around the weights (Li et al. 2018); ``layers``, gradient
    norms and dead units by epoch; ``steps``, gradient norms over the time steps of recurrent layers, before and after
    training, which vanish or explode (Bengio, Simard and Frasconi 1994).

    Args:
        job: The job; or its keys as keywords.
        quiet: Whether to hide progress.

    Raises:
        UsageError: If the run does not exist, or does not support the study.

    Example:
        >>> study(run.run_id, ["importance"]).results["importance"]  # doctest: +SKIP
    """
    progress = Progress(quiet=quiet)
    store = Store()
    chosen = resolve_run(store, job.run)
    subject = _Subject(store, chosen)
    study_ = Study(chosen)
    for kind in job.kinds:
        progress.say(f"studying {kind} …")
        try:
            figure, results, summaries = _STUDIES[kind](subject)
        except UsageError as error:
            if len(job.kinds) == 1:
                raise
            study_.summaries[kind] = f"left out: {error.message}"
            continue
        study_.figures[kind], study_.results[kind], study_.summaries[kind] = figure, results, summaries
        store.log_figure(chosen, figure, f"figures/study_{kind}.png")
    return study_


@dataclass
class _Subject:
    """The run under study; its job, model and dataset are loaded on first use."""

    store: Store
    run_id: str

    @cached_property
    def run(self) -> Run:
        return load_run(self.store, self.run_id)

    @cached_property
    def model(self) -> Model:
        return load(self.run_id)

    @cached_property
    def job(self) -> TrainJob:
        return load_job(self.store, self.run_id)

    @cached_property
    def builder(self) -> ModelBuilder:
        return create_model_builder(self.job.model, self.job.task)

    @property
    def task(self) -> Task:
        return self.builder.task

    @cached_property
    def dataset(self) -> Dataset:
        dataset: Dataset = self.task.read(self.job)
        if not dataset.spec.targets:
            raise UsageError(f"{self.task.name} predicts no target, and this study needs one", where="run")
        if any(isinstance(split, StreamedSplit) for split in dataset.splits.values()):
            raise UsageError("its rows are streamed, and this study needs them in memory", where="run")
        kept = [image.key for image in dataset.spec.of_kind(ImageInput) if not image.height]
        images = [split.inputs[key] for split in dataset.splits.values() for key in kept]
        if len({tuple(size) for values in images if isinstance(values, Ragged) for size in values.sizes.tolist()}) > 1:
            raise UsageError("its images have several sizes, and this study needs one", where="run")
        return dataset

    @cached_property
    def rate(self) -> float:
        return float(self.run.hyperparameters.get("learning_rate", math.nan))

    def untrained(self) -> BuiltModel:
        """Return the network in its initial state, before training."""
        return self.builder.build_checked(self.job.hyperparameters, self.dataset.spec, seed=self.job.seed)[0]

    def trained(self) -> BuiltModel:
        """Return the trained network with the loss that it was trained by; a saved one may only predict."""
        built_model = self.untrained()
        saved = split_model(self.model.keras_model).network
        (built_model.inference or built_model.network).set_weights(saved.get_weights())
        return built_model

    def fit(self, dataset: Dataset) -> Fitted:
        """Retrain the run's model on other data."""
        plan = Plan(seed=self.job.seed)
        return fit_built(self.builder, self.untrained(), dataset, self.run.hyperparameters, plan)

    def settings(self, most_epochs: int | None = None) -> FitSettings:
        settings = FitSettings.from_hyperparameters(self.run.hyperparameters)
        return dataclasses.replace(settings, epochs=min(settings.epochs, most_epochs or settings.epochs))

    def arrays(self, built_model: BuiltModel, split: str) -> Arrays:
        """Return a preprocessed sample of a split's rows."""
        return preprocess_sample(built_model, self.dataset.splits[split], MOST_ROWS // 4)


def _architecture(subject: _Subject) -> tuple[Any, Any, str]:
    layers = [describe_layers(layer) for layer in split_model(subject.model.keras_model).network.layers]
    deep = sum(layer["parameters"] > 0 for layer in layers)
    return architecture(layers), layers, f"{len(layers)} layers, {deep} of them with parameters"


def _importance(subject: _Subject) -> tuple[Any, Any, str]:
    dataset, run = subject.dataset, subject.run
    names = list(dict.fromkeys(column.name for column in dataset.spec.inputs))
    if len(names) < 2:
        raise UsageError("the model has one input, which is all that it sees", where="importance")
    name = choose_evaluated_split(dataset)
    generator = np.random.default_rng(0)
    split = dataset.splits[name]
    split = select_rows(split, np.sort(generator.permutation(len(split))[:MOST_ROWS]))
    sign = Direction(run.direction).sign

    def score(inputs: Mapping[str, Any]) -> float:
        alone = dataclasses.replace(
            dataset, splits={name: dataclasses.replace(split, inputs=inputs)}, spec=subject.model.spec
        )
        evaluation = subject.task.evaluate(subject.model.keras_model, alone, name, intervals=False)
        return float(evaluation.scores[run.objective])

    usual = score(split.inputs)
    changes = {}
    for name_of_input in names[:MOST_INPUTS]:
        keys = [
            column.key for column in dataset.spec.inputs if column.name == name_of_input
        ]  # a column and its missing indicator
        losses = []
        for _ in range(SHUFFLES):
            order = generator.permutation(len(split))
            losses.append(sign * (score({**split.inputs, **{key: split.inputs[key][order] for key in keys}}) - usual))
        changes[name_of_input] = (float(np.mean(losses)), float(np.std(losses, ddof=1)))
    changes = dict(sorted(changes.items(), key=lambda pair: -pair[1][0]))
    score_name = SPLIT_PREFIX[name] + run.objective
    message = ", ".join(
        f"{key} {format_number(mean)} ± {format_number(std)}" for key, (mean, std) in list(changes.items())[:4]
    )
    importances = {key: {"mean": mean, "std": std} for key, (mean, std) in changes.items()}
    return input_importances(changes, name=score_name), importances, f"shuffled, {score_name} gets worse by: {message}"


def _rates(subject: _Subject) -> tuple[Any, Any, str]:
    built_model, split = subject.untrained(), subject.dataset.splits["train"]
    if built_model.trainer is not None:
        raise UsageError("the model is trained without a learning rate of the common loop", where="rates")
    prepare_layers(built_model.network, subject.arrays(built_model, "train"))
    full_model = built_model.training_model()
    full_model.compile(optimizer=built_model.network.optimizer, loss=built_model.network.loss, jit_compile=False)
    generator = np.random.default_rng(subject.job.seed)
    size = subject.settings().batch(len(split))
    rates = np.geomspace(LOWEST_RATE, HIGHEST_RATE, RATES)
    losses: list[float] = []
    smooth: list[float] = []
    mean = 0.0
    for step, rate in enumerate(rates):
        full_model.optimizer.learning_rate.assign(rate)
        some = select_rows(split, generator.choice(len(split), size, replace=False))
        x = {key: convert_to_tensor(values) for key, values in prepare_inputs(some.inputs).items()}
        losses.append(float(full_model.train_on_batch(x, np.asarray(some.target), return_dict=True)["loss"]))
        mean = SMOOTHING * mean + (1 - SMOOTHING) * losses[-1]
        smooth.append(mean / (1 - SMOOTHING ** (step + 1)))
        if not math.isfinite(losses[-1]) or smooth[-1] > 4 * min(smooth):
            break
    curve = np.array(smooth[: len(losses) - (not math.isfinite(losses[-1]))])
    if len(curve) < 2:
        raise UsageError("the loss falls at no learning rate", where="rates")
    # Measure the slope over a window: single steps are noisy, and the first smoothed values average few steps.
    window = max(1, min(WINDOW, len(curve) // 3))
    falls = curve[:-window] - curve[window:]
    first = min(WARM_UP, len(falls) - 1)
    suggested = float(rates[first + int(np.argmax(falls[first:])) + window // 2])
    low, high = _find_useful_rates(rates, curve[first:], first)
    figure = rate_curve(
        rates[: len(curve)],
        np.array(losses[: len(curve)]),
        curve,
        suggested=suggested,
        used=subject.rate,
        useful=(low, high),
    )
    message = f"the loss falls fastest at a learning rate of {suggested:.2g}; trained with {subject.rate:.2g}; "
    message += f"below {low:.2g} it hardly falls"
    message += f", above {high:.2g} it rises" if high is not None else ""
    return figure, {"suggested": suggested, "used": subject.rate, "too_low_below": low, "too_high_above": high}, message


def _find_useful_rates(rates: np.ndarray, curve: np.ndarray, first: int) -> tuple[float, float | None]:
    """Return the rates between which the smoothed loss falls: from a tenth of its whole fall to its minimum.

    Args:
        rates: Learning rates of all steps.
        curve: Smoothed losses, from step ``first`` on.
        first: Step whose smoothed loss is the first that averages enough steps.

    Raises:
        UsageError: If the loss never falls.
    """
    lowest = int(np.argmin(curve))
    start = float(curve[: lowest + 1].max())
    falls = np.flatnonzero(curve[: lowest + 1] > start - BEGUN * (start - curve[lowest]))
    if not len(falls):
        raise UsageError("the loss falls at no learning rate", where="rates")
    high = float(rates[first + lowest]) if lowest < len(curve) - 1 else None
    return float(rates[first + falls[-1]]), high


def _sizes(subject: _Subject) -> tuple[Any, Any, str]:
    dataset, run = subject.dataset, subject.run
    train = dataset.splits["train"]
    order = np.random.default_rng(subject.job.seed).permutation(len(train))
    scores: dict[str, list[float]] = {split: [] for split in ("train", "validation") if split in dataset.splits}
    rows = [max(2, round(fraction * len(train))) for fraction in SHARES]
    for count in rows:
        few = dataclasses.replace(
            dataset, splits={**dataset.splits, "train": select_rows(train, np.sort(order[:count]))}
        )
        fitted = subject.fit(few)
        for name, evaluation in evaluate(fitted, list(scores)).items():
            scores[name].append(float(evaluation.scores[run.objective]))
    held = scores.get("validation", scores["train"])
    sign = Direction(run.direction).sign
    gained = sign * (held[-2] - held[-1])
    verdict = "more rows would help" if gained > 0.02 * abs(held[-2]) else "more rows would hardly help"
    change = f"{run.objective} goes from {format_number(held[-2])} to {format_number(held[-1])}"
    message = f"from {rows[-2]:,} to {rows[-1]:,} rows {change}"
    return size_curve(rows, scores, name=run.objective), {"rows": rows, **scores}, f"{message}: {verdict}"


def _landscape(subject: _Subject) -> tuple[Any, Any, str]:
    built_model = subject.trained()
    split = "validation" if "validation" in subject.dataset.splits else "train"
    line, plane = compute_loss_landscape(
        built_model.network, subject.arrays(built_model, split), DISTANCES, seed=subject.job.seed
    )
    middle, edge = float(line[len(line) // 2]), float(np.mean([line[0], line[-1]]))
    losses = {"distances": DISTANCES.tolist(), "line": line.tolist(), "plane": plane.tolist()}
    message = (
        f"loss {format_number(middle)} at the weights, {format_number(edge)} on average at a distance of their own size"
    )
    return loss_landscape(DISTANCES, line, plane), losses, message


def _layers(subject: _Subject) -> tuple[Any, Any, str]:
    built_model = subject.untrained()
    plan = Plan(seed=subject.job.seed, epochs=subject.settings(WATCHED_EPOCHS).epochs, track_layers=True)
    fitted = fit_built(subject.builder, built_model, subject.dataset, subject.run.hyperparameters, plan)
    norms, dead = (select_layer_curves(fitted.result.history, prefix) for prefix in (GRADIENT_NORM, DEAD_UNITS))
    worst = max(dead, key=lambda name: dead[name][-1], default="")
    most = f"most dead units: {100 * dead[worst][-1]:.0f} % of {worst}" if worst else "no hidden layer"
    if not norms:
        raise UsageError("the network has no layer that is trained", where="layers")
    last = [values[-1] for values in norms.values()]
    message = f"{most}; gradients of layers from {format_number(min(last))} to {format_number(max(last))}"
    return layer_curves(norms, dead), {"gradient_norms": norms, "dead": dead}, message


def _steps(subject: _Subject) -> tuple[Any, Any, str]:
    built_model = subject.untrained()
    if not has_recurrent_layers(built_model.network):
        raise UsageError("the network has no recurrent layers, which read one step after another", where="steps")
    arrays = shorten_arrays(subject.arrays(built_model, "train"), rows=STEP_ROWS)
    untrained = measure_over_time(built_model.network, arrays)
    if not untrained:
        message = f"its recurrent layers read more than {MOST_STEPS} steps, or are called more than once"
        raise UsageError(message, where="steps")
    trained = measure_over_time(subject.trained().network, arrays)
    frames = [
        pd.DataFrame({"layer": name, "steps_before_last": range(len(norms)), "trained": norms, "untrained": before})
        for (name, norms), before in zip(trained.items(), untrained.values(), strict=True)
    ]
    table = pd.concat(frames)
    TrackedRun(subject.store, subject.store.client.get_run(subject.run_id)).tables({"study_steps": table})
    parts = [_compare_ends(norms, name) for name, norms in trained.items()]
    message = f"the gradient that reaches the farthest step is {', '.join(parts)}"
    results = {name: part.drop(columns="layer").to_dict("list") for name, part in table.groupby("layer", sort=False)}
    return gradients_over_time(trained, untrained), results, message


def _compare_ends(norms: np.ndarray, layer: str) -> str:
    """Describe the gradient at the step that is farthest from the last one, as a multiple of that at the last."""
    near, far = float(norms[0]), float(norms[-1])
    if near > 0 and math.isfinite(far / near):
        return f"{format_number(far / near)} times that at the last of {len(norms)} ({layer})"
    if near == 0 and far == 0:
        return f"zero, as at the last of {len(norms)} ({layer})"
    return f"not comparable to that at the last of {len(norms)} ({layer})"


_STUDIES: dict[str, Callable[[_Subject], tuple[Any, Any, str]]] = {
    "architecture": _architecture,
    "importance": _importance,
    "rates": _rates,
    "sizes": _sizes,
    "landscape": _landscape,
    "layers": _layers,
    "steps": _steps,
}
