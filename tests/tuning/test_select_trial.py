"""A search keeps the default hyperparameters unless validation shows that a trial is better."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import zoo
from zoo.metrics.classes import create_class_metrics
from zoo.metrics.numbers import create_number_metrics
from zoo.metrics.significance import compare_on_rows
from zoo.tuning.select_trial import find_defaults, select_trial
from zoo.tuning.storage.records import TrialRecord

LOG_LOSS = create_class_metrics(3)[0]


def probabilities(truth: np.ndarray, of_the_truth: np.ndarray) -> np.ndarray:
    rest = (1 - of_the_truth) / 2
    return np.where(truth[:, None] == np.arange(3), of_the_truth[:, None], rest[:, None])


def test_certainty_on_few_rows_is_not_better_than_caution() -> None:
    truth = np.arange(55) % 3
    sure, sober = (probabilities(truth, np.full(55, p)) for p in (1 - 1e-10, 0.97))
    assert LOG_LOSS.function(truth, sure, np.ones((1, 55))) < LOG_LOSS.function(truth, sober, np.ones((1, 55)))
    assert compare_on_rows(LOG_LOSS, truth, sure, sober) < 0.95
    assert compare_on_rows(LOG_LOSS, truth, sober, sober) == 0


@pytest.mark.parametrize("weighted", [False, True])
def test_a_clear_difference_on_many_rows_is_found(weighted: bool) -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 3000)
    good = probabilities(truth, rng.uniform(0.5, 0.9, 3000))
    poor = probabilities(truth, rng.uniform(0.4, 0.8, 3000))
    weight = rng.uniform(0, 2, 3000) if weighted else None
    assert compare_on_rows(LOG_LOSS, truth, good, poor, weight=weight) > 0.99
    assert compare_on_rows(LOG_LOSS, truth, poor, good, weight=weight) < 0.01


def test_groups_are_the_sample() -> None:
    """In 6 groups of 100 equal rows there are 6 differences, not 600."""
    rng = np.random.default_rng(3)
    group, truth = np.repeat(np.arange(6), 100), np.zeros(600)
    first, second = np.repeat(rng.normal(0.5, 1, 6), 100), np.repeat(rng.normal(1.2, 1, 6), 100)
    rmse = create_number_metrics()[0]
    assert compare_on_rows(rmse, truth, first, second) > 0.999
    assert compare_on_rows(rmse, truth, first, second, group=group) < 0.999


def test_the_first_trial_that_is_better_than_the_default_is_selected() -> None:
    ranked = [
        TrialRecord(str(number), {"units": units}, "COMPLETED", score=number)
        for number, units in enumerate([8, 4, 2, 1])
    ]
    defaults = find_defaults(ranked, [{"units": 2}])
    assert defaults == [ranked[2]]
    for better, selected in (("", "2"), ("1", "1"), ("01", "0"), ("3", "2")):
        assert select_trial(ranked, defaults, lambda a, _, b=better: a.trial_id in b, 3).trial_id == selected
    assert select_trial(ranked, defaults, lambda *_: True, 3) is ranked[0]
    assert select_trial(ranked, [], lambda *_: False, 3) is ranked[0]
    assert select_trial(ranked, defaults, lambda a, _: a.trial_id == "1", 1) is ranked[2]  # not looked at


@pytest.mark.parametrize(
    "changes", [{"status": "PRUNED"}, {"reason": "the time budget of the search was over"}, {"epochs": 3}]
)
def test_a_default_that_was_not_trained_to_its_end_is_not_used(changes: dict) -> None:
    others = [TrialRecord("1", {"units": 8}, "COMPLETED", score=0.1, epochs=9 if "epochs" in changes else None)]
    default = TrialRecord("0", {"units": 2}, **{"status": "COMPLETED", "score": 0.2, **changes})
    assert find_defaults([*others, default], [{"units": 2}]) == []


@pytest.mark.parametrize(
    "options",
    [
        {},
        *(pytest.param(each, marks=pytest.mark.slow) for each in ({"cv": 3}, {"objective": "accuracy"}, {"seeds": 2})),
    ],
)
def test_a_search_on_noise_uses_the_defaults_and_says_so(workspace: Path, options: dict) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(150, 3)), columns=list("abc")).assign(y=rng.choice(["m", "n"], 150))
    values = {"target": "y", "trials": 5, "epochs": 4, "baselines": "none", "keep": 1, "quiet": True}
    values |= {"figures": False, **options}
    search = zoo.tune("classification/mlp", frame, **values)
    scores = [trial.score for trial in search.trials]
    order = np.argsort(scores if search.direction == "min" else np.negative(scores), kind="stable")
    first, default = search.trials[order[0]], search.trials[0]
    assert default.hyperparameters["units"] == 256
    assert first is not default
    assert search.selected == default.trial_id
    assert search.best.hyperparameters["units"] == 256
    assert search.as_dict()["selected"] == "0"
    assert "(used)" in repr(search)
    (note,) = [note for note in search.best.notes if "is not significantly better" in note]
    assert f"of trial {first.trial_id}" in note
    again = zoo.tune("classification/mlp", frame, **values, select="best-score")
    assert again.selected == first.trial_id
    assert [trial.score for trial in again.trials] == scores  # nothing was trained again
