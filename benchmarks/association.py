"""Hit rates of completed baskets: networks by their defaults, EASE, item counts, popularity on the same test baskets.

The last fifth of the baskets are the test; one item of each, drawn by a seed, is hidden. Each method runs in a process
of its own, whose memory and CPU time are measured. Rules are counted for exactness.
"""

from __future__ import annotations

import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

from _processes import import_tensorflow
from _results import Results, mean_and_deviation, read_arguments, say

MODELS, SEEDS = ("association/basket_autoencoder", "association/elsa"), 1
BASELINES = ("ease", "item_counts", "popularity")
SOURCE = "belgian_retail/baskets.txt.gz"
SUPPORT, ITEM_SETS, TRAINING_SETS = 0.005, 580, 548  # counted by an independent program
MOST_GIB = 2.0


def main() -> None:
    """Measure and report."""
    options = read_arguments(__doc__ or "")
    if options.data is None and not options.quick:
        sys.exit(f"association.py needs --data FOLDER with {SOURCE}")
    source = "composed_baskets" if options.quick else str((options.data / SOURCE).resolve())
    seeds = 1 if options.quick else SEEDS
    results = Results(__file__, options, {"seeds": seeds, "split": "order", "hidden_seed": 0})
    for name in BASELINES:
        say(f"association: {name}")
        results.measure(f"{name}, seed 0", lambda n=name: _run_alone(measure_baseline, n, source, 0))
    results.measure("rules", lambda: _run_alone(count_rules, source))
    for seed in range(seeds):
        for name in MODELS:
            say(f"association: {name}, seed {seed}")
            key = f"{name}, seed {seed}"
            results.measure(key, lambda n=name, s=seed: _run_alone(measure_model, n, source, s))
    report(results)


def _run_alone(function: Any, *arguments: Any) -> dict[str, Any]:
    """Return what a function returns in a fresh process, with the process's greatest memory and its CPU seconds."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_measure, function, *arguments).result()


def _measure(function: Any, *arguments: Any) -> dict[str, Any]:
    import_tensorflow()
    start = resource.getrusage(resource.RUSAGE_SELF)
    values = function(*arguments)
    end = resource.getrusage(resource.RUSAGE_SELF)
    seconds = end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime
    unit = 2**30 if sys.platform == "darwin" else 2**20
    return {**values, "cpu_seconds": seconds, "peak_gib": end.ru_maxrss / unit}


def read_baskets(name: str, source: str) -> tuple[Any, Any]:
    """Return the builder of a model and the dataset, whose last fifth of baskets is the test split."""
    from zoo.fitting.model_builder import create_model_builder
    from zoo.jobs.fit_options import TrainJob
    from zoo.jobs.job import make_job

    builder = create_model_builder(name)
    job = make_job(TrainJob, {"model": name, "source": source, "split": "order"})
    return builder, builder.task.read(job)


def measure_model(name: str, source: str, seed: int) -> dict[str, Any]:
    """Return the test scores of a model by its defaults."""
    from zoo.fitting.fit import Plan, evaluate, fit

    builder, dataset = read_baskets(name, source)
    began = time.perf_counter()
    fitted = fit(builder, dataset, {}, Plan(seed=seed))
    scores = evaluate(fitted, ["test"])["test"].scores
    return {**{key: float(value) for key, value in scores.items()}, "seconds": time.perf_counter() - began}


def measure_baseline(name: str, source: str, seed: int) -> dict[str, Any]:
    """Return the test scores of a baseline, fitted on the same training baskets."""
    builder, dataset = read_baskets(MODELS[0], source)
    began = time.perf_counter()
    baselines = builder.task.baselines("all", dataset.spec)
    scores = next(each for each in baselines if each.name == name).run(dataset, seed)["test"]
    return {**{key: float(value) for key, value in scores.items()}, "seconds": time.perf_counter() - began}


def count_rules(source: str) -> dict[str, Any]:
    """Return the number of frequent item sets in all baskets and in the first four fifths."""
    import numpy as np
    from zoo.tasks.association._rules import mine_rules

    from zoo.data.sources.read import read_table
    from zoo.portable.preprocessing import split_into_tokens

    unit = "comma" if source == "composed_baskets" else "space"
    baskets = [split_into_tokens(text, unit) for text in read_table(source).frame["text"]]
    items = sorted({item for basket in baskets for item in basket})
    code_of = {item: code for code, item in enumerate(items, 1)}
    codes = [np.array(sorted({code_of[item] for item in basket})) for basket in baskets]
    counts = [len(mine_rules(part, items, SUPPORT, 0.5).item_sets) for part in (codes, codes[: int(len(codes) * 0.8)])]
    return {"item_sets": counts[0], "training_item_sets": counts[1]}


def report(results: Results) -> None:
    """Print the hit rates, and whether a network is at or above EASE within its memory."""
    lines = []
    ease = max(results.column("hit_rate_at_10", "ease"))
    for name in (*MODELS, *BASELINES):
        fields = {f: results.column(f, f"{name},") for f in ("hit_rate_at_10", "ndcg_at_10", "cpu_seconds", "peak_gib")}
        if not (rates := fields["hit_rate_at_10"]):
            continue  # not measured yet
        memory = max(fields["peak_gib"])
        met = ("yes" if sum(rates) / len(rates) >= ease and memory < MOST_GIB else "no") if name in MODELS else ""
        cells = [mean_and_deviation(fields[field]) for field in ("hit_rate_at_10", "ndcg_at_10")]
        lines.append((name, *cells, mean_and_deviation(fields["cpu_seconds"], ".0f"), f"{memory:.2f}", met))
    counts = results.rows["rules"]
    exact = (counts["item_sets"], counts["training_item_sets"]) == (ITEM_SETS, TRAINING_SETS)
    notes = [
        "Of the training baskets a fifth, the last ones, chooses the epoch and the parameter of each baseline. EASE is "
        "for the 8,000 most frequent items. The hidden items are the same for all.",
        f"Frequent item sets with a support of {SUPPORT}: {counts['item_sets']} in all baskets, "
        f"{counts['training_item_sets']} in the first four fifths"
        + ("." if results.quick else f", {'equal' if exact else 'NOT equal'} to {ITEM_SETS} and {TRAINING_SETS}."),
    ]
    header = ("method", "hit rate at 10", "ndcg at 10", "CPU seconds", "peak GiB", f"at EASE within {MOST_GIB:g} GiB")
    results.report("Completed baskets of a Belgian store", header, lines, notes)


if __name__ == "__main__":
    main()
