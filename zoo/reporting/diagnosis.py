"""Diagnosis of a training run from its learning curve and scores: problems, evidence, and what to try next."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from zoo.reporting.check_inputs import WARNING, Finding

RATE_TOO_HIGH, RATE_TOO_LOW, NOT_CONVERGED = "learning rate too high", "learning rate too low", "not converged"
UNDER_FITTING, OVER_FITTING = "under-fitting", "over-fitting"
VANISHING, EXPLODING = "vanishing gradient", "exploding gradient"
UNSTABLE, TOO_FEW, LEAKAGE = "unstable over seeds", "too few rows", "leakage suspected"
WORSE, NOTHING_LEARNED = "worse than a baseline", "nothing learned"
CURVE, RANGE_TEST = "figures/learning_curve.png", ", or one that zoo study RUN rates suggests"
# Fractions of the error of the constant baseline.
GAP = 0.1  # gap between splits, or to a baseline, beyond the noise
NOTHING = 0.05  # skill below which nothing was learnt
RISE = 0.02  # rise of the training loss beyond its usual fluctuation
GAIN = 0.02  # gain in the last epochs that shows that training has not converged
GAIN_OF_REST, LEAST_GAIN = 0.1, 0.005  # or a gain of this fraction of the remaining error
_LEAKS = ("leakage", "groups", "duplicates", "near-duplicates")

# What reduces over-fitting: values of hyperparameters that models with smaller ones may try, and changes of others.
STRONGER = {"dropout": 0.3, "weight_decay": 0.001}
CHANGES = {"units": "fewer units", "flip": "augmentation"}


@dataclass(frozen=True)
class Training:
    """A finished training run, as input of the diagnosis.

    Args:
        history: Metrics of each epoch, by name.
        best_epoch: Epoch whose weights were kept, counted from 1.
        stopped: Why training ended, as in ``FitResult``.
        steps: Steps per epoch.
        objective: The metric that selected the weights, without prefix.
        metrics: Metrics of the kept weights, with prefix.
        interval: 95 % interval of the objective on the test split; None if there is none.
        baselines: Metrics of each baseline.
        dummy: Name of the constant baseline; None if there is none.
        verdict: The model compared with the best baseline, as in ``Run``.
        best_baseline: Name of the best baseline.
        report: Findings of the data report.
        strong_model: The model to try where this one is worse than a baseline; None for none.
        hyperparameters: The model's hyperparameters, which the advice is limited to.
        perfect: Value of the objective for perfect predictions; 0 for an error.
    """

    history: Mapping[str, Sequence[float]]
    best_epoch: int
    stopped: str
    steps: int
    objective: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    interval: tuple[float, float] | None = None
    baselines: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    dummy: str | None = None
    verdict: str = ""
    best_baseline: str | None = None
    report: Sequence[Finding] = ()
    strong_model: str | None = None
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    perfect: float = 0.0

    @property
    def epochs(self) -> int:
        """Number of epochs trained."""
        return len(self.history.get("loss", ()))

    def skill(self, scores: Mapping[str, float], split: str) -> float:
        """Return the skill: 0 is no better than the constant baseline, 1 is perfect; NaN if unknown.

        Args:
            scores: Metrics of a model or baseline, with prefix.
            split: Prefix of the split, such as ``val_``.
        """
        return self._skill(scores.get(split + self.objective, math.nan), split)

    @property
    def learnt_nothing(self) -> bool:
        """Whether the network is hardly better than the constant baseline on training rows."""
        return self.skill(self.metrics, "train_") < NOTHING

    def skills(self) -> np.ndarray:
        """Return the validation skill after each epoch (E,); empty if unknown."""
        values = self.history.get(f"val_{self.objective}", ())
        skills = np.array([self._skill(value, "val_") for value in values])
        return skills if np.isfinite(skills).any() else np.empty(0)

    def noise(self) -> float:
        """Return the distance of the test score to the nearer bound of its interval, in units of skill; 0 if unknown.

        The other bound may be far away, for errors that are too rare to occur.
        """
        if self.interval is None:
            return 0.0
        low, high = (self._skill(bound, "test_") for bound in self.interval)
        score = self._skill(self.metrics.get(f"test_{self.objective}", math.nan), "test_")
        distance = min(abs(score - low), abs(high - score))
        return distance if math.isfinite(distance) else 0.0

    def attained(self) -> tuple[str, float]:
        """Return the baseline with the highest validation skill, and its skill; NaN if unknown."""
        skills = {name: self.skill(scores, "val_") for name, scores in self.baselines.items()}
        name = max((name for name in skills if math.isfinite(skills[name])), key=lambda name: skills[name], default="")
        return name, skills.get(name, math.nan)

    def _skill(self, value: float, split: str) -> float:
        guessed = self.baselines.get(self.dummy or "", {}).get(split + self.objective, math.nan)
        if not (guessed > 0 and guessed != self.perfect):
            return math.nan
        ratio = (self.perfect - value) / (self.perfect - guessed)
        return 1 - (ratio * ratio if self.objective == "rmse" else ratio)


def diagnose(training: Training, gradients: Sequence[Finding] = ()) -> list[Finding]:
    """Return the problems of a training run, the first one to fix first; empty if there are none.

    Splits are compared by skill: the fraction of the constant baseline's error that the model removes (R squared for
    squared errors), so that the same limits suit any data. See Goodfellow, Bengio and Courville 2016, "Deep Learning",
    sections 5.2 and 11.4, on reading training and validation error.

    Args:
        training: The learning curve and the scores.
        gradients: Findings on gradients of a network that learnt nothing, which explain that. A vanishing one is left
            out where no baseline is better than the constant either: the columns may not be informative, and the
            gradients of recurrent layers vanish before training too.

    Example:
        >>> history = {"loss": [1.0, 0.9, 0.8], "val_loss": [1.0, 0.9, 0.8], "val_rmse": [1.0, 0.9, 0.8]}
        >>> training = Training(history, best_epoch=3, stopped="epochs", steps=10, objective="rmse",
        ...                     metrics={"train_rmse": 0.8, "val_rmse": 0.8}, dummy="mean",
        ...                     baselines={"mean": {"train_rmse": 1.0, "val_rmse": 1.0}})
        >>> [finding.topic for finding in diagnose(training)]
        ['not converged']
    """
    # Losses may overflow when divided; comparisons with infinity or NaN are then false, so nothing is reported.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        loss_findings = _of_course(training)
        if not training.attained()[1] > GAP:
            gradients = [finding for finding in gradients if finding.topic != VANISHING]
        under, over = [] if loss_findings or gradients else _under_fitting(training), _over_fitting(training)
        if over:  # more epochs would fit the training rows still better
            loss_findings = [finding for finding in loss_findings if finding.topic != NOT_CONVERGED]
        if under and over:  # their cures are opposite: the larger gap is the first to close
            trained, validated = (training.skill(training.metrics, split) for split in ("train_", "val_"))
            under, over = (under, []) if training.attained()[1] - trained > trained - validated else ([], over)
        return [
            *loss_findings, *gradients, *_of_leaks(training), *under, *over, *_too_few(training),
            *(_nothing_learned(training) or check_baseline(training)),
        ]  # fmt: skip


def check_baseline(training: Training) -> list[Finding]:
    """Report if the best baseline is better than the network, by the verdict that is printed beside the scores.

    Example:
        >>> training = Training({}, 1, "", 1, "rmse", {"test_rmse": 2.0}, baselines={"ridge": {"test_rmse": 1.0}},
        ...                     verdict="baseline better", best_baseline="ridge")
        >>> check_baseline(training)[0].text
        'ridge has test_rmse 1, the network 2'
    """
    if training.verdict != "baseline better" or training.best_baseline is None:
        return []
    name = next((p + training.objective for p in ("test_", "val_") if p + training.objective in training.metrics), "")
    baseline = training.baselines[training.best_baseline].get(name, math.nan)
    text = f"{training.best_baseline} has {name} {baseline:.4g}, the network {training.metrics.get(name, math.nan):.4g}"
    shown = "95 % interval of the network {:.4g} to {:.4g}".format(*(training.interval or (math.nan, math.nan)))
    others = f"{training.strong_model}, " if training.strong_model else ""
    return [Finding(WORSE, WARNING, text, f"{others}zoo tune, or use the baseline", (shown,))]


def _nothing_learned(training: Training) -> list[Finding]:
    """Report a score that cannot be told from that of chance, where no ratio of the two says how good it is."""
    name, objective = training.dummy, f"test_{training.objective}"
    if name is None or training.best_baseline != name or training.verdict not in ("tie", "baseline better"):
        return []
    if math.isfinite(training.skill(training.metrics, "test_")):
        return []
    chance = training.baselines[name].get(objective, math.nan)
    text = f"{objective} is {training.metrics.get(objective, math.nan):.4g}, no better than {chance:.4g} of {name}"
    advice = f"--epochs {4 * training.epochs}, another model of zoo list, or zoo tune"
    return [
        Finding(NOTHING_LEARNED, WARNING, text, advice, (f"best epoch {training.best_epoch} of {training.epochs}",))
    ]


def check_stability(
    values: Sequence[float], intervals: Sequence[tuple[float, float]], guessed: float, name: str
) -> list[Finding]:
    """Report if runs that differ only in the seed vary more than sampling error of the test rows explains.

    Args:
        values: The score of each run, on the same test rows.
        intervals: The 95 % interval over test rows in each run.
        guessed: The score of the constant baseline; NaN if unknown.
        name: Name of the metric.

    Example:
        >>> check_stability([0.1, 0.9, 0.2], [(0.1, 0.2)] * 3, 1.0, "test_log_loss")[0].topic
        'unstable over seeds'
    """
    spread = float(np.std(values, ddof=1))
    sampling_error = float(np.mean([(high - low) / (2 * 1.96) for low, high in intervals])) if intervals else 0.0
    gained = abs(guessed - float(np.median(values))) if math.isfinite(guessed) else abs(float(np.mean(values)))
    if not (spread > sampling_error and spread > GAP * gained):
        return []
    text = f"{name} varies from {min(values):.4g} to {max(values):.4g} over {len(values)} seeds"
    advice = "a lower learning rate, --set warmup=5, --set clip_norm=1, or a larger batch_size; compare over all seeds"
    evidence = (f"standard deviation over seeds {spread:.2g}; sampling error of the test rows {sampling_error:.2g}",)
    return [Finding(UNSTABLE, WARNING, text, advice, evidence)]


def _of_course(training: Training) -> list[Finding]:
    """Return at most one finding on the learning curve, since the first problem explains the others."""
    loss = np.asarray(training.history.get("loss", ()), float)
    if training.stopped == "diverged":
        text = f"the training loss became NaN or infinite after epoch {max(len(loss) - 1, 0)}"
        return [Finding(RATE_TOO_HIGH, WARNING, text, _lower(training), (f"see {CURVE}",))]
    val_loss = np.asarray(training.history.get("val_loss", ()), float)
    if len(loss) < 2 or len(val_loss) != len(loss) or not (np.isfinite(loss).all() and np.isfinite(val_loss).all()):
        return []
    return _too_high(training, loss) or _too_low(training, loss) or _not_converged(training)


def _too_high(training: Training, loss: np.ndarray) -> list[Finding]:
    guessed = _guessed_loss(training)
    val_loss = np.asarray(training.history["val_loss"], float)
    # With strong dropout the training loss fluctuates at any learning rate, but the validation loss does not.
    rises = min(float(np.mean(np.diff(curve) > RISE * guessed)) for curve in (loss, val_loss))
    worst = float(min(loss.max(), val_loss.max()) / guessed)
    behind = _behind(training)
    bounces = len(loss) >= 5 and rises >= 0.2 and (worst > 1.5 or behind > GAP)
    exploded = worst > 3 and behind > GAP
    if not bounces and not exploded:
        return []
    what = f"rises in {rises:.0%} of the epochs" if bounces else f"was {worst:.3g} times that of the constant baseline"
    text = f"the training loss {what}"
    return [Finding(RATE_TOO_HIGH, WARNING, text, _lower(training), _facts(training))]


def _too_low(training: Training, loss: np.ndarray) -> list[Finding]:
    """Report a loss that still decreases linearly after many steps."""
    epochs, steps = len(loss), len(loss) * training.steps
    if epochs < 10 or steps < 200 or training.best_epoch < 0.95 * epochs:
        return []
    loss = np.asarray(training.history["val_loss"], float)  # the training loss has the noise of dropout
    middle = epochs // 2
    early, late = loss[0] - loss[middle], loss[middle] - loss[-1]
    falls = float(np.mean([after < before for before, after in pairwise(loss)]))
    far = _behind(training) > GAP if math.isfinite(_behind(training)) else loss[-1] > 0.5 * loss[0]
    if not (falls >= 0.8 and late > 0.5 * early and far):
        return []
    fraction = (loss[0] - loss[-1]) / loss[0]
    text = f"the validation loss decreases slowly and linearly: by {fraction:.1%} in {steps:,} steps"
    rate = _rate(training)
    advice = f"--set learning_rate={10 * rate:.2g}{RANGE_TEST}" if rate else "a learning rate ten times as high"
    return [Finding(RATE_TOO_LOW, WARNING, text, advice, _facts(training))]


def _not_converged(training: Training) -> list[Finding]:
    epochs = training.epochs
    if training.stopped != "epochs" or training.best_epoch < 0.95 * epochs:
        return []
    back = max(1, epochs // 5)
    skills = training.skills()
    if not len(skills):
        losses = np.asarray(training.history["val_loss"], float)
        skills = 1 - losses / (losses[0] or math.nan)
    before = float(skills[-1 - back])
    gain = float(skills[-1]) - before
    if not (gain > GAIN or (gain > LEAST_GAIN and gain > GAIN_OF_REST * (1 - before))):
        return []
    last = "the last epoch" if back == 1 else f"the last {back} epochs"
    text = f"validation was still improving in {last} of {epochs}: by {gain:.1%} of the constant baseline's error"
    return [Finding(NOT_CONVERGED, WARNING, text, f"--epochs {4 * epochs}", _facts(training))]


# --- scores ---


def _under_fitting(training: Training) -> list[Finding]:
    skill = training.skill(training.metrics, "train_")
    name, attained = training.attained()
    if not skill < NOTHING and not skill < attained - GAP - training.noise():
        return []
    text = f"the network is worse on training rows than {name} on validation rows"
    advice = "more units or layers, less dropout and weight_decay, another model of zoo list, or zoo tune"
    if skill < NOTHING and not attained > GAP:
        others = set(training.baselines) - {training.dummy}
        text = "neither the network nor any baseline is better" if others else "the network is no better"
        text = f"{text} than the constant baseline"
        advice = "other inputs: these may not be informative"
    longer = "more --epochs, " if training.epochs == 1 else ""  # whose curve cannot show that it has not converged
    return [Finding(UNDER_FITTING, WARNING, text, longer + advice, _facts(training))]


def _over_fitting(training: Training) -> list[Finding]:
    trained, validated = (training.skill(training.metrics, split) for split in ("train_", "val_"))
    skills = training.skills()
    finite = skills[np.isfinite(skills)]
    lost = float(finite.max() - np.median(finite[-3:])) if len(finite) else 0.0
    best = int(np.nanargmax(skills)) if len(finite) else 0
    if trained - validated > GAP + training.noise():
        removed = f"removes {trained:.0%} of the constant baseline's error"
        first = removed if trained >= 0 else "is worse than the constant baseline"
        second = f", {validated:.0%}" if validated >= 0 else " and is worse than the constant baseline"
        text = (
            f"the model fits the training rows much better than others: it {first} on training rows{second} "
            f"on validation rows"
        )
    elif lost > 2 * GAP and training.history["loss"][-1] < training.history["loss"][best]:
        kept = "weights were kept" if training.best_epoch == best + 1 else "validation was best"
        text = f"after epoch {best + 1}, whose {kept}, the training loss kept decreasing while validation got worse"
        text += f" by {lost:.0%} of the constant baseline's error"
    else:
        return []
    values = training.hyperparameters
    cures = [f"--set {name}={value}" for name, value in STRONGER.items() if name in values and values[name] < value]
    cures += [change for name, change in CHANGES.items() if name in values]
    advice = ", ".join([*cures, "or more rows"]) if cures else "more rows"
    return [Finding(OVER_FITTING, WARNING, text, advice, _facts(training))]


def _too_few(training: Training) -> list[Finding]:
    warnings = [finding for finding in training.report if finding.topic == "enough rows" and finding.level == WARNING]
    trained, validated = (training.skill(training.metrics, split) for split in ("train_", "val_"))
    if not warnings or not (trained - validated > GAP or training.noise() > GAP):
        return []
    evidence = [f"gap between training and validation: {trained - validated:.2f} of the constant baseline's error"]
    if training.interval is not None:
        low, high = training.interval
        evidence.append(f"test_{training.objective} has the 95 % interval {low:.4g} to {high:.4g}")
    advice = "more rows, fewer columns (--drop), --cv 5 to test on all rows, or a linear model"
    return [Finding(TOO_FEW, WARNING, warnings[0].text, advice, tuple(evidence))]


def _of_leaks(training: Training) -> list[Finding]:
    return [
        Finding(LEAKAGE, WARNING, finding.text, finding.advice, finding.evidence[:2])
        for finding in training.report
        if finding.topic in _LEAKS and finding.level == WARNING and (finding.advice or finding.topic == "leakage")
    ]


# --- figures used by several findings ---


def _behind(training: Training) -> float:
    """Return how far the network's training skill is below the best baseline's validation skill."""
    skill, (_, attained) = training.skill(training.metrics, "train_"), training.attained()
    return max(attained, NOTHING + GAP) - skill if math.isfinite(attained) else math.nan


def _guessed_loss(training: Training) -> float:
    """Return the loss of the constant baseline in units of the curve, from skill and loss of the kept epoch.

    If the skill is unknown, or of no error that the loss is in proportion to, use the validation loss of the first
    epoch, whose weights are nearly untrained.
    """
    skill = training.skill(training.metrics, "val_")
    losses = np.asarray(training.history["val_loss"], float)
    kept = losses[training.best_epoch - 1] if training.best_epoch else losses[-1]
    if math.isfinite(skill) and skill < 0.999 and kept > 0 and training.perfect == 0:
        return float(kept / (1 - skill))
    return float(losses[0]) or 1.0


def _rate(training: Training) -> float | None:
    rates = training.history.get("learning_rate")
    return float(max(rates)) if rates and max(rates) > 0 else None


def _lower(training: Training) -> str:
    rate = _rate(training)
    return f"--set learning_rate={rate / 10:.2g}{RANGE_TEST}" if rate else "a learning rate a tenth as high"


def _facts(training: Training) -> tuple[str, ...]:
    """Return the objective on both splits, next to the best and the constant baseline, and the figure of the curve."""
    splits = [
        f"{p}{training.objective} {training.metrics[p + training.objective]:.4g}"
        for p in ("train_", "val_")
        if p + training.objective in training.metrics
    ]
    name, _ = training.attained()
    for baseline in dict.fromkeys((name, training.dummy or "")):
        value = training.baselines.get(baseline, {}).get(f"val_{training.objective}")
        if value is not None:
            splits.append(f"{baseline} on validation {value:.4g}")
    rate = _rate(training)
    return (", ".join(splits), *([f"learning rate {rate:.2g}"] if rate else []), f"see {CURVE}")
