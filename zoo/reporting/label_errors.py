"""Label errors: their estimated number, and the most suspicious rows.

Confident learning (Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels",
JAIR 70, sections 3 and 4) on out-of-fold predictions.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import stats

from zoo.calibration.fit_calibration import LEAST_ROWS as LEAST_CALIBRATED
from zoo.calibration.fit_calibration import fit_calibration
from zoo.data.dataset import Dataset, Split
from zoo.data.ragged import Ragged
from zoo.reporting.check_inputs import NOTE, OK, WARNING, Finding
from zoo.spec import Spec
from zoo.supervised.classical_estimators import (
    ClassicalBaseline,
    add_column_preprocessing,
    create_raw_frame,
    take_rows,
)
from zoo.text import format_fraction

FOLDS = 5
MOST_ROWS, LEAST_ROWS = 20_000, 2_000
MOST_CELLS = 2_000_000  # fewer rows are checked if there are many columns
# Slow baselines are used only up to this number of rows.
MOST_ROWS_OF_SLOW = 5_000
FAR = 6.0
# With a lower recall of a class, models cannot judge the labels of its rows.
LEAST_RECALL = 0.5
# Label errors are reported if, among confident predictions, more labels disagree than calibrated probabilities
# explain: by this factor and this number of standard errors. Overlapping classes alone do not cause this.
SURE, LEAST_SURE = 0.97, 50
LEAST_EXCESS, LEAST_ERRORS = 1.5, 2.5
# Or if, in the quarter of rows with the most confident predictions, the fraction of other labels is more than this part
# of that among all rows, by this number of standard errors; where classes overlap it is 0 to 0.4 of it. Only where
# predictions are much better than the most frequent class: without that, all rows are alike.
MOST_AT_TOP, TOP_ERRORS, LEAST_KAPPA = 0.45, 1.64, 0.4
_FOR_FEW = frozenset({"svm", "random_forest", "nearest_neighbours"})
_SLOW = frozenset({"lasso"})  # coordinate descent on thousands of one-hot columns; ridge replaces it
_COARSE = {"statistics_nearest_neighbours", "tf_idf_nearest_neighbours"}  # probabilities in steps of a fifth
_DULL = {"majority", "mean", "quantiles_of_train"} | _COARSE
MOST_SHOWN = 20


@dataclass(frozen=True)
class Suspects:
    """Rows whose label may be wrong.

    Args:
        rows: Rows in the source, the most suspicious first.
        given: Their labels.
        likely: The labels that the models predict.
        rate: Estimated fraction of wrong labels; None for numbers.
        scored_rows: Number of rows of classes with sufficient recall.
        checked_rows: Number of rows checked.
        sure: Number of rows with a confident prediction, after calibration.
        otherwise: Fraction of confident rows with another label.
        expected: Fraction of confident rows expected to have another label.
        top: Number of rows in the quarter with the most confident predictions.
        top_otherwise: Fraction of them with another label.
        all_otherwise: Fraction of all scored rows with another label.
        kappa: How much better than the most frequent class the predictions are: 1 for no error, 0 for as many.
        low_recall: Classes with low recall, whose rows are never suspects.
        of_test: Mask of the suspects that come from a separate test source (M,).
        total_rows: Number of rows of all splits, including those not checked.
    """

    rows: np.ndarray
    given: np.ndarray
    likely: np.ndarray
    rate: float | None
    scored_rows: int = 0
    checked_rows: int = 0
    sure: int = 0
    otherwise: float = 0.0
    expected: float = 0.0
    top: int = 0
    top_otherwise: float = 0.0
    all_otherwise: float = 0.0
    kappa: float = 0.0
    low_recall: tuple[str, ...] = ()
    of_test: np.ndarray | None = None
    total_rows: int = 0


def predict_out_of_fold(
    split: Split, spec: Spec, baselines: Sequence[ClassicalBaseline], *, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return out-of-fold predictions and the encoded targets.

    The predictions of several classical models are averaged, since a single model often has outliers of its own.

    Args:
        split: N rows (:func:`join_splits`).
        spec: Their spec.
        baselines: Classical models of the task.
        seed: Seed of the folds.

    Returns:
        Predictions (N, K) or (N,), and targets (N,).
    """
    from sklearn.model_selection import KFold, StratifiedKFold

    target = np.asarray(split.target)
    classes = spec.target.kind == "class"
    max_folds = int(np.bincount(target).max()) if classes else len(target)
    kind: Any = StratifiedKFold if classes else KFold
    folds = kind(max(2, min(FOLDS, max_folds)), shuffle=True, random_state=seed)
    predictions = []
    for baseline in _useful(baselines, len(target)):
        columns = baseline.columns if callable(baseline.columns) else create_raw_frame
        x = columns(split, spec)
        prediction = np.zeros((len(target), len(spec.target.classes))) if classes else np.zeros(len(target))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for train, test in folds.split(np.zeros(len(target)), target):
                model = baseline.construct(seed)
                model = model if callable(baseline.columns) else add_column_preprocessing(model, spec, baseline.columns)
                model.fit(take_rows(x, train), target[train])
                if classes:
                    prediction[np.ix_(test, model.classes_)] = model.predict_proba(take_rows(x, test))
                else:
                    prediction[test] = model.predict(take_rows(x, test))
        predictions.append(prediction)
    return _averaged(predictions, target, classes), target


