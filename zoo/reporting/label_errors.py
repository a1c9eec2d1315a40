"""Label errors: how many there are, and which rows are the most suspect.

Confident learning (Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels",
JAIR 70, sections 3 and 4) on predictions that each row has from models that did not see it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from zoo.calibration.fit_calibration import LEAST_ROWS as LEAST_CALIBRATED
from zoo.calibration.fit_calibration import fit_calibration
from zoo.data.dataset import Dataset, Split
from zoo.data.ragged import Ragged
from zoo.reporting.check_inputs import NOTE, OK, WARNING, Finding, share
from zoo.spec import Spec
from zoo.supervised.classical_estimators import ClassicalBaseline, raw_frame, with_columns

FOLDS = 5
MOST_ROWS, LEAST_ROWS = 20_000, 2_000
MOST_CELLS = 2_000_000  # of a table with many columns so many rows the fewer are looked at
# A rival that would take minutes on more rows than this is left out.
MOST_ROWS_OF_SLOW = 5_000
FAR = 6.0
# Models that find fewer of a class than this cannot say of one of its rows that the label is wrong.
LEAST_RECALL = 0.5
# Where models are sure, more rows are labelled otherwise than their calibrated probabilities say: so many times
# more, and by so many standard errors. Classes that overlap make no such rows, errors do.
SURE, LEAST_SURE = 0.97, 50
LEAST_EXCESS, LEAST_ERRORS = 1.5, 2.5
_FOR_FEW, _DULL = frozenset({"svm", "random_forest", "nearest_neighbours"}), {"majority", "mean", "quantiles_of_train"}
MOST_SHOWN = 20


@dataclass(frozen=True)
class Suspects:
    """Rows whose label may be wrong.

    Args:
        rows: Row in the source, the most suspect first.
        given: Their labels.
        likely: What the models would say.
        rate: Estimated share of wrong labels; None for numbers.
        judged: Rows of the classes that models find.
        looked: Rows that were looked at.
        sure: Rows whose class models are sure of, once their probabilities are calibrated.
        otherwise: The share of these that is labelled otherwise.
        expected: The share of these that would be, by the probabilities.
        untold: Classes that the models hardly find: their rows are not among the suspects.
        of_test: Which of the suspects are rows of a test source of its own (M,).
        there_are: Rows of all parts, those that were not looked at among them.
    """

    rows: np.ndarray
    given: np.ndarray
    likely: np.ndarray
    rate: float | None
    judged: int = 0
    looked: int = 0
    sure: int = 0
    otherwise: float = 0.0
    expected: float = 0.0
    untold: tuple[str, ...] = ()
    of_test: np.ndarray | None = None
    there_are: int = 0


def out_of_fold(
    split: Split, spec: Spec, baselines: Sequence[ClassicalBaseline], *, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return predictions of rows by models that did not see them, and the encoded targets.

    Several classical models are trained on the folds and their predictions averaged: what one of them alone finds
    strange is often only strange to it.

    Args:
        part: N rows (:func:`together`).
        spec: Their description.
        rivals: Classical models of the task.
        seed: Seed of the folds.

    Returns:
        Predictions (N, K) or (N,), and targets (N,).
    """
    from sklearn.model_selection import KFold, StratifiedKFold

    target = np.asarray(split.target)
    assert spec.target is not None
    classes = spec.target.kind == "class"
    few = int(np.bincount(target).max()) if classes else len(target)
    kind: Any = StratifiedKFold if classes else KFold
    folds = kind(max(2, min(FOLDS, few)), shuffle=True, random_state=seed)
    made = []
    for baseline in _useful(baselines, len(target)):
        columns = baseline.columns if callable(baseline.columns) else raw_frame
        x = columns(split, spec)
        told = np.zeros((len(target), len(spec.target.classes))) if classes else np.zeros(len(target))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for train, test in folds.split(np.zeros(len(target)), target):
                model = baseline.make(seed)
                model = model if callable(baseline.columns) else with_columns(model, spec, baseline.columns)
                model.fit(_taken(x, train), target[train])
                if classes:
                    told[np.ix_(test, model.classes_)] = model.predict_proba(_taken(x, test))
                else:
                    told[test] = model.predict(_taken(x, test))
        made.append(told)
    return _averaged(made, target, classes), target


