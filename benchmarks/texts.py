"""Classes of texts: `sequence/text` and `sequence/gru` with scikit-learn's tf-idf and logistic regression.

The models take a fifth of the training rows for validation; the baselines are fitted on all of them, as a user of
scikit-learn would. Besides whole sets, each model learns from 500 training rows, drawn anew ten times.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _processes import import_tensorflow
from _results import Results, mean_and_deviation, read_arguments, say

SEEDS, DRAWS, FEW = 3, 10, 500
MODELS = ("sequence/text", "sequence/gru")
BASELINES: dict[str, dict[str, Any]] = {
    "tf_idf_logistic": {"analyzer": "word", "ngram_range": (1, 2), "sublinear_tf": True},
    "tf_idf_characters": {"analyzer": "char_wb", "ngram_range": (1, 5), "sublinear_tf": True},
}
# Target and, of two classes, the positive one: of the files of ``--data``, and of a bundled set.
FILES = {"sms_spam": ("label", "spam"), "movie_snippets": ("label", "positive")}
BUNDLED = {"color_families": ("family", None)}
AIMS = {("sms_spam", "all"): {"accuracy": 0.987, "f1": 0.952}, ("movie_snippets", "all"): {"accuracy": 0.786}}
GRU_COUNTS: dict[Any, int] = {"all": 1, FEW: 3}  # a training takes minutes


def main() -> None:
    """Measure and report."""
    options = read_arguments(__doc__ or "")
    if options.data is None:
        say(
            "texts: without --data FOLDER, with sms_spam/data.csv.gz and movie_snippets/data.csv.gz, little is measured"
        )
    import_tensorflow()
    sets = {**BUNDLED, **(FILES if options.data is not None else {})}
    counts: dict[Any, int] = {"all": 1, FEW: 1} if options.quick else {"all": SEEDS, FEW: DRAWS}
    results = Results(__file__, options, {"sets": list(sets), "counts": {str(k): v for k, v in counts.items()}})
    frames = {name: read_texts(name, options.data) for name in sets}
    for method in (MODELS[0], *BASELINES, MODELS[1]):
        for name, (target, positive) in sets.items():
            for rows, count in counts.items():
                for seed in range(min(count, GRU_COUNTS[rows]) if method == MODELS[1] else count):
                    key = f"{method} on {name}, {rows} rows, seed {seed}"
                    if key not in results:
                        frame = draw_rows(frames[name], target, rows, seed)
                        results.add(key, measure(method, frame, target, positive, seed, 2 if options.quick else None))
    report(results, sets)


def read_texts(name: str, folder: Path | None) -> pd.DataFrame:
    """Return a set's texts and classes with its split; of a bundled set, a fifth of the rows is the test split."""
    if name in BUNDLED or folder is None:
        from zoo.data.sources.bundled import load_bundled

        frame = load_bundled(name)[0]
        return frame.assign(split=np.where(np.random.default_rng(0).random(len(frame)) < 0.2, "test", "train"))
    frame = pd.read_csv(folder / name / "data.csv.gz")
    # The few neutral snippets are neither positive nor negative.
    return frame.loc[frame["label"] != "neutral", ["text", "label", "split"]].reset_index(drop=True)


def draw_rows(frame: pd.DataFrame, target: str, rows: int | str, seed: int) -> pd.DataFrame:
    """Return a set with all test rows and all training rows, or a sample of them with their fractions of classes."""
    if rows == "all":
        return frame
    from sklearn.model_selection import train_test_split

    train = frame[frame["split"] == "train"]
    train, _ = train_test_split(train, train_size=int(rows), stratify=train[target], random_state=seed)
    return pd.concat([train, frame[frame["split"] == "test"]], ignore_index=True)


def measure(
    method: str, frame: pd.DataFrame, target: str, positive: str | None, seed: int, epochs: int | None
) -> dict[str, Any]:
    """Return scores on the test split and CPU seconds of training."""
    fit: Callable[..., tuple[np.ndarray, float, int]] = fit_model if method in MODELS else fit_baseline
    truth = frame.loc[frame["split"] == "test", target].to_numpy()
    prediction, seconds, parameters = fit(method, frame, target, seed, epochs)
    scores = {"accuracy": float((prediction == truth).mean())}
    if positive is not None:
        hits = float(((prediction == positive) & (truth == positive)).sum())
        scores["f1"] = 2 * hits / float((prediction == positive).sum() + (truth == positive).sum())
    return {**scores, "cpu_seconds": seconds, "parameters": parameters}