def _averaged(predictions: list[np.ndarray], target: np.ndarray, classes: bool) -> np.ndarray:
    """Return the median of predictions, or for probabilities their geometric mean, weighted by inverse squared loss."""
    if not classes:
        return np.median(predictions, axis=0)
    rows = np.arange(len(target))
    clipped = [np.clip(prediction / prediction.sum(axis=1, keepdims=True), 1e-4, 1) for prediction in predictions]
    losses = np.array([-np.log(prediction[rows, target]).mean() for prediction in clipped])
    weight = 1 / losses**2
    mean = np.average([np.log(prediction) for prediction in clipped], axis=0, weights=weight)
    mean = np.exp(mean)
    return np.asarray(mean / mean.sum(axis=1, keepdims=True))


def estimate_joint(target: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Return the estimated fraction of rows with each given (rows) and true class (columns), (K, K).

    A row counts for the class whose probability exceeds its mean over the rows with that label; counts are scaled to
    those of the labels (equations 1 and 2).

    Example:
        >>> p = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.05, 0.95]])
        >>> estimate_joint(np.array([0, 0, 1, 1, 0]), p).round(2).tolist()
        [[0.4, 0.2], [0.0, 0.4]]
    """
    k = prediction.shape[1]
    counts = np.bincount(target, minlength=k)
    thresholds = np.array([prediction[target == j, j].mean() if counts[j] else np.inf for j in range(k)])
    above = np.where(prediction >= thresholds, prediction, -np.inf)
    sure = np.isfinite(above).any(axis=1)
    joint = np.zeros((k, k))
    np.add.at(joint, (target[sure], above[sure].argmax(axis=1)), 1)
    joint[np.diag_indices(k)] = np.maximum(joint.diagonal(), (joint.sum(axis=1) == 0) & (counts > 0))
    fraction_of = joint / np.maximum(joint.sum(axis=1, keepdims=True), 1)
    return np.asarray(fraction_of * counts[:, None] / counts.sum())


def rank_suspects(target: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Return row positions (N,) by increasing margin between the given label and the most likely other one."""
    rows = np.arange(len(target))
    given = prediction[rows, target]
    others = prediction.copy()
    others[rows, target] = -np.inf
    return np.argsort(given - others.max(axis=1), kind="stable")


