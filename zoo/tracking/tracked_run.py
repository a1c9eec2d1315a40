"""A recorder that writes to MLflow: scores of each epoch in batches, and everything else on a run's page."""

from __future__ import annotations

import getpass
import json
import math
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, get_args

from zoo.data.dataset import Dataset
from zoo.saving.abandoned_files import open_temporary_folder
from zoo.saving.environment_files import add_environment_digests
from zoo.saving.model import Model
from zoo.saving.model_folder import save_model
from zoo.task import load_task
from zoo.text import remove_passwords
from zoo.tracking.artifacts import remove_unfinished
from zoo.tracking.offline_client import ModelLeftBehindError
from zoo.tracking.process_tags import create_process_tags
from zoo.tracking.store import PARENT_TAG, Store
from zoo.tracking.store_failures import explain_failure
from zoo.tracking.system_metrics import SystemMetrics
from zoo.tracking.tags import GIT_CHANGED_TAG, MACHINE_TAG, PYTHON_TAG, VERSION_TAG, pack_details
from zoo.training.recorder import Recorder
from zoo.version import __version__

FLUSH_S = 3.0
PACKAGES = ("keras-task-zoo", "tensorflow", "keras", "keras-tuner", "mlflow", "numpy", "pandas", "scikit-learn")
PARAM_LENGTH = 500
_INVALID_CHARACTERS = re.compile(r"[^\w\-. :/]")  # not allowed in a metric's name, but possible in that of a class
TABLES_TAG = "mlflow.loggedArtifacts"
SCHEMA_COLUMNS = 500  # MLflow keeps 65,535 characters of a schema


