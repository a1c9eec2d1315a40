"""Coverage of every interval that zoo prints, by simulation: stated 95 %, how often it contains the true value.

Truth and predictions are drawn, so that no network is trained; the true value is that of a million rows, or is known.
Intervals that are not stated because there are too few rows are counted apart.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
from _results import Results, read_arguments

from zoo.calibration.conformal import (
    compute_class_quantiles,
    compute_quantiles,
    look_up_quantile,
    predict_sets,
    score_classes,
)
from zoo.metrics.classes import create_class_metrics
from zoo.metrics.metric import Metric, evaluate
from zoo.metrics.numbers import create_number_metrics, create_quantile_metrics
from zoo.metrics.significance import cautious_difference, compute_standard_error, estimate_mean

SIMULATIONS, QUICK_SIMULATIONS = 1000, 20
TRUE_ROWS, QUICK_TRUE_ROWS = 1_000_000, 20_000
LOW, HIGH = 0.92, 0.98
CONFORMAL, CONFORMAL_LOW, CONFORMAL_HIGH, NEW_ROWS = 90.0, 0.89, 1.0, 500
LEAST_STATED = 0.5
Rows = dict[str, Any]  # truth, prediction, and weight, counts or group if any


@dataclass(frozen=True)
class Case:
    """A kind of rows, and how many of them.

    Args:
        kind: What the table calls it.
        size: Its size in words.
        metrics: The metrics of such rows.
        draw: Function of a random generator and a number of rows or groups.
        rows: That number.
    """

    kind: str
    size: str
    metrics: Sequence[Metric]
    draw: Callable[[np.random.Generator, int], Rows]
    rows: int

    @property
    def key(self) -> str:
        """The key of its measurement."""
        return f"{self.kind}, {self.size}"


def main() -> None:
    """Simulate and report."""
    options = read_arguments(__doc__ or "")
    simulations = QUICK_SIMULATIONS if options.quick else SIMULATIONS
    true_rows = QUICK_TRUE_ROWS if options.quick else TRUE_ROWS
    results = Results(__file__, options, {"simulations": simulations, "true_rows": true_rows})
    for case in _metric_cases():
        results.measure(case.key, partial(_cover_metrics, case, simulations, true_rows))
    others: dict[str, Callable[[np.random.Generator], Sequence[tuple[str, float]]]] = {
        **{f"seeds, deviation {s:g} of the test rows' error": partial(_seeds, s) for s in (0.1, 0.3, 1.0)},
        **{f"folds, 5 of {n} rows": partial(_folds, n) for n in (50, 200)},
        **{f"register, {n} rows, {kind}": partial(_register, n, kind) for n in (30, 100, 1000) for kind in LOSSES},
        **{f"conformal, {n} rows set aside": partial(_conformal, n) for n in (200, 1000)},
    }
    for key, simulate in others.items():
        results.measure(key, partial(_cover, key, simulate, simulations))
    _report(results)


# --- metrics ---


def _metric_cases() -> Iterator[Case]:
    binary, numbers = create_class_metrics(2), create_number_metrics()
    for share in (0.05, 0.2, 0.5):
        for positives in (15, 30, 100, 300):
            for skill, (strength, sharpness) in SKILLS.items():
                draw = partial(_draw_binary, share, strength, sharpness)
                size = f"{share:.0%} positive, {positives} positives, {skill}"
                yield Case("two classes", size, binary, draw, round(positives / share))
    for classes in (3, 10):
        for rows in (20, 100):
            for skill, (strength, sharpness) in SKILLS.items():
                draw = partial(_draw_classes, classes, strength / 1.5, sharpness)
                size = f"{classes} of {rows} rows, {skill}"
                yield Case("several classes", size, create_class_metrics(classes), draw, classes * rows)
    for rows in (30, 100, 1000):
        for tails in ("normal", "skewed"):
            yield Case("numbers", f"{rows} rows, {tails} errors", numbers, partial(_draw_numbers, tails), rows)
        metrics = create_quantile_metrics([0.05, 0.5, 0.95])
        yield Case("quantiles", f"{rows} rows", metrics, _draw_quantiles, rows)
    for rows in (100, 1000):
        yield Case("weights", f"{rows} rows", binary, _draw_weighted, rows)
        yield Case("frequencies", f"{rows} rows", binary, _draw_counted, rows)
    for groups in (10, 20, 50):
        yield Case("classes by group", f"{groups} groups of 20", binary, _draw_binary_groups, groups)
        yield Case("numbers by group", f"{groups} groups of 20", numbers, _draw_number_groups, groups)


# Strength of the signal, and the factor by which probabilities are too sharp.
SKILLS = {"weak": (1.0, 1.0), "over-confident": (2.0, 2.0), "strong": (5.0, 1.0)}


def _draw_binary(share: float, strength: float, sharpness: float, rng: np.random.Generator, rows: int) -> Rows:
    logit = _intercept(share, strength) + strength * rng.normal(size=rows)
    return {"truth": _toss(rng, logit), "prediction": _binary(sharpness * logit)}


def _toss(rng: np.random.Generator, logit: np.ndarray) -> np.ndarray:
    return (rng.random(len(logit)) < 1 / (1 + np.exp(-logit))).astype(int)


def _binary(logit: np.ndarray) -> np.ndarray:
    probability = 1 / (1 + np.exp(-logit))
    return np.stack([1 - probability, probability], axis=1)


@cache
def _intercept(share: float, strength: float) -> float:
    """Return the intercept for which this share of rows is positive."""
    from scipy.optimize import brentq

    points, weights = np.polynomial.hermite_e.hermegauss(80)
    weights = weights / weights.sum()
    return float(brentq(lambda a: weights @ (1 / (1 + np.exp(-a - strength * points))) - share, -40, 40))


def _draw_classes(classes: int, strength: float, sharpness: float, rng: np.random.Generator, rows: int) -> Rows:
    truth = rng.integers(0, classes, rows)
    signal = rng.normal(size=(rows, classes))
    signal[np.arange(rows), truth] += strength
    logits = sharpness * strength * signal
    prediction = np.exp(logits - logits.max(axis=1, keepdims=True))
    return {"truth": truth, "prediction": prediction / prediction.sum(axis=1, keepdims=True)}


def _draw_numbers(tails: str, rng: np.random.Generator, rows: int) -> Rows:
    truth = rng.normal(size=rows)
    error = rng.normal(size=rows) if tails == "normal" else rng.lognormal(0, 0.7, rows) - np.exp(0.245)
    return {"truth": truth, "prediction": truth + 0.5 * error}


def _draw_quantiles(rng: np.random.Generator, rows: int) -> Rows:
    centre, spread = rng.normal(size=rows), rng.uniform(0.5, 2.0, rows)
    levels = np.array([-1.645, 0.0, 1.645])
    return {"truth": centre + spread * rng.normal(size=rows), "prediction": centre[:, None] + spread[:, None] * levels}


def _draw_weighted(rng: np.random.Generator, rows: int) -> Rows:
    weight = rng.lognormal(0, 0.7, rows)
    return {**_draw_binary(0.3, 2.0, 1.0, rng, rows), "weight": weight}


def _draw_counted(rng: np.random.Generator, rows: int) -> Rows:
    drawn = _draw_binary(0.3, 2.0, 1.0, rng, rows)
    decimals = np.round(drawn["prediction"][:, 1], 2)
    distinct, counts = np.unique(np.stack([drawn["truth"], decimals], axis=1), axis=0, return_counts=True)
    prediction = np.stack([1 - distinct[:, 1], distinct[:, 1]], axis=1)
    return {
        "truth": distinct[:, 0].astype(int),
        "prediction": prediction,
        "weight": counts.astype(float),
        "counts": True,
    }


def _draw_binary_groups(rng: np.random.Generator, groups: int) -> Rows:
    group = np.repeat(np.arange(groups), 20)
    logit = 2 * rng.normal(size=len(group))
    return {
        "truth": _toss(rng, logit + 1.5 * rng.normal(size=groups)[group]),
        "prediction": _binary(logit),
        "group": group,
    }


def _draw_number_groups(rng: np.random.Generator, groups: int) -> Rows:
    group = np.repeat(np.arange(groups), 20)
    truth, error = rng.normal(size=len(group)), rng.normal(size=len(group)) + rng.normal(size=groups)[group]
    return {"truth": truth, "prediction": truth + 0.5 * error, "group": group}


def _cover_metrics(case: Case, simulations: int, true_rows: int) -> dict[str, Any]:
    """Return how often each metric's interval contains the true value, and how often it is stated."""
    rng = _generator(case.key)
    true_size = true_rows // 20 if "by group" in case.kind else true_rows
    true, _ = evaluate(case.metrics, **case.draw(rng, true_size), resamples=0)
    pairs: list[tuple[str, float]] = []
    for _ in range(simulations):
        _, intervals = evaluate(case.metrics, **case.draw(rng, case.rows))
        pairs += [(name, low <= true[name] <= high) for name, (low, high) in intervals.items() if not np.isnan(low)]
    return _summarize(pairs, simulations)


