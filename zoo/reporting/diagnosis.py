"""What a training's course and scores say of it: what is wrong, by which figures, and what to try next."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from zoo.reporting.check_inputs import WARNING, Finding

RATE_TOO_HIGH, RATE_TOO_LOW, NOT_CONVERGED = "learning rate too high", "learning rate too low", "not converged"
UNDER_FITTING, OVER_FITTING = "under-fitting", "over-fitting"
UNSTABLE, TOO_FEW, LEAKAGE = "unstable over seeds", "too few rows", "leakage suspected"
WORSE = "worse than a baseline"
CURVE = "figures/learning_curve.png"
# Shares of the error of a guess that knows nothing but the targets.
GAP = 0.1  # between parts, or to what a baseline attains, beyond the noise
NOTHING = 0.05  # below it nothing was learnt
RISE = 0.02  # of the training loss, that is more than its usual wobble
GAIN = 0.02  # in the last epochs, that says that more would come
GAIN_OF_REST, LEAST_GAIN = 0.1, 0.005  # or so much of what was still missing
_LEAKS = ("leakage", "groups", "duplicates", "near-duplicates")


@dataclass(frozen=True)
class Training:
    """A training that is over, as the diagnosis sees it.

    Args:
        history: Scores of each epoch, by name.
        best_epoch: Epoch whose weights were kept, counted from 1.
        stopped: Why training ended, as in ``FitResult``.
        steps: Steps of an epoch.
        objective: The score that the model was chosen by, without prefix.
        metrics: The kept weights' scores, with prefix.
        interval: 95 % interval of the objective on test; None without.
        baselines: Metrics of each baseline.
        guess: Name of the baseline that knows nothing but the targets; None where there is none, or the objective
            is no error.
        verdict: The model against the best baseline, as ``Run`` has it.
        best_baseline: Its name.
        report: Findings of the data report.
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

    @property
    def epochs(self) -> int:
        """Epochs that were trained."""
        return len(self.history.get("loss", ()))

    def skill(self, scores: Mapping[str, float], split: str) -> float:
        """Return the share of the guess's error that is gone: 0 is no better than it, 1 perfect; NaN where unknown.

        Args:
            scores: Of a model or baseline, with prefix.
            part: Prefix of the part, such as ``val_``.
        """
        return self._skill(scores.get(split + self.objective, math.nan), split)

    def skills(self) -> np.ndarray:
        """Return the skill on validation after each epoch (E,); empty where unknown."""
        values = self.history.get(f"val_{self.objective}", ())
        made = np.array([self._skill(value, "val_") for value in values])
        return made if np.isfinite(made).any() else np.empty(0)

    def noise(self) -> float:
        """Return half the width of the test score's interval, as a share of the guess's error; 0 where unknown."""
        if self.interval is None:
            return 0.0
        low, high = (self._skill(bound, "test_") for bound in self.interval)
        return abs(low - high) / 2 if math.isfinite(low - high) else 0.0

    def attained(self) -> tuple[str, float]:
        """Return the baseline with the most skill on validation, and its skill; NaN where unknown."""
        known = {name: self.skill(scores, "val_") for name, scores in self.baselines.items()}
        known = {name: value for name, value in known.items() if math.isfinite(value)}
        if not known:
            return "", math.nan
        name = max(known, key=lambda name: known[name])
        return name, known[name]

    def _skill(self, value: float, split: str) -> float:
        guessed = self.baselines.get(self.dummy or "", {}).get(split + self.objective, math.nan)
        if not guessed > 0:
            return math.nan
        ratio = value / guessed
        return 1 - (ratio * ratio if self.objective == "rmse" else ratio)


