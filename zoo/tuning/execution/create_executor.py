"""Where a search's trials run: in processes of this machine, or on the nodes of a cluster."""

from __future__ import annotations

import os

from zoo.data.limits import memory_at_hand
from zoo.jobs.search_options import TuneJob
from zoo.running.search_progress import SearchProgress
from zoo.tuning.execution.executor import TrialExecutor
from zoo.tuning.execution.ray_executor import RayExecutor, room_for
from zoo.tuning.execution.worker_processes import WorkerProcesses
from zoo.tuning.storage.search_folder import SearchFolder

# Modules that every trial needs: the server imports them once.
PRELOAD = ("tensorflow", "keras", "keras_tuner", "pandas", "zoo.tuning.trial", "zoo.supervised.supervised_task")
WORKER_BYTES = 512 << 20  # of a trial's process beside what it shares with the others


def create_executor(job: TuneJob, folder: SearchFolder) -> TrialExecutor:
    """Return the slots that a search's trials run in."""
    if job.cluster is None:
        overlap = not _has_gpu() and _room(job) > job.workers
        return WorkerProcesses(job.workers, folder=folder.path / "calls", preload=PRELOAD, overlap=overlap)
    return RayExecutor(job.workers, folder=folder.path, storage=folder.storage, needs=needs_of(job), preload=PRELOAD)


def _has_gpu() -> bool:
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def _room(job: TuneJob) -> int:
    """How many trials' processes there is memory for."""
    return int(memory_at_hand() // _bytes_of(job))


def _bytes_of(job: TuneJob) -> int:
    return job.memory_bytes or WORKER_BYTES


def needs_of(job: TuneJob) -> dict[str, float]:
    """Return what a trial occupies of a cluster, as Ray names it."""
    needs = {"CPU": job.cpus, "GPU": job.gpus}
    return needs if job.memory_bytes is None else {**needs, "memory": float(job.memory_bytes)}


def threads_of(job: TuneJob) -> int | None:
    """Return the threads of one worker; None leaves TensorFlow its own choice."""
    if job.cluster is not None:
        return max(1, int(job.cpus))
    return max(1, (os.cpu_count() or 1) // job.workers) if job.workers > 1 else None


def with_room(job: TuneJob, progress: SearchProgress) -> TuneJob:
    """Return the job with as many workers as it has trials and room for, and say where there is too little room.

    A cluster may grow: what finds no room there now waits for it.
    """
    if job.cluster is not None:
        return _with_cluster(job, progress)
    job = job.model_copy(update={"workers": min(job.workers, job.trials)})
    each, most = _bytes_of(job), max(1, _room(job))
    if job.workers <= most:
        return job
    gib = 1 << 30
    progress.say(
        f"note: {job.workers} workers of {each / gib:.2g} GiB each would need more than the "
        f"{memory_at_hand() / gib:.2g} GiB of memory at hand: {most} at a time"
    )
    return job.model_copy(update={"workers": most})


def _with_cluster(job: TuneJob, progress: SearchProgress) -> TuneJob:
    room = room_for(needs_of(job))
    asked = job.workers if "workers" in job.model_fields_set else None
    if room == 0:
        progress.say("note: no node of the cluster has room for one trial (--cpus, --gpus, --memory): waiting for one")
    elif asked is not None and asked > room:
        progress.say(f"note: the cluster has room for {room} of {asked} trials at a time; the others wait for it")
    return job.model_copy(update={"workers": asked or max(room, 1)})