def _summarize(pairs: Sequence[tuple[str, float]], simulations: int) -> dict[str, Any]:
    names = dict.fromkeys(name for name, _ in pairs)
    covered = {name: [inside for other, inside in pairs if other == name] for name in names}
    return {
        "coverage": {name: round(float(np.mean(values)), 4) for name, values in covered.items()},
        "stated": {name: round(len(values) / simulations, 4) for name, values in covered.items()},
    }


def _cover(
    key: str, simulate: Callable[[np.random.Generator], Sequence[tuple[str, float]]], simulations: int
) -> dict[str, Any]:
    rng = _generator(key)
    return _summarize([pair for _ in range(simulations) for pair in simulate(rng)], simulations)


def _generator(key: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(key.encode()))


# --- repeats, contests and prediction sets ---


def _seeds(spread: float, rng: np.random.Generator) -> Sequence[tuple[str, float]]:
    """Five seeds of two equal models on one test split whose standard error is 1: interval and false verdicts."""
    shared, model, baseline = rng.normal(0, np.sqrt(0.5), 3)
    scores = shared + model + rng.normal(0, spread, 5)
    noise = compute_standard_error([(-1.96, 1.96)])
    of_mean = estimate_mean(scores, noise=noise)
    verdict = estimate_mean(scores - shared - baseline, noise=np.sqrt(2) * noise)
    return ("interval", of_mean.low <= 0 <= of_mean.high), ("verdict", verdict.p >= 0.05)