def diagnose(training: Training) -> list[Finding]:
    """Return what is wrong with a training, in the order in which to see to it; nothing where it is healthy.

    Parts are held against each other by the share of a constant guess's error that the model takes away (for squared
    errors R squared), so that the same limits suit any data: Goodfellow, Bengio and Courville 2016, "Deep Learning",
    sections 5.2 and 11.4, on reading training and validation error.

    Args:
        training: Its course and scores.

    Example:
        >>> history = {"loss": [1.0, 0.9, 0.8], "val_loss": [1.0, 0.9, 0.8], "val_rmse": [1.0, 0.9, 0.8]}
        >>> made = Training(history, best_epoch=3, stopped="epochs", steps=10, objective="rmse",
        ...                 metrics={"train_rmse": 0.8, "val_rmse": 0.8}, guess="mean",
        ...                 baselines={"mean": {"train_rmse": 1.0, "val_rmse": 1.0}})
        >>> [finding.topic for finding in diagnose(made)]
        ['not converged']
    """
    # Losses of any size are divided by one another, and no comparison with infinity or NaN claims anything.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        course = _of_course(training)
        found = [*course, *_of_leaks(training)]
        if not course:
            found += _under_fitting(training)
        found += _over_fitting(training)
        return [*found, *_too_few(training), *_worse(training)]


def unstable(
    values: Sequence[float], intervals: Sequence[tuple[float, float]], guessed: float, name: str
) -> list[Finding]:
    """Return whether runs that differ in their seed alone differ more than the test rows' luck explains.

    Args:
        values: The score of each run, on the same test rows.
        intervals: Its 95 % interval over test rows in each run.
        guessed: The score of a guess that knows nothing but the targets; NaN where unknown.
        name: The score's name.

    Example:
        >>> unstable([0.1, 0.9, 0.2], [(0.1, 0.2)] * 3, 1.0, "test_log_loss")[0].topic
        'unstable over seeds'
    """
    spread = float(np.std(values, ddof=1))
    luck = float(np.mean([(high - low) / (2 * 1.96) for low, high in intervals])) if intervals else 0.0
    gained = abs(guessed - float(np.median(values))) if math.isfinite(guessed) else abs(float(np.mean(values)))
    if not (spread > luck and spread > GAP * gained):
        return []
    text = f"{name} goes from {min(values):.4g} to {max(values):.4g} over {len(values)} seeds"
    advice = "a lower learning rate, --set warmup=5, --set clip_norm=1, or a larger batch_size; judge by all seeds"
    evidence = (f"deviation over seeds {spread:.2g}; the choice of test rows explains {luck:.2g}",)
    return [Finding(UNSTABLE, WARNING, text, advice, evidence)]


def in_words(findings: Sequence[Finding]) -> str:
    """Return a diagnosis as Markdown for a run's description; empty for a healthy run.

    Example:
        >>> print(in_words([Finding("not converged", "warning", "it was still falling", "--epochs 400")]))
        **Diagnosis**
        <BLANKLINE>
        - **not converged**: it was still falling. Next: --epochs 400
    """
    if not findings:
        return ""
    lines = []
    for finding in findings:
        shown = f" ({'; '.join(finding.evidence)})" if finding.evidence else ""
        lines.append(f"- **{finding.topic}**: {finding.text}{shown}. Next: {finding.advice}")
    return "\n".join(["**Diagnosis**", "", *lines])


# --- the course ---


def _of_course(training: Training) -> list[Finding]:
    """At most one verdict of the training loss by epoch: what is wrong with the course explains all that follows."""
    loss = np.asarray(training.history.get("loss", ()), float)
    if training.stopped == "diverged":
        text = f"the training loss was no number any more after epoch {max(len(loss) - 1, 0)}"
        return [Finding(RATE_TOO_HIGH, WARNING, text, _lower(training), (f"see {CURVE}",))]
    held = np.asarray(training.history.get("val_loss", ()), float)
    if len(loss) < 2 or len(held) != len(loss) or not (np.isfinite(loss).all() and np.isfinite(held).all()):
        return []
    return _too_high(training, loss) or _too_low(training, loss) or _not_converged(training)


