"""Anomaly scores of each class of digits and pendigits against the rest: roc_auc beside local outlier factor.

One class is the anomaly, rows of the others are normal. Of those, 60 % train, 20 % choose the epoch, and 20 % are
scored together with all anomalies: no anomaly is in training or validation, and the labels only score.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _processes import import_tensorflow
from _results import Results, mean_and_deviation, read_arguments, say

CLASSES, QUICK_CLASSES = range(10), (0, 1)
MODELS = ("anomaly/ksdm", "anomaly/autoencoder")
BASELINES = ("local_outlier_factor", "isolation_forest")
ALLOWED = 0.02  # below local outlier factor


@dataclass(frozen=True)
class Case:
    """A set of data, and the model's seeds on it."""

    name: str
    seeds: int


CASES = (Case("digits", 1), Case("pendigits", 1))


def main() -> None:
    """Measure and report."""
    options = read_arguments(__doc__ or "")
    if options.data is None:
        say("anomaly: without --data FOLDER, with pendigits/data.npz, only digits is measured")
    import_tensorflow()
    cases = CASES if options.data is not None else CASES[:1]
    settings = {"seeds": {case.name: 1 if options.quick else case.seeds for case in cases}}
    results = Results(__file__, options, settings)
    epochs = 20 if options.quick else None
    kinds = QUICK_CLASSES if options.quick else CLASSES
    frames = {case.name: read_frame(case.name, options.data) for case in cases}
    for method in (*BASELINES, *MODELS):
        for case in cases:
            for seed in range(settings["seeds"][case.name]):
                for kind in kinds:
                    key = f"{method} on {case.name}, class {kind}, seed {seed}"
                    frame = frames[case.name]
                    results.measure(key, lambda m=method, f=frame, k=kind, s=seed: measure(m, f, k, s, epochs))
    report(results)


def read_frame(name: str, folder: Path | None) -> pd.DataFrame:
    """Return the columns of a set, with the class in the column ``class``."""
    if name == "digits":
        from sklearn.datasets import load_digits

        digits = load_digits()
        values, classes = digits.data, digits.target
    else:
        assert folder is not None
        with np.load(folder / name / "data.npz") as arrays:
            values = np.concatenate([arrays["x_train"], arrays["x_test"]])
            classes = np.concatenate([arrays["y_train"], arrays["y_test"]])
    frame = pd.DataFrame(values.astype(float), columns=[f"x{index}" for index in range(values.shape[1])])
    return frame.assign(**{"class": classes})


def measure(method: str, frame: pd.DataFrame, kind: int, seed: int, epochs: int | None) -> dict[str, Any]:
    """Return the roc_auc of a model or baseline where one class is the anomaly, and the seconds that it took."""
    from zoo.fitting.fit import Plan, evaluate, fit
    from zoo.fitting.model_builder import create_model_builder
    from zoo.jobs.fit_options import TrainJob
    from zoo.jobs.job import make_job

    anomaly = frame["class"].to_numpy() == kind
    place = np.random.default_rng(seed).random(len(frame))
    split = np.select([anomaly | (place < 0.2), place < 0.4], ["test", "validation"], "train")
    table = frame.drop(columns="class").assign(split=split, anomaly=np.where(anomaly, "yes", "no"))
    builder = create_model_builder(method if method in MODELS else MODELS[0])
    keys = {"model": builder.name, "source": table, "split": "column=split", "positive": "yes"}
    dataset = builder.task.read(make_job(TrainJob, {**keys, "options": {"labels": "anomaly"}}))
    began = time.perf_counter()
    if method in MODELS:
        fitted = fit(builder, dataset, {}, Plan(seed=seed, epochs=epochs))
        scores = evaluate(fitted, ["test"])["test"].scores
    else:
        baselines = builder.task.baselines("all", dataset.spec)
        scores = next(each for each in baselines if each.name == method).run(dataset, seed)["test"]
    return {"roc_auc": float(scores["roc_auc"]), "seconds": time.perf_counter() - began}


def report(results: Results) -> None:
    """Print the mean over classes and seeds, and its distance to local outlier factor."""
    lines = []
    for name in results.settings["seeds"]:
        areas = {m: results.column("roc_auc", f"{m} on {name},") for m in (*MODELS, *BASELINES)}
        limit = statistics.mean(areas[BASELINES[0]]) - ALLOWED
        for method, values in areas.items():
            seconds = statistics.mean(results.column("seconds", f"{method} on {name},"))
            met = ("yes" if statistics.mean(values) >= limit else "no") if method in MODELS else ""
            lines.append((name, method, mean_and_deviation(values), f"{min(values):.4f}", f"{seconds:.1f} s", met))
    header = (
        "data",
        "method",
        "mean roc_auc",
        "worst class",
        "training",
        f"at most {ALLOWED} below local outlier factor",
    )
    seeds = ", ".join(f"{count} of {name}" for name, count in results.settings["seeds"].items())
    notes = [
        f"Mean and standard deviation over the ten classes as anomalies and over seeds ({seeds}), each with a split of "
        "its own. Default hyperparameters; the baselines are fitted on the same training rows."
    ]
    results.report("Anomaly scores of one class against the rest", header, lines, notes)


if __name__ == "__main__":
    main()
