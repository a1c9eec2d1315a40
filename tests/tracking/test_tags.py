"""Tags of a run: few on its page, all of them readable, also those of runs of earlier versions."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from zoo.metrics.direction import Direction
from zoo.stored_runs.run_table import _direction_of
from zoo.tracking.process_tags import create_process_tags, is_running
from zoo.tracking.store import Store
from zoo.tracking.tags import DETAILS_TAG, PROCESS_TAG, STARTED_TAG, pack_details, unpack_tags
from zoo.tracking.tracked_run import TrackedRun, create_origin_tags

TAGS = {"zoo.kind": "train", "zoo.seed": "3", "zoo.objective": "val_rmse", "zoo.direction": "min"}


@pytest.fixture
def tracked(workspace: Path) -> TrackedRun:
    store = Store()
    return TrackedRun.create(store, store.experiment("tags"), "a run", tags=TAGS)


def dead_process() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_details_are_one_tag_and_read_as_many(tracked: TrackedRun) -> None:
    run = tracked.store.run(tracked.run_id)
    assert not {"zoo.seed", PROCESS_TAG} & set(run.data.tags)
    assert {**create_origin_tags(), **TAGS}.items() <= unpack_tags(run).items()
    assert _direction_of(run, "val_rmse") is Direction.MIN


def test_tags_of_earlier_runs_are_read(tracked: TrackedRun) -> None:
    run = tracked.store.client.create_run(tracked.experiment_id, tags=TAGS)
    assert TAGS.items() <= unpack_tags(run).items()
    assert _direction_of(run, "val_rmse") is Direction.MIN


def test_a_resumed_run_belongs_to_its_new_process(tracked: TrackedRun) -> None:
    store, run_id = tracked.store, tracked.run_id
    assert is_running(store.run(run_id))
    dead = {**create_process_tags(), PROCESS_TAG: str(dead_process()), STARTED_TAG: "1"}
    store.client.set_tag(run_id, DETAILS_TAG, pack_details(dead)[DETAILS_TAG])
    assert not is_running(store.run(run_id))
    TrackedRun.reopen(store, run_id)
    store.close_orphans()
    assert is_running(store.run(run_id))


def test_the_run_of_a_dead_process_is_closed(tracked: TrackedRun) -> None:
    store, run_id = tracked.store, tracked.run_id
    store.close_orphans()
    assert store.run(run_id).info.status == "RUNNING"
    dead = {**create_process_tags(), PROCESS_TAG: str(dead_process()), STARTED_TAG: "1"}
    store.client.set_tag(run_id, DETAILS_TAG, pack_details(dead)[DETAILS_TAG])
    store.close_orphans()
    assert store.run(run_id).info.status == "KILLED"
