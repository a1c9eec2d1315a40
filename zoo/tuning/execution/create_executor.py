"""Choice of the executor of a search's trials: processes on this machine, or the nodes of a cluster."""

from __future__ import annotations

import os

from zoo.data.limits import measure_available_memory
from zoo.jobs.search_options import TuneJob
from zoo.running.search_progress import SearchProgress
from zoo.tuning.execution.executor import TrialExecutor
from zoo.tuning.execution.ray_executor import RayExecutor, count_room
from zoo.tuning.execution.worker_processes import WorkerProcesses
from zoo.tuning.storage.search_folder import SearchFolder

# Modules that every trial needs: the server imports them once.
PRELOAD = ("tensorflow", "keras", "keras_tuner", "pandas", "zoo.tuning.trial", "zoo.supervised.supervised_task")
WORKER_BYTES = 512 << 20  # of a trial's process, without the memory shared between processes


def create_executor(job: TuneJob, folder: SearchFolder) -> TrialExecutor:
    """Return the executor that runs a search's trials."""
    if job.cluster is None:
        overlap = not _has_gpu() and _room(job) > job.workers
        return WorkerProcesses(job.workers, folder=folder.path / "calls", preload=PRELOAD, overlap=overlap)
    return RayExecutor(job.workers, folder=folder.path, storage=folder.storage, needs=list_needs(job), preload=PRELOAD)


def _has_gpu() -> bool:
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def _room(job: TuneJob) -> int:
    """Return the number of trial processes that fit into memory."""
    return int(measure_available_memory() // _bytes_of(job))


def _bytes_of(job: TuneJob) -> int:
    return job.memory_bytes or WORKER_BYTES


def list_needs(job: TuneJob) -> dict[str, float]:
    """Return the resources that a trial needs on a cluster, under Ray's names."""
    needs = {"CPU": job.cpus, "GPU": job.gpus}
    return needs if job.memory_bytes is None else {**needs, "memory": float(job.memory_bytes)}


def choose_threads(job: TuneJob) -> int | None:
    """Return the number of threads of one worker; None leaves the choice to TensorFlow."""
    if job.cluster is not None:
        return max(1, int(job.cpus))
    return max(1, (os.cpu_count() or 1) // job.workers) if job.workers > 1 else None


def limit_workers(job: TuneJob, progress: SearchProgress) -> TuneJob:
    """Limit a job's workers to its trials and to the memory available, with a note when memory is short.

    A cluster may grow, so trials that do not fit there now wait for resources.
    """
    if job.cluster is not None:
        return _with_cluster(job, progress)
    job = job.model_copy(update={"workers": min(job.workers, job.most_trials)})
    each, most = _bytes_of(job), max(1, _room(job))
    if job.workers <= most:
        return job
    gib = 1 << 30
    progress.say(
        f"note: {job.workers} workers of {each / gib:.2g} GiB each need more than the "
        f"{measure_available_memory() / gib:.2g} GiB of memory available; running {most} at a time"
    )
    return job.model_copy(update={"workers": most})


def _with_cluster(job: TuneJob, progress: SearchProgress) -> TuneJob:
    room = count_room(list_needs(job))
    asked = job.workers if "workers" in job.model_fields_set else None
    if room == 0:
        progress.say("note: no node of the cluster can run a trial (--cpus, --gpus, --memory); waiting for one")
    elif asked is not None and asked > room:
        progress.say(f"note: the cluster can run {room} of {asked} trials at a time; the others wait")
    return job.model_copy(update={"workers": asked or max(room, 1)})