def _averaged(made: list[np.ndarray], target: np.ndarray, classes: bool) -> np.ndarray:
    """The mean of predictions; of probabilities that of their logarithms, by those models that know something."""
    if not classes:
        return np.median(made, axis=0)
    rows = np.arange(len(target))
    clipped = [np.clip(told / told.sum(axis=1, keepdims=True), 1e-4, 1) for told in made]
    losses = np.array([-np.log(told[rows, target]).mean() for told in clipped])
    weight = 1 / losses**2
    mean = np.average([np.log(told) for told in clipped], axis=0, weights=weight)
    mean = np.exp(mean)
    return np.asarray(mean / mean.sum(axis=1, keepdims=True))


def confident_joint(target: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Return the estimated share of rows with each given (rows) and true class (columns), (K, K).

    A row counts for the class whose probability is above that class' mean over the rows labelled so; counts are
    brought to those of the labels (equations 1 and 2).

    Example:
        >>> p = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.05, 0.95]])
        >>> confident_joint(np.array([0, 0, 1, 1, 0]), p).round(2).tolist()
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
    share_of = joint / np.maximum(joint.sum(axis=1, keepdims=True), 1)
    return np.asarray(share_of * counts[:, None] / counts.sum())


def suspect_order(target: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Return row positions (N,), those first whose own label is least believed beside the likeliest other."""
    rows = np.arange(len(target))
    own = prediction[rows, target]
    others = prediction.copy()
    others[rows, target] = -np.inf
    return np.argsort(own - others.max(axis=1), kind="stable")


def find_suspects(dataset: Dataset, baselines: Sequence[ClassicalBaseline], *, seed: int = 0) -> Suspects:
    """Return the rows whose label is most doubtful, the worst first.

    Args:
        dataset: With a target of classes or numbers.
        rivals: Classical models of the task.
        seed: Seed of the folds.
    """
    split, of_test, there_are = together(dataset, seed)
    spec = dataset.spec
    assert spec.target is not None
    prediction, target = out_of_fold(split, spec, baselines, seed=seed)
    if spec.target.kind == "class":
        wrong, found = _of_classes(target, prediction, np.array(spec.target.classes), split.rows)
        return replace(found, of_test=of_test[wrong], there_are=there_are)
    residual = target - prediction
    scale = 1.4826 * np.median(np.abs(residual - np.median(residual))) or 1.0
    order = np.argsort(-np.abs(residual))
    far = order[np.abs(residual[order]) > FAR * scale][: len(order) // 50]
    back = [values[far] * spec.target.std + spec.target.mean for values in (target, prediction)]
    return Suspects(split.rows[far], back[0], back[1], None, len(target), of_test=of_test[far], there_are=there_are)


def _of_classes(
    target: np.ndarray, prediction: np.ndarray, names: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, Suspects]:
    """The suspects, and their positions."""
    said = prediction.argmax(axis=1)
    recall = np.array([(said[target == k] == k).mean() if (target == k).any() else 1.0 for k in range(len(names))])
    told = recall >= LEAST_RECALL
    judged = told[target]
    joint = confident_joint(target, prediction)
    rate = float(joint[told].sum() - joint.diagonal()[told].sum())
    order = suspect_order(target, prediction)
    wrong = order[(said != target)[order] & judged[order]][: max(round(rate * len(target)), 0)]
    highest = _calibrated(prediction, target).max(axis=1)
    sure = judged & (highest >= SURE)
    return wrong, Suspects(
        rows[wrong],
        names[target[wrong]],
        names[said[wrong]],
        rate,
        int(judged.sum()),
        len(target),
        sure=int(sure.sum()),
        otherwise=float((said != target)[sure].mean()) if sure.any() else 0.0,
        expected=float(1 - highest[sure].mean()) if sure.any() else 0.0,
        untold=tuple(map(str, names[~told])),
    )


def _calibrated(prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
    if len(target) < LEAST_CALIBRATED:
        return prediction
    return np.asarray(fit_calibration("temperature", prediction, target, None)[0](prediction.astype(np.float32)))


def label_errors(found: Suspects) -> Iterator[Finding]:
    """Put the suspects into words."""
    of_test = np.zeros(len(found.rows), bool) if found.of_test is None else found.of_test
    shown = tuple(
        f"row {int(row) + 1}{' of the test source' if test else ''}: {_said(given)}, and models that did not see it "
        f"say {_said(likely)}"
        for row, test, given, likely in zip(found.rows[:MOST_SHOWN], of_test, found.given, found.likely, strict=False)
    )
    if found.rate is None:
        text = f"{len(found.rows)} rows have a target far from what models that did not see them say"
        yield Finding("label errors", NOTE if len(found.rows) else OK, text, "", shown)
        return
    if found.untold:
        few = ", ".join(found.untold[:5]) + (" …" if len(found.untold) > 5 else "")
        text = f"quick models hardly find {few}: a label that is wrong there cannot be told from one that is hard"
        yield Finding("label errors", NOTE, text)
    if not found.judged:
        return
    by_chance = found.expected + LEAST_ERRORS * np.sqrt(found.expected / max(found.sure, 1))
    errors = found.sure >= LEAST_SURE and found.otherwise > max(by_chance, LEAST_EXCESS * found.expected)
    sure = (
        f"; of those that models are sure of, {share(found.otherwise)} are labelled otherwise, and chance explains "
        f"{share(found.expected)}"
    )
    why = sure if errors else ", no more than classes that overlap explain"
    doubtful = len(found.rows) / found.judged
    text = f"about {share(doubtful)} of the labels are doubtful, {len(found.rows):,} rows of {_of(found)}"
    level = WARNING if errors and doubtful > 0.03 else NOTE if errors or doubtful > 0.01 else OK
    text += why if level != OK else ""
    yield Finding("label errors", level, text, "look at these rows" if level != OK else "", shown)


def _of(found: Suspects) -> str:
    return f"{found.judged:,}" + (f", a sample of {found.there_are:,}" if found.looked < found.there_are else "")


def _said(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, (float, np.floating)) else str(value)


def _useful(baselines: Sequence[ClassicalBaseline], rows: int) -> list[ClassicalBaseline]:
    """Those that learn something, and in time."""
    few = rows <= MOST_ROWS_OF_SLOW and any(baseline.name in _FOR_FEW for baseline in baselines)
    left_out = _DULL | ({"histogram_boosting"} if few else set(_FOR_FEW))
    return [
        baseline
        for baseline in baselines
        if baseline.name not in left_out and (baseline.most_rows is None or rows <= baseline.most_rows)
    ]


def together(dataset: Dataset, seed: int) -> tuple[Split, np.ndarray, int]:
    """Return rows of all parts as one, which of them are of a test source of its own, and how many rows there are.

    Each row is there once, also where sampling repeats it, and of more than ``MOST_ROWS`` so many are drawn.

    Args:
        dataset: All its parts are used.
        seed: Decides which are drawn.
    """
    splits = dataset.splits
    rows = np.concatenate([split.rows for split in splits.values()])
    keys = next(iter(splits.values())).inputs
    inputs: dict[str, Any] = {key: _joined([split.inputs[key] for split in splits.values()]) for key in keys}
    target = np.concatenate([np.asarray(split.target) for split in splits.values()])
    of_test = np.repeat([name == "test" and dataset.tests_another for name in splits], [*map(len, splits.values())])
    first = np.unique(rows + of_test * (rows.max() + 1), return_index=True)[1]
    there_are = len(first) + sum(split.total - len(split) for split in splits.values())
    most = max(LEAST_ROWS, min(MOST_ROWS, MOST_CELLS // max(1, len(inputs))))
    if len(first) > most:
        first = np.sort(np.random.default_rng(seed).choice(first, most, replace=False))
    chosen = Split({key: values[first] for key, values in inputs.items()}, target[first], rows[first])
    return chosen, of_test[first], there_are


def _joined(values: list[Any]) -> Any:
    if isinstance(values[0], Ragged):
        sizes = np.concatenate([v.sizes for v in values])
        return Ragged(np.concatenate([v.values for v in values]), sizes)
    return np.concatenate([np.asarray(v) for v in values])


def _taken(x: Any, rows: np.ndarray) -> Any:
    return x.iloc[rows] if hasattr(x, "iloc") else x[rows] if hasattr(x, "shape") else [x[row] for row in rows]
