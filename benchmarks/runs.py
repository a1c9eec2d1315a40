"""What listing, ranking and finding take with 10,000 runs in the store.

One run is made by `zoo.train`; copies of it, each with other scores, are put beside it in the same database. Each
call is measured in a fresh process, beyond its imports.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _processes import Child, child_payload, import_tensorflow, tell_parent, working_folder
from _results import Results, alternated, judged, read_arguments, say, spread

RUNS, QUICK_RUNS = 10_000, 500
ROUNDS, QUICK_ROUNDS = 5, 1
AIM_S = 2.0
CALLS = {
    "runs": "`zoo runs`",
    "sorted": "`zoo runs --task classification --sort test_accuracy`",
    "best": "`zoo best iris`",
    "find": "a run by the first characters of its id",
}
COPIED = ("params", "tags", "metrics", "latest_metrics")


def main() -> None:
    """Measure and report; in a child, make one call."""
    payload = child_payload()
    if payload is not None:
        return _call(payload)
    options = read_arguments(__doc__ or "")
    runs, rounds = (QUICK_RUNS, QUICK_ROUNDS) if options.quick else (RUNS, ROUNDS)
    results = Results(__file__, options, {"runs": runs, "rounds": rounds})
    keys = [(number, name) for number in range(rounds) for name in alternated(list(CALLS), number)]
    if any(_key(*key) not in results for key in keys):
        with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
            run_id = _filled(Path(folder), runs)
            for number, name in keys:
                payload = {"name": name, "folder": folder, "run": run_id}
                results.measure(_key(number, name), lambda payload=payload: _measured(payload))
    return _report(results, runs, rounds)


def _key(number: int, name: str) -> str:
    return f"{name}, round {number}"


def _measured(payload: dict[str, Any]) -> dict[str, Any]:
    (answer,) = Child(__file__, payload).answers()
    return dict(answer)


def _filled(folder: Path, runs: int) -> str:
    """Fill a store in a folder and return the id of a run in it."""
    say(f"runs: making {runs:,} runs")
    with working_folder(folder):
        import_tensorflow()
        import zoo

        run = zoo.train("classification/mlp", "iris", epochs=20, quiet=True, baselines="none")
    with sqlite3.connect(folder / "mlruns" / "mlflow.db") as store:
        for _ in range(runs - 1):
            _copied(store, run.run_id)
    return run.run_id


def _copied(store: sqlite3.Connection, run_id: str) -> None:
    new = uuid.uuid4().hex
    columns = [row[1] for row in store.execute("PRAGMA table_info(runs)")]
    chosen = ", ".join("?" if name == "run_uuid" else name for name in columns)
    store.execute(f"INSERT INTO runs SELECT {chosen} FROM runs WHERE run_uuid = ?", (new, run_id))
    for table in COPIED:
        names = [row[1] for row in store.execute(f"PRAGMA table_info({table})")]
        replacements = {
            "run_uuid": "?",
            "value": "value * (1 + abs(random()) / 1e20)" if "metrics" in table else "value",
        }
        chosen = ", ".join(replacements.get(name, name) for name in names)
        store.execute(f"INSERT INTO {table} SELECT {chosen} FROM {table} WHERE run_uuid = ?", (new, run_id))


# --- in a child ---


def _call(payload: dict[str, Any]) -> None:
    import_tensorflow()
    import mlflow  # noqa: F401

    import zoo
    from zoo.stored_runs.show import show_run

    calls: dict[str, Callable[[], Any]] = {
        "runs": zoo.runs,
        "sorted": lambda: zoo.runs(task="classification", sort="test_accuracy"),
        "best": lambda: zoo.best("iris"),
        "find": lambda: show_run(payload["run"][:10]),
    }
    call = calls[payload["name"]]
    with working_folder(Path(payload["folder"])):
        began = time.perf_counter()
        try:
            str(call())
        except OSError:
            assert payload["name"] == "best"  # a copy has no files, and they are read last
        tell_parent({"seconds": time.perf_counter() - began})


# --- in the parent ---


def _report(results: Results, runs: int, rounds: int) -> None:
    lines = []
    for name, description in CALLS.items():
        seconds = [results.rows[_key(number, name)]["seconds"] for number in range(rounds)]
        lines.append((description, spread(seconds), judged(seconds, AIM_S)))
    results.report(
        f"{runs:,} runs in the store",
        ("call", "seconds", f"met: {AIM_S:g} s"),
        lines,
        [f"Median (least to greatest) of {rounds} calls, each in a fresh process, beyond its imports; SQLite."],
    )


if __name__ == "__main__":
    main()
