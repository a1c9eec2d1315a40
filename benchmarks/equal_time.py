"""The best score after equal wall time: `zoo tune` by its defaults, KerasTuner's Bayesian search and its Hyperband.

All three search the same space of the same network on the same parts, each in a fresh process on the whole
machine, with the same most epochs and patience. KerasTuner gets arrays that are prepared beforehand, and its
time counts from there; zoo's counts from its first trial, with tracking on. What each found to be best is scored
alike: the kept weights behind the preparation, once on validation, by which it was chosen, and once on test.
"""

from __future__ import annotations

import contextlib
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from _processes import Child, child_payload, import_tensorflow, tell_parent, working_folder
from _results import Results, alternated, read_arguments, say, spread
from _stock_tuner import stand_in_for_tensorboard

BUDGET, QUICK_BUDGET = 45, 15  # seconds
SEEDS, QUICK_SEEDS = 5, 1
WORKERS = 2
# One preparation for all trials, so that the rivals can be given its result.
FIXED = {"scaling": "robust_quantile"}
SIDES = {"zoo": "zoo", "bayesian": "KerasTuner, Bayesian", "hyperband": "KerasTuner, Hyperband"}
FIELDS = ("val", "test", "trials", "search_s")
SIGNIFICANT = 0.05


class Case(NamedTuple):
    """A model on a set; the file is below the folder of ``--data``, and the bundled set takes its place without."""

    model: str
    source: str
    target: str
    bundled: str


CASES = (
    Case("classification/mlp", "spambase/data.csv.gz", "type", "breast_cancer"),
    Case("classification/mlp", "soybean/data.csv.gz", "Class", "digits"),
    Case("regression/mlp", "california_housing/data.csv.gz", "median_house_value", "diabetes"),
    Case("regression/mlp", "boston/data.csv.gz", "medv", "diabetes"),
)


def main() -> None:
    """Measure and report; in a child, run one search."""
    payload = child_payload()
    if payload is not None:
        return _search(payload)
    options = read_arguments(__doc__ or "")
    seeds, budget = (QUICK_SEEDS, QUICK_BUDGET) if options.quick else (SEEDS, BUDGET)
    names = {case.source.split("/")[0] if options.data else case.bundled: case for case in CASES}
    results = Results(__file__, options, {"budget_s": budget, "seeds": seeds, "workers": WORKERS, "data": [*names]})
    folder = str(options.data.resolve()) if options.data else None
    for seed in range(seeds):
        for name, case in names.items():
            for side in alternated(list(SIDES), seed):
                payload = {"case": CASES.index(case), "side": side, "seed": seed, "budget": budget, "data": folder}
                results.measure(f"{name}, {side}, seed {seed}", lambda payload=payload: _watched(payload))
    return _report(results, [*names], seeds)


def _watched(payload: dict[str, Any]) -> dict[str, Any]:
    say(f"equal_time: {SIDES[payload['side']]}, {CASES[payload['case']].source}, seed {payload['seed']}")
    began = time.perf_counter()
    (answer,) = Child(__file__, payload).answers()
    return {**answer, "whole_s": time.perf_counter() - began}


# --- in a child ---


def _search(payload: dict[str, Any]) -> None:
    import_tensorflow()
    case = CASES[payload["case"]]
    data: dict[str, Any] = {"source": case.bundled, "seed": payload["seed"]}
    if payload["data"] is not None:
        data = {**data, "source": str(Path(payload["data"]) / case.source), "target": case.target}
        data["split"] = "column=split"
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder, working_folder(Path(folder)):
        if payload["side"] == "zoo":
            tell_parent(_zoo_search(case, data, payload["budget"]))
        else:
            tell_parent(_stock_search(case, data, payload["side"], payload["budget"], Path(folder)))


