"""Alarms of the data report: how often it tells what is planted in a table, and how often it warns of clean ones.

Each table is drawn anew for each seed. Clean are drawn tables, whose rows are independent and whose test rows are drawn
like the training rows, and random parts of real ones.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from _planted import BUNDLED, FEW_VALUES, PLANTED, REAL, SPLIT, Planted, draw_clean, load_real
from _processes import import_tensorflow
from _results import Results, read_arguments, say

DRAWS, QUICK_DRAWS = 50, 2
FLIPPED, QUICK_FLIPPED = (0.02, 0.05, 0.1, 0.2), (0.1,)
OVERLAPS = {"apart": 6.0, "overlapping": 2.5}
LABEL_ROWS = 400
KINDS = (
    "leakage",
    "duplicates",
    "near-duplicates",
    "conflicting labels",
    "drift",
    "groups",
    "time",
    "class balance",
    "missing values",
    "constant columns",
    "columns",
    "heterogeneity",
    "capped values",
    "outliers",
)
LEVELS = ("ok", "note", "warning")
LEAST_TOLD, MOST_FALSE = 0.95, 0.05


def main() -> None:
    """Measure and report."""
    options = read_arguments(__doc__ or "")
    import_tensorflow()
    draws = range(QUICK_DRAWS if options.quick else DRAWS)
    real = [name for name in REAL if name in BUNDLED or options.data is not None]
    flipped = QUICK_FLIPPED if options.quick else FLIPPED
    results = Results(__file__, options, {"draws": len(draws), "real": real, "flipped": flipped})
    for planted in PLANTED:
        results.measure(f"planted, {planted.name}", lambda p=planted: _tell(p, draws))
    for target in ("two classes", "three classes", "number", FEW_VALUES):
        results.measure(f"clean, drawn with {target}", lambda t=target: _count_drawn(t, draws))
    for name in real:
        results.measure(f"clean, {name}", lambda n=name: _count_real(n, options.data, draws))
    for overlap, distance in OVERLAPS.items():
        for fraction in (0.0, *flipped):
            key = f"labels, {overlap}, {fraction:.0%} wrong"
            results.measure(key, lambda d=distance, f=fraction: _flip(d, f, draws))
    _report(results)


def _read(frame: Any, *, target: str, split: str | None, seed: int) -> tuple[Any, Any, list[Any]]:
    """Return a table as input of the checks, its dataset, and the classical models that judge its labels."""
    from zoo.data.columns.describe_table import describe_columns
    from zoo.jobs.data_options import DataJob
    from zoo.jobs.job import make_job
    from zoo.reporting.run_checks import prepare_table
    from zoo.task import load_task

    task = load_task("regression" if frame[target].dtype.kind == "f" else "classification")
    dataset = task.read(make_job(DataJob, {"source": frame, "target": target, "split": split, "seed": seed}))
    features = frame.drop(columns=[target, SPLIT], errors="ignore")
    columns = describe_columns(features.iloc[dataset.split_rows["train"]])
    classes = dataset.spec.has_classes
    facts = prepare_table(frame, columns, target=target, classes=classes, split_rows=dataset.split_rows, seed=seed)
    return facts, dataset, list(task.estimators("all", dataset.spec))


def _tell(planted: Planted, draws: Iterable[int]) -> dict[str, Any]:
    """Return how often a planted fault is told by the check of its kind."""
    import numpy as np

    from zoo.reporting.drift_checks import check_drift
    from zoo.reporting.leak_checks import check_leaks
    from zoo.reporting.run_checks import run_cheap_checks

    began, told = time.process_time(), []
    for seed in draws:
        frame = planted.plant(draw_clean(planted.target, seed), np.random.default_rng(10_000 + seed))
        facts, dataset, _ = _read(frame, target="y", split=f"column={SPLIT}", seed=seed)
        checks = {"leakage": lambda f=facts: check_leaks(f), "drift": lambda f=facts: check_drift(f)}
        found = checks.get(planted.topic, lambda f=facts, d=dataset: run_cheap_checks(f, d))()
        told.append(any([_matches(planted, finding) for finding in found]))
    return {"told": float(np.mean(told)), "seconds": (time.process_time() - began) / len(told)}


def _matches(planted: Planted, finding: Any) -> bool:
    loud = LEVELS.index(finding.level) >= LEVELS.index(planted.level)
    words = " ".join([finding.text, finding.advice, *finding.evidence])
    return loud and finding.topic == planted.topic and planted.words in words


def _count_drawn(target: str, draws: Iterable[int]) -> dict[str, Any]:
    split = f"column={SPLIT}"
    return _count(_read(draw_clean(target, seed), target="y", split=split, seed=seed) for seed in draws)


def _count_real(name: str, folder: Path | None, draws: Iterable[int]) -> dict[str, Any]:
    tables = ((load_real(name, folder, seed), seed) for seed in draws)
    return _count(_read(frame, target=target, split=None, seed=seed) for (frame, target), seed in tables)


def _count(tables: Iterable[tuple[Any, Any, list[Any]]]) -> dict[str, Any]:
    """Return the fraction of tables with a warning, and with a note, of each kind, other than labels."""
    from zoo.reporting.run_checks import run_cheap_checks, run_costly_checks

    began, alarms = time.process_time(), []
    for facts, dataset, _ in tables:
        found = [*run_cheap_checks(facts, dataset), *run_costly_checks(facts, dataset, [])]
        alarms.append({kind: [f.level for f in found if f.topic == kind] for kind in KINDS})
    values: dict[str, Any] = {"seconds": (time.process_time() - began) / len(alarms)}
    for level in ("warning", "note"):
        values |= {f"{kind}: {level}": sum(level in alarm[kind] for alarm in alarms) / len(alarms) for kind in KINDS}
    return values


def _flip(distance: float, fraction: float, draws: Iterable[int]) -> dict[str, Any]:
    """Return how often wrong labels are told in three classes whose means lie so many standard deviations apart."""
    import numpy as np
    import pandas as pd
    from threadpoolctl import threadpool_limits

    from zoo.reporting.label_errors import check_labels, find_suspects

    began, levels = time.process_time(), []
    for seed in draws:
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, 3, LABEL_ROWS)
        x = rng.normal(size=(LABEL_ROWS, 5))
        x[:, 0] += distance * (labels == 1)
        x[:, 1] += distance * (labels == 2)
        wrong = rng.choice(LABEL_ROWS, round(fraction * LABEL_ROWS), replace=False)
        labels[wrong] = (labels[wrong] + rng.integers(1, 3, len(wrong))) % 3
        frame = pd.DataFrame(x, columns=list("abcde")).assign(y=np.array(["k", "l", "m"])[labels])
        _, dataset, baselines = _read(frame, target="y", split=None, seed=seed)
        with threadpool_limits(1):
            found = list(check_labels(find_suspects(dataset, baselines)))
        levels.append(max((_level_of_labels(finding) for finding in found), default="ok", key=LEVELS.index))
    counts = {level: levels.count(level) / len(levels) for level in ("warning", "note")}
    return {**counts, "seconds": (time.process_time() - began) / len(levels)}


def _level_of_labels(finding: Any) -> str:
    """Return the level of a finding; a note that explains the labels by overlapping classes is no alarm."""
    return "ok" if "overlapping classes explain" in finding.text else str(finding.level)


def _report(results: Results) -> None:
    lines = [*_lines_of_planted(results), *_lines_of_labels(results), *_lines_of_clean(results)]
    tables = [key.removeprefix("clean, ") for key in results.rows if key.startswith("clean, ")]
    draws = results.settings["draws"]
    notes = [
        f"Rates over {draws} draws of at most 600 rows. A planted fault is told if a finding of its kind names it, as "
        f"a warning or, where the rate is under notes, as a note. Clean are: {'; '.join(tables)}.",
        "Real tables have true findings, such as missing values that depend on the target. Only kinds whose alarms "
        "come from a test have an aim there. A note on labels that overlapping classes explain is no alarm.",
        "Wrong labels are in three classes, 6 (apart) or 2.5 (overlapping) standard deviations from each other.",
    ]
    results.report("Alarms of the data report", ("table", "kind", "warnings", "notes", "aim", "met"), lines, notes)
    seconds = [row["seconds"] for row in results.rows.values()]
    say(f"report: {sum(seconds) * results.settings['draws'] / 60:.1f} minutes of CPU")


def _lines_of_planted(results: Results) -> list[tuple[str, ...]]:
    lines = []
    for planted in PLANTED:
        told = results.rows[f"planted, {planted.name}"]["told"]
        shown = (f"{told:.0%}", "") if planted.level == "warning" else ("", f"{told:.0%}")
        lines.append(("planted", planted.name, *shown, f"at least {LEAST_TOLD:.0%}", _judge(told >= LEAST_TOLD)))
    return lines


def _lines_of_labels(results: Results) -> list[tuple[str, ...]]:
    lines = []
    for key, row in results.rows.items():
        if key.startswith("labels, "):
            clean = key.endswith(" 0% wrong")
            aim = f"at most {MOST_FALSE:.0%}" if clean else ""
            met = _judge(row["warning"] <= MOST_FALSE) if clean else ""
            kind = key.removeprefix("labels, ")
            lines.append(("wrong labels", kind, f"{row['warning']:.0%}", f"{row['note']:.0%}", aim, met))
    return lines


def _lines_of_clean(results: Results) -> list[tuple[str, ...]]:
    lines = []
    for key, row in results.rows.items():
        for kind in KINDS if key.startswith("clean, ") else ():
            warned, noted = row[f"{kind}: warning"], row[f"{kind}: note"]
            by_test = kind in ("leakage", "duplicates", "near-duplicates", "drift")
            if by_test or "drawn" in key or warned or noted:
                aim = f"at most {MOST_FALSE:.0%}" if by_test or "drawn" in key else ""
                met = _judge(warned <= MOST_FALSE) if aim else ""
                lines.append((key.replace(",", ":"), kind, f"{warned:.0%}", f"{noted:.0%}", aim, met))
    return lines


def _judge(met: bool) -> str:
    return "yes" if met else "no"


if __name__ == "__main__":
    main()