def _too_high(training: Training, loss: np.ndarray) -> list[Finding]:
    guessed = _guessed_loss(training)
    held = np.asarray(training.history["val_loss"], float)
    # With much dropout the training loss jumps at any rate, and the validation loss does not.
    rises = min(float(np.mean(np.diff(curve) > RISE * guessed)) for curve in (loss, held))
    worst = float(min(loss.max(), held.max()) / guessed)
    behind = _behind(training)
    bounces = len(loss) >= 5 and rises >= 0.2 and (worst > 1.5 or behind > GAP)
    exploded = worst > 3 and behind > GAP
    if not bounces and not exploded:
        return []
    what = f"rises in {rises:.0%} of the epochs" if bounces else f"was {worst:.3g} times that of a constant guess"
    text = f"the training loss {what}, where a suitable rate lets it fall"
    return [Finding(RATE_TOO_HIGH, WARNING, text, _lower(training), (*_facts(training), f"see {CURVE}"))]


def _too_low(training: Training, loss: np.ndarray) -> list[Finding]:
    """The loss falls along a line: after so many steps a suitable rate has taken the large part of the way."""
    epochs, steps = len(loss), len(loss) * training.steps
    if epochs < 10 or steps < 200 or training.best_epoch < 0.95 * epochs:
        return []
    loss = np.asarray(training.history["val_loss"], float)  # that on training rows has the noise of dropout
    middle = epochs // 2
    early, late = loss[0] - loss[middle], loss[middle] - loss[-1]
    falls = float(np.mean([after < before for before, after in pairwise(loss)]))
    far = _behind(training) > GAP if math.isfinite(_behind(training)) else loss[-1] > 0.5 * loss[0]
    if not (falls >= 0.8 and late > 0.5 * early and far):
        return []
    share = (loss[0] - loss[-1]) / loss[0]
    text = (
        f"the validation loss falls as slowly and evenly at the end as at the beginning: {share:.1%} in {steps:,} steps"
    )
    rate = _rate(training)
    advice = f"--set learning_rate={10 * rate:.2g}" if rate else "a learning rate ten times as high"
    return [Finding(RATE_TOO_LOW, WARNING, text, advice, (*_facts(training), f"see {CURVE}"))]


