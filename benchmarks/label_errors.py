"""Label errors that are planted and looked for: how many of the most suspect rows, as many as were flipped, are such.

5 % of all labels are flipped to another class, drawn anew for each seed; the data report's order (by several classical
models out of fold) stands beside that of logistic regression alone by the probability of the given label.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

from _processes import import_tensorflow
from _results import Results, mean_and_deviation, read_arguments, say

SEEDS, QUICK_SEEDS, FLIPPED = 5, 1, 0.05
SETS = {"digits": "class", "wine": "class", "breast_cancer": "class", "spambase": "type", "pendigits": "y"}
BUNDLED, FILES = ("digits", "wine", "breast_cancer"), {"spambase": "data.csv.gz", "pendigits": "data.npz"}
AIM = 0.9


def main() -> None:
    """Measure and report."""
    options = read_arguments(__doc__ or "")
    import_tensorflow()
    seeds = range(QUICK_SEEDS if options.quick else SEEDS)
    names = [name for name in SETS if name in BUNDLED or options.data is not None]
    results = Results(__file__, options, {"seeds": len(seeds), "flipped": FLIPPED, "sets": names})
    for name in names[:2] if options.quick else names:
        for seed in seeds:
            say(f"label_errors: {name}, seed {seed}")
            results.measure(f"{name}, seed {seed}", lambda n=name, s=seed: _measure(options.data, n, s))
    _report(results, names)


def _measure(folder: Path | None, name: str, seed: int) -> dict[str, Any]:
    import numpy as np

    from zoo.data.sources.read import read_table
    from zoo.jobs.data_options import DataJob
    from zoo.jobs.job import make_job
    from zoo.reporting.label_errors import estimate_joint, join_splits, predict_out_of_fold, rank_suspects
    from zoo.task import load_task

    source = name if name in BUNDLED else str((folder or Path()) / name / FILES[name])
    frame = read_table(source).frame.reset_index(drop=True)
    target, rng = SETS[name], np.random.default_rng(seed)
    classes = np.unique(frame[target].astype(str))
    labels = np.searchsorted(classes, frame[target].astype(str))
    flipped = rng.choice(len(labels), round(FLIPPED * len(labels)), replace=False)
    labels[flipped] = (labels[flipped] + rng.integers(1, len(classes), len(flipped))) % len(classes)
    frame[target] = classes[labels]
    task = load_task("classification")
    drop = [column for column in ("split",) if column in frame]
    dataset = task.read(make_job(DataJob, {"source": frame, "target": target, "drop": drop}))
    began = time.perf_counter()
    baselines = list(task.estimators("all", dataset.spec))
    split, _, _ = join_splits(dataset, seed)
    prediction, given = predict_out_of_fold(split, dataset.spec, baselines, seed=seed)
    seconds = time.perf_counter() - began
    most = split.rows[rank_suspects(given, prediction)[: len(flipped)]]
    alone, _ = predict_out_of_fold(
        split, dataset.spec, [baseline for baseline in baselines if baseline.name == "logistic"], seed=seed
    )
    believed = np.argsort(alone[np.arange(len(given)), given], kind="stable")[: len(flipped)]
    return {
        "found": float(np.isin(most, flipped).mean()),
        "found_by_logistic_alone": float(np.isin(split.rows[believed], flipped).mean()),
        "estimated_rate": float(1 - estimate_joint(given, prediction).trace()),
        "seconds": seconds,
    }


def _report(results: Results, names: list[str]) -> None:
    lines = []
    for name in names:
        rows = [row for key, row in results.rows.items() if key.startswith(f"{name}, seed")]
        if not rows:
            continue
        found_counts = [row["found"] for row in rows]
        aim = f"at least {AIM}" if name == "digits" else ""
        met = ("yes" if statistics.mean(found_counts) >= AIM else "no") if aim else ""
        cells = [
            mean_and_deviation([row[field] for row in rows], ".3f")
            for field in ("found_by_logistic_alone", "estimated_rate")
        ]
        lines.append(
            (
                name,
                mean_and_deviation(found_counts, ".3f"),
                *cells,
                f"{statistics.median(row['seconds'] for row in rows):.0f}",
                aim,
                met,
            )
        )
    header = (
        "data",
        "flipped rows among the most suspect",
        "logistic alone",
        "estimated rate",
        "seconds",
        "aim",
        "met",
    )
    notes = [
        f"Means over {results.settings['seeds']} seeds with the standard deviation; {FLIPPED:.0%} of all labels are "
        "flipped, and as many rows are looked at. Labels that were wrong before count as not flipped."
    ]
    results.report("Label errors found", header, lines, notes)


if __name__ == "__main__":
    main()
