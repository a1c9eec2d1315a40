"""Damaged files, jobs and model folders thrown at the command line, `zoo.load` and the server: what comes of each.

Each of 2,000 cases is drawn by its number. A result is accepted, or a clear error: one line in words and exit status 1
or 2 (for a request: 400). Counted is what must not be: a traceback, more than 60 s, more than 2 GiB of memory.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import _damages
import _processes
from _results import Results, read_arguments, say
from _watched import Ended, watch_calls

CASES, QUICK_CASES = 2000, 40
SECONDS, MIB, AT_ONCE = 60.0, 2048.0, 3
# How many of each 40 cases; "command" is a whole process, the others are forked from one that has imported everything.
MIX = {"job": 14, "data": 6, "train": 6, "predict": 5, "load": 5, "request": 3, "command": 1}
OUTCOMES = ("accepted", "clear error", "traceback", "slow", "large")
PREPARE = """
import zoo
quick = {"epochs": 1, "baselines": "none", "figures": False}
print(zoo.train("classification/linear", "rows.csv", target="label", **quick).run_id)
"""


def main() -> None:
    """Measure and report."""
    options = read_arguments(__doc__ or "")
    count = QUICK_CASES if options.quick else CASES
    results = Results(__file__, options, {"cases": count, "seconds": SECONDS, "mib": MIB, "mix": MIX})
    with tempfile.TemporaryDirectory(prefix="benchmark-") as temporary:
        template = Path(temporary) / "template"
        run_id = _prepare(template)
        _import_everything()
        cases = _draw_cases(results, count, template, Path(temporary), run_id)
        for key, folder, ended in watch_calls(cases, seconds=SECONDS, mib=MIB, at_once=AT_ONCE):
            outcome = judge(ended)
            values = {"outcome": outcome, "seconds": round(ended.seconds, 1), "mib": round(ended.mib)}
            if outcome not in ("accepted", "clear error"):
                values["message"] = ended.output[-600:]
                say(f"{key}: {outcome}: {ended.output[-300:]}")
            results.add(key, values)
            shutil.rmtree(folder)
    _report(results)


def judge(ended: Ended) -> str:
    """Return the outcome of a call."""
    if ended.limit:
        return ended.limit
    said_why = any(line.startswith("zoo: ") for line in ended.output.splitlines())
    if ended.status not in (0, 1, 2) or (ended.status and not said_why):
        return "traceback"
    if "Traceback (most recent" in ended.output or "ZOO_DEBUG" in ended.output:
        return "traceback"
    return "clear error" if ended.status else "accepted"


def _prepare(template: Path) -> str:
    """Make the folder that each case starts with: rows, and a store with a trained model; return the run's id."""
    template.mkdir()
    _damages.draw_table(random.Random(0)).to_csv(template / "rows.csv", index=False)
    ended = subprocess.run([sys.executable, "-c", PREPARE], cwd=template, capture_output=True, text=True, check=True)
    return ended.stdout.split()[-1]


def _import_everything() -> None:
    """Import what the commands need, so that a forked case costs little; TensorFlow itself is not started."""
    _processes.import_tensorflow()
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "ZOO_TASKS", "ZOO_DEBUG"):
        os.environ.pop(name, None)
    import sklearn.ensemble  # noqa: F401

    import zoo.cli
    import zoo.comparing.compare
    import zoo.running.data_report
    import zoo.running.train
    import zoo.saving.pyfunc
    import zoo.serving.predict_rows
    import zoo.serving.scoring_app
    import zoo.tuning.tune  # noqa: F401
    from zoo.registry import list_models

    for entry in list_models():
        entry.load_build()


def _draw_cases(
    results: Results, count: int, template: Path, root: Path, run_id: str
) -> Iterator[tuple[str, Callable[[], int], Path]]:
    modes = [mode for mode, share in MIX.items() for _ in range(share)]
    random.Random(0).shuffle(modes)
    for number in range(count):
        mode = modes[number % len(modes)]
        key = f"{mode} {number}"
        if key in results:
            continue
        folder = root / str(number)
        shutil.copytree(template, folder)
        _move_store(template, folder)
        yield key, _draw_call(mode, random.Random(number), folder, run_id), folder


def _move_store(old: Path, new: Path) -> None:
    """Let a copied store refer to its own artifacts."""
    with sqlite3.connect(new / "mlruns" / "mlflow.db") as connection:
        for table, column in (
            ("runs", "artifact_uri"),
            ("experiments", "artifact_location"),
            ("logged_models", "artifact_location"),
        ):
            connection.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (str(old), str(new)))
    connection.close()


def _draw_call(mode: str, rng: random.Random, folder: Path, run_id: str) -> Callable[[], int]:
    quick = ["--epochs", "1", "--baselines", "none", "--no-figures"]
    if mode == "job":
        return partial(_command, ["run", _damages.write_job(rng, folder, _fields(), run_id)])
    if mode == "load":
        _damages.tamper(rng, next(folder.glob("mlruns/artifacts/models/*/artifacts")), _sign)
        return partial(_command, ["predict", run_id, "rows.csv"]) if rng.random() < 0.7 else partial(_load, run_id)
    if mode == "request":
        return partial(_request, *_draw_body(rng, folder), next(folder.glob("mlruns/artifacts/models/*/artifacts")))
    source = _damages.write_damaged(rng, folder)
    models = ["classification/linear"] * 3 + [
        "regression/linear",
        "image/cnn",
        "clustering/autoencoder",
        "sequence/rnn",
    ]
    words = {
        "data": ["data", source],
        "train": ["train", rng.choice(models), source, "--target", rng.choice(["label", "label", "age"]), *quick],
        "predict": ["predict", run_id, source],
    }
    chosen = words[rng.choice(list(words))] if mode == "command" else words[mode]
    return partial(_process if mode == "command" else _command, chosen)


