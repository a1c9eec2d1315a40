"""Forecasts of the M3 and Tourism competitions: models by their defaults and naive forecasts, with CPU time.

Each kind of series (yearly, quarterly, monthly, other) is one global model; scores are means over all series. Test rows
choose nothing. Published figures are those of the papers.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from typing import Any

import pandas as pd
from _results import Results, mean_and_deviation, read_arguments, say

MODELS, SEEDS = ("nbeats", "linear", "gru"), 3
SETS: dict[str, dict[str, tuple[int, int]]] = {  # horizon and period
    "m3": {"yearly": (6, 1), "quarterly": (8, 4), "monthly": (18, 12), "other": (8, 1)},
    "tourism": {"yearly": (4, 1), "quarterly": (8, 4), "monthly": (24, 12)},
}
METRICS = {"m3": ("smape", "mase"), "tourism": ("mape", "mase")}  # published figures are in the first
PUBLISHED = {
    "m3": "Theta 13.01, DOTM 12.90, N-BEATS 12.46 (180 networks)",
    "tourism": "best entry 19.35, N-BEATS 18.84 (12 networks)",
}
BASELINES = ("seasonal_naive", "naive", "drift")


def main() -> None:
    """Measure and report."""
    options = read_arguments(__doc__ or "")
    if options.data is None:
        sys.exit("forecasting.py needs --data FOLDER with m3/data.csv.gz and tourism/data.csv.gz")
    seeds, models = (range(1), ("linear",)) if options.quick else (range(SEEDS), MODELS)
    results = Results(__file__, options, {"models": models, "seeds": len(seeds)})
    datasets = _read_sets(options)
    for (name, kind), dataset in datasets.items():
        results.measure(f"{name} {kind} baselines", lambda d=dataset: _run_baselines(d))
    for model in models:
        for (name, kind), dataset in datasets.items():
            for seed in seeds:
                key = f"{name} {kind} {model}, seed {seed}"
                say(f"forecasting: {key}")
                results.measure(key, lambda d=dataset, m=model, s=seed: _train(m, d, s))
    _report(results)


def _read_sets(options: argparse.Namespace) -> dict[tuple[str, str], Any]:
    datasets = {}
    for name, kinds in SETS.items():
        table = pd.read_csv(options.data / name / "data.csv.gz")
        for kind in list(kinds)[:1] if options.quick else kinds:
            datasets[name, kind] = _read(table[table["kind"] == kind], *kinds[kind])
    return datasets


def _read(rows: pd.DataFrame, horizon: int, period: int) -> Any:
    from zoo.jobs.data_options import DataJob
    from zoo.jobs.job import make_job
    from zoo.task import load_task

    options = {"series": "series", "time": "t", "horizon": horizon, "period": period}
    values = {"source": rows, "target": ("value",), "split": "column=split", "options": options}
    return load_task("forecasting").read(make_job(DataJob, values))


def _run_baselines(dataset: Any) -> dict[str, Any]:
    from zoo.task import load_task

    scores: dict[str, Any] = {"series": len(dataset.splits["test"])}
    for baseline in load_task("forecasting").baselines("quick", dataset.spec):
        scores |= {f"{baseline.name} {m}": float(v) for m, v in baseline.run(dataset, 0)["test"].items()}
    return scores


def _train(model: str, dataset: Any, seed: int) -> dict[str, Any]:
    """Return the test scores of a model by its defaults, and the CPU seconds of training."""
    from zoo.fitting.fit import Plan, evaluate, fit
    from zoo.fitting.model_builder import create_model_builder

    began = time.process_time()
    fitted = fit(create_model_builder(f"forecasting/{model}", "forecasting"), dataset, {}, Plan(seed=seed))
    seconds = time.process_time() - began
    scores: Mapping[str, Any] = evaluate(fitted, ["test"])["test"].scores
    return {
        "series": len(dataset.splits["test"]),
        "seconds": seconds,
        **{name: float(value) for name, value in scores.items()},
    }


def _report(results: Results) -> None:
    lines = []
    for name, kinds in SETS.items():
        present = [kind for kind in kinds if f"{name} {kind} baselines" in results]
        totals = {kind: results.rows[f"{name} {kind} baselines"]["series"] for kind in present}
        for metric in METRICS[name]:
            published = PUBLISHED[name] if metric == METRICS[name][0] else ""
            for baseline in BASELINES:
                values = {kind: results.rows[f"{name} {kind} baselines"][f"{baseline} {metric}"] for kind in present}
                lines.append((name, baseline, metric, *_cells([values], kinds, totals), "", ""))
            for model in MODELS:
                rows = _list_complete_seeds(results, f"{name} {{}} {model}", present)
                if rows:
                    by_seed = [{kind: row[metric] for kind, row in of_seed.items()} for of_seed in rows]
                    minutes = [sum(row["seconds"] for row in of_seed.values()) / 60 for of_seed in rows]
                    cells = _cells(by_seed, kinds, totals)
                    lines.append((name, model, metric, *cells, mean_and_deviation(minutes, ".1f"), published))
    header = ("set", "forecast", "metric", "yearly", "quarterly", "monthly", "other", "all", "CPU minutes", "published")
    notes = ["Means and standard deviations over seeds. `mase` counts errors in those of the seasonal naive forecast."]
    results.report("Forecasts of two competitions", header, lines, notes)


def _list_complete_seeds(results: Results, key: str, kinds: list[str]) -> list[dict[str, dict[str, Any]]]:
    """Return the rows of each seed by kind, without seeds that lack one."""
    by_seed = [{kind: results.rows.get(f"{key.format(kind)}, seed {seed}") for kind in kinds} for seed in range(SEEDS)]
    return [{kind: row for kind, row in rows.items() if row} for rows in by_seed if rows and all(rows.values())]


def _cells(by_seed: list[dict[str, float]], kinds: Mapping[str, Any], totals: Mapping[str, int]) -> list[str]:
    """Return the score of each kind, and of all series together, over seeds."""
    cells = [
        mean_and_deviation([values[kind] for values in by_seed], ".2f") if kind in by_seed[0] else ""
        for kind in ("yearly", "quarterly", "monthly", "other")
    ]
    count = sum(totals.values())
    all_kinds = [sum(values[kind] * totals[kind] for kind in totals) / count for values in by_seed]
    return [*cells, mean_and_deviation(all_kinds, ".2f") if len(totals) == len(kinds) else ""]


if __name__ == "__main__":
    main()