def fit_model(
    method: str, frame: pd.DataFrame, target: str, seed: int, epochs: int | None
) -> tuple[np.ndarray, float, int]:
    """Return a model's predictions of the test split, CPU seconds from reading to the last epoch, and parameters."""
    from zoo.fitting.fit import Plan, fit
    from zoo.fitting.model_builder import create_model_builder
    from zoo.jobs.fit_options import TrainJob
    from zoo.jobs.job import make_job

    began = time.process_time()
    builder = create_model_builder(method)
    job = make_job(
        TrainJob, {"model": method, "source": frame, "target": target, "split": "column=split", "seed": seed}
    )
    dataset = builder.task.read(job)
    fitted = fit(builder, dataset, {}, Plan(seed=seed, epochs=epochs))
    seconds = time.process_time() - began
    output = builder.task.output(fitted.built_model.full_model(), dataset.splits["test"].inputs)
    prediction = builder.task.rules(dataset.spec).predictions(output)["prediction"]
    return prediction.to_numpy(), seconds, fitted.built_model.n_parameters


def fit_baseline(
    method: str, frame: pd.DataFrame, target: str, seed: int, epochs: int | None
) -> tuple[np.ndarray, float, int]:
    """Return a baseline's predictions of the test split, CPU seconds of fitting, and its parameters."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    train, test = (frame[frame["split"] == split] for split in ("train", "test"))
    text = next(name for name in frame.columns if name not in (target, "split"))
    began = time.process_time()
    bag = TfidfVectorizer(**BASELINES[method])
    logistic = LogisticRegression(C=10, max_iter=1000).fit(bag.fit_transform(train[text]), train[target])
    seconds = time.process_time() - began
    return logistic.predict(bag.transform(test[text])), seconds, logistic.coef_.size


def report(results: Results, sets: dict[str, Any]) -> None:
    """Print the means over seeds or draws, and whether the aims are met."""
    lines = []
    for name in sets:
        for rows in results.settings["counts"]:
            scores = {method: collect_scores(results, method, name, rows) for method in (*MODELS, *BASELINES)}
            for method, columns in scores.items():
                least = AIMS.get((name, rows), {"accuracy": statistics.mean(scores["tf_idf_logistic"]["accuracy"])})
                met = all(statistics.mean(columns[score]) >= value for score, value in least.items())
                aim = ", ".join(f"{score} {value:.4g}" for score, value in least.items())
                f1 = mean_and_deviation(columns["f1"]) if columns["f1"] else ""
                lines.append(
                    (
                        f"{name}, {rows} rows",
                        method,
                        mean_and_deviation(columns["accuracy"]),
                        f1,
                        f"{statistics.mean(columns['cpu_seconds']):.1f} s",
                        f"{statistics.mean(columns['parameters']):,.0f}",
                        f"{aim}: {'yes' if met else 'no'}" if method == MODELS[0] else "",
                    )
                )
    header = ("training data", "method", "accuracy", "f1", "CPU time", "parameters", "aim")
    notes = [
        f"Test split; mean and standard deviation over {SEEDS} seeds, or over {DRAWS} draws of {FEW} training rows; of "
        f"`sequence/gru` {GRU_COUNTS['all']} seed and {GRU_COUNTS[FEW]} draws. Default hyperparameters; F1 is that of "
        "spam, or of positive snippets. A fifth of the training rows of a model is its validation split, while "
        "baselines are fitted on all of them. Where no other aim is stated, it is the accuracy of tf_idf_logistic."
    ]
    results.report("Classes of texts", header, lines, notes)


def collect_scores(results: Results, method: str, name: str, rows: str) -> dict[str, list[float]]:
    """Return each score of a method on a set, over seeds or draws."""
    fields = ("accuracy", "f1", "cpu_seconds", "parameters")
    return {field: results.column(field, f"{method} on {name}, {rows} rows,") for field in fields}


if __name__ == "__main__":
    main()