def _zoo_search(case: Case, data: dict[str, Any], budget: int) -> dict[str, Any]:
    import mlflow

    import zoo

    search = zoo.tune(
        case.model, **data, trials=100_000, workers=WORKERS, time_budget=f"{budget}s", hyperparameters=FIXED,
        baselines="none", quiet=True,
    )  # fmt: skip
    best, name = search.best, search.best.objective
    scores = {split: best.metrics[f"{split}_{name}"] for split in ("val", "test")}
    client = mlflow.MlflowClient()
    seconds = {trial.run_id: trial.seconds for trial in search.trials if trial.run_id is not None}
    began = {run_id: client.get_run(run_id).info.start_time / 1000 for run_id in seconds}
    # What comes after the trials, such as figures and the saved model, is no search.
    whole = max(began[run_id] + seconds[run_id] for run_id in began) - min(began.values())
    return {**scores, "trials": len(search.trials), "search_s": whole}


def _stock_search(case: Case, data: dict[str, Any], side: str, budget: int, folder: Path) -> dict[str, Any]:
    import keras
    import keras_tuner

    from zoo.fitting.model_builder import create_model_builder
    from zoo.jobs.data_options import DataJob
    from zoo.jobs.job import make_job
    from zoo.training.fit_settings import FitSettings
    from zoo.training.preprocessed_arrays import preprocess

    stand_in_for_tensorboard()
    builder, seed = create_model_builder(case.model), data["seed"]
    dataset = builder.task.read(make_job(DataJob, data))
    built_model, space = builder.build_checked(FIXED, dataset.spec, seed=seed)
    assert built_model.preprocessing is not None
    model = built_model.preprocessing.model()
    train, validation = (preprocess(model, dataset.splits[name]) for name in ("train", "validation"))
    settings = FitSettings.from_hyperparameters(space.values)

    class OutOfTime(keras_tuner.errors.FatalError):
        """The one kind of error that ends a search of KerasTuner's from within."""

    class Limited:
        """A tuner whose last trial ends with the batch in which the time is up, and counts with what it reached."""

        def on_batch_end(self, trial: Any, model: Any, batch: int, logs: Any = None) -> None:
            model.stop_training = model.stop_training or time.perf_counter() > until

        def on_trial_end(self, trial: Any) -> None:
            super().on_trial_end(trial)  # type: ignore[misc]
            if time.perf_counter() > until:
                raise OutOfTime

    class Bayesian(Limited, keras_tuner.BayesianOptimization):
        """KerasTuner's Bayesian search for a time."""

    class Hyperband(Limited, keras_tuner.Hyperband):
        """KerasTuner's Hyperband for a time."""

    kinds = {
        "bayesian": (Bayesian, {"max_trials": 100_000}),
        "hyperband": (Hyperband, {"max_epochs": settings.epochs, "hyperband_iterations": 1000}),
    }
    kind, limits = kinds[side]
    tuner = kind(
        lambda hp: builder.build_model(hp, dataset.spec, seed=seed).network,
        keras_tuner.Objective("val_loss", "min"),
        seed=seed + 1,
        hyperparameters=keras_tuner.HyperParameters.from_config(space.get_config()),
        directory=str(folder),
        project_name="stock",
        **limits,
    )
    began = time.perf_counter()
    until = began + budget
    with contextlib.suppress(OutOfTime):
        tuner.search(
            train.x, train.y, validation_data=(validation.x, validation.y), epochs=settings.epochs,
            batch_size=settings.batch(len(train)), verbose=0,
            callbacks=[keras.callbacks.EarlyStopping("val_loss", patience=settings.patience)],
        )  # fmt: skip
    seconds = time.perf_counter() - began
    best = tuner.oracle.get_best_trials(1)[0]
    built_model = builder.build_model(best.hyperparameters, dataset.spec, seed=seed)
    built_model.network.set_weights(tuner.load_model(best).get_weights())
    whole, name = built_model.full_model(), builder.task.rules(dataset.spec).metrics()[0].name
    scores = {
        short: builder.task.evaluate(whole, dataset, split, intervals=False).scores[name]
        for short, split in (("val", "validation"), ("test", "test"))
    }
    return {**scores, "trials": len(tuner.oracle.trials), "search_s": seconds}


