"""A full disk, and a store that is removed during a command: one line, no half-written files, and nothing lost."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import mlflow
import pytest
from command import Answer

import zoo
from zoo.errors import StorageError
from zoo.tracking.store import Store
from zoo.tracking.store_failures import explain_failure

TRAIN = ("train", "classification/mlp", "wine", "--epochs", "2", "--baselines", "none")
TUNE = ("tune", "classification/mlp", "wine", "--epochs", "2", "--trials", "3", "--baselines", "none")
COMPARE = ("compare", "wine", "--models", "classification/mlp,classification/linear", "--seeds", "2", "--epochs", "2")
GONE = "the tracking store was removed or replaced during this command"


@pytest.fixture
def small_disk(workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder with a store on a disk of 3 MB, which only root may mount."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("only root may mount a small disk")
    try:
        shutil.copytree("mlruns", folder / "mlruns")
        monkeypatch.chdir(folder)
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def resize(disk: Path, size: str) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", disk], check=True)


def fill(disk: Path, left: int) -> Path:
    """Fill the disk except for some bytes."""
    filler = disk / "filler"
    filler.write_bytes(b"0" * (shutil.disk_usage(disk).free - left))
    return filler


def check_full(answer: Answer, disk: Path) -> None:
    """Check that a command said in one line that this disk is full."""
    assert answer.status == 1, answer.err
    assert "Traceback" not in answer.err
    assert "autoflush" not in answer.err
    assert answer.err.splitlines()[-1] == (
        f"zoo: {disk}: the disk is full (no space left on device); free some space and try again"
    )


def list_unfinished(folder: Path) -> list[Path]:
    """Return files that are begun under another name, or empty."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.endswith("lock")]
    temporary = [path for path in files if path.name.startswith(".") or path.name.endswith((".part", ".tmp"))]
    return temporary + [path for path in files if not path.stat().st_size and path.name != "server.log"]


@pytest.mark.parametrize("left", [60_000, *(pytest.param(left, marks=pytest.mark.slow) for left in (4_000, 1_300_000))])
def test_a_training_on_a_full_disk(small_disk: Path, command: Callable[..., Answer], left: int) -> None:
    filler = fill(small_disk, left)
    check_full(command(*TRAIN), small_disk)
    assert list_unfinished(small_disk) == []
    filler.unlink()
    listed = command("runs", "--json").json["runs"]
    assert {run["status"] for run in listed} <= {"FAILED", "KILLED"}
    resize(small_disk, "20m")
    assert command(*TRAIN).status == 0


def test_a_first_command_on_a_full_disk(small_disk: Path, command: Callable[..., Answer]) -> None:
    shutil.rmtree("mlruns")
    filler = fill(small_disk, 900_000)
    check_full(command(*TRAIN), small_disk)
    assert list_unfinished(small_disk) == []
    filler.unlink()
    assert command("runs").status == 0


@pytest.mark.slow
def test_a_search_on_a_full_disk_is_resumed(small_disk: Path, command: Callable[..., Answer]) -> None:
    check_full(command(*TUNE), small_disk)
    assert list_unfinished(small_disk / "mlruns/artifacts") == []
    (search,) = Store().search("tags.`zoo.kind` = 'search'")
    assert search.info.status == "FAILED"
    resize(small_disk, "40m")
    resumed = command(*TUNE, "--json")
    assert resumed.status == 0, resumed.err
    assert resumed.json["run_id"] == search.info.run_id
    assert len(resumed.json["trials"]) == 3


@pytest.mark.slow
def test_commands_for_a_finished_run_on_a_full_disk(small_disk: Path, command: Callable[..., Answer]) -> None:
    resize(small_disk, "40m")
    run_id = command(*TRAIN, "--json").json["run_id"]
    fill(small_disk, 0)
    before = sorted(small_disk.rglob("*"))
    check_full(command("predict", run_id, "wine", "--output", "predictions.csv"), small_disk)
    check_full(command("export", run_id, "--format", "savedmodel"), small_disk)
    check_full(command("export", run_id), small_disk)
    check_full(command("register", run_id, "wine"), small_disk)
    check_full(command(*COMPARE), small_disk)
    assert sorted(path for path in small_disk.rglob("*") if "state" not in path.parts) == [
        path for path in before if "state" not in path.parts
    ]
    assert command("runs").status == 0
    assert command("runs", "--prune", "--yes").status == 0


class Remover(keras.callbacks.Callback):
    """Removes the store while a run is trained."""

    def __init__(self, remove: Callable[[], None]) -> None:
        super().__init__()
        self.remove = remove

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if epoch == 1:
            self.remove()


def replace_store() -> None:
    shutil.copy("mlruns/mlflow.db", "copy.db")
    Path("copy.db").replace("mlruns/mlflow.db")


@pytest.mark.parametrize(
    ("remove", "checkpoints"),
    [
        (lambda: shutil.rmtree("mlruns"), 0),
        pytest.param(Path("mlruns/mlflow.db").unlink, 0, marks=pytest.mark.slow),
        pytest.param(replace_store, 1, marks=pytest.mark.slow),  # a restored copy has the run, which can be resumed
    ],
)
def test_a_store_that_is_removed_during_a_training(
    workspace: Path, remove: Callable[[], None], checkpoints: int
) -> None:
    with pytest.raises(StorageError, match=GONE) as raised:
        zoo.train("classification/linear", "iris", epochs=5, baselines="none", callbacks=[Remover(remove)], quiet=True)
    assert str(workspace / "mlruns" / "mlflow.db") in str(raised.value)
    assert len(list(workspace.rglob("checkpoint.bin"))) == checkpoints
    assert len(Store().search("tags.`zoo.kind` = 'train'")) == checkpoints
    mlflow.set_tracking_uri(None)
    shutil.rmtree("mlruns", ignore_errors=True)
    assert zoo.train("classification/linear", "iris", epochs=1, baselines="none", quiet=True).epochs_run == 1


@pytest.mark.slow
def test_a_store_that_is_removed_during_a_search(workspace: Path, command: Callable[..., Answer]) -> None:
    def remove() -> None:
        deadline = time.monotonic() + 60
        while not list(Path("mlruns/state/searches").glob("*/trials/*/checkpoint.bin")) and time.monotonic() < deadline:
            time.sleep(0.02)
        shutil.rmtree("mlruns")

    thread = threading.Thread(target=remove)
    thread.start()
    answer = command("tune", "classification/linear", "iris", "--epochs", "400", "--trials", "4")
    thread.join()
    assert answer.status == 1
    assert answer.err.splitlines()[-1] == f"zoo: {workspace / 'mlruns' / 'mlflow.db'}: {GONE}"
    assert "Traceback" not in answer.err
    assert not Path("mlruns").exists()


@pytest.mark.parametrize(
    "message", ["(sqlite3.OperationalError) database or disk is full", "a trial: [Errno 28] No space left on device"]
)
def test_the_cause_is_found_behind_other_errors(message: str) -> None:
    try:
        try:
            raise RuntimeError(message)
        except RuntimeError:
            raise ValueError("the model cannot be saved") from None
    except ValueError as error:
        failure = explain_failure(error)
    assert failure is not None
    assert "the disk is full" in failure.message


def test_other_errors_stay(workspace: Path) -> None:
    store = Store()
    assert explain_failure(FileNotFoundError(2, "No such file or directory", "rows.csv"), store.opened) is None
