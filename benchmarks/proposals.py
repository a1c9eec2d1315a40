"""How long a search takes to propose its next trial and to store itself, by the number of trials that it has.

Trials are made up: no network is trained. Stock KerasTuner's Bayesian oracle stands beside ours.
"""

from __future__ import annotations

import dataclasses
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

from _results import Results, read_arguments

SIZES, QUICK_SIZES = (100, 300, 1000, 10_000), (100, 300)
MOST_STOCK = 1000  # trials that the stock oracle fits to; beyond, it takes minutes
ROUNDS = 5
AIM_ASK_MS, AIM_BAYESIAN_MS = 50, 1000


def main() -> None:
    """Measure and report."""
    options = read_arguments(__doc__ or "")
    sizes = QUICK_SIZES if options.quick else SIZES
    results = Results(__file__, options, {"sizes": sizes, "rounds": ROUNDS})
    for search in ("random", "asha", "bayesian", "stock bayesian"):
        for size in sizes:
            if search != "stock bayesian" or size <= MOST_STOCK:
                results.measure(f"{search}, {size}", lambda s=search, n=size: _measure(s, n))
    _report(results, sizes)


def _space() -> Any:
    import keras_tuner

    hp = keras_tuner.HyperParameters()
    hp.Int("units", 16, 512, sampling="log", default=64)
    hp.Int("layers", 1, 4, default=2)
    hp.Choice("normalization", ["none", "batch", "layer"])
    hp.Choice("scaling", ["standard", "robust", "quantile", "minmax"])
    for name, low, high in (("learning_rate", 1e-4, 3e-2), ("weight_decay", 1e-5, 1e-1)):
        hp.Float(name, low, high, sampling="log", default=1e-3)
    hp.Float("dropout", 0.0, 0.6, default=0.2)
    for number in range(10):  # what a model of the catalogue declares beside it
        hp.Fixed(f"fixed_{number}", number)
    return hp


def _measure(search: str, size: int) -> dict[str, Any]:
    import keras_tuner
    import numpy as np

    from zoo.tuning.oracles.ask_tell import AskTell

    warnings.simplefilter("ignore")
    space = _space()
    values = keras_tuner.HyperParameters.from_config(space.get_config())
    values.values = {}
    asked = AskTell(
        search.removeprefix("stock "), values, objective="val_loss", direction="min", trials=10**6, epochs=100, seed=0
    )
    rng = np.random.default_rng(0)
    _fill(asked, space, size, rng)
    if search == "stock bayesian":
        stock = keras_tuner.oracles.BayesianOptimizationOracle
        asked._populate_space = stock.populate_space.__get__(asked.oracle)
        asked.oracle.num_initial_points = 2
    ask_ms = []
    for _ in range(1 if search == "stock bayesian" else ROUNDS):
        began = time.perf_counter()
        trial = asked.ask()
        ask_ms.append((time.perf_counter() - began) * 1000)
        _tell(asked, space, trial, rng)
    return {"ask_ms": float(np.median(ask_ms)), "save_ms": _save_ms(asked, size)}


def _fill(asked: Any, space: Any, size: int, rng: Any) -> None:
    """Run made-up trials; a Bayesian oracle draws them at random."""
    from zoo.tuning.oracles import bayesian

    least, bayesian.LEAST_RANDOM = bayesian.LEAST_RANDOM, 10**9
    for _ in range(size):
        _tell(asked, space, asked.ask(), rng)
    bayesian.LEAST_RANDOM = least


def _tell(asked: Any, space: Any, trial: Any, rng: Any) -> None:
    values = dict(trial.hyperparameters)
    score = abs(values["dropout"] - 0.1) + 0.1 * values["layers"] + 0.05 * float(rng.random())
    asked.tell(trial.oracle_id, score, space=space.get_config(), values=values)


def _save_ms(asked: Any, size: int) -> float:
    """The time that one change of a trial takes to be stored, over as many as trials of a second each would make."""
    from zoo.tuning.storage.journal import SearchJournal
    from zoo.tuning.storage.records import SearchState, TrialRecord

    curve = {"history": {"loss": [0.5] * 30, "val_loss": [0.5] * 30}, "epochs_run": 30}
    trial_ids = list(asked.oracle.trials)
    trials = {str(n): TrialRecord(str(n), {}, "COMPLETED", 0.5, 1.0, "", curve, "", trial_ids[n]) for n in range(size)}
    state = SearchState("run", trials, search="random")

    class Folder:
        def __init__(self, path: Path) -> None:
            from zoo.tuning.storage.search_folder import SearchFolder

            self.path, self.calibration = path, {}
            self.write, self.append = SearchFolder.write.__get__(self), SearchFolder.append.__get__(self)

    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        keeper = SearchJournal(Folder(Path(folder)), state, asked)
        keeper.save()
        record, taken = trials["0"], []
        for _ in range(50):
            began = time.perf_counter()
            keeper.save(dataclasses.replace(record))
            taken.append(time.perf_counter() - began)
    return 1000 * sum(taken) / len(taken)


def _report(results: Results, sizes: tuple[int, ...]) -> None:
    lines = []
    for search in ("random", "asha", "bayesian", "stock bayesian"):
        aim = {"random": AIM_ASK_MS, "asha": AIM_ASK_MS, "bayesian": AIM_BAYESIAN_MS}.get(search)
        for size in sizes:
            row = results.rows.get(f"{search}, {size}")
            if row is not None:
                met = "" if aim is None else "yes" if row["ask_ms"] <= aim else "no"
                limit = f"at most {aim} ms" if aim is not None else ""
                asked, saved = f"{row['ask_ms']:.1f} ms", f"{row['save_ms']:.2f} ms"
                lines.append((search, f"{size:,}", asked, limit, met, saved))
    notes = [
        f"The next proposal: the median of {ROUNDS}, of the stock oracle one. Storing a change of a trial: the mean of "
        "50 in a row, lines added to a file; the whole is written as often as takes a twentieth of the time."
    ]
    results.report(
        "Proposals of a search, by the number of trials that are finished",
        ("search", "finished trials", "next proposal", "aim", "met", "storing a change"),
        lines,
        notes,
    )


if __name__ == "__main__":
    main()