# --- in the parent ---


def _report(results: Results, names: list[str], seeds: int) -> None:
    lines = []
    for name in names:
        results_by_side = {
            side: {
                field: _over_seeds(results, name, side, field, seeds) for field in ("val", "test", "trials", "search_s")
            }
            for side in SIDES
        }
        for side, title in SIDES.items():
            side_results = results_by_side[side]
            cells = [
                name,
                title,
                f"{statistics.median(side_results['trials']):,.0f}",
                spread(side_results["search_s"], ".0f"),
            ]
            for field in ("val", "test"):
                cells.append(f"{statistics.mean(side_results[field]):.4g} ± {_deviation(side_results[field]):.2g}")
                cells.append("" if side == "zoo" else _verdict(results_by_side["zoo"][field], side_results[field]))
            lines.append(cells)
    for side in ("bayesian", "hyperband"):
        cells = ["all", SIDES[side], "", ""]
        for field in ("val", "test"):
            pairs = [
                (_over_seeds(results, name, "zoo", field, seeds), _over_seeds(results, name, side, field, seeds))
                for name in names
            ]
            cells += ["", _verdict(*(_ratios(pairs, which) for which in (0, 1)), ranks=True)]
        lines.append(cells)
    header = ("set", "search", "trials", "seconds", "on validation", "zoo against it", "on test", "zoo against it")
    title = f"The best score after {results.settings['budget_s']} s of search"
    results.report(title, header, lines, _notes(results, seeds))


def _over_seeds(results: Results, name: str, side: str, field: str, seeds: int) -> list[float]:
    return [results.rows[f"{name}, {side}, seed {seed}"][field] for seed in range(seeds)]


def _deviation(values: list[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else 0.0


def _ratios(pairs: list[tuple[list[float], list[float]]], which: int) -> list[float]:
    """Return one side's scores on all sets, each over the mean of both sides on its set."""
    ratios: list[float] = []
    for both in pairs:
        middle = statistics.mean([*both[0], *both[1]])
        ratios += [value / middle for value in both[which]]
    return ratios


def _verdict(zoo: list[float], other: list[float], *, ranks: bool = False) -> str:
    """Tell by a paired test whether zoo's scores, of which the least is best, are ahead, behind or tied."""
    from scipy.stats import ttest_rel, wilcoxon

    if len(zoo) < 2:
        return "one seed tells nothing"
    difference = statistics.mean(zoo) - statistics.mean(other)
    share = 100 * difference / statistics.mean(other)
    p = float((wilcoxon if ranks else ttest_rel)(zoo, other).pvalue) if zoo != other else 1.0
    word = "tied" if p >= SIGNIFICANT else "ahead" if difference < 0 else "behind"
    return f"{word}: {share:+.1f} %, p {p:.2g}"


def _notes(results: Results, seeds: int) -> list[str]:
    return [
        f"Mean ± standard deviation over {seeds} seeds (of weights, of the search, and of the validation part); "
        "log-loss on spambase, soybean, breast_cancer and digits, RMSE on the others: less is better. A seed's "
        f"searches are a pair: *zoo against it* gives the difference of the means and p of a paired t-test, in the "
        f"last rows of Wilcoxon's signed-rank test over all sets and seeds; *ahead* and *behind* below {SIGNIFICANT}.",
        f"zoo: `--trials 100000 --workers {WORKERS} --time-budget {results.settings['budget_s']}s`, all else by "
        "default. KerasTuner as it comes, in one process with TensorFlow's own threads, early stopping with the same "
        "patience; its last trial is cut when the time is up, as zoo's are, and counts with what it reached.",
        "zoo's seconds begin with the start of its workers; what lies beyond the budget are trials that were being "
        "built when the time was up, and end with their first epoch.",
    ]


if __name__ == "__main__":
    main()
