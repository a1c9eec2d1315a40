"""Clusters of digits and pendigits against their labels, which nothing learns from: models beside classical ones.

Each seed draws its own split. The number of clusters is given; accuracy is that of the best matching of clusters and
labels (Hungarian method), on the training rows and on the test rows, which no method has seen.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import pandas as pd
from _processes import import_tensorflow
from _results import Results, mean_and_deviation, read_arguments, say
from anomaly import read_frame

SEEDS = {"digits": 5, "pendigits": 1}  # a seed of pendigits takes four minutes
MODELS = ("clustering/parametric_umap", "clustering/autoencoder")
BASELINES = ("k_means", "gaussian_mixture", "ward")
AIMS = {"digits": 0.92, "pendigits": 0.83}


def main() -> None:
    """Measure and report."""
    options = read_arguments(__doc__ or "")
    if options.data is None:
        say("clustering: without --data FOLDER, with pendigits/data.npz, only digits is measured")
    import_tensorflow()
    names = list(SEEDS) if options.data is not None else ["digits"]
    seeds = {name: 1 if options.quick else SEEDS[name] for name in names}
    results = Results(__file__, options, {"seeds": seeds})
    for name in names:
        frame = read_labelled(name, options.data)
        for method in (*BASELINES, *MODELS):
            for seed in range(seeds[name]):
                key = f"{method} on {name}, seed {seed}"
                results.measure(key, lambda m=method, f=frame, s=seed: measure(m, f, s, 3 if options.quick else None))
    report(results)


def read_labelled(name: str, folder: Path | None) -> pd.DataFrame:
    """Return the columns of a set, with the digit as a name in the column ``class``."""
    frame = read_frame(name, folder)
    return frame.assign(**{"class": "digit " + frame["class"].astype(str)})


def measure(method: str, frame: pd.DataFrame, seed: int, epochs: int | None) -> dict[str, Any]:
    """Return the scores of a model or a baseline with ten clusters, and the seconds that it took."""
    from zoo.fitting.fit import Plan, evaluate, fit
    from zoo.fitting.model_builder import create_model_builder
    from zoo.jobs.fit_options import TrainJob
    from zoo.jobs.job import make_job

    builder = create_model_builder(method if method in MODELS else MODELS[0])
    keys = {"model": builder.name, "source": frame, "seed": seed, "options": {"labels": "class", "clusters": 10}}
    dataset = builder.task.read(make_job(TrainJob, keys))
    began = time.perf_counter()
    if method in MODELS:
        fitted = fit(builder, dataset, {}, Plan(seed=seed, epochs=epochs))
        evaluations = evaluate(fitted, ["train", "test"])
        scores: Any = {split: evaluation.scores for split, evaluation in evaluations.items()}
    else:
        baselines = builder.task.baselines("all", dataset.spec)
        scores = next(each for each in baselines if each.name == method).run(dataset, seed)
    seconds = time.perf_counter() - began
    return {
        **{f"{split}_accuracy": float(scores[split]["clustering_accuracy"]) for split in ("train", "test")},
        "stability": float(scores["test"]["stability"]),
        "seconds": seconds,
    }


def report(results: Results) -> None:
    """Print the means over seeds, and whether the test accuracy reaches the aim."""
    lines = []
    for name in results.settings["seeds"]:
        for method in (*MODELS, *BASELINES):
            values = {
                column: results.column(column, f"{method} on {name},")
                for column in ("train_accuracy", "test_accuracy", "stability", "seconds")
            }
            reached = "yes" if statistics.mean(values["test_accuracy"]) >= AIMS[name] else "no"
            columns = [mean_and_deviation(values[column]) for column in list(values)[:3]]
            seconds = f"{statistics.mean(values['seconds']):.1f} s"
            lines.append((name, method, *columns, seconds, f"{AIMS[name]}: {reached}" if method in MODELS else ""))
    header = (
        "data",
        "method",
        "accuracy, training rows",
        "accuracy, test rows",
        "stability",
        "time",
        "aim on test rows",
    )
    seeds = ", ".join(f"{count} of {name}" for name, count in results.settings["seeds"].items())
    notes = [
        f"Mean and standard deviation over seeds ({seeds}), each with a split of its own. Ten clusters, "
        "default hyperparameters. Time includes scoring, where clusters are fitted again on resamples."
    ]
    results.report("Clusters of digits against their labels", header, lines, notes)


if __name__ == "__main__":
    main()
