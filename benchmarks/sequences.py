"""Accuracy of the sequence models by their defaults on small sets, with CPU time.

The rivals are aeon's MiniRocket and MultiRocket with their ridge classifier, and the statistics of each sequence with a
support vector machine. Train and test splits are the official ones. No default was chosen on these
sets, but for JapaneseVowels, on which models were tried out. By default zoo keeps a fifth of the training rows
for validation; ``minirocket`` does not need them and is also measured with ``--validation-size 0``, as aeon trains.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from _aeon_rivals import CLASSIFIERS, PACKAGES
from _processes import CHILD, child_payload, tell_parent
from _results import Results, mean_and_deviation, read_arguments, say
from _rival_environment import find_interpreter

SETS = (
    "JapaneseVowels", "BasicMotions", "GunPoint", "ItalyPowerDemand", "ArrowHead", "PickupGestureWiimoteZ", "OSULeaf",
    "CBF", "Coffee", "ECG200", "FaceFour", "Beef", "Adiac",
)  # fmt: skip
WHOLE = "minirocket with all training rows"
SIDES = {
    "minirocket": ("sequence/minirocket", {}, 3),
    WHOLE: ("sequence/minirocket", {"validation_size": 0}, 3),
    "gru": ("sequence/gru", {}, 1),
    "lstm": ("sequence/lstm", {}, 1),
}
RIVAL_SEEDS, SVM = 3, "statistics_svm"
HERE = Path(__file__).parent
ONE_THREAD = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "NUMBA_NUM_THREADS": "1"}


def main() -> None:
    """Measure and report; in a child, train models on one set."""
    work = child_payload()
    if work is not None:
        return _train(work)
    options = read_arguments(__doc__ or "", SETS)
    interpreter = find_interpreter(PACKAGES, variable="AEON_PYTHON")
    sets, seeds = (("GunPoint",), 1) if options.quick else (SETS, None)
    settings = {"rivals": PACKAGES, "seeds": {side: number for side, (_, _, number) in SIDES.items()}}
    results = Results(__file__, options, settings)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        chosen = [name for name in sets if options.only in (None, name)]
        rival = [interpreter, str(HERE / "_aeon_rivals.py")]
        for name in chosen:
            _run([*rival, json.dumps({"set": name, "write": str(Path(folder, f"{name}.npz"))})])
        for side, name in product([*CLASSIFIERS, *SIDES], chosen):  # a side on all sets before the next side
            if side in CLASSIFIERS:
                _measure(results, name, side, seeds or RIVAL_SEEDS, rival, {})
            else:
                command = [sys.executable, str(Path(__file__).resolve()), CHILD]
                _measure(results, name, side, seeds or SIDES[side][2], command, {"source": f"{folder}/{name}.npz"})
    return _report(results)


def _measure(results: Results, name: str, side: str, seeds: int, command: list[str], more: dict[str, Any]) -> None:
    """Keep what a fresh process tells of each seed that is missing."""
    left = [seed for seed in range(seeds) if f"{name}, {side}, {seed}" not in results]
    if not left:
        return
    say(f"sequences: {side} on {name}")
    for answer in _run([*command, json.dumps({"set": name, "side": side, "seeds": left, **more})]):
        results.add(f"{name}, {side}, {answer.pop('seed')}", answer)


def _run(command: list[str]) -> Iterator[dict[str, Any]]:
    paths = os.pathsep.join(filter(None, [str(HERE.parent), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": paths}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeError(f"a part of the benchmark ended with status {done.returncode}")
    return iter([json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")])


def _train(work: dict[str, Any]) -> None:
    import zoo

    model, options, _ = SIDES[work["side"]]
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        os.chdir(folder)
        for seed in work["seeds"]:
            level = "quick" if work["side"] == "minirocket" and seed == 0 else "none"
            start = time.process_time()
            run = zoo.train(model, work["source"], seed=seed, baselines=level, figures=False, quiet=True, **options)
            answer = {"seed": seed, "accuracy": run.metrics["test_accuracy"], "cpu_s": time.process_time() - start}
            tell_parent(answer | {name: scores["test_accuracy"] for name, scores in run.baselines.items()})


def _report(results: Results) -> None:
    names = [name for name in SETS if all(f"{name}, {side}, 0" in results for side in ("minirocket", *CLASSIFIERS))]
    # A side that was not measured on all of these sets yet is left out.
    sides = [side for side in (*SIDES, *CLASSIFIERS) if all(f"{name}, {side}, 0" in results for name in names)]
    columns = {side: [results.column("accuracy", f"{name}, {side}, ") for name in names] for side in sides}
    columns[SVM] = [results.column(SVM, f"{name}, minirocket, 0") for name in names]
    lines = [
        (name, *(mean_and_deviation(values[row], ".3f") for values in columns.values()))
        for row, name in enumerate(names)
    ]
    means = [np.mean([np.mean(values) for values in column]) for column in columns.values()]
    lines.append((f"mean of {len(names)} sets", *(f"{mean:.4f}" for mean in means)))
    # With seed 0 of minirocket, the support vector machine is fitted too.
    first = {"minirocket": 1}
    seconds = [
        np.mean([np.mean(results.column("cpu_s", f"{name}, {side}, ")[first.get(side, 0) :]) for name in names])
        for side in sides
    ]
    lines.append(("CPU seconds a set", *(f"{value:.1f}" for value in seconds), ""))
    numbers = [f"{SIDES[side][2]} of {side}" for side in sides if side in SIDES]
    notes = [
        f"Test accuracy, mean ± standard deviation over up to so many seeds, or of one: {', '.join(numbers)}, "
        f"{RIVAL_SEEDS} of each of aeon's classifiers. The support vector machine sees the same training rows as "
        "`minirocket`.",
        "The CPU seconds include the report of a run; those of aeon's are fitting and predicting, once compiled.",
    ]
    results.report("Sequences: accuracy by the defaults", ("set", *sides, SVM), lines, notes)


if __name__ == "__main__":
    main()
