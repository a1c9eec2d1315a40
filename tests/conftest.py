from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command import Answer


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tracking store as zoo makes it; making it takes seconds, copying it none."""
    import mlflow

    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    mlflow.MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_store: Path) -> Iterator[Path]:
    """An empty working folder with a space and an accent in its name, and MLflow as it is out of the box."""
    import mlflow

    folder = tmp_path / "données d'été"
    (folder / "mlruns").mkdir(parents=True)
    shutil.copy(empty_store, folder / "mlruns" / "mlflow.db")
    monkeypatch.chdir(folder)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "ZOO_TASKS"):
        monkeypatch.delenv(name, raising=False)
    mlflow.set_tracking_uri(None)
    yield folder
    mlflow.set_tracking_uri(None)


@pytest.fixture
def command(
    workspace: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Answer]:
    """The command line, called in this process."""
    from zoo import cli

    def call(*words: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["zoo", *map(str, words)])
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        out, err = capfd.readouterr()
        return Answer(int(exit_.value.code or 0), out, err)

    return call


@pytest.fixture
def people() -> pd.DataFrame:
    """A table with numbers, text, missing cells and two classes that can be learnt."""
    rng = np.random.default_rng(0)
    age = rng.integers(18, 80, 200).astype(float)
    job = rng.choice(["nurse", "cook", "clerk"], 200).astype(object)
    rich = (age + 20 * (job == "clerk") + rng.normal(0, 5, 200)) > 55
    age[::17] = np.nan
    job[::23] = None
    return pd.DataFrame(
        {"age": age, "job": job, "city of birth/état": "x", "rich": np.where(rich, "yes", "no")}
    ).assign(height=rng.normal(170, 10, 200))
