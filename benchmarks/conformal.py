"""Coverage of prediction sets and intervals over seeds: stated 90 %, held how often, and how wide.

Each seed draws its own split; a fifth of the training rows is set aside, and the limits come from it. Test rows
teach and choose nothing.
"""

from __future__ import annotations

import statistics
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from _processes import import_tensorflow, working_folder
from _results import Results, mean_and_deviation, read_arguments, say

SEEDS, QUICK_SEEDS, PERCENT = 20, 2, 90
LOW, HIGH = 0.893, 0.907
# Coverage holds for a network of any training: few epochs leave more time for seeds.
EPOCHS = 10


@dataclass(frozen=True)
class Case:
    """A model whose sets or intervals are judged."""

    name: str
    model: str
    source: str
    target: str
    options: dict[str, Any] = field(default_factory=dict)


CASES = (
    Case("adult, sets", "classification/mlp", "adult", "income"),
    Case("adult, sets after temperature", "classification/mlp", "adult", "income", {"calibrate": "temperature"}),
    Case("california_housing, residuals", "regression/mlp", "california_housing", "median_house_value"),
    Case(
        "california_housing, quantiles",
        "regression/mlp",
        "california_housing",
        "median_house_value",
        {"quantiles": [0.05, 0.5, 0.95]},
    ),
)


def main() -> None:
    """Measure and report."""
    options = read_arguments(__doc__ or "")
    if options.data is None:
        say("intervals: needs --data FOLDER, with adult/data.csv.gz and california_housing/data.csv.gz")
        return
    import_tensorflow()
    seeds = range(QUICK_SEEDS if options.quick else SEEDS)
    results = Results(__file__, options, {"seeds": len(seeds), "epochs": EPOCHS})
    for seed in seeds:
        for case in CASES:
            results.measure(f"{case.name}, seed {seed}", lambda c=case, s=seed: _measure(options.data, c, s))
    _report(results)


def _measure(folder: Path, case: Case, seed: int) -> dict[str, Any]:
    import zoo

    source = str(folder / case.source / "data.csv.gz")
    keys = {"target": case.target, "drop": ["split"], "calibration_size": 0.2, "epochs": EPOCHS, "seed": seed}
    with tempfile.TemporaryDirectory(prefix="benchmark-") as place, working_folder(Path(place)):
        run = zoo.train(case.model, source, **keys, **case.options, baselines="none", quiet=True)
    prefix = "test_conformal_"
    metrics = {name.removeprefix(prefix): float(v) for name, v in run.metrics.items() if name.startswith(prefix)}
    return (
        {**metrics, "ece": float(run.metrics.get("test_ece", float("nan")))} if "test_ece" in run.metrics else metrics
    )


def _report(results: Results) -> None:
    lines = []
    for case in CASES:
        rows = [row for key, row in results.rows.items() if key.startswith(f"{case.name}, seed")]
        coverage = [row[f"coverage_{PERCENT}"] for row in rows]
        mean = statistics.mean(coverage)
        others = {name for row in rows for name in row} - {f"coverage_{PERCENT}", "ece"}
        others_ = "; ".join(
            f"{name.replace('_90', '')} {_mean([row[name] for row in rows])}" for name in sorted(others)
        )
        lines.append((case.name, _mean(coverage), others_, f"{LOW} to {HIGH}", "yes" if LOW <= mean <= HIGH else "no"))
    header = ("data and way", f"coverage of {PERCENT} % sets", "size and coverage by class", "aim for the mean", "met")
    notes = [
        f"Means over {results.settings['seeds']} seeds with the standard deviation; each seed has its own split. Width "
        "and interval score (Gneiting and Raftery 2007) in the target's units."
    ]
    results.report("Coverage of prediction sets and intervals", header, lines, notes)


def _mean(values: list[float]) -> str:
    return mean_and_deviation(values, ".4f" if max(values) < 100 else ",.0f")


if __name__ == "__main__":
    main()
