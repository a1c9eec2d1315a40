"""Masks of ``segmentation/unet`` beside thresholds and boosting on pixels: test iou_mean and dice, and CPU time.

Four sets: digits of mnist painted on photographs of cifar10, and mosaics of photographed textures, both composed, so
that their masks are exact; a photograph of coins with the masks of a documented procedure; and a microscope image of
nuclei that experts outlined. See ``_masked_images.py``. Early stopping looks at the validation split; nothing at the
test split.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from _masked_images import Arrays, compose_digits_on_photographs, compose_textures, cut_coins, cut_nuclei
from _processes import import_tensorflow
from _results import Results, mean_and_deviation, read_arguments, say

MODEL = "segmentation/unet"
BASELINES = ("most_frequent", "colour_threshold", "nearest_colour", "boosting")
SEEDS = 2
COUNTS = {"digits on photographs": 500, "textures": 120}


def main() -> None:
    """Measure and report."""
    options = read_arguments(__doc__ or "")
    import_tensorflow()
    seeds = 1 if options.quick else SEEDS
    counts = {name: 60 if options.quick else count for name, count in COUNTS.items()}
    sets = list_sets(options.data, counts)
    results = Results(__file__, options, {"seeds": seeds, "counts": counts, "sets": list(sets)})
    for name, create in sets.items():
        for method in (*BASELINES, MODEL):
            for seed in range(seeds if method == MODEL else 1):
                key = f"{method} on {name}, seed {seed}"
                epochs = 2 if options.quick else None
                results.measure(key, lambda m=method, c=create, s=seed, e=epochs: measure(m, c(), s, e))
    report(results)


def list_sets(data: Path | None, counts: dict[str, int]) -> dict[str, Callable[[], Arrays]]:
    """Return the sets that can be made here, by name."""
    sets: dict[str, Callable[[], Arrays]] = {}
    if data is not None:
        sets["digits on photographs"] = lambda: compose_digits_on_photographs(data, counts["digits on photographs"])
    if find_spec("skimage") is not None:
        sets |= {"textures": lambda: compose_textures(counts["textures"]), "coins": cut_coins}
    if find_spec("skimage") is not None and find_spec("stardist") is not None:
        sets["nuclei"] = cut_nuclei
    if len(sets) < 4:
        say(f"segmentation: of four sets, there are {', '.join(sets) or 'none'}: see README.md")
    return sets


def measure(method: str, arrays: Arrays, seed: int, epochs: int | None) -> dict[str, Any]:
    """Return the test scores of a model or baseline, and the CPU seconds of its training; nothing for no baseline."""
    from zoo.fitting.fit import Plan, evaluate, fit
    from zoo.fitting.model_builder import create_model_builder
    from zoo.jobs.data_options import DataJob
    from zoo.jobs.job import make_job

    builder = create_model_builder(MODEL)
    dataset = builder.task.read(make_job(DataJob, {"source": to_frame(arrays), "split": "column=split"}))
    began = time.process_time()
    if method == MODEL:
        fitted = fit(builder, dataset, {}, Plan(seed=seed, epochs=epochs))
        seconds = time.process_time() - began
        scores = evaluate(fitted, ["test"])["test"].scores
    else:
        baselines = {each.name: each for each in builder.task.baselines("all", dataset.spec)}
        if method not in baselines:  # a threshold is between two classes
            return {}
        scores = baselines[method].run(dataset, seed)["test"]
        seconds = time.process_time() - began
    return {**{name: float(value) for name, value in scores.items()}, "cpu_seconds": seconds}


def to_frame(arrays: Arrays) -> Any:
    """Return arrays as a frame with an image and a mask in each row, and its split."""
    import pandas as pd

    parts = [
        pd.DataFrame({"image": list(arrays[f"x_{name}"]), "mask": list(arrays[f"y_{name}"]), "split": name})
        for name in ("train", "val", "test")
    ]
    return pd.concat(parts, ignore_index=True)


def report(results: Results) -> None:
    """Print means over seeds, and the distance to the best of threshold and nearest colour."""
    lines = []
    for name in results.settings["sets"]:
        prefixes = {method: f"{method} on {name}," for method in (*BASELINES, MODEL)}
        by_colour = [results.column("iou_mean", prefixes[method]) for method in ("colour_threshold", "nearest_colour")]
        limit = max(value for values in by_colour for value in values)
        for method, prefix in prefixes.items():
            scores = {metric: results.column(metric, prefix) for metric in ("iou_mean", "dice", "cpu_seconds")}
            if not scores["iou_mean"]:
                continue
            ahead = statistics.mean(scores["iou_mean"]) - limit
            lines.append(
                (
                    name,
                    method,
                    mean_and_deviation(scores["iou_mean"]),
                    mean_and_deviation(scores["dice"]),
                    f"{np.mean(scores['cpu_seconds']):.0f} s",
                    f"{ahead:+.3f}" if method == MODEL else "",
                )
            )
    header = ("data", "method", "test iou_mean", "test dice", "CPU time", "iou_mean ahead of threshold and colour")
    notes = [
        f"Mean and standard deviation over {results.settings['seeds']} seeds of the network on the same splits, with "
        "its defaults; iou_mean and dice are means over the classes, the background included. CPU time is that of all "
        "threads.",
        "digits on photographs and textures are composed, and their masks exact. The masks of coins are those of a "
        "watershed on the same photograph, from markers by grey value: a threshold of each tile comes near them, and "
        "they show only that the network learns them. Experts outlined the nuclei; their boundaries are a class. Coins "
        "and nuclei are one image each, whose tiles on the left are for training and those on the right for the test.",
    ]
    results.report("Segmentation", header, lines, notes)


if __name__ == "__main__":
    main()