class TrackedRun(Recorder):
    """One run in MLflow.

    Args:
        store: Where runs are kept.
        run: MLflow's run.
    """

    def __init__(self, store: Store, run: Any) -> None:
        self.store, self.run_id = store, run.info.run_id
        self.experiment_id, self.artifact_uri = run.info.experiment_id, run.info.artifact_uri
        self._params = set(run.data.params)
        self._pending: list[Any] = []
        self._curves: dict[str, set[int]] = {}  # recorded epochs of each metric
        self._links: dict[str, str] = {}  # model and data set that final scores belong to
        self._system: SystemMetrics | None = None
        self._flushed = time.monotonic()

    @classmethod
    def create(
        cls, store: Store, experiment: Any, name: str, *, tags: Mapping[str, str], parent: str | None = None
    ) -> TrackedRun:
        """Create a run; MLflow's active run becomes its parent if no other is given."""
        import mlflow

        if parent is None and mlflow.active_run() is not None:
            parent = mlflow.active_run().info.run_id
        all_tags = pack_details({**create_origin_tags(), **tags, **({PARENT_TAG: parent} if parent else {})})
        run = store.client.create_run(experiment.experiment_id, run_name=name, tags=all_tags)
        tracked = cls(store, run)
        tracked.experiment_id = experiment.experiment_id  # an offline run is in another experiment until it is sent
        return tracked

    @classmethod
    def reopen(cls, store: Store, run_id: str) -> TrackedRun:
        """Reopen an earlier run."""
        tracked = cls(store, store.client.get_run(run_id))
        # Tags first: a RUNNING run with the tags of a dead process would be closed as an orphan.
        tracked.tags(create_process_tags())
        store.client.update_run(run_id, status="RUNNING")
        tracked._read_curves()
        return tracked

    def epoch(self, epoch: int, scores: Mapping[str, float]) -> None:
        """Record the scores of an epoch once; they are written within some seconds.

        After a kill, epochs since the last checkpoint are trained again, to the same scores.
        """
        if self._record({f"epoch/{name}": value for name, value in scores.items()}, epoch) and self._system is not None:
            self._pending += _metrics(self._system.sample(), epoch)
        if time.monotonic() - self._flushed > FLUSH_S:
            self.flush()

    def recall(self, history: Mapping[str, Sequence[float]]) -> None:
        """Record the epochs of a checkpoint that were not written before the process was killed."""
        self.epochs(history)
        self.flush()

    def watch_machine(self) -> None:
        """Record system metrics with each epoch from now on."""
        self._system = SystemMetrics()

    def epochs(self, history: Mapping[str, Sequence[float]]) -> None:
        """Record curves of epochs that ran elsewhere or before, without those recorded already.

        They are written with the next flush.
        """
        for number in range(max(map(len, history.values()), default=0)):
            scores = {f"epoch/{name}": values[number] for name, values in history.items() if number < len(values)}
            self._record(scores, number + 1)

    def _record(self, values: Mapping[str, float], epoch: int) -> bool:
        """Record those metrics of an epoch that are not recorded yet; return whether there were any."""
        new = [metric for metric in _metrics(values, epoch) if epoch not in self._curves.setdefault(metric.key, set())]
        for metric in new:
            self._curves[metric.key].add(epoch)
        self._pending += new
        return bool(new)

    def _read_curves(self) -> None:
        """Read which epochs of which metrics were written; a process may have been killed between any two of them."""
        client = self.store.client
        for name in client.get_run(self.run_id).data.metrics:
            if name.startswith("epoch/"):
                self._curves[name] = {metric.step for metric in client.get_metric_history(self.run_id, name)}

    def flush(self) -> None:
        """Write the pending metrics."""
        pending, self._pending = self._pending, []
        for start in range(0, len(pending), 1000):
            self.store.client.log_batch(self.run_id, metrics=pending[start : start + 1000])
        self._flushed = time.monotonic()

    def drop_pending(self) -> None:
        """Drop metrics that are not written yet; those of epochs are written when the run is resumed."""
        self._pending = []

    def params(self, values: Mapping[str, Any]) -> None:
        """Log parameters; existing ones are not changed."""
        from mlflow.entities import Param

        new = [Param(name, str(value)[:PARAM_LENGTH]) for name, value in values.items() if name not in self._params]
        for start in range(0, len(new), 100):
            self.store.client.log_batch(self.run_id, params=new[start : start + 100])
        self._params.update(values)

    def metrics(self, values: Mapping[str, float]) -> None:
        """Log final scores, each once, linked to the run's model and data set where these were logged before."""
        self._pending += _metrics(values, 0, **self._links)
        self.flush()

    def tags(self, values: Mapping[str, str]) -> None:
        """Set tags."""
        from mlflow.entities import RunTag

        self.store.client.log_batch(self.run_id, tags=[RunTag(name, value) for name, value in values.items()])

    def dataset(self, dataset: Dataset) -> None:
        """Log the data as the run's input: name, digest, source, columns and sizes."""
        self.store.client.log_inputs(self.run_id, [_dataset_input(dataset)])
        self._links |= {"dataset_name": dataset.name, "dataset_digest": dataset.digest}

    def text(self, text: str, path: str) -> None:
        """Log a text as an artifact."""
        with remove_unfinished(self.artifact_uri, path):
            self.store.log_text(self.run_id, text, path)

    def figures(self, figures: Mapping[str, Any]) -> None:
        """Log figures as artifacts, in ``figures/``."""
        for name, figure in figures.items():
            with remove_unfinished(self.artifact_uri, f"figures/{name}.png"):
                self.store.log_figure(self.run_id, figure, f"figures/{name}.png")

    def files(self, folder: Path, path: str) -> None:
        """Log the files of a folder as artifacts, in ``path/``."""
        with remove_unfinished(self.artifact_uri, path):
            self.store.client.log_artifacts(self.run_id, str(folder), path)

    def tables(self, tables: Mapping[str, Any]) -> None:
        """Log frames as tables that MLflow's pages show, in ``tables/``; those of the same names are replaced.

        MLflow's own ``log_table`` would append to what a killed process had written.
        """
        if not tables:
            return
        for name, frame in tables.items():
            text = frame.to_json(orient="split", index=False, default_handler=str)
            self.text(text, f"tables/{name}.json")
        earlier = json.loads(self.store.client.get_run(self.run_id).data.tags.get(TABLES_TAG, "[]"))
        listed = [{"path": f"tables/{name}.json", "type": "table"} for name in tables]
        self.tags({TABLES_TAG: json.dumps([*(item for item in earlier if item not in listed), *listed])})

    def model(self, model: Model, facts: dict[str, Any], example: Any) -> None:
        """Log a model that MLflow can load and serve, with its signature and an example of raw rows."""
        try:
            self._model(model, facts, example)
        except ModelLeftBehindError:
            self._model(model, facts, example)

    def _model(self, model: Model, facts: dict[str, Any], example: Any) -> None:
        from mlflow.entities import LoggedModelOutput

        client = self.store.client
        logged = client.create_logged_model(
            self.experiment_id, name="model", source_run_id=self.run_id, model_type="pyfunc"
        )
        with remove_unfinished(logged.artifact_location):
            with _temporary_folder() as folder:
                write_mlflow_model(
                    folder / "model", model, facts, example, run_id=self.run_id, model_id=logged.model_id
                )
                client.log_model_artifacts(logged.model_id, str(folder / "model"))
            client.finalize_logged_model(logged.model_id, "READY")
        client.log_outputs(self.run_id, [LoggedModelOutput(logged.model_id, 0)])
        self._links["model_id"] = logged.model_id

    def end(self, status: str, reason: str = "") -> None:
        """End the run: FINISHED, FAILED or KILLED."""
        try:
            self.flush()
            if reason:
                self.tags({"zoo.reason": remove_passwords(reason)[:5000]})
        finally:
            self.store.client.set_terminated(self.run_id, status)