def find_suspects(dataset: Dataset, baselines: Sequence[ClassicalBaseline], *, seed: int = 0) -> Suspects:
    """Return the rows with the most doubtful labels, the worst first.

    Args:
        dataset: A dataset with a target of classes or numbers.
        baselines: Classical models of the task.
        seed: Seed of the folds.
    """
    split, of_test, total = join_splits(dataset, seed)
    spec = dataset.spec
    prediction, target = predict_out_of_fold(split, spec, baselines, seed=seed)
    if spec.target.kind == "class":
        wrong, suspects = _of_classes(target, prediction, np.array(spec.target.classes), split.rows)
        return replace(suspects, of_test=of_test[wrong], total_rows=total)
    residual = target - prediction
    scale = 1.4826 * np.median(np.abs(residual - np.median(residual))) or 1.0
    order = np.argsort(-np.abs(residual))
    far = order[np.abs(residual[order]) > FAR * scale][: len(order) // 50]
    back = [values[far] * spec.target.std + spec.target.mean for values in (target, prediction)]
    return Suspects(split.rows[far], back[0], back[1], None, len(target), of_test=of_test[far], total_rows=total)


def _of_classes(
    target: np.ndarray, prediction: np.ndarray, names: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, Suspects]:
    """Return the positions of the suspects, and the suspects."""
    predicted = prediction.argmax(axis=1)
    recall = np.array([(predicted[target == k] == k).mean() if (target == k).any() else 1.0 for k in range(len(names))])
    recognised = recall >= LEAST_RECALL
    scored_rows = recognised[target]
    joint = estimate_joint(target, prediction)
    rate = float(joint[recognised].sum() - joint.diagonal()[recognised].sum())
    order = rank_suspects(target, prediction)
    wrong = order[(predicted != target)[order] & scored_rows[order]][: max(round(rate * len(target)), 0)]
    highest = _calibrated(prediction, target).max(axis=1)
    differs = predicted != target
    scored = np.flatnonzero(scored_rows)
    top = scored[np.argsort(-prediction.max(axis=1)[scored], kind="stable")][: len(scored) // 4]
    sure = scored_rows & (highest >= SURE)
    return wrong, Suspects(
        rows[wrong],
        names[target[wrong]],
        names[predicted[wrong]],
        rate,
        int(scored_rows.sum()),
        len(target),
        sure=int(sure.sum()),
        otherwise=float(differs[sure].mean()) if sure.any() else 0.0,
        expected=float(1 - highest[sure].mean()) if sure.any() else 0.0,
        top=len(top),
        top_otherwise=float(differs[top].mean()) if len(top) else 0.0,
        all_otherwise=float(differs[scored].mean()) if len(scored) else 0.0,
        kappa=float(1 - differs.mean() / max(1 - np.bincount(target).max() / len(target), 1e-9)),
        low_recall=tuple(map(str, names[~recognised])),
    )


def _calibrated(prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
    if len(target) < LEAST_CALIBRATED:
        return prediction
    return np.asarray(fit_calibration("temperature", prediction, target, None)[0](prediction.astype(np.float32)))


def check_labels(suspects: Suspects) -> Iterator[Finding]:
    """Report the suspects."""
    of_test = np.zeros(len(suspects.rows), bool) if suspects.of_test is None else suspects.of_test
    shown = tuple(
        f"row {int(row) + 1}{' of the test source' if test else ''}: label {_said(given)}, out-of-fold prediction "
        f"{_said(likely)}"
        for row, test, given, likely in zip(
            suspects.rows[:MOST_SHOWN], of_test, suspects.given, suspects.likely, strict=False
        )
    )
    if suspects.rate is None:
        text = f"{len(suspects.rows)} rows have a target far from their out-of-fold prediction"
        yield Finding("label errors", NOTE if len(suspects.rows) else OK, text, "", shown)
        return
    if suspects.low_recall:
        few = ", ".join(suspects.low_recall[:5]) + (" …" if len(suspects.low_recall) > 5 else "")
        text = f"simple models rarely recognise {few}, so label errors in these classes cannot be detected"
        yield Finding("label errors", NOTE, text)
    if not suspects.scored_rows:
        return
    reason = _reason(suspects)
    doubtful = len(suspects.rows) / suspects.scored_rows
    bounds = stats.binomtest(len(suspects.rows), suspects.scored_rows).proportion_ci(method="wilson")
    text = (
        f"about {format_fraction(doubtful)} of the labels are doubtful (95 % interval {format_fraction(bounds.low)} to "
        f"{format_fraction(bounds.high)}), {len(suspects.rows):,} rows of {_of(suspects)}"
    )
    level = WARNING if reason and doubtful > 0.03 else NOTE if reason or doubtful > 0.01 else OK
    text += "" if level == OK else f"; {reason}" if reason else ", which overlapping classes explain"
    more = max(0, len(suspects.rows) - MOST_SHOWN)
    yield Finding("label errors", level, text, "check these rows" if level != OK else "", shown, more)


def _reason(suspects: Suspects) -> str:
    """Return the evidence that labels are wrong, which overlapping classes alone would not give; empty if none.

    Where classes overlap, the most confident predictions are hardly ever wrong. Wrong labels are anywhere: as often
    there as elsewhere. Calibrated probabilities allow for wrong labels if there are many, so both are looked at.
    """
    by_chance = suspects.expected + LEAST_ERRORS * np.sqrt(suspects.expected / max(suspects.sure, 1))
    if suspects.sure >= LEAST_SURE and suspects.otherwise > max(by_chance, LEAST_EXCESS * suspects.expected):
        return (
            f"among confident predictions {format_fraction(suspects.otherwise)} of the labels disagree, "
            f"{format_fraction(suspects.expected)} would be expected"
        )
    by_overlap = MOST_AT_TOP * suspects.all_otherwise
    limit = by_overlap + TOP_ERRORS * np.sqrt(by_overlap / max(suspects.top, 1))
    if suspects.kappa >= LEAST_KAPPA and suspects.top_otherwise > limit:
        return (
            f"{format_fraction(suspects.top_otherwise)} of the labels disagree even among the quarter with the most "
            f"confident predictions, {format_fraction(suspects.all_otherwise)} among all"
        )
    return ""


def _of(suspects: Suspects) -> str:
    return f"{suspects.scored_rows:,}" + (
        f", a sample of {suspects.total_rows:,}" if suspects.checked_rows < suspects.total_rows else ""
    )


def _said(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, (float, np.floating)) else str(value)


def _useful(baselines: Sequence[ClassicalBaseline], rows: int) -> list[ClassicalBaseline]:
    """Return the baselines that are informative and fast enough."""
    few = rows <= MOST_ROWS_OF_SLOW and any(baseline.name in _FOR_FEW for baseline in baselines)
    left_out = _DULL | ({"histogram_boosting"} if few else _FOR_FEW | (_SLOW if rows > MOST_ROWS_OF_SLOW else set()))
    return [
        baseline
        for baseline in baselines
        if baseline.name not in left_out and (baseline.most_rows is None or rows <= baseline.most_rows)
    ]


def join_splits(dataset: Dataset, seed: int) -> tuple[Split, np.ndarray, int]:
    """Return the rows of all splits together, a mask of rows from a separate test source, and the number of rows.

    Rows repeated by sampling occur once; at most ``MOST_ROWS`` rows are drawn.

    Args:
        dataset: The dataset, whose splits are all used.
        seed: Seed of the draw.
    """
    splits = dataset.splits
    rows = np.concatenate([split.rows for split in splits.values()])
    keys = next(iter(splits.values())).inputs
    inputs: dict[str, Any] = {key: _joined([split.inputs[key] for split in splits.values()]) for key in keys}
    target = np.concatenate([np.asarray(split.target) for split in splits.values()])
    of_test = np.repeat([name == "test" and dataset.has_test_source for name in splits], [*map(len, splits.values())])
    first = np.unique(rows + of_test * (rows.max() + 1), return_index=True)[1]
    total = len(first) + sum(split.total - len(split) for split in splits.values())
    max_rows = max(LEAST_ROWS, min(MOST_ROWS, MOST_CELLS // max(1, len(inputs))))
    if len(first) > max_rows:
        first = np.sort(np.random.default_rng(seed).choice(first, max_rows, replace=False))
    chosen = Split({key: values[first] for key, values in inputs.items()}, target[first], rows[first])
    return chosen, of_test[first], total


def _joined(values: list[Any]) -> Any:
    if isinstance(values[0], Ragged):
        sizes = np.concatenate([v.sizes for v in values])
        return Ragged(np.concatenate([v.values for v in values]), sizes)
    return np.concatenate([np.asarray(v) for v in values])
