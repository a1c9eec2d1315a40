"""MLflow's model registry: versions of named models, and their aliases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from zoo.errors import UsageError
from zoo.tracking.store import Store


@dataclass(frozen=True)
class Version:
    """A version of a registered model.

    Args:
        name: The model's name.
        number: Counted from 1.
        run_id: MLflow's id of the run that made the model.
    """

    name: str
    number: int
    run_id: str


def register_version(store: Store, name: str, run_id: str) -> Version:
    """Return the registered version of a run's model; create it if it does not exist.

    Args:
        store: Where the run is.
        name: Name of the registered model.
        run_id: MLflow's id of the run.

    Raises:
        UsageError: When MLflow does not accept the name.
    """
    from mlflow.exceptions import MlflowException

    if not name or "'" in name or "/" in name or ":" in name or "@" in name:
        raise UsageError(
            f"received {name!r}; the name of a registered model must not contain quotes, slashes, colons or @",
            where="name",
        )
    matches = [version for version in _versions(store, name) if version.run_id == run_id]
    if matches:
        return matches[0]
    outputs = store.client.get_run(run_id).outputs.model_outputs
    if not outputs:
        raise UsageError(f"run {run_id} has no model", where="run")
    model_id = outputs[-1].model_id
    try:
        if not store.client.search_registered_models(f"name = '{name}'"):
            _create_model(store, name)
        registered = store.client.create_model_version(
            name, f"models:/{model_id}", run_id, await_creation_for=0, model_id=model_id
        )
    except MlflowException as error:
        raise UsageError(f"MLflow does not accept the name {name!r}: {error.message}", where="name") from None
    return Version(name, int(registered.version), run_id)


def find_version(store: Store, name: str, alias: str) -> Version | None:
    """Return the version that an alias points to, or None."""
    from mlflow.exceptions import MlflowException

    try:
        model_version = store.client.get_model_version_by_alias(name, alias)
    except MlflowException:
        return None
    return _version(model_version)


def set_alias(store: Store, version: Version, alias: str) -> None:
    """Point an alias to a version.

    Raises:
        UsageError: When MLflow does not accept the alias.
    """
    from mlflow.exceptions import MlflowException

    try:
        store.client.set_registered_model_alias(version.name, alias, str(version.number))
    except MlflowException as error:
        raise UsageError(f"MLflow does not accept the alias {alias!r}: {error.message}", where="alias") from None


def describe_version(store: Store, version: Version, text: str) -> None:
    """Set the description of a version in the registry."""
    store.client.update_model_version(version.name, str(version.number), text)


def _create_model(store: Store, name: str) -> None:
    """Create a registered model; another process may have created it in the meantime."""
    from mlflow.exceptions import MlflowException

    try:
        store.client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _versions(store: Store, name: str) -> list[Version]:
    return [_version(model_version) for model_version in store.client.search_model_versions(f"name = '{name}'")]


def _version(model_version: Any) -> Version:
    return Version(model_version.name, int(model_version.version), model_version.run_id)
