"""Ways with unbalanced classes: what each costs in accuracy, ranking, log-loss and in the truth of probabilities.

The same network learns from all training rows; from one in ten of the frequent class with ten times the weight; from
as few rows drawn uniformly; with rare rows repeated, classes weighed or the focal loss, each also calibrated on rows
set aside. Every way is scored on the same test rows, over seeds.
"""

from __future__ import annotations

import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _processes import import_tensorflow, working_folder
from _results import Results, mean_and_deviation, read_arguments, say

SEEDS, QUICK_SEEDS = 5, 1
MODEL, FACTOR = "classification/mlp", 10
SCORES = ("accuracy", "pr_auc", "log_loss", "ece")
# What the down-sampled and reweighted network is held against: its mean prediction, and a uniform sample's loss.
MOST_BIAS, MOST_LOSS = 0.05, 1.02


@dataclass(frozen=True)
class Set:
    """Unbalanced data with a column ``split``."""

    name: str
    target: str
    positive: str


SETS = (Set("coil2000", "CARAVAN", "insurance"), Set("adult", "income", ">50K"))
UNIFORM, DOWN, ALL = "uniform sample of the same size", "down=10, reweighted", "all rows"
WAYS: dict[str, dict[str, Any]] = {
    ALL: {},
    DOWN: {"sample": f"down={FACTOR}"},
    UNIFORM: {},
    "up=10": {"sample": f"up={FACTOR}"},
    "up=10, calibrated": {"sample": f"up={FACTOR}", "calibrate": "temperature"},
    "balanced class weights": {"class_weight": "balanced"},
    "balanced, calibrated": {"class_weight": "balanced", "calibrate": "isotonic"},
    "focal loss": {"hyperparameters": {"loss": "focal"}},
    "focal, calibrated": {"hyperparameters": {"loss": "focal"}, "calibrate": "temperature"},
}


def main() -> None:
    """Measure and report."""
    options = read_arguments(__doc__ or "")
    if options.data is None:
        say("sampling: needs --data FOLDER, with coil2000/data.csv.gz and adult/data.csv.gz")
        return
    import_tensorflow()
    seeds = range(QUICK_SEEDS if options.quick else SEEDS)
    results = Results(__file__, options, {"seeds": len(seeds), "factor": FACTOR, "model": MODEL})
    for dataset_ in SETS[:1] if options.quick else SETS:
        for seed in seeds:
            for way in WAYS:
                results.measure(
                    f"{dataset_.name}, {way}, seed {seed}",
                    lambda k=dataset_, w=way, s=seed: _measure(options.data, k, w, s),
                )
    _report(results)


def _measure(folder: Path, dataset_: Set, way: str, seed: int) -> dict[str, Any]:
    import numpy as np

    import zoo
    from zoo.data.sources.read import read_table

    frame = read_table(str(folder / dataset_.name / "data.csv.gz")).frame
    if way == UNIFORM:
        frame = _uniform(frame, dataset_, seed)
    keys = {"target": dataset_.target, "positive": dataset_.positive, "split": "column=split"}
    with tempfile.TemporaryDirectory(prefix="benchmark-") as place, working_folder(Path(place)):
        run = zoo.train(MODEL, frame, seed=seed, **keys, **WAYS[way], baselines="none", quiet=True)
        test = frame[frame["split"] == "test"]
        weight = run.model.predict(test)[f"probability_{dataset_.positive}"].to_numpy()
    base = float(np.mean(test[dataset_.target] == dataset_.positive))
    return {
        **{score: float(run.metrics[f"test_{score}"]) for score in SCORES},
        "bias": float(weight.mean() / base - 1),
        "seconds": float(run.seconds),
    }


def _uniform(frame: Any, dataset_: Set, seed: int) -> Any:
    """As many training rows as down-sampling leaves, drawn with equal chances; the test rows stay."""
    train = frame["split"] == "train"
    rare = (frame[dataset_.target] == dataset_.positive) & train
    rows = int(rare.sum() + round((train & ~rare).sum() / FACTOR))
    chosen = frame[train].sample(rows, random_state=seed).index
    return frame[(~train) | frame.index.isin(chosen)].reset_index(drop=True)


def _report(results: Results) -> None:
    lines = []
    for dataset_ in SETS:
        for way in WAYS:
            rows = [row for key, row in results.rows.items() if key.startswith(f"{dataset_.name}, {way}, seed")]
            if not rows:
                continue
            of_all = results.column("log_loss", f"{dataset_.name}, {ALL}, seed")
            shares = [row["log_loss"] / whole for row, whole in zip(rows, of_all, strict=True)]
            cells = [f"{mean_and_deviation([row[score] for row in rows])}" for score in SCORES]
            bias = mean_and_deviation([100 * row["bias"] for row in rows], ".1f") + " %"
            lines.append(
                (dataset_.name, way, *cells, bias, mean_and_deviation(shares, ".3f"), _kept(results, dataset_, way))
            )
    header = ("data", "way", *SCORES, "mean prediction over base rate", "log_loss over that of all rows", "aim kept")
    notes = [
        f"Means over {results.settings['seeds']} seeds with the standard deviation, of `{MODEL}` by its "
        "defaults; ece in 15 bins of equal mass. The aim for the down-sampled and reweighted network: a mean "
        "prediction within 5 % of "
        f"the base rate, and a log-loss of at most {MOST_LOSS} times that of the uniform sample."
    ]
    results.report("Ways with unbalanced classes", header, lines, notes)


def _kept(results: Results, dataset_: Set, way: str) -> str:
    if way != DOWN:
        return ""
    bias = statistics.mean(results.column("bias", f"{dataset_.name}, {DOWN}, seed"))
    ours = statistics.mean(results.column("log_loss", f"{dataset_.name}, {DOWN}, seed"))
    theirs = statistics.mean(results.column("log_loss", f"{dataset_.name}, {UNIFORM}, seed"))
    kept = "yes" if abs(bias) <= MOST_BIAS and ours <= MOST_LOSS * theirs else "no"
    return f"{kept}: {ours / theirs:.3f} of the uniform sample's log-loss"


if __name__ == "__main__":
    main()
