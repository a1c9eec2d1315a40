from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command import Answer
from hypothesis import settings

settings.register_profile("zoo", deadline=None)  # how long an example takes says something of the machine only
settings.load_profile("zoo")


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


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a PostgreSQL server of its own, whose user has a password."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if not programs or (os.geteuid() == 0 and shutil.which("runuser") is None):
        pytest.skip("no PostgreSQL server is installed")
    with tempfile.TemporaryDirectory(prefix="zoo-pg-") as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        Path(folder, "password").write_text("s3cret-word")
        as_user: list[str] = []
        if os.geteuid() == 0:  # the server refuses to be root
            shutil.chown(folder, "postgres")
            shutil.chown(f"{folder}/password", "postgres")
            as_user = ["runuser", "-u", "postgres", "--"]
        data, program = f"{folder}/data", programs[-1]

        def run(*words: str) -> None:
            subprocess.run([*as_user, *words], check=True, cwd=folder, stdout=subprocess.DEVNULL, timeout=120)

        options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder} -c fsync=off"
        run(f"{program}/initdb", "-D", data, "-U", "reader", "-A", "scram-sha-256", f"--pwfile={folder}/password")
        run(f"{program}/pg_ctl", "-D", data, "-w", "-o", options, "-l", f"{folder}/log", "start")
        try:
            yield f"postgresql://reader:s3cret-word@127.0.0.1:{port}/postgres"
        finally:
            run(f"{program}/pg_ctl", "-D", data, "-m", "immediate", "stop")