@contextmanager
def end_run(run: TrackedRun) -> Iterator[TrackedRun]:
    """End a run in any case: FINISHED, KILLED when interrupted, else FAILED with the reason.

    Raises:
        StorageError: If the disk is full or the store was removed. If not even the status can be stored, the next
            command ends the run.
    """
    try:
        yield run
        run.end("FINISHED")
    except KeyboardInterrupt:
        run.end("KILLED", "interrupted")
        raise
    except BaseException as error:
        failure = explain_failure(error, run.store.opened)
        if failure is None:
            run.end("FAILED", f"{type(error).__name__}: {error}")
            raise
        if run.store.opened.is_removed:
            run.store.drop_state(run.store.state_of(run.run_id))
        with suppress(Exception):
            run.drop_pending()
            run.end("FAILED", f"{type(failure).__name__}: {failure}")
        raise failure from error


def import_model_format() -> None:
    """Import what logging a model needs, before another thread draws figures.

    MLflow hides warnings of the whole process while it is imported, and ``warnings.catch_warnings`` in another thread,
    as Matplotlib has it, would show them again.
    """
    import mlflow.pyfunc  # noqa: F401


def write_mlflow_model(
    path: Path, model: Model, facts: dict[str, Any], example: Any, *, run_id: str, model_id: str
) -> None:
    """Write a folder that MLflow loads: zoo's own, inside a pyfunc whose loader is in the installed package.

    The signature names each column and leaves its type open: a stricter one would refuse an integer
    for a float, and a column of text whose values are all missing, before our own checks.
    """
    import mlflow.pyfunc
    from mlflow.models import Model as MlflowModel
    from mlflow.models import ModelSignature
    from mlflow.types.schema import AnyType, ColSpec, ParamSchema, ParamSpec, Schema

    prediction = model.predict(example)
    params = [ParamSpec("intervals", "double", 0.0)] if model.conformal_quantiles else []
    params += [ParamSpec(name, *typed) for name, typed in _params_of(model).items()]
    signature = ModelSignature(
        Schema([ColSpec(AnyType(), name, required=False) for name in map(str, example.columns)]),
        Schema([ColSpec(AnyType(), str(name)) for name in prediction.columns]),
        ParamSchema(params) if params else None,
    )
    with _temporary_folder() as folder:
        save_model(folder / "zoo", model, facts)
        mlflow.pyfunc.save_model(
            str(path),
            loader_module="zoo.saving.pyfunc",
            data_path=str(folder / "zoo"),
            signature=signature,
            input_example=example,
            pip_requirements=list_requirements(),
            mlflow_model=MlflowModel(run_id=run_id, model_id=model_id),
        )
    add_environment_digests(path)


