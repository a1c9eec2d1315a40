"""What a search takes beside its training: idle workers, memory of the driver, disk; and memory with 1 GiB of data.

Two hundred trials of a small network with two workers, drawn at random and by the Bayesian search: how long workers
had nothing to do, how much the driver's memory grew, how much disk the search's own state took at most and at the end.
And a table of 1 GiB with four workers: memory of all processes, data that are mapped into several of them counted
once, above that of the same search on a thousandth of the rows. Each search runs in a fresh process.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from _processes import Child, child_payload, import_tensorflow, repeated, sampled_memory, tell_parent, working_folder
from _results import Results, judged, read_arguments, say, spread

TRIALS, QUICK_TRIALS = 200, 12
COLUMNS, LARGE_MIB, QUICK_MIB = 100, 1024, 8
AIM_IDLE, AIM_GROWTH, AIM_MIB, AIM_KEPT = 0.02, 1.05, 2048.0, 3
SEARCHES = {"random": "200 trials at random", "bayesian": "200 trials, Bayesian"}
SEED = 0


def main() -> None:
    """Measure and report; in a child, run one search."""
    payload = child_payload()
    if payload is not None:
        return _large(payload) if payload["what"] == "large" else _many(payload)
    options = read_arguments(__doc__ or "")
    trials, mib = (QUICK_TRIALS, QUICK_MIB) if options.quick else (TRIALS, LARGE_MIB)
    results = Results(__file__, options, {"trials": trials, "mib": mib})
    for search in SEARCHES:
        results.measure(search, lambda search=search: _watched({"what": search, "trials": trials}))
    for split in ("thousandth", "large"):
        size = mib if split == "large" else mib / 1000
        results.measure(split, lambda size=size: _watched({"what": "large", "mib": size}))
    return _report(results)


def _watched(payload: dict[str, Any]) -> dict[str, Any]:
    say(f"resources: {payload}")
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        child = Child(__file__, {**payload, "folder": folder})
        with sampled_memory(child.pid) as memory, _sampled_disk(Path(folder)) as disk:
            (answer,) = child.answers()
    spans = sorted(answer.pop("spans"))
    third = max(1, len(spans) // 3)
    first, last = memory.peaks(spans[:third], "own"), memory.peaks(spans[-third:], "own")
    growth = statistics.median(last) / statistics.median(first) if first and last else 1.0
    peak = max((mib for _, mib in memory.whole), default=0.0)
    return {**answer, "own_growth": growth, "all_mib": peak, "state_peak_mib": max(disk, default=0.0)}


@contextmanager
def _sampled_disk(folder: Path) -> Iterator[list[float]]:
    """Sample how many MiB the state of searches in a folder takes, twice a second."""
    sizes: list[float] = []
    with repeated(lambda: sizes.append(_mib(folder / "mlruns" / "state" / "searches")), 0.5):
        yield sizes


def _mib(folder: Path) -> float:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except OSError:  # gone meanwhile
            continue
    return total / 2**20


# --- in a child ---


def _many(payload: dict[str, Any]) -> None:
    import_tensorflow()
    import zoo

    with working_folder(Path(payload["folder"])):
        search = zoo.tune(
            "classification/mlp", "digits", search=payload["what"], trials=payload["trials"], workers=2, epochs=10,
            hyperparameters={"scaling": "robust_quantile", "patience": 10}, baselines="none", seed=SEED, quiet=True,
        )  # fmt: skip
        tell_parent({**_times(search, 2), "kept": _trials_kept(), "state_end_mib": _mib(Path("mlruns/state/searches"))})


def _large(payload: dict[str, Any]) -> None:
    rows = int(payload["mib"] * 2**20 / 8 / COLUMNS)
    file = Path(payload["folder"]) / "rows.parquet"
    _write(file, rows)
    import_tensorflow()
    import zoo

    with working_folder(Path(payload["folder"])):
        search = zoo.tune(
            "regression/linear", str(file), target="y", stream=False, search="random", trials=4, workers=4, epochs=2,
            hyperparameters={"scaling": "standard", "batch_size": 4096}, baselines="none", figures=False, seed=SEED,
            quiet=True,
        )  # fmt: skip
        tell_parent(_times(search, 4))


def _write(file: Path, rows: int) -> None:
    """Write a table of numbers, piece by piece: the process that searches must not have held it before."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    generator = np.random.default_rng(SEED)
    names = [f"x{number}" for number in range(COLUMNS)]
    writer = None
    for start in range(0, rows, 100_000):
        values = generator.normal(size=(min(100_000, rows - start), COLUMNS))
        columns = {name: values[:, place] for place, name in enumerate(names)}
        piece = pa.table({**columns, "y": values[:, 0] - values[:, 1] + 0.1 * generator.normal(size=len(values))})
        writer = writer or pq.ParquetWriter(file, piece.schema, compression="none", use_dictionary=False)
        writer.write_table(piece)
    assert writer is not None
    writer.close()


