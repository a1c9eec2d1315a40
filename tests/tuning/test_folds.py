"""A search that ranks by the mean over folds: the test part stays aside, and the best is trained once more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import zoo
from zoo.data.dataset import load_dataset
from zoo.errors import DataError, UsageError
from zoo.jobs.job import make_job
from zoo.jobs.search_options import TuneJob
from zoo.task import load_task
from zoo.tracking.store import Store
from zoo.tuning.cross_validation import count_folds, create_fold_job


def test_a_search_over_folds(workspace: Path) -> None:
    options = {"trials": 2, "workers": 2, "cv": 3, "epochs": 3, "quiet": True, "baselines": "none", "figures": False}
    search = zoo.tune("classification/linear", "wine", **options)
    assert len(search.trials) == 2
    page = Store().client.get_run(search.run_id)
    assert page.data.metrics["cv_log_loss"] == pytest.approx(min(trial.score or 9 for trial in search.trials))
    best = Store().client.get_run(search.best.run_id)
    assert {"cv_log_loss", "cv_log_loss_std", "val_log_loss", "test_log_loss"} <= set(best.data.metrics)
    assert zoo.load(search.run_id).predict("wine").shape == (178, 4)
    again = zoo.tune("classification/linear", "wine", **options)
    assert again.run_id == search.run_id  # recalled


def test_test_rows_are_in_no_fold() -> None:
    job = make_job(TuneJob, {"model": "classification/linear", "source": "wine", "cv": 4})
    task = load_task("classification")
    assert count_folds(job, task) == 4
    test = set(task.read(job).splits["test"].rows)
    judged = []
    for number in range(1, 5):
        dataset = task.read(create_fold_job(job, number, 4))
        used = np.concatenate([split.rows for split in dataset.splits.values()])
        assert not test & set(used)
        assert "validation" in dataset.splits
        judged += dataset.splits["test"].rows.tolist()
    assert sorted([*judged, *test]) == list(range(178))


def test_too_many_folds(workspace: Path) -> None:
    with pytest.raises(DataError, match="60 folds need 60 rows of each class"):
        zoo.tune("classification/linear", "wine", cv=60, quiet=True, figures=False)
    with pytest.raises(UsageError, match="fold"):
        zoo.tune("rl/dqn", "CartPole-v1", cv=3, quiet=True, figures=False)


def test_folds_are_kept_for_processes(tmp_path: Path) -> None:
    from zoo.data.dataset import save_dataset

    job = make_job(TuneJob, {"model": "classification/linear", "source": "wine", "cv": 3, "class_weight": "balanced"})
    dataset = load_task("classification").read(create_fold_job(job, 1, 3))
    save_dataset(dataset, tmp_path)
    loaded = load_dataset(tmp_path).splits["train"]
    assert loaded.fit_weight is not None
    np.testing.assert_array_equal(loaded.fit_weight, dataset.splits["train"].fit_weight)
