"""What tracking costs: a tracked run against the same fit and the same scores without MLflow.

What is taken away with tracking: the run in MLflow, the checkpoint after each epoch, figures, and the
saved model. Both sides read, split, build, fit and score the same table, in one process, in turn.
"""

from __future__ import annotations

import gc
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
# The shortest shows what a run costs at all; between the others, which XLA compiles, lies what an epoch costs.
EPOCHS, QUICK_EPOCHS = (2, 50, 100), (2, 4, 24)
PAIRS, QUICK_PAIRS = 5, 2
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
    taken = {name: _seconds(sides[name], frame, epochs) for name in alternated(list(sides), number)}
    return {"epochs": epochs, **taken}


def _seconds(side: Callable[..., None], frame: Any, epochs: int) -> float:
    import keras

    keras.utils.clear_session()
    gc.collect()
    began = time.perf_counter()
    side(frame, epochs)
    return time.perf_counter() - began


def _options(epochs: int) -> dict[str, Any]:
    return {"target": TARGET, "epochs": epochs, "hyperparameters": {"patience": epochs}}


def _tracked(frame: Any, epochs: int) -> None:
    import zoo

    run = zoo.train(MODEL, frame, baselines="none", quiet=True, **_options(epochs))
    assert run.epochs_run == epochs


def _untracked(frame: Any, epochs: int) -> None:
    from zoo.job import TrainJob, make_job
    from zoo.running.candidate import candidate_of
    from zoo.training.loop import FitPlan
    from zoo.training.recorder import Recorder
    from zoo.training.settings import FitSettings

    job = make_job(TrainJob, {"model": MODEL, "source": frame, **_options(epochs)})
    candidate = candidate_of(job.model)
    dataset = candidate.task.read(job)
    pieces, hp = candidate.built(job.hyperparameters, dataset.spec, seed=job.seed)
    settings = FitSettings.from_hyperparameters(hp.values, epochs=epochs)
    result = candidate.task.fit(pieces, dataset, FitPlan(settings, seed=job.seed, recorder=Recorder()))
    assert result.epochs_run == epochs
    whole = pieces.whole()
    for part in dataset.parts:
        candidate.task.evaluate(whole, dataset, part, intervals=part == "test")


def _report(results: Results, lengths: tuple[int, ...], pairs: int) -> None:
    shortest, few, many = ([results.rows[_key(pair, epochs)] for pair in range(pairs)] for epochs in lengths)
    fixed = [row["tracked_s"] - row["untracked_s"] for row in shortest]
    epochs = lengths[2] - lengths[1]
    tracked, untracked = (
        [(long[side] - short[side]) / epochs for short, long in zip(few, many, strict=True)]
        for side in ("tracked_s", "untracked_s")
    )
    shares = [(one - other) / other for one, other in zip(tracked, untracked, strict=True)]
    lines = [
        (
            f"a run of {lengths[0]} epochs",
            spread([row["tracked_s"] for row in shortest], unit=" s"),
            spread([row["untracked_s"] for row in shortest], unit=" s"),
            spread(fixed, unit=" s"),
            f"at most {AIM_FIXED_S:g} s more",
            judged(fixed, AIM_FIXED_S),
        ),
        (
            f"each epoch, from {lengths[1]} to {lengths[2]}",
            spread([1000 * value for value in tracked], ".1f", " ms"),
            spread([1000 * value for value in untracked], ".1f", " ms"),
            spread([100 * value for value in shares], ".1f", " %"),
            f"at most {AIM_EPOCH:.0%} more",
            judged(shares, AIM_EPOCH),
        ),
    ]
    results.report(
        f"Tracking: {MODEL} on {results.settings['rows']:,} rows ({results.settings['data']})",
        ("what", "tracked", "without", "difference", "aim", "met"),
        lines,
        [f"Median (least to greatest) of {pairs} pairs in one process after a warm-up; imports are not counted."],
    )


if __name__ == "__main__":
    main()
