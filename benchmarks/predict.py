"""What a prediction takes: one row, and 100,000, by zoo, by Keras' predict and by MLflow's stock Keras flavour.

One model of the shape of adult is trained and saved. All sides predict with it in one process, warm, in turn. The stock
sides are handed what zoo makes of the rows, for they take no frame with text: what that costs is not counted for them.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _adult import ROWS, TARGET, adult_frame
from _processes import import_tensorflow, working_folder
from _results import Results, alternated, judged, read_arguments, say, spread

MODEL = "classification/mlp"
CALLS, QUICK_CALLS = 300, 20
ROUNDS, QUICK_ROUNDS = 5, 2
MANY, QUICK_MANY = 100_000, 10_000
AIM_FRAME_MS, AIM_DICT_MS, AIM_MANY = 2.0, 1.0, 3.0
FRAME, DICT, KERAS, STOCK = "zoo, a frame", "zoo, a dict", "keras.Model.predict", "MLflow's Keras flavour"


def main() -> None:
    """Measure and report."""
    options = read_arguments(__doc__ or "")
    calls, rounds, many = (QUICK_CALLS, QUICK_ROUNDS, QUICK_MANY) if options.quick else (CALLS, ROUNDS, MANY)
    data = "adult" if options.data is not None else "synthetic, of adult's shape"
    results = Results(__file__, options, {"calls": calls, "rounds": rounds, "many": many, "data": data})
    keys = [f"{what}, round {number}" for number in range(rounds) for what in ("one row", "many rows")]
    if any(key not in results for key in keys):
        with tempfile.TemporaryDirectory(prefix="benchmark-") as folder, working_folder(Path(folder)):
            sides = _Sides(adult_frame(options.data), many)
            for number in range(rounds):
                results.measure(f"one row, round {number}", lambda n=number: sides.one_row(calls, n))  # type: ignore[misc]
                results.measure(f"many rows, round {number}", lambda n=number: sides.many_rows(n))  # type: ignore[misc]
    _report(results, many)


class _Sides:
    """One model, and the ways to ask it."""

    def __init__(self, frame: Any, many: int) -> None:
        say("predict: training one model")
        import_tensorflow()
        import mlflow

        import zoo
        from zoo.data.columns.encode import extract_inputs
        from zoo.training.preprocessed_arrays import convert_to_tensor

        run = zoo.train(MODEL, frame.iloc[:ROWS], target=TARGET, epochs=3, baselines="none", quiet=True)
        self.model = zoo.load(run.run_id)
        rows = frame.drop(columns=TARGET)
        self.row = rows.iloc[:1]
        self.cells = {name: None if value != value else value for name, value in rows.iloc[0].items()}
        self.rows = rows.iloc[np.arange(many) % len(rows)].reset_index(drop=True)

        def tensors(split: Any) -> dict[str, Any]:
            return {key: convert_to_tensor(values) for key, values in extract_inputs(split, self.model.spec).items()}

        self.one, self.all = tensors(self.row), tensors(self.rows)
        with mlflow.start_run():
            logged = mlflow.keras.log_model(self.model.keras_model, name="stock", pip_requirements=[])
        self.stock = mlflow.pyfunc.load_model(logged.model_uri)

    def one_row(self, calls: int, number: int) -> dict[str, Any]:
        """Return the median time of each way, in milliseconds."""
        ways: dict[str, Callable[[], Any]] = {
            FRAME: lambda: self.model.predict(self.row),
            DICT: lambda: self.model.predict(self.cells),
            KERAS: lambda: self.model.keras_model.predict(self.one, verbose=0),
            STOCK: lambda: self.stock.predict(self.one),
        }
        return {name: _median_ms(ways[name], calls) for name in alternated(list(ways), number)}

    def many_rows(self, number: int) -> dict[str, Any]:
        """Return the time of each way, in seconds."""
        ways: dict[str, Callable[[], Any]] = {
            FRAME: lambda: self.model.predict(self.rows),
            KERAS: lambda: self.model.keras_model.predict(self.all, verbose=0),
            STOCK: lambda: self.stock.predict(self.all),
        }
        return {name: _median_ms(ways[name], 1, warm=1) / 1000 for name in alternated(list(ways), number)}


def _median_ms(way: Callable[[], Any], calls: int, warm: int = 10) -> float:
    times = []
    for _ in range(warm + calls):
        began = time.perf_counter()
        way()
        times.append(time.perf_counter() - began)
    return float(np.median(times[warm:]) * 1000)


def _report(results: Results, many: int) -> None:
    one = {name: results.column(name, "one row") for name in (FRAME, DICT, KERAS, STOCK)}
    all_ = {name: results.column(name, "many rows") for name in (FRAME, KERAS, STOCK)}
    times = [stock / zoo_time for stock, zoo_time in zip(all_[STOCK], all_[FRAME], strict=True)]
    aims = {FRAME: AIM_FRAME_MS, DICT: AIM_DICT_MS}
    lines = [
        (
            f"one row: {name}",
            spread(values, unit=" ms"),
            f"at most {aims[name]:g} ms" if name in aims else "",
            judged(values, aims[name]) if name in aims else "",
        )
        for name, values in one.items()
    ]
    lines += [
        (
            f"{many:,} rows: {name}",
            spread(values, unit=" s"),
            f"{AIM_MANY:g} times as fast as the flavour; {spread(times, '.1f')} times" if name == FRAME else "",
            ("yes" if np.median(times) >= AIM_MANY else "no") if name == FRAME else "",
        )
        for name, values in all_.items()
    ]
    results.report(
        f"Predicting with {MODEL} on a table of 14 columns ({results.settings['data']})",
        ("what", "time", "aim", "met"),
        lines,
        [
            f"Median (least to greatest) of {results.settings['rounds']} rounds, of one row each the median of "
            f"{results.settings['calls']} calls; one process, warm.",
            "Keras and the stock flavour are handed tensors by column; zoo reads the cells of a frame or dict, and "
            "gives classes and probabilities by name.",
        ],
    )


if __name__ == "__main__":
    main()