def _params_of(model: Model) -> dict[str, tuple[str, Any]]:
    """Return MLflow's type and the default of each option of prediction that the model's task has."""
    types = {bool: "boolean", int: "long", float: "double"}
    params = {}
    for name, field in load_task(model.spec.task).predict_options.model_fields.items():
        kinds = [types[kind] for kind in (field.annotation, *get_args(field.annotation)) if kind in types]
        params[name] = (kinds[0] if len(kinds) == 1 else "string", field.get_default(call_default_factory=True))
    return params


def list_requirements() -> list[str]:
    """Return the packages that a model needs, pinned to the installed versions."""
    wanted = ("keras-task-zoo", "tensorflow", "keras", "keras-tuner", "numpy", "pandas")
    return [f"{name}=={number}" for name, number in list_versions().items() if name in wanted]


@cache
def list_versions() -> dict[str, str]:
    """Return the versions of the packages that scores depend on."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:  # a checkout that is not installed
            versions[name] = __version__ if name == "keras-task-zoo" else ""
    return versions


def create_origin_tags() -> dict[str, str]:
    """Return tags for the origin of a run: host, process, user, versions, git commit."""
    tags = {
        **create_process_tags(),
        VERSION_TAG: __version__,
        PYTHON_TAG: platform.python_version(),
        MACHINE_TAG: f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        "mlflow.user": _user(),
        "mlflow.source.name": Path(sys.argv[0]).name or "python",
        "mlflow.source.type": "LOCAL",
    }
    return {**tags, **_git_tags()}


def _user() -> str:
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):  # a container's user may have no name
        return "unknown"


@cache
def _git_tags() -> dict[str, str]:
    def git(*words: str) -> str:
        answer = subprocess.run(["git", *words], capture_output=True, text=True, check=False)
        return answer.stdout.strip()

    try:
        commit = git("rev-parse", "HEAD")
        if not commit:
            return {}
        changed = git("status", "--porcelain", "--untracked-files=no")
    except OSError:  # git is not installed
        return {}
    return {"mlflow.source.git.commit": commit, GIT_CHANGED_TAG: "yes" if changed else "no"}


def _metrics(values: Mapping[str, float], step: int, **links: str) -> list[Any]:
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    cleaned = {_INVALID_CHARACTERS.sub("_", name): value for name, value in values.items()}
    return [Metric(name, float(value), now, step, **links) for name, value in cleaned.items() if not math.isinf(value)]


def _dataset_input(dataset: Dataset) -> Any:
    from mlflow.entities import Dataset as MlflowDataset
    from mlflow.entities import DatasetInput, InputTag

    columns = [{"name": input_.name, "type": input_.kind, "required": True} for input_ in dataset.spec.inputs]
    sizes = {f"num_rows_{name}": rows for name, rows in dataset.sizes.items()}
    entity = MlflowDataset(
        name=dataset.name,
        digest=dataset.digest,
        source_type="local",
        source=json.dumps({"uri": dataset.source}),
        schema=json.dumps({"mlflow_colspec": columns[:SCHEMA_COLUMNS]}),
        profile=json.dumps({"num_rows": sum(sizes.values()), **sizes}),
    )
    return DatasetInput(entity, [InputTag("mlflow.data.context", "training")])


@contextmanager
def _temporary_folder() -> Iterator[Path]:

    with open_temporary_folder() as folder:
        yield folder
