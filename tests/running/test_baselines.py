"""Baselines cost less than the training beside them, and Ctrl-C skips them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import zoo
from zoo.data.dataset import Dataset
from zoo.fitting.model_builder import create_model_builder
from zoo.jobs.fit_options import TrainJob
from zoo.jobs.job import make_job
from zoo.running.baselines import run_baselines
from zoo.task import Baseline, load_task
from zoo.tracking.store import Store

classification = load_task("classification")


class Interrupted(type(classification)):  # type: ignore[misc]
    """Classification whose second baseline is interrupted."""

    def baselines(self, level: Any, spec: Any) -> Sequence[Baseline]:
        def interrupt(dataset: Dataset, seed: int) -> Mapping[str, Mapping[str, float]]:
            raise KeyboardInterrupt

        first, second, *others = super().baselines(level, spec)
        return [first, Baseline(second.name, interrupt), *others]


def test_ctrl_c_skips_the_baselines_that_are_left(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = Interrupted("classification", example="iris", target_kind="class", estimators=classification.estimators)
    job = make_job(TrainJob, {"model": "classification/linear", "source": "iris"})
    dataset = create_model_builder("classification/linear").task.read(job)
    store = Store()
    results, notes = run_baselines(
        task, dataset, "quick", store=store, experiment=store.experiment("iris"), seed=0, threshold=None
    )
    names = [baseline.name for baseline in classification.baselines("quick", dataset.spec)]
    assert list(results) == names[:1]
    assert notes == [f"the baselines {', '.join(names[1:])} were skipped by Ctrl-C"]
    assert "Ctrl-C again stops the run" in capsys.readouterr().err
    assert {run.info.status for run in store.search()} == {"FINISHED", "KILLED"}


def test_a_clustering_baseline_is_fitted_on_a_sample_of_many_rows_and_says_so(workspace: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(17_000, 2)) + 6 * rng.integers(0, 2, (17_000, 1)), columns=["a", "b"])
    run = zoo.train("clustering/autoencoder", frame, clusters=2, epochs=1, quiet=True, figures=False)
    sampled = [note for note in run.notes if "is fitted on" in note]
    assert [note.split()[1] for note in sampled] == ["k_means", "gaussian_mixture"]
    assert run.baselines["gaussian_mixture"]["test_stability"] > 0.9
