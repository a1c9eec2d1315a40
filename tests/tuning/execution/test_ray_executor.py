"""Trials on a cluster: its addresses, what nodes share, and a node that is lost in the middle."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import zoo
from tests.tuning.execution.processes import PATIENCE_S
from zoo.errors import JobError, UsageError
from zoo.tracking.store import Store
from zoo.tuning.execution.packed_call import pack_call
from zoo.tuning.execution.ray_worker import RayWorker, list_node_versions
from zoo.tuning.storage.shared_storage import Storage

# A cluster of a head that runs nothing and two nodes for one trial each; each line on standard input loses a node.
CLUSTER = """
import sys
from ray.cluster_utils import Cluster
options = {"object_store_memory": 80 << 20}
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **options})
nodes = [cluster.add_node(num_cpus=1, **options) for _ in range(2)]
print(cluster.address, flush=True)
for line in sys.stdin:
    if line == "end\\n":
        break
    cluster.remove_node(nodes.pop(), allow_graceful=False)
    print("lost", flush=True)
cluster.shutdown()
"""
SEARCH: dict[str, Any] = {"trials": 3, "epochs": 300, "workers": 2, "search": "random", "baselines": "none"}


@pytest.fixture
def cluster() -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([sys.executable, "-c", CLUSTER], text=True, env=environment, **pipes) as process:
        try:
            yield process
        finally:
            with contextlib.suppress(BrokenPipeError, subprocess.TimeoutExpired):
                process.communicate("end\n", timeout=PATIENCE_S)
            process.kill()


@pytest.mark.slow
def test_a_search_whose_node_is_lost_goes_on_elsewhere(
    workspace: Path, cluster: subprocess.Popen[str], tmp_path: Path
) -> None:
    address = cluster.stdout.readline().strip()
    shared = tmp_path / "shared"
    command = [sys.executable, "-m", "zoo", "tune", "regression/linear", "diabetes", "--json", "--cluster", address]
    command += ["--storage", shared.as_uri(), "--set", "patience=300"]
    command += [word for name, value in SEARCH.items() for word in (f"--{name}", str(value))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as search:
        deadline = time.monotonic() + 2 * PATIENCE_S
        while len(list(shared.glob("*/trials/*/checkpoint.bin"))) < 2 and search.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        cluster.stdin.write("lose a node\n")
        cluster.stdin.flush()
        try:
            output, said = search.communicate(timeout=3 * PATIENCE_S)
        finally:
            search.kill()
    assert search.returncode == 0, said
    trials = json.loads(output)["trials"]
    assert [trial["status"] for trial in trials] == ["COMPLETED"] * 3
    (state,) = Path("mlruns/state").glob("searches/*/search.json")
    assert sum(trial["deaths"] for trial in json.loads(state.read_text())["trials"].values()) >= 1
    runs = [run for run in Store().search() if run.data.tags["zoo.kind"] == "trial"]
    assert {run.info.status for run in runs} == {"FINISHED"}
    for run in runs:
        steps = [metric.step for metric in Store().client.get_metric_history(run.info.run_id, "epoch/loss")]
        assert sorted(steps) == list(range(1, 301))  # nothing is missing, and nothing came twice
    assert not list(shared.glob("*/trials/*/*"))  # what is over occupies no storage
    here = zoo.tune(
        "regression/linear", "diabetes", quiet=True, fresh=True, hyperparameters={"patience": 300}, **SEARCH
    )
    assert [trial["score"] for trial in trials] == pytest.approx([trial.score for trial in here.trials], rel=1e-5)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"cluster": "127.0.0.1:1"}, "no Ray cluster at 127.0.0.1:1"),
        ({"cluster": "ray://127.0.0.1:1"}, "no Ray cluster at ray://127.0.0.1:1"),
        ({"cluster": "here"}, "HOST:PORT of a cluster's head"),
        ({"storage": "file:///tmp"}, "this option needs --cluster"),
        ({"gpus": 1}, "this option needs --cluster"),
        ({"cluster": "auto", "cpus": 0}, "greater than 0"),
    ],
)
def test_wrong_use(workspace: Path, options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        zoo.tune("regression/linear", "diabetes", quiet=True, figures=False, **options)


def test_storage_holds_what_it_was_sent(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "a.txt").write_text("first")
    storage = Storage((tmp_path / "there").as_uri(), "search")
    storage.send_folder(tmp_path / "here", "trials/0")
    (tmp_path / "here" / "a.txt").write_text("second")
    storage.send(tmp_path / "here" / "a.txt", "trials/0/a.txt")
    storage.fetch_folder("trials/0", tmp_path / "back")
    assert [(path.name, path.read_text()) for path in (tmp_path / "back").iterdir()] == [("a.txt", "second")]
    storage.drop("trials/0")
    storage.fetch_folder("trials/0", tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()
    with pytest.raises(UsageError, match="Protocol not known"):
        Storage("nowhere://x", "search")
    (tmp_path / "file").write_text("")
    with pytest.raises(JobError, match=r"the storage file://.* failed"):
        Storage((tmp_path / "file").as_uri(), "search").send(tmp_path / "file", "a/b")


def write_twice(channel: Any, payload: dict[str, Any]) -> str:
    folder = Path(payload["folder"])
    before = (folder / "checkpoint.bin").read_text() if (folder / "checkpoint.bin").exists() else ""
    (folder / "checkpoint.bin").write_text(f"{before}x")
    channel.send({"data": Path(payload["data"], "dataset.json").read_text()})
    return before


def work_until_done(worker: RayWorker, requests: list[dict[str, Any]]) -> list[tuple[str, str, Any]]:
    events: list[tuple[str, str, Any]] = []
    while not any(kind not in ("message", "error") for _, kind, _ in events):
        events += worker.work(requests, 0.5)
        requests = []
    return events


def test_a_place_fetches_what_a_trial_needs_and_sends_what_it_writes(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "dataset.json").write_text("{}")
    url = (tmp_path / "there").as_uri()
    Storage(url, "search").send_folder(tmp_path / "data", "data")
    call = pack_call(write_twice, {"folder": "trials/0", "data": "data"})
    request = {"key": "0", "call": call, "folder": "trials/0", "memory_bytes": None}
    for before in ("", "x", "xx"):  # each place stands for another node
        worker = RayWorker(
            "/of/the/driver", Storage(url, "search"), f"test-{os.getpid()}-{len(before)}", list_node_versions(), ()
        )
        events = work_until_done(worker, [request])
        worker.close()
        monkeypatch.chdir(tmp_path)
        assert events == [("0", "message", {"data": "{}"}), ("0", "done", before)]
        assert (tmp_path / "there" / "search" / "trials" / "0" / "checkpoint.bin").read_text() == f"{before}x"
    elsewhere = RayWorker(str(tmp_path / "not" / "shared"), None, "test", list_node_versions(), ())
    ((_, kind, error),) = elsewhere.work([request], 0.1)
    assert (kind, "cannot read" in error["message"]) == ("error", True)
    older = RayWorker(str(tmp_path), None, "test", {**list_node_versions(), "keras": "2.0"}, ())
    ((_, kind, error),) = older.work([request], 0.1)
    assert (kind, "but the driver has keras 2.0" in error["message"]) == ("error", True)