def _folds(rows: int, rng: np.random.Generator) -> Sequence[tuple[str, float]]:
    """Five folds of least squares with five features: the interval of its expected error on so many training rows."""
    x, folds = rng.normal(size=(rows, 5)), np.arange(rows) % 5
    y = x @ np.ones(5) + rng.normal(size=rows)
    errors = []
    for fold in range(5):
        train = folds != fold
        weights = np.linalg.lstsq(x[train], y[train], rcond=None)[0]
        errors.append(float(np.mean((y[~train] - x[~train] @ weights) ** 2)))
    estimate = estimate_mean(np.array(errors), tested=0.25)
    trained = 0.8 * rows
    return (("interval", estimate.low <= 1 + 5 / (trained - 6) <= estimate.high),)


# Factors of the logit of two models whose expected Brier score is equal, and of which the second is over-confident.
LOSSES = {"slightly over-confident": (0.6, 1.7228815), "over-confident": (0.35, 3.3432171)}


def _register(rows: int, kind: str, rng: np.random.Generator) -> Sequence[tuple[str, float]]:
    """A challenger that is no better: it is not promoted, and the interval contains 0."""
    logit = 2 * rng.normal(size=rows)
    truth = _toss(rng, logit)
    champion, challenger = (2 * (_binary(factor * logit)[:, 1] - truth) ** 2 for factor in LOSSES[kind])
    low, high = cautious_difference(challenger, champion, worst=2.0)
    return ("interval", low <= 0 <= high), ("not promoted", not high < 0)


def _conformal(rows: int, rng: np.random.Generator) -> Sequence[tuple[str, float]]:
    """Sets of 90 % for new rows, one in ten of a rare class: over all rows, and in each class."""
    drawn = _draw_binary(0.1, 2.0, 1.5, rng, rows + NEW_ROWS)
    truth, prediction = drawn["truth"], drawn["prediction"]
    scores, new = score_classes(truth, prediction)[:rows], truth[rows:]
    marginal = compute_quantiles(scores, None, counts=False)
    by_class = compute_class_quantiles(scores, truth[:rows], None, counts=False, classes=2)
    pairs = []
    for name, quantiles in (("marginal", marginal), ("by class", by_class)):
        inside = predict_sets(prediction[rows:], look_up_quantile(quantiles, CONFORMAL))
        covered = inside[np.arange(NEW_ROWS), new].astype(float)
        pairs += [(f"{name}, all rows", float(covered.mean()))]
        pairs += [
            (f"{name}, {'rare' if k else 'usual'} class", float(covered[new == k].mean())) for k in np.unique(new)
        ]
    return pairs


# --- the table ---


def _report(results: Results) -> None:
    lines = []
    for kind in dict.fromkeys(key.partition(", ")[0] for key in results.rows):
        rows = {key: row for key, row in results.rows.items() if key.partition(", ")[0] == kind}
        low, high = (CONFORMAL_LOW, CONFORMAL_HIGH) if kind == "conformal" else (LOW, HIGH)
        for name in dict.fromkeys(name for row in rows.values() for name in row["coverage"]):
            stated = {key: row for key, row in rows.items() if row["stated"].get(name, 0.0) >= LEAST_STATED}
            values = {key.partition(", ")[2]: row["coverage"][name] for key, row in stated.items()}
            if values:
                lines.append(_line(kind, name, values, low, high))
    header = ("rows", "interval", "mean coverage", "least and greatest", "aim", "met by", "least for")
    notes = [
        f"{results.settings['simulations']:,} simulations of each size, with a standard error of some 0.7 %. Stated "
        "are 95 %, by prediction sets at least 90 %: a set always has the most likely class. A size is left out if an "
        f"interval is stated in less than {LEAST_STATED:.0%} of its simulations, as the rarer class has too few rows.",
        "`verdict` and `not promoted` are how often two equal models are not called different. The interval of ece is "
        "conservative by construction.",
    ]
    results.report("Coverage of intervals", header, lines, notes)


def _line(kind: str, name: str, values: Mapping[str, float], low: float, high: float) -> tuple[str, ...]:
    least, most = min(values.values()), max(values.values())
    return (
        kind,
        name,
        f"{float(np.mean(list(values.values()))):.1%}",
        f"{least:.1%} to {most:.1%}",
        f"{low:.0%} to {high:.0%}",
        f"{sum(low <= value <= high for value in values.values())} of {len(values)}",
        min(values, key=lambda key: values[key]),
    )


if __name__ == "__main__":
    main()
