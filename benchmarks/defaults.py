"""What models reach by their defaults: scores on test over seeds, beside a classical rival on the same split.

A seed is that of the weights, of the order of rows and, where a set has no split of its own, of the split.
CPU minutes are of the tracked run alone, from reading on; the rival is fitted after it.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from _processes import Child, child_payload, import_tensorflow, tell_parent, working_folder
from _results import Results, mean_and_deviation, read_arguments, say, spread

SEEDS, QUICK_SEEDS, QUICK_EPOCHS = 3, 1, 2
SECONDS_A_MINUTE = 60


@dataclass(frozen=True)
class Case:
    """A model on a set.

    Args:
        model: Its name.
        source: A bundled name, or a path below the folder of ``--data``.
        rival: The baseline that it stands beside.
        scores: Scores that are shown.
        options: What else ``zoo.train`` is given.
        least: Aim for the first score; None where the aim is the rival's.
        most_minutes: Aim for CPU minutes; None for none.
    """

    model: str
    source: str
    baseline: str
    scores: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)
    least: float | None = None
    most_minutes: float | None = None

    @property
    def bundled(self) -> bool:
        """Whether everybody has the data."""
        return "/" not in self.source

    @property
    def name(self) -> str:
        """The model and its data."""
        return f"{self.model} on {self.source.split('/')[0]}"


CLASSES, CLUSTERS = ("accuracy", "log_loss"), ("clustering_accuracy", "ari", "stability")
SPLIT = {"split": "column=split"}
CASES = (
    Case("classification/mlp", "wine", "logistic", CLASSES),
    Case("classification/mlp", "breast_cancer", "logistic", CLASSES),
    Case("regression/mlp", "diabetes", "ridge", ("r2", "rmse")),
    Case("clustering/autoencoder", "digits", "k_means", CLUSTERS, {"clusters": 10, "labels": "class"}),
    Case("sequence/gru", "japanese_vowels", "statistics_svm", CLASSES, least=0.96),
    Case("image/cnn", "digits", "svm", CLASSES),
    Case("classification/mlp", "spambase/data.csv.gz", "logistic", CLASSES, {"target": "type", **SPLIT}),
    Case("classification/mlp", "adult/data.csv.gz", "logistic", CLASSES, {"target": "income", **SPLIT}),
    Case("clustering/autoencoder", "pendigits/data.npz", "k_means", CLUSTERS, {"clusters": 10, "labels": "y"}),
    Case("sequence/gru", "sms_spam/data.csv.gz", "tf_idf_logistic", CLASSES, {"target": "label", **SPLIT}),
    Case("image/cnn", "mnist/data.npz", "random_forest", CLASSES, least=0.99, most_minutes=10),
)


def main() -> None:
    """Measure and report; in a child, train one model with one seed."""
    payload = child_payload()
    if payload is not None:
        return _measure(payload)
    options = read_arguments(__doc__ or "")
    seeds = range(QUICK_SEEDS if options.quick else SEEDS)
    cases = [case for case in CASES if case.bundled or options.data is not None]
    results = Results(__file__, options, {"seeds": len(seeds), "data": [case.source for case in cases]})
    for case in cases:
        for seed in seeds:
            if f"{case.name}, seed {seed}" in results:
                continue
            say(f"defaults: {case.name}, seed {seed}")
            folder = str(options.data.resolve()) if options.data is not None else None
            payload = {"case": CASES.index(case), "seed": seed, "data": folder, "quick": options.quick}
            for answer in Child(__file__, payload).answers():
                results.add(f"{case.name}, seed {seed}", answer)
    return _report(results, cases)


def _measure(payload: dict[str, Any]) -> None:
    import_tensorflow()
    import zoo
    from zoo.fitting.model_builder import create_model_builder
    from zoo.jobs.data_options import DataJob
    from zoo.jobs.job import make_job

    case, seed = CASES[payload["case"]], payload["seed"]
    source = case.source if case.bundled else str(Path(payload["data"]) / case.source)
    named = {"target", "split"}
    data = {"source": source, "seed": seed, **{key: value for key, value in case.options.items() if key in named}}
    case_options = {key: value for key, value in case.options.items() if key not in named}
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder, working_folder(Path(folder)):
        began = time.process_time()
        epochs = QUICK_EPOCHS if payload["quick"] else None
        run = zoo.train(case.model, **data, **case_options, epochs=epochs, baselines="none", quiet=True)
        seconds = time.process_time() - began
        task = create_model_builder(case.model).task
        dataset = task.read(make_job(DataJob, {**data, "options": case_options}))
        baselines = {baseline.name: baseline for baseline in task.baselines("all", dataset.spec)}
        theirs = baselines[case.baseline].run(dataset, seed)["test"]
    answer = {"cpu_minutes": seconds / SECONDS_A_MINUTE}
    for score in case.scores:
        answer |= {score: run.metrics[f"test_{score}"], f"rival_{score}": theirs[score]}
    tell_parent(answer)


def _report(results: Results, cases: list[Case]) -> None:
    lines = []
    for case in cases:
        rows = [row for key, row in results.rows.items() if key.startswith(f"{case.name}, ")]
        minutes = [row["cpu_minutes"] for row in rows]
        for score in case.scores:
            ours, theirs = [row[score] for row in rows], [row[f"rival_{score}"] for row in rows]
            first = score == case.scores[0]
            aim = f"at least {case.least:g}" if case.least is not None else f"not below {case.baseline}"
            least = case.least if case.least is not None else statistics.mean(theirs)
            met = statistics.mean(ours) >= least
            if case.most_minutes is not None:
                aim += f", {case.most_minutes:g} minutes"
                met = met and statistics.mean(minutes) <= case.most_minutes
            lines.append(
                (
                    case.name if first else "",
                    score,
                    mean_and_deviation(ours),
                    f"{case.baseline} {mean_and_deviation(theirs)}",
                    spread(minutes, ".1f") if first else "",
                    aim if first else "",
                    ("yes" if met else "no") if first else "",
                )
            )
    header = ("model and data", "score on test", "model", "rival", "CPU minutes", "aim", "met")
    notes = [f"Mean over {results.settings['seeds']} seeds, with the standard deviation; minutes: median, least, most."]
    results.report("Models by their defaults", header, lines, notes)


if __name__ == "__main__":
    main()