def _times(search: Any, workers: int) -> dict[str, Any]:
    """When trials ran, and the share of the workers' time in which they had none."""
    import mlflow

    client = mlflow.MlflowClient()
    # The best trial's run is opened again to be scored: when its trial ended is not told by it.
    ends = {trial.run_id: client.get_run(trial.run_id).info.end_time / 1000 for trial in search.trials}
    spans = [
        [ends[trial.run_id] - trial.seconds, ends[trial.run_id]]
        for trial in search.trials
        if trial.run_id != search.best.run_id
    ]
    whole_s = max(end for _, end in spans) - min(start for start, _ in spans)
    busy_s = sum(trial.seconds for trial in search.trials)
    return {"spans": spans, "trials_s": whole_s, "busy_s": busy_s, "idle": max(0.0, 1 - busy_s / (workers * whole_s))}


def _trials_kept() -> int:
    """How many trials have weights or a checkpoint left."""
    folders = {
        path.parent for name in ("weights*", "checkpoint*") for path in Path("mlruns/state/searches").rglob(name)
    }
    return len(folders)


# --- in the parent ---


def _report(results: Results) -> None:
    lines = []
    for search, title in SEARCHES.items():
        row = results.rows[search]
        lines += [
            (
                f"{title}: workers idle",
                spread([100 * row["idle"]], ".1f", " %"),
                "2 %",
                judged([row["idle"]], AIM_IDLE),
            ),
            (f"{title}: driver's growth", spread([row["own_growth"]]), "1.05", judged([row["own_growth"]], AIM_GROWTH)),
            (f"{title}: trials whose weights are kept", str(row["kept"]), "3", judged([row["kept"]], AIM_KEPT)),
            (f"{title}: state on disk, at most", f"{row['state_peak_mib']:.1f} MiB", "", "–"),
            (f"{title}: state on disk, at the end", f"{row['state_end_mib']:.1f} MiB", "", "–"),
        ]
    above = results.rows["large"]["all_mib"] - results.rows["thousandth"]["all_mib"]
    size = results.settings["mib"]
    lines.append(
        (f"{size:,} MiB of rows, 4 workers: memory above the libraries'", f"{above:,.0f} MiB", "2,048 MiB",
         judged([above], AIM_MIB))
    )  # fmt: skip
    results.report(
        f"What a search takes: {results.settings['trials']} trials, and {size:,} MiB of rows",
        ("what", "found", "aim", "met"),
        lines,
        [
            "*Idle*: the share of the workers' time, from the first trial's beginning to the last one's end, in which "
            "no trial ran in them: a process begins, the oracle thinks, the last trials end one after the other.",
            "*Growth*: median peak of the driver's own memory during the last third of trials over that of the first.",
            "Memory of all processes is the sum of their proportional shares, mapped files with it; of the libraries "
            "the same search on a thousandth of the rows.",
        ],
    )


if __name__ == "__main__":
    main()