def _fields() -> dict[str, list[str]]:
    from zoo.jobs.commands import find_command

    return {name: list(find_command(name).job_class.model_fields) for name in _damages.JOBS}


def _sign(folder: Path, facts: dict[str, Any]) -> dict[str, Any]:
    from zoo.portable.digests import add_digests

    facts = {key: value for key, value in facts.items() if key not in ("digest", "files")}
    return add_digests(facts, folder, [path for path in folder.iterdir() if path.name == "model.keras"])


def _command(words: list[str]) -> int:
    from zoo import cli

    sys.argv = ["zoo", *words]
    try:
        cli.main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 70


def _process(words: list[str]) -> int:
    return subprocess.run([sys.executable, "-m", "zoo", *words], check=False).returncode


def _load(run_id: str) -> int:
    import zoo

    try:
        print(zoo.load(run_id).predict("rows.csv"))
    except zoo.ZooError as error:
        print(f"zoo: {error}")
        return error.exit_status
    return 0


def _draw_body(rng: random.Random, folder: Path) -> tuple[bytes, str]:
    """Return the body of a request, and its type."""
    kind = rng.choice(["text/csv", "application/json", "application/json", "application/json", "text/plain", ""])
    if kind == "text/csv":
        return _damages.spoil(rng, _damages.damage_table(rng).to_csv(index=False).encode(errors="replace")), kind
    records = _damages.draw_table(rng, 3).to_dict("records")
    body: Any = {"dataframe_records": records}
    for _ in range(rng.choice([1, 1, 2])):
        odd = rng.choice([value for value in _damages.ODD if not isinstance(value, dict)])
        how = rng.randrange(5)
        if how == 0:
            records[0][rng.choice(list(records[0]))] = odd
        elif how == 1:
            body = {rng.choice(["dataframe_records", "dataframe_split", "instances", "inputs", "x"]): odd}
        elif how == 2 and isinstance(body, dict):
            body["params"] = rng.choice([odd, {"intervals": odd}, {"x": odd}])
        elif how == 3:
            body = {"dataframe_split": {"columns": list(records[0]), "data": [[odd] * rng.randint(0, 7)]}}
        else:
            body = {"inputs": {name: [odd] * rng.randint(1, 2) for name in records[0]}}
    text = json.dumps(body, default=str).encode(errors="surrogatepass")
    return (_damages.spoil(rng, text) if rng.random() < 0.3 else text), kind


def _request(body: bytes, kind: str, model: Path) -> int:
    """Ask the server's application, without a network; 400 is a clear error."""
    from zoo.serving.scoring_app import MODEL_VARIABLE, create_app

    os.environ[MODEL_VARIABLE] = str(model)
    app, answers = create_app(), list[Any]()
    headers = [(b"content-type", kind.encode())] if kind else []
    scope = {"type": "http", "method": "POST", "path": "/invocations", "raw_path": b"/invocations", "query_string": b"",
             "headers": headers, "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "root_path": "",
             "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80)}  # fmt: skip
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        return waiting.pop() if waiting else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        answers.append(message)

    asyncio.run(app(scope, receive, send))
    text = b"".join(answer.get("body", b"") for answer in answers).decode()
    status = answers[0]["status"]
    if status == 200:
        return 0
    print(f"zoo: {text}" if 400 <= status < 500 else text)
    return 2 if 400 <= status < 500 else 70


def _report(results: Results) -> None:
    modes = [mode for mode in MIX if any(key.startswith(f"{mode} ") for key in results.rows)]
    lines = []
    for mode in [*modes, ""]:
        rows = [row for key, row in results.rows.items() if key.startswith(mode)]
        counts = Counter(row["outcome"] for row in rows)
        most = f"{max(row['seconds'] for row in rows):.1f} s", f"{max(row['mib'] for row in rows):,} MiB"
        lines.append([mode or "all", str(len(rows)), *(str(counts[outcome]) for outcome in OUTCOMES), *most])
    header = [
        "thrown at",
        "cases",
        "accepted",
        "clear error",
        "traceback",
        "over 60 s",
        "over 2 GiB",
        "longest",
        "largest",
    ]
    notes = [
        "The last three counts should be zero. job: `zoo run` with odd values for keys of a valid job; data, train, "
        "predict: damaged files of twelve formats; load: a model's folder that was tampered with, a third with fresh "
        "digests; request: bodies sent to the server; command: the same in processes of their own."
    ]
    if len(results.rows) < results.settings["cases"]:
        done = f"{len(results.rows):,} of {results.settings['cases']:,}"
        notes.append(f"So far {done} cases, in the order of their numbers; the same command goes on with the others.")
    results.report("Damaged files, jobs and models", header, lines, notes)


if __name__ == "__main__":
    main()
