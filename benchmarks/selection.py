"""Which trial of a search to use on few validation rows: the first in the ranking, the default, or by significance.

A quarter of some 300 rows is validation. 13 random trials of ``mlp`` and its defaults are trained; the rows outside,
up to 3,000, score what each rule selects, relative to the defaults. They choose nothing.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from _processes import import_tensorflow
from _results import Results, mean_and_deviation, read_arguments, say

DRAWS, QUICK_DRAWS, TRIALS, QUICK_TRIALS = 4, 1, 14, 3
ROWS, MOST_TEST_ROWS, COMPARED = 300, 3000, 3
BUNDLED = {"iris": "classification", "wine": "classification", "breast_cancer": "classification"}
BUNDLED |= {"diabetes": "regression"}
FILES = {
    "adult": ("classification", "income"),
    "boston": ("regression", "medv"),
    "california_housing": ("regression", "median_house_value"),
    "soybean": ("classification", "Class"),
    "spambase": ("classification", "type"),
}
FLOOR = 1e-3  # added to losses, so that a ratio of two that are nearly 0 does not count


def main() -> None:
    """Measure and report."""
    options = read_arguments(__doc__ or "")
    import_tensorflow()
    names = [*BUNDLED, *(FILES if options.data is not None else ())]
    draws, trials = (QUICK_DRAWS, QUICK_TRIALS) if options.quick else (DRAWS, TRIALS)
    results = Results(__file__, options, {"draws": draws, "trials": trials, "rows": ROWS, "sets": names})
    for name in names[:2] if options.quick else names:
        for draw in range(draws):
            say(f"selection: {name}, draw {draw}")
            results.measure(f"{name}, draw {draw}", lambda n=name, d=draw: _measure(options.data, n, d, trials))
    _report(results, names)


def _measure(folder: Path | None, name: str, draw: int, trials: int) -> dict[str, Any]:
    """Return the loss on test rows of what each rule selects."""
    import numpy as np

    from zoo.fitting.fit import Plan, fit
    from zoo.fitting.model_builder import create_model_builder
    from zoo.metrics.direction import Direction
    from zoo.metrics.significance import SIGNIFICANT, compare_on_rows
    from zoo.tuning.select_trial import select_trial
    from zoo.tuning.storage.records import TrialRecord

    task, dataset, builder = _read(folder, name, draw, create_model_builder)
    rng, metric = np.random.default_rng(draw), task.rules(dataset.spec).metrics()[0]
    records, scored, test_scores = [], {}, {}
    for number in range(trials):
        values: Mapping[str, Any] = {} if number == 0 else _draw_hyperparameters(rng)
        fitted = fit(builder, dataset, values, Plan(seed=draw))
        model = fitted.built_model.full_model()
        rows = {split: task.scored_rows(model, dataset, split) for split in ("validation", "test")}
        score, test_scores[str(number)] = (
            float(metric.function(truth, prediction, np.ones((1, len(truth))))[0])
            for truth, prediction in (rows["validation"], rows["test"])
        )
        records.append(TrialRecord(str(number), dict(values), score=score))
        scored[str(number)] = rows["validation"]
    ranked = sorted(records, key=lambda record: Direction(metric.direction).key(record.score))

    def is_better(trial: TrialRecord, default: TrialRecord) -> bool:
        (truth, prediction), (_, of_default) = scored[trial.trial_id], scored[default.trial_id]
        return compare_on_rows(metric, truth, prediction, of_default, seed=draw) >= 1 - SIGNIFICANT / trials

    selected = select_trial(ranked, records[:1], is_better, COMPARED)
    return {
        "first": test_scores[ranked[0].trial_id],
        "significant": test_scores[selected.trial_id],
        "default": test_scores["0"],
        "kept_default": selected is records[0],
        "validation_rows": len(dataset.splits["validation"]),
    }


def _read(folder: Path | None, name: str, draw: int, create_model_builder: Any) -> tuple[Any, Any, Any]:
    from zoo.data.sources.read import read_table
    from zoo.jobs.fit_options import TrainJob
    from zoo.jobs.job import make_job

    if name in BUNDLED:
        table = read_table(name)
        kind, target, frame = BUNDLED[name], table.target, table.frame
    else:
        kind, target = FILES[name]
        frame = read_table(str((folder or Path()) / name / "data.csv.gz")).frame
    frame = frame.drop(columns=[column for column in ("split",) if column in frame])
    frame = frame.sample(frac=1, random_state=draw).reset_index(drop=True)
    rows = min(ROWS, len(frame) // 2)
    builder = create_model_builder(f"{kind}/mlp")
    test = frame[rows : rows + MOST_TEST_ROWS]
    values = {"model": builder.name, "source": frame[:rows], "test": test, "target": target, "validation_size": 0.25}
    return builder.task, builder.task.read(make_job(TrainJob, {**values, "seed": draw})), builder


def _draw_hyperparameters(rng: Any) -> dict[str, Any]:
    """Return values of the hyperparameters that ``mlp`` searches by default, drawn from their ranges."""
    return {
        "units": int(2 ** rng.uniform(4, 9)),
        "layers": int(rng.integers(1, 5)),
        "scaling": str(rng.choice(["standard", "minmax", "robust", "quantile", "robust_quantile"])),
        "normalization": str(rng.choice(["none", "batch", "layer"])),
        "dropout": float(rng.uniform(0, 0.6)),
        "learning_rate": float(10 ** rng.uniform(-4, math.log10(0.03))),
        "weight_decay": float(10 ** rng.uniform(-5, -1)),
    }


def _report(results: Results, names: list[str]) -> None:
    lines = []
    for name in names:
        rows = [row for key, row in results.rows.items() if key.startswith(f"{name}, draw")]
        if rows:
            lines.append((name, f"{rows[0]['validation_rows']}", *_cells(rows)))
    lines.append(("all", "", *_cells(list(results.rows.values()))))
    header = ("data", "validation rows", "first in the ranking", "by significance", "of these, the default")
    notes = [
        f"Mean and standard deviation over draws of the logarithm of a rule's loss on test rows (log loss or rmse, "
        f"plus {FLOOR:g}) relative to that of the default hyperparameters: below 0 is better than the defaults. The "
        "rule by significance is that of `zoo tune --select significant`."
    ]
    results.report("Selection among trials on few validation rows", header, lines, notes)


def _cells(rows: list[dict[str, Any]]) -> tuple[str, ...]:
    ratios = {
        rule: [math.log((row[rule] + FLOOR) / (row["default"] + FLOOR)) for row in rows]
        for rule in ("first", "significant")
    }
    kept = statistics.mean(row["kept_default"] for row in rows)
    return (*(mean_and_deviation(values, "+.3f") for values in ratios.values()), f"{kept:.0%}")


if __name__ == "__main__":
    main()
