"""Trials an hour and memory of `zoo.tune` with one to three workers, against KerasTuner's own random search.

KerasTuner's runs without tracking and with `mlflow.keras.autolog`, and all of them on a quiet machine and
beside a process that keeps a core busy. All try the same settings in the same order on digits: the same network,
the same prepared arrays, the same batches and a fixed number of epochs. KerasTuner gets the network alone and
arrays that are prepared beforehand; zoo reads and prepares the data, tracks each trial in MLflow and scores the
best. Each search runs in a fresh process. Its memory is sampled from outside: anonymous pages of the driver, and
of it with all its descendants.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from _processes import (
    Child,
    MemorySamples,
    child_payload,
    import_tensorflow,
    sampled_memory,
    tell_parent,
    working_folder,
)
from _results import Results, alternated, judged, read_arguments, say, spread
from _stock_tuner import stand_in_for_tensorboard

MODEL, SOURCE = "classification/mlp", "digits"
EPOCHS, TRIALS, QUICK_TRIALS = 10, 24, 4
ROUNDS, QUICK_ROUNDS = 3, 1
AIM_GROWTH = 1.05
SEED = 0
# One preparation for all trials, so that the rival can be given its result; no early stopping on either side.
FIXED = {"scaling": "robust_quantile", "patience": EPOCHS}
# Rivals, and how many times their trials an hour are aimed at with the best number of workers.
AIMS = {"stock": 2.5, "autolog": 6.0}
LOADS = ("quiet", "loaded")
SIDES = {
    "stock": "KerasTuner",
    "autolog": "KerasTuner, autolog",
    "zoo 1": "zoo, 1 worker",
    "zoo 2": "zoo, 2 workers",
    "zoo 3": "zoo, 3 workers",
}


def main() -> None:
    """Measure and report; in a child, run one search."""
    payload = child_payload()
    if payload is not None:
        return _search(payload)
    options = read_arguments(__doc__ or "")
    trials, rounds = (QUICK_TRIALS, QUICK_ROUNDS) if options.quick else (TRIALS, ROUNDS)
    results = Results(__file__, options, {"trials": trials, "rounds": rounds, "epochs": EPOCHS, "source": SOURCE})
    for number in range(rounds):
        for load in LOADS:
            for side in alternated(list(SIDES), number):
                key = f"{side}, {load}, round {number}"
                results.measure(key, lambda side=side, load=load: _watched_search(side, load, trials))
    return _report(results, rounds)


def _watched_search(side: str, load: str, trials: int) -> dict[str, Any]:
    """Run a search in a fresh process and return its times and memory."""
    say(f"search: {SIDES[side]}, {trials} trials, {load}")
    began = time.perf_counter()
    with _busy_core() if load == "loaded" else contextlib.nullcontext():
        child = Child(__file__, {"side": side, "trials": trials})
        with sampled_memory(child.pid) as memory:
            (answer,) = child.answers()
    spans = sorted(answer["spans"])
    return {
        "whole_s": time.perf_counter() - began,
        "trials_s": max(end for _, end in spans) - spans[0][0],
        "best": answer["best"],
        "settings": answer["settings"],
        **_memory_facts(memory, spans),
    }


@contextlib.contextmanager
def _busy_core() -> Iterator[None]:
    """Keep a core busy."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _memory_facts(memory: MemorySamples, spans: list[list[float]]) -> dict[str, float]:
    """Return peaks in MiB, and by how much memory in the last third of the trials exceeds that in the first."""
    facts = {}
    third = max(1, len(spans) // 3)
    for which in ("own", "tree"):
        first, last = memory.peaks(spans[:third], which), memory.peaks(spans[-third:], which)
        if first and last:
            facts[f"{which}_mib"] = max(mib for _, mib in getattr(memory, which))
            facts[f"{which}_growth"] = statistics.median(last) / statistics.median(first)
    return facts


# --- in a child ---


def _search(payload: dict[str, Any]) -> None:
    import_tensorflow()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder, working_folder(Path(folder)):
        if payload["side"] in AIMS:
            result = _stock_search(payload["trials"], Path(folder), tracked=payload["side"] == "autolog")
        else:
            result = _zoo_search(payload["trials"], int(payload["side"].split()[1]))
    text = json.dumps([_comparable(values) for values in result.pop("hyperparameters")], sort_keys=True)
    tell_parent({**result, "settings": hashlib.sha256(text.encode()).hexdigest()[:16]})


def _zoo_search(trials: int, workers: int) -> dict[str, Any]:
    import mlflow

    import zoo

    search = zoo.tune(
        MODEL, SOURCE, search="random", trials=trials, workers=workers, epochs=EPOCHS, hyperparameters=FIXED,
        baselines="none", seed=SEED, quiet=True,
    )  # fmt: skip
    client = mlflow.MlflowClient()
    runs = [client.get_run(trial.run_id).info for trial in search.trials if trial.run_id is not None]
    seconds = {trial.run_id: trial.seconds for trial in search.trials}
    # The best trial's run is opened again to be scored, so a trial's end is told by its seconds, not by its run.
    spans = [(run.start_time / 1000, run.start_time / 1000 + seconds[run.run_id]) for run in runs]
    return {
        "spans": spans,
        "best": min(trial.score for trial in search.trials if trial.score is not None),
        "hyperparameters": [dict(trial.hyperparameters) for trial in search.trials],
    }


def _stock_search(trials: int, folder: Path, *, tracked: bool) -> dict[str, Any]:
    import keras_tuner
    import mlflow

    from zoo.fitting.model_builder import create_model_builder
    from zoo.jobs.data_options import DataJob
    from zoo.jobs.job import make_job
    from zoo.training.preprocessed_arrays import preprocess

    stand_in_for_tensorboard()
    builder = create_model_builder(MODEL)
    dataset = builder.task.read(make_job(DataJob, {"source": SOURCE, "seed": SEED}))
    built_model, space = builder.build_checked(FIXED, dataset.spec, seed=SEED)
    assert built_model.preprocessing is not None
    model = built_model.preprocessing.model()
    train, validation = (preprocess(model, dataset.splits[name]) for name in ("train", "validation"))
    spans: dict[str, list[float]] = {}

    class Timed(keras_tuner.RandomSearch):
        """KerasTuner's random search, which also notes when each trial begins and ends."""

        def run_trial(self, trial: Any, *arguments: Any, **options: Any) -> Any:
            spans[trial.trial_id] = [time.time()]
            return super().run_trial(trial, *arguments, **options)

        def on_trial_end(self, trial: Any) -> None:
            super().on_trial_end(trial)
            spans[trial.trial_id].append(time.time())

    plain = keras_tuner.HyperParameters.from_config(space.get_config())
    tuner = Timed(
        lambda hp: builder.build_model(hp, dataset.spec, seed=SEED).network,
        keras_tuner.Objective("val_loss", "min"),
        max_trials=trials,
        seed=SEED + 1,
        hyperparameters=plain,
        directory=str(folder),
        project_name="stock",
    )
    _begin_with_defaults(tuner.oracle, {hyperparameter.name: hyperparameter.default for hyperparameter in plain.space})
    if tracked:
        mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
        mlflow.create_experiment("stock", (folder / "artifacts").as_uri())
        mlflow.set_experiment("stock")
        mlflow.keras.autolog(silent=True)
    tuner.search(
        train.x, train.y, validation_data=(validation.x, validation.y), epochs=EPOCHS,
        batch_size=int(space.values["batch_size"]), verbose=0,
    )  # fmt: skip
    done = [tuner.oracle.trials[trial_id] for trial_id in tuner.oracle.start_order]
    return {
        "spans": list(spans.values()),
        "best": min(trial.score for trial in done if trial.score is not None),
        "hyperparameters": [dict(trial.hyperparameters.values) for trial in done],
    }


def _begin_with_defaults(oracle: Any, defaults: dict[str, Any]) -> None:
    """Make the model's default the first trial, as zoo does, so that both sides try the same settings."""
    draw = oracle._random_values

    def values() -> Any:
        return draw() if oracle.start_order else dict(defaults)

    oracle._random_values = values


def _comparable(values: dict[str, Any]) -> dict[str, str]:
    return {name: f"{value:.9g}" if isinstance(value, float) else str(value) for name, value in values.items()}


# --- in the parent ---


def _report(results: Results, rounds: int) -> None:
    trials = results.settings["trials"]
    rows = {
        (side, load): [results.rows[f"{side}, {load}, round {number}"] for number in range(rounds)]
        for load in LOADS
        for side in SIDES
    }
    same = len({row["settings"] for several in rows.values() for row in several}) == 1
    speed = {key: [3600 * trials / row["trials_s"] for row in several] for key, several in rows.items()}
    lines = []
    for (side, load), several in rows.items():
        best = max(SIDES, key=lambda candidate: statistics.median(speed[candidate, load]))
        times = {
            baseline: [a / b for a, b in zip(speed[side, load], speed[baseline, load], strict=True)]
            for baseline in AIMS
        }
        memory = {
            field: [row[field] for row in several if field in row]
            for field in ("own_mib", "tree_mib", "own_growth", "tree_growth")
        }
        lines.append(
            (
                f"{SIDES[side]}, {load}",
                spread(speed[side, load], ",.0f"),
                *(spread(times[baseline]) for baseline in AIMS),
                spread([row["whole_s"] for row in several], ".0f"),
                spread(memory["own_mib"], ",.0f"),
                spread(memory["tree_mib"], ",.0f"),
                spread(memory["own_growth"]),
                spread(memory["tree_growth"]),
                _verdict(times, memory, fastest=side == best) if side not in AIMS else "",
            )
        )
    speeds = ", ".join(f"{aim:g} times" for aim in AIMS.values())
    header = (
        "search", "trials an hour", "times KerasTuner", "times it with autolog", "seconds in all", "driver MiB",
        "all MiB", "driver growth", "growth of all", f"met: {speeds}; growth {AIM_GROWTH}",
    )  # fmt: skip
    results.report(f"Search: {trials} trials of {MODEL} on {SOURCE}", header, lines, _notes(trials, rounds, same))


def _verdict(times: dict[str, list[float]], memory: dict[str, list[float]], *, fastest: bool) -> str:
    """Say whether the aims are met; those of speed are for the best number of workers."""
    met = {baseline: "yes" if statistics.median(times[baseline]) >= aim else "no" for baseline, aim in AIMS.items()}
    worst = [max(pair) for pair in zip(memory["own_growth"], memory["tree_growth"], strict=True)]
    return f"{', '.join(met.values() if fastest else '–')}; {judged(worst, AIM_GROWTH)}"


def _notes(trials: int, rounds: int, same: bool) -> list[str]:
    return [
        f"Median (least to greatest) of {rounds} searches of {trials} trials, {EPOCHS} epochs each. Both sides tried "
        f"{'the same settings' if same else '**different settings**'}. Trials an hour count from the beginning of the "
        "first trial to the end of the last; *seconds in all* are of the whole process: imports, reading, for zoo also "
        "the best trial's scores, figures and saved model. *Loaded*: another process kept one of the cores busy.",
        "Memory is anonymous memory: peak of the driver, peak of it with all its descendants (shared pages counted "
        "once), and the peak during a trial, median of the last third of the trials over that of the first third.",
        f"The aims: {AIMS['stock']:g} times KerasTuner and {AIMS['autolog']:g} times KerasTuner with autolog, with the "
        f"best number of workers, and memory that does not grow (at most {AIM_GROWTH} times).",
    ]


if __name__ == "__main__":
    main()
