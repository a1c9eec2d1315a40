"""Forecasts of single series beside AutoETS, Theta and boosting on lags, and the coverage of 90 % intervals.

Thirteen classical series, each with its own model and horizon; hours of fine particles in Beijing, 24 hours ahead; and
intervals of the series of M3 and Tourism from calibration windows. All by the defaults of the command line; test rows
choose nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
from _results import Results, mean_and_deviation, read_arguments, say
from forecasting import SETS

ROOT = Path(__file__).parent.parent
MODELS, SEEDS = ("nbeats", "linear", "gru"), 3
BASELINES = ("seasonal_naive", "auto_ets", "auto_theta", "boosting_on_lags")
CLASSICAL, BEIJING = "univariate_ts", "beijing_pm25"
COVERAGE, LOWEST, HIGHEST = "test_conformal_coverage_90", 0.87, 0.93


def main() -> None:
    """Measure and report."""
    options = read_arguments(__doc__ or "")
    if options.data is None:
        sys.exit("forecasting_baselines.py needs --data FOLDER with univariate_ts, beijing_pm25, m3 and tourism")
    seeds, models = (range(1), ("linear",)) if options.quick else (range(SEEDS), MODELS)
    results = Results(__file__, options, {"models": models, "seeds": len(seeds)})
    for seed in seeds:
        for model in models:  # one model on all sets before the next, so that a run cut short tells most
            _measure_classical(results, options.data, model, seed, 1 if options.quick else None)
            if not options.quick:
                _measure_beijing(results, options.data, model, seed)
            if model == MODELS[0]:
                _measure_coverage(results, options.data, model, seed)
    _report(results)


def _measure_classical(results: Results, data: Path, model: str, seed: int, most: int | None) -> None:
    series = pd.read_csv(data / CLASSICAL / "data.csv.gz")
    for name in series["series"].unique()[:most]:
        rows = series[series["series"] == name]
        arguments = ["--horizon", str(rows["horizon"].iloc[0]), "--period", str(rows["period"].iloc[0])]
        arguments += ["--time", "t", "--target", "value", "--split", "column=split"]
        table = rows[["t", "value", "split"]]
        _measure(results, CLASSICAL, name, model, seed, table, [*arguments, "--baselines", _level(model, seed)])


def _measure_beijing(results: Results, data: Path, model: str, seed: int) -> None:
    table = pd.read_csv(data / BEIJING / "data.csv.gz").drop(columns=["split", "cbwd"])
    arguments = ["--time", "time", "--target", "pm25", "--horizon", "24", "--baselines", _level(model, seed)]
    arguments += [word for name in ("DEWP", "TEMP", "PRES", "Iws", "Is", "Ir") for word in ("--past", name)]
    _measure(results, BEIJING, "hourly", model, seed, table, arguments)


def _measure_coverage(results: Results, data: Path, model: str, seed: int) -> None:
    for name, kinds in SETS.items():
        competition = pd.read_csv(data / name / "data.csv.gz")
        for kind, (horizon, period) in kinds.items():
            table = competition[competition["kind"] == kind].drop(columns="kind")
            arguments = ["--series", "series", "--time", "t", "--target", "value", "--split", "column=split"]
            arguments += ["--horizon", str(horizon), "--period", str(period), "--calibration-size", "0.2"]
            _measure(results, name, kind, model, seed, table, [*arguments, "--baselines", "none"])


def _level(model: str, seed: int) -> str:
    """Return the level of baselines: they have no seed, so that the first run of a series is enough."""
    return "all" if (model, seed) == (MODELS[0], 0) else "quick"


def _measure(
    results: Results, source: str, name: str, model: str, seed: int, table: pd.DataFrame, arguments: list[str]
) -> None:
    say(f"{source}: {name}, {model}, seed {seed}")
    results.measure(f"{source} {name}, {model}, seed {seed}", lambda: _train(model, seed, table, arguments))


def _train(model: str, seed: int, table: pd.DataFrame, arguments: list[str]) -> dict[str, Any]:
    """Return the test scores of one run of the command line, and of its baselines."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        table.to_csv(Path(folder, "series.csv"), index=False)
        command = [sys.executable, "-m", "zoo", "train", f"forecasting/{model}", "series.csv", *arguments]
        done = subprocess.run(
            [*command, "--seed", str(seed), "--json"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
    run = json.loads(done.stdout)
    scores = {name: value for name, value in run["metrics"].items() if name.startswith("test_")}
    for baseline, values in run["baselines"].items():
        scores |= {f"{baseline} {name}": value for name, value in values.items() if name.startswith("test_")}
    return scores


def _report(results: Results) -> None:
    lines = []
    for source, metric in ((CLASSICAL, "test_relative_mase"), (CLASSICAL, "test_mase"), (BEIJING, "test_rmse")):
        rows = {key: row for key, row in results.rows.items() if key.startswith(source)}
        for model in MODELS:
            by_seed = [
                [row[metric] for key, row in rows.items() if key.endswith(f"{model}, seed {seed}")]
                for seed in range(SEEDS)
            ]
            means = [sum(values) / len(values) for values in by_seed if values and len(values) == len(by_seed[0])]
            if means:
                cell = mean_and_deviation(means, ".3f" if source == CLASSICAL else ".2f")
                lines.append((source, model, metric.removeprefix("test_"), str(len(by_seed[0])), cell))
        for baseline in BASELINES:
            values = [row[f"{baseline} {metric}"] for key, row in rows.items() if f"{baseline} {metric}" in row
                      and key.endswith(f"{MODELS[0]}, seed 0")]  # fmt: skip
            if values:
                mean = sum(values) / len(values)
                cell = f"{mean:.3f}" if source == CLASSICAL else f"{mean:.2f}"
                lines.append((source, baseline, metric.removeprefix("test_"), str(len(values)), cell))
    for source, kinds in SETS.items():
        for kind in kinds:
            rows = [row for key, row in results.rows.items() if key.startswith(f"{source} {kind}, nbeats")]
            if coverages := [row[COVERAGE] for row in rows if COVERAGE in row]:
                lines.append(
                    (f"{source} {kind}", "nbeats", "coverage of 90 %", "", mean_and_deviation(coverages, ".3f"))
                )
    notes = [
        "`relative_mase` is the error in that of the seasonal naive forecast of the same steps; means over series.",
        f"The aim of the coverage is {LOWEST} to {HIGHEST}. Deviations are over seeds; baselines have none.",
    ]
    results.report("Forecasts beside baselines", ("set", "forecast", "metric", "series", "test"), lines, notes)


if __name__ == "__main__":
    main()
