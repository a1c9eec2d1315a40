"""What tracking costs: a tracked run against the same fit and the same scores without MLflow.

What is taken away with tracking: the run in MLflow, the checkpoint after each epoch, figures, and the
saved model. Both sides read, split, build, fit and score the same table, in one process, in turn.
"""

from __future__ import annotations

import gc
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _adult import ROWS, TARGET, adult_frame
from _processes import import_tensorflow, working_folder
from _results import Results, alternated, judged, read_arguments, say, spread

MODEL = "classification/mlp"
AIM_FIXED_S, AIM_EPOCH = 1.0, 0.03
# The shorter shows what a run costs at all; what the longer, which XLA compiles, takes more than that is its epochs.
EPOCHS, QUICK_EPOCHS = (2, 100), (2, 24)
PAIRS, QUICK_PAIRS = 9, 2
QUICK_ROWS = 4096


def main() -> None:
    """Measure and report."""
    options = read_arguments(__doc__ or "")
    rows, pairs = (QUICK_ROWS, QUICK_PAIRS) if options.quick else (ROWS, PAIRS)
    lengths = QUICK_EPOCHS if options.quick else EPOCHS
    data = "adult" if options.data is not None else "synthetic, of adult's shape"
    results = Results(__file__, options, {"rows": rows, "data": data, "epochs": lengths, "pairs": pairs})
    frame = adult_frame(options.data, rows)
    wanted = [(pair, epochs) for pair in range(pairs) for epochs in lengths if _key(pair, epochs) not in results]
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder, working_folder(Path(folder)):
        if wanted:
            say("tracking: warming up")
            import_tensorflow()
            for side in (_tracked, _untracked):
                side(frame, lengths[0])
        for pair, epochs in wanted:
            results.add(_key(pair, epochs), _pair(frame, epochs, pair))
    _report(results, lengths, pairs)


def _key(pair: int, epochs: int) -> str:
    return f"{epochs} epochs, pair {pair}"


def _pair(frame: Any, epochs: int, number: int) -> dict[str, Any]:
    sides: dict[str, Callable[..., None]] = {"tracked_s": _tracked, "untracked_s": _untracked}
    taken: dict[str, float] = {}
    for name in alternated(list(sides), number):
        taken |= _seconds(name, sides[name], frame, epochs)
    return {"epochs": epochs, **taken}


def _seconds(name: str, side: Callable[..., None], frame: Any, epochs: int) -> dict[str, float]:
    """Seconds by the clock, and of the processor, all threads and processes that have ended together."""
    import keras

    keras.utils.clear_session()
    gc.collect()
    began, before = time.perf_counter(), _processor_s()
    side(frame, epochs)
    return {name: time.perf_counter() - began, f"{name}_processor": _processor_s() - before}


def _processor_s() -> float:
    return sum(os.times()[:4])


def _options(epochs: int) -> dict[str, Any]:
    return {"target": TARGET, "epochs": epochs, "hyperparameters": {"patience": epochs}}


def _tracked(frame: Any, epochs: int) -> None:
    import zoo

    run = zoo.train(MODEL, frame, baselines="none", quiet=True, **_options(epochs))
    assert run.epochs_run == epochs


def _untracked(frame: Any, epochs: int) -> None:
    from zoo.fitting.model_builder import create_model_builder
    from zoo.jobs.fit_options import TrainJob
    from zoo.jobs.job import make_job
    from zoo.training.fit_settings import FitSettings
    from zoo.training.recorder import Recorder
    from zoo.training.training_state import FitPlan

    job = make_job(TrainJob, {"model": MODEL, "source": frame, **_options(epochs)})
    builder = create_model_builder(job.model)
    dataset = builder.task.read(job)
    built_model, hp = builder.build_checked(job.hyperparameters, dataset.spec, seed=job.seed)
    settings = FitSettings.from_hyperparameters(hp.values, epochs=epochs)
    result = builder.task.fit(built_model, dataset, FitPlan(settings, seed=job.seed, recorder=Recorder()))
    assert result.epochs_run == epochs
    whole = built_model.full_model()
    for split in dataset.splits:
        builder.task.evaluate(whole, dataset, split, intervals=split == "test")


def _report(results: Results, lengths: tuple[int, ...], pairs: int) -> None:
    short, long = ([results.rows[_key(pair, epochs)] for pair in range(pairs)] for epochs in lengths)
    least, most = lengths
    fixed = [row["tracked_s"] - row["untracked_s"] for row in short]
    lines = [
        (
            f"a run of {least} epochs",
            spread([row["tracked_s"] for row in short], unit=" s"),
            spread([row["untracked_s"] for row in short], unit=" s"),
            spread(fixed, unit=" s"),
            f"at most {AIM_FIXED_S:g} s more",
            judged(fixed, AIM_FIXED_S),
        )
    ]
    for title, ending in (("each", ""), ("processor time of each", "_processor")):
        tracked, untracked = (
            [(whole[side] - start[side]) / (most - least) for start, whole in zip(short, long, strict=True)]
            for side in (f"tracked_s{ending}", f"untracked_s{ending}")
        )
        shares = [(one - other) / other for one, other in zip(tracked, untracked, strict=True)]
        lines.append(
            (
                f"{title} of {most - least} more epochs",
                spread([1000 * value for value in tracked], ".1f", " ms"),
                spread([1000 * value for value in untracked], ".1f", " ms"),
                spread([100 * value for value in shares], ".1f", " %"),
                f"at most {AIM_EPOCH:.0%} more",
                judged(shares, AIM_EPOCH),
            )
        )
    results.report(
        f"Tracking: {MODEL} on {results.settings['rows']:,} rows ({results.settings['data']})",
        ("what", "tracked", "without", "difference", "aim", "met"),
        lines,
        [f"Median (least to greatest) of {pairs} pairs in one process after a warm-up; imports are not counted."],
    )


if __name__ == "__main__":
    main()
