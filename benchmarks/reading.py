"""How long a million rows of adult's shape take to be read, described and prepared, beside pandas reading them.

The table is repeated, with a little noise on its numbers, and written as CSV. Each round reads it with pandas and
with zoo, in turn, and goes on from zoo's table; the first round is for warming up.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _adult import TARGET, adult_frame
from _results import Results, alternated, judged, read_arguments, spread

ROWS, QUICK_ROWS = 1_000_000, 100_000
ROUNDS, QUICK_ROUNDS = 7, 3
MOST_READY, MOST_PREPARED = 2.0, 1.0


def main() -> None:
    """Measure and report."""
    options = read_arguments(__doc__ or "")
    rows, rounds = (QUICK_ROWS, QUICK_ROUNDS) if options.quick else (ROWS, ROUNDS)
    settings = {"rows": rows, "rounds": rounds, "data": "adult" if options.data else "drawn"}
    results = Results(__file__, options, settings)
    with tempfile.TemporaryDirectory(prefix="benchmark-rows-") as folder:
        path = Path(folder) / "adult.csv"
        missing = [number for number in range(rounds) if f"round {number}" not in results]
        if missing:
            _write(path, options.data, rows)
            _round(path, 0)
        for number in missing:
            results.measure(f"round {number}", lambda number=number: _round(path, number))
    _report(results, rows)


def _write(path: Path, data: Path | None, rows: int) -> None:
    import numpy as np

    frame = adult_frame(data)
    rng = np.random.default_rng(0)
    frame = frame.iloc[np.arange(rows) % len(frame)].reset_index(drop=True)
    for name in frame.select_dtypes("number"):
        frame[name] = frame[name] + rng.normal(0, 0.1, rows).round(3)
    frame.to_csv(path, index=False)


def _round(path: Path, number: int) -> dict[str, Any]:
    """Return the seconds of each stage."""
    import numpy as np
    import pandas as pd

    from zoo.data.columns.describe_table import describe_table
    from zoo.data.columns.encode import extract_inputs
    from zoo.data.dataset import Split
    from zoo.data.sources.read import read_table
    from zoo.networks import preprocess_table
    from zoo.training.preprocessed_arrays import preprocess

    taken: dict[str, float] = {}
    readers: dict[str, Callable[[], Any]] = {"pandas_s": lambda: pd.read_csv(path), "read_s": lambda: read_table(path)}
    for side in alternated(list(readers), number):
        result, taken[side] = _timed(readers[side])
        table = result if side == "read_s" else None
        frame = table.frame.drop(columns=TARGET) if table is not None else None
        if frame is None:
            continue
        (spec, _), taken["described_s"] = _timed(lambda frame=frame: describe_table(frame, (), "t"))
        raw, taken["raw_s"] = _timed(lambda frame=frame, spec=spec: extract_inputs(frame, spec))
        split = Split(raw, None, np.arange(len(frame)))
        _, taken["prepared_s"] = _timed(
            lambda spec=spec, split=split: preprocess(preprocess_table(spec).model(), split)
        )
    ready = taken["read_s"] + taken["described_s"]
    preprocessed = taken["raw_s"] + taken["prepared_s"]
    return {
        **taken,
        "ready_ratio": ready / taken["pandas_s"],
        "prepared_ratio": preprocessed / taken["read_s"],
    }


def _timed(function: Callable[[], Any]) -> tuple[Any, float]:
    began = time.perf_counter()
    result = function()
    return result, time.perf_counter() - began


def _report(results: Results, rows: int) -> None:
    names = {
        "pandas_s": "pandas.read_csv",
        "read_s": "zoo reads",
        "described_s": "zoo describes",
        "raw_s": "zoo makes raw inputs",
        "prepared_s": "zoo prepares, its model built anew",
    }
    lines = [(name, spread(results.column(field), ".2f", " s"), "", "") for field, name in names.items()]
    for field, name, most in (
        ("ready_ratio", "read and described, in times of pandas.read_csv", MOST_READY),
        ("prepared_ratio", "made inputs and prepared, in times of zoo's reading", MOST_PREPARED),
    ):
        values = results.column(field)
        lines.append((name, spread(values), f"at most {most:g}", judged(values, most)))
    results.report(
        f"Reading {rows:,} rows of adult's shape",
        ("what", "median (least to greatest)", "aim", "met"),
        lines,
        [f"{len(results.column('pandas_s'))} rounds in one process, in turn; all rows are described."],
    )


if __name__ == "__main__":
    main()