def _not_converged(training: Training) -> list[Finding]:
    epochs = training.epochs
    if training.stopped != "epochs" or training.best_epoch < 0.95 * epochs:
        return []
    back = max(1, epochs // 5)
    skills = training.skills()
    if len(skills):
        before = float(skills[-1 - back])
    else:
        losses = np.asarray(training.history["val_loss"], float)
        skills = 1 - losses / (losses[0] or math.nan)
        before = float(skills[-1 - back])
    gain = float(skills[-1]) - before
    if not (gain > GAIN or (gain > LEAST_GAIN and gain > GAIN_OF_REST * (1 - before))):
        return []
    last = "the last epoch" if back == 1 else f"the last {back} epochs"
    text = (
        f"validation was still improving when the {epochs} epochs were over: by {gain:.1%} of a guess's error in {last}"
    )
    return [Finding(NOT_CONVERGED, WARNING, text, f"--epochs {4 * epochs}", (*_facts(training), f"see {CURVE}"))]


# --- the scores ---


def _under_fitting(training: Training) -> list[Finding]:
    own = training.skill(training.metrics, "train_")
    name, attained = training.attained()
    if not own < NOTHING and not own < attained - GAP - training.noise():
        return []
    evidence = (*_facts(training), f"see {CURVE}")
    if own < NOTHING and not attained > GAP:
        text = "neither the network nor any baseline does better than a constant guess"
        return [Finding(UNDER_FITTING, WARNING, text, "other columns: these may not tell of the target", evidence)]
    text = f"the network does worse on the rows that it learns from than {name} on rows that it never saw"
    advice = "more units or layers, less dropout and weight_decay, another model of zoo list, or zoo tune"
    return [Finding(UNDER_FITTING, WARNING, text, advice, evidence)]


def _over_fitting(training: Training) -> list[Finding]:
    trained, validated = (training.skill(training.metrics, split) for split in ("train_", "val_"))
    skills = training.skills()
    known = skills[np.isfinite(skills)]
    lost = float(known.max() - np.median(known[-3:])) if len(known) else 0.0
    if trained - validated > GAP + training.noise():
        text = (
            f"much of what was learnt holds for the training rows alone: {trained:.0%} of a guess's error is gone on "
            f"them, {validated:.0%} on validation rows"
        )
    elif lost > 2 * GAP and training.history["loss"][-1] < training.history["loss"][training.best_epoch - 1]:
        text = (
            f"after epoch {training.best_epoch}, whose weights were kept, the training loss went on falling while "
            f"validation lost {lost:.0%} of a guess's error"
        )
    else:
        return []
    advice = "--set dropout=0.3, --set weight_decay=0.001, fewer units, augmentation, or more rows"
    return [Finding(OVER_FITTING, WARNING, text, advice, (*_facts(training), f"see {CURVE}"))]


def _too_few(training: Training) -> list[Finding]:
    short = [known for known in training.report if known.topic == "enough rows" and known.level == WARNING]
    trained, validated = (training.skill(training.metrics, split) for split in ("train_", "val_"))
    if not short or not (trained - validated > GAP or training.noise() > GAP):
        return []
    evidence = [f"gap between training and validation {trained - validated:.2f} of a guess's error"]
    if training.interval is not None:
        low, high = training.interval
        evidence.append(f"test_{training.objective} is only known to be between {low:.4g} and {high:.4g}")
    advice = "more rows, fewer columns (--drop), --cv 5 to judge by all rows, or a linear model"
    return [Finding(TOO_FEW, WARNING, short[0].text, advice, tuple(evidence))]


def _of_leaks(training: Training) -> list[Finding]:
    return [
        Finding(LEAKAGE, WARNING, known.text, known.advice, known.evidence[:2])
        for known in training.report
        if known.topic in _LEAKS and known.level == WARNING and (known.advice or known.topic == "leakage")
    ]


def _worse(training: Training) -> list[Finding]:
    if training.verdict != "baseline better" or training.best_baseline is None:
        return []
    name = next((p + training.objective for p in ("test_", "val_") if p + training.objective in training.metrics), "")
    baseline = training.baselines[training.best_baseline].get(name, math.nan)
    text = f"{training.best_baseline} has {name} {baseline:.4g}, the network {training.metrics.get(name, math.nan):.4g}"
    low, high = training.interval or (math.nan, math.nan)
    shown = f"95 % interval of the network {low:.4g} to {high:.4g}"
    return [Finding(WORSE, WARNING, text, "zoo tune, or the baseline's kind of model", (shown,))]


# --- figures that several verdicts need ---


def _behind(training: Training) -> float:
    """How far the network's skill on training rows is behind what a baseline attains on validation, or behind all."""
    own, (_, attained) = training.skill(training.metrics, "train_"), training.attained()
    return max(attained, NOTHING + GAP) - own if math.isfinite(attained) else math.nan


def _guessed_loss(training: Training) -> float:
    """The loss of a constant guess, in the unit of the curve: told from the kept epoch, where skill and loss are known.

    Where the skill is not known, the first epoch's loss on validation, which is of nearly untrained weights.
    """
    skill = training.skill(training.metrics, "val_")
    losses = np.asarray(training.history["val_loss"], float)
    kept = losses[training.best_epoch - 1] if training.best_epoch else losses[-1]
    if math.isfinite(skill) and skill < 0.999 and kept > 0:
        return float(kept / (1 - skill))
    return float(losses[0]) or 1.0


def _rate(training: Training) -> float | None:
    rates = training.history.get("learning_rate")
    return float(max(rates)) if rates and max(rates) > 0 else None


def _lower(training: Training) -> str:
    rate = _rate(training)
    return f"--set learning_rate={rate / 10:.2g}" if rate else "a learning rate a tenth as high"


def _facts(training: Training) -> tuple[str, ...]:
    """The objective on both parts, beside the best baseline and the guess."""
    splits = [
        f"{p}{training.objective} {training.metrics[p + training.objective]:.4g}"
        for p in ("train_", "val_")
        if p + training.objective in training.metrics
    ]
    name, _ = training.attained()
    for known in dict.fromkeys((name, training.dummy or "")):
        value = training.baselines.get(known, {}).get(f"val_{training.objective}")
        if value is not None:
            splits.append(f"{known} on validation {value:.4g}")
    rate = _rate(training)
    return (", ".join(splits), *([f"learning rate {rate:.2g}"] if rate else []))
