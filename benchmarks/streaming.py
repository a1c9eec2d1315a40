"""Rows that pass by: rows a second and peak memory of one epoch, with 2 and with 20 million rows, and in memory.

Rows of 20 columns are drawn with a fixed seed into a folder of Parquet parts. Each size is trained on in a fresh
process; its peak memory is that of the process less what the libraries take before any data are read.
"""

from __future__ import annotations

import json
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

from _processes import Child, child_payload, import_tensorflow, tell_parent, working_folder
from _results import Results, read_arguments, say

MILLION = 1_000_000
PART = 500_000  # rows of a file: of as many as are open at once 2 million rows have enough
SIZES, QUICK_SIZES = (2, 20), (2,)
IN_MEMORY = 2
NUMBERS, MODEL, TARGET = 18, "classification/mlp", "kind"
MOST_GIB = 1.5


def main() -> None:
    """Measure and report; in a child, train one epoch."""
    payload = child_payload()
    if payload is not None:
        return _measure(payload)
    options = read_arguments(__doc__ or "")
    sizes = QUICK_SIZES if options.quick else SIZES
    results = Results(__file__, options, {"millions": list(sizes), "columns": NUMBERS + 2, "model": MODEL})
    with tempfile.TemporaryDirectory(prefix="benchmark-rows-") as folder:
        for millions in sizes:
            for way in ("streamed", "in memory") if millions <= IN_MEMORY else ("streamed",):
                key = f"{millions} million, {way}"
                if key in results:
                    continue
                _write_rows(Path(folder), millions)
                say(f"streaming: {key}")
                payload = {"folder": folder, "stream": way == "streamed", "millions": millions}
                for answer in Child(__file__, payload).answers():
                    results.add(key, answer)
    return _report(results)


def _write_rows(folder: Path, millions: int) -> None:
    """Add parts until there are so many: rows of numbers and levels, and a class that they tell of."""
    import numpy as np
    import pandas as pd

    for number in range(millions * MILLION // PART):
        split = folder / f"part-{number:03}.parquet"
        if split.exists():
            continue
        rng = np.random.default_rng(number)
        x = rng.normal(size=(PART, NUMBERS)).astype(np.float32)
        frame = pd.DataFrame({f"x{index}": x[:, index] for index in range(NUMBERS)})
        frame["city"] = rng.choice(["Lyon", "Lille", "Nice", "Metz"], PART)
        frame["plan"] = rng.choice(["basic", "plus", "team"], PART)
        odds = x[:, 0] * x[:, 1] + x[:, 2] + (frame["city"] == "Lyon") - 1
        frame[TARGET] = np.where(rng.random(PART) < 1 / (1 + np.exp(-2 * odds)), "yes", "no")
        frame.to_parquet(split, index=False)


def _measure(payload: dict[str, Any]) -> None:
    import_tensorflow()
    import mlflow  # noqa: F401  a library, too
    import sklearn.ensemble  # noqa: F401
    import tensorflow as tf

    import zoo
    from zoo.supervised.supervised_task import SupervisedTask  # noqa: F401
    from zoo.tracking.store import Store

    tf.constant(1.0)
    before = _peak_gib()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as place, working_folder(Path(place)):
        began = time.perf_counter()
        options: dict[str, Any] = {"target": TARGET, "epochs": 1, "baselines": "none", "quiet": True}
        run = zoo.train(MODEL, payload["folder"], stream=payload["stream"], **options)
        seconds = time.perf_counter() - began
        profile = json.loads(Store().client.get_run(run.run_id).inputs.dataset_inputs[0].dataset.profile)
    tell_parent(
        {
            "gib_above_libraries": _peak_gib() - before,
            "gib_of_libraries": before,
            "train_rows_a_second": profile["num_rows_train"] / run.seconds,
            "rows_a_second_in_all": payload["millions"] * MILLION / seconds,
            "log_loss": float(run.metrics["test_log_loss"]),
        }
    )


def _peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def _report(results: Results) -> None:
    lines = []
    for key, row in results.rows.items():
        streamed = "streamed" in key
        lines.append(
            (
                key,
                f"{row['gib_above_libraries']:.2f}",
                f"{row['train_rows_a_second']:,.0f}",
                f"{row['rows_a_second_in_all']:,.0f}",
                f"{row['log_loss']:.4f}",
                ("yes" if row["gib_above_libraries"] < MOST_GIB else "no") if streamed else "",
            )
        )
    header = (
        "rows", "peak GiB above the libraries'", "training rows a second", "rows a second in all", "test log_loss",
        f"below {MOST_GIB} GiB",
    )  # fmt: skip
    notes = [
        f"One epoch of `{MODEL}`, {NUMBERS + 2} columns; in all: reading, describing, training, scoring the "
        "test split and tracking. Libraries alone take "
        f"{max(row['gib_of_libraries'] for row in results.rows.values()):.2f} GiB."
    ]
    results.report("Rows that pass by", header, lines, notes)


if __name__ == "__main__":
    main()
