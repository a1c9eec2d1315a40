"""Examples and targets as scikit-learn has them are one source, and hyperparameters by keyword are explained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import zoo
from zoo.errors import DataError, UsageError
from zoo.jobs.fit_options import TrainJob
from zoo.jobs.keywords import accept_keywords

X = np.random.default_rng(0).normal(size=(60, 3))
Y = (X[:, 0] > 0).astype(int)
FRAME, SERIES = pd.DataFrame(X, columns=["a", "b", "c"]), pd.Series(Y, name="kind")
FAST: dict[str, Any] = {"epochs": 1, "baselines": "none", "figures": False, "quiet": True}


@accept_keywords(TrainJob, "model", "source")
def read_job(job: TrainJob) -> TrainJob:
    """Return the job."""
    return job


@pytest.mark.parametrize(
    ("values", "keywords"),
    [
        (("m", X, Y), {}),
        (("m", (X, Y)), {}),
        (("m", X), {"y": Y}),
        (("m", X), {"target": Y}),
        (("m",), {"X": X, "y": Y}),
        ((), {"model": "m", "source": X, "y": Y}),
        (("m", FRAME, SERIES), {"seed": 3}),
        (("m", FRAME), {"target": SERIES}),
        (("m", X.tolist(), Y.tolist()), {}),
    ],
)
def test_one_source(values: tuple[Any, ...], keywords: dict[str, Any]) -> None:
    job = read_job(*values, **keywords)
    x, y = job.source
    assert np.asarray(x).tolist() == X.tolist()
    assert np.asarray(y).tolist() == Y.tolist()
    assert job.model == "m"
    assert job.target == ()
    assert job.seed == keywords.get("seed", 0)


def test_the_name_of_a_column_after_the_source() -> None:
    assert read_job("m", FRAME, "c").target == ("c",)
    assert read_job("m", "table.csv", target=["a", "b"]).target == ("a", "b")


@pytest.mark.parametrize(
    ("values", "keywords", "message"),
    [
        (("m", X, Y, X), {}, "zoo.read_job: too many positional arguments; without a name: model, source, y"),
        (("m", "table.csv", Y), {}, "y: it needs examples in memory"),
        (("m", Path("table.csv")), {"y": Y}, "y: it needs examples in memory"),
        (("m",), {"y": Y}, "y: it needs examples in memory"),
        (("m", FRAME), {"y": "c"}, "name the target column by target='c'"),
        (("m", FRAME, Y), {"model": "n"}, "zoo.read_job: multiple values for argument 'model'"),
    ],
)
def test_what_does_not_fit_is_explained(values: tuple[Any, ...], keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_job(*values, **keywords)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (X, Y[:5], "x has 60 rows and y has shape (5,)"),
        (X, np.eye(2)[Y], "for one-hot rows use y.argmax(axis=1)"),
        (FRAME, SERIES.sample(frac=1, random_state=0), "the same row labels in another order"),
    ],
)
def test_targets_that_do_not_fit(x: Any, y: Any, message: str) -> None:
    with pytest.raises(DataError) as caught:
        zoo.spec_of(x, y)
    assert message in str(caught.value)


def test_the_task_follows_from_the_target(tmp_path: Path) -> None:
    assert zoo.spec_of(FRAME.assign(kind=Y), target="kind").task == "classification"
    assert zoo.spec_of(FRAME, target="c").task == "regression"
    assert zoo.spec_of(X, Y).task == "classification"
    assert zoo.spec_of((FRAME, X[:, 1])).task == "regression"
    assert zoo.spec_of("wine").task == "classification"
    assert zoo.spec_of(FRAME, target=["b", "c"]).target_names == "b, c"
    with pytest.raises(DataError, match="which column is the target"):
        zoo.spec_of(FRAME)
    for kind in ("cat", "dog"):
        (tmp_path / kind).mkdir()
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / kind / "1.png")
    with pytest.raises(UsageError, match="task: the source is not a table: name the task"):
        zoo.spec_of(tmp_path)


@pytest.mark.slow
def test_train_tune_compare_and_report(workspace: Path) -> None:
    run = zoo.train("classification/linear", X, Y, **FAST)
    same = zoo.train("classification/linear", (X, Y), **FAST)
    assert run.metrics["test_log_loss"] == same.metrics["test_log_loss"]
    assert run.model.predict(X)["prediction"].isin([0, 1]).all()
    search = zoo.tune("classification/linear", FRAME, SERIES, trials=2, epochs=1, quiet=True)
    assert len(search.trials) == 2
    compared = zoo.compare(X, Y, models=["classification/linear"], seeds=2, epochs=1, quiet=True)
    assert compared.boards
    assert zoo.data_report(X, Y, quiet=True).target == "y"


@given(st.sampled_from(["activation", "units", "learning_rate", "dropout"]), st.sampled_from(["tanh", 3, 0.5]))
def test_a_hyperparameter_is_no_option(name: str, value: Any) -> None:
    expected = f"hyperparameters={json.dumps({name: value})}"
    for options in ({name: value}, {"set": {name: value}}, {"params": {name: value}}):
        with pytest.raises(UsageError) as caught:
            zoo.train("classification/mlp", "wine", **options)
        assert expected in str(caught.value)
        assert f"--set {name}={value}" in str(caught.value)


def test_other_unknown_options_are_not_hyperparameters() -> None:
    for options in ({"epoch": 1}, {"unitz": 3}, {"set": {"unitz": 3}}):
        with pytest.raises(UsageError) as caught:
            zoo.train("classification/mlp", "wine", **options)
        assert "hyperparameters=" not in str(caught.value)
        assert "unknown option" in str(caught.value)
