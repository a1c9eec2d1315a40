"""MLflow's model registry: versions of named models, and the aliases that point at them."""

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
        run_id: MLflow's id of the run that it came from.
    """

    name: str
    number: int
    run_id: str


def register_version(store: Store, name: str, run_id: str) -> Version:
    """Return the version of a model that a run's model is; made where there is none yet.

    Args:
        store: Where the run is.
        name: Name of the registered model.
        run_id: MLflow's id of the run.

    Raises:
        UsageError: When MLflow does not take the name.
    """
    from mlflow.exceptions import MlflowException

    if not name or "'" in name or "/" in name or ":" in name or "@" in name:
        raise UsageError(
            f"received {name!r}; the name of a registered model has no quotes, strokes, colons or @", where="name"
        )
    known = [found for found in _versions(store, name) if found.run_id == run_id]
    if known:
        return known[0]
    outputs = store.client.get_run(run_id).outputs.model_outputs
    if not outputs:
        raise UsageError(f"run {run_id} has no model", where="run")
    model_id = outputs[-1].model_id
    try:
        if not store.client.search_registered_models(f"name = '{name}'"):
            store.client.create_registered_model(name)
        made = store.client.create_model_version(
            name, f"models:/{model_id}", run_id, await_creation_for=0, model_id=model_id
        )
    except MlflowException as error:
        raise UsageError(f"MLflow does not take the name {name!r}: {error.message}", where="name") from None
    return Version(name, int(made.version), run_id)


def holder_of(store: Store, name: str, alias: str) -> Version | None:
    """Return the version that an alias points at; None where it points at none."""
    from mlflow.exceptions import MlflowException

    try:
        found = store.client.get_model_version_by_alias(name, alias)
    except MlflowException:
        return None
    return _version(found)


def set_alias(store: Store, version: Version, alias: str) -> None:
    """Point an alias at a version.

    Raises:
        UsageError: When MLflow does not take the alias.
    """
    from mlflow.exceptions import MlflowException

    try:
        store.client.set_registered_model_alias(version.name, alias, str(version.number))
    except MlflowException as error:
        raise UsageError(f"MLflow does not take the alias {alias!r}: {error.message}", where="alias") from None


def describe_version(store: Store, version: Version, text: str) -> None:
    """Say in the registry what a version is, or why it does not have an alias."""
    store.client.update_model_version(version.name, str(version.number), text)


def _versions(store: Store, name: str) -> list[Version]:
    return [_version(found) for found in store.client.search_model_versions(f"name = '{name}'")]


def _version(found: Any) -> Version:
    return Version(found.name, int(found.version), found.run_id)
