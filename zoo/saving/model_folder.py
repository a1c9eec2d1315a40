"""A model's folder: a ``.keras`` file and a JSON file with the spec and other facts. No pickle, no code."""

from __future__ import annotations

import json
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from zoo.errors import UsageError, ZooError, shorten_error
from zoo.models.check_saving import explain_unloadable
from zoo.portable.digests import add_digests
from zoo.registry import list_models
from zoo.saving.model import Model
from zoo.saving.model_facts import FACTS_FILE, FORMAT, KERAS_FILE, read_facts
from zoo.spec import Spec
from zoo.task import load_task
from zoo.version import __version__


def save_model(folder: Path, model: Model, facts: dict[str, Any] | None = None) -> None:
    """Write a model's folder.

    Args:
        folder: Created if it does not exist.
        model: The model.
        facts: Other values for the JSON file, such as hyperparameters.

    Raises:
        UsageError: When a user's own model contains code, so that it could not be loaded again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _without_own_losses(model.keras_model):
        model.keras_model.save(folder / KERAS_FILE, include_optimizer=False)
    values = {
        "format": FORMAT,
        "zoo": __version__,
        "model": model.name,
        "spec": json.loads(model.spec.to_json()),
        "limits": list(model.conformal_quantiles),
        **(facts or {}),
    }
    contents = add_digests(values, folder, [folder / KERAS_FILE])
    (folder / FACTS_FILE).write_text(json.dumps(contents, indent=1), encoding="utf-8")


@contextmanager
def _without_own_losses(model: Any) -> Iterator[None]:
    """Leave out of a file how models were compiled with a loss or metric that another process could not load.

    A loaded model only predicts. What is needed to resume training is in checkpoints.
    """
    compiled = [
        layer
        for layer in [model, *model._flatten_layers()]
        if getattr(layer, "compiled", False) and explain_unloadable(layer.get_compile_config()) is not None
    ]
    for layer in compiled:
        layer.compiled = False
    try:
        yield
    finally:
        for layer in compiled:
            layer.compiled = True


def load_model(folder: Path) -> Model:
    """Load the model from a folder that :func:`save_model` wrote.

    Raises:
        UsageError: When there is no model, it was changed, a newer zoo wrote it, or its code is not installed.
    """
    facts = read_facts(folder)
    _check_archive(folder / KERAS_FILE)
    try:
        return _load(folder, facts)
    except ZooError as error:
        raise type(error)(error.message, where=error.where or str(folder), nearest=error.nearest) from error
    except Exception as error:  # Keras and its layers raise errors of any kind for a file that was changed
        message = f"the model cannot be loaded: {type(error).__name__}: {shorten_error(error)}"
        raise UsageError(message, where=str(folder)) from error


def _load(folder: Path, facts: dict[str, Any]) -> Model:
    import keras

    import zoo.networks  # noqa: F401  registers the layers that the file names

    spec = Spec.from_json(json.dumps(facts["spec"]))
    load_task(spec.task)
    for entry in list_models():
        if entry.name == facts["model"]:
            entry.load_build()  # a model's module may register its own layers
    with warnings.catch_warnings():
        # The nested network was compiled; its optimizer was left out on purpose.
        warnings.filterwarnings("ignore", message="Skipping variable loading for optimizer")
        keras_model = keras.saving.load_model(folder / KERAS_FILE, compile=False, safe_mode=True)
    if not isinstance(facts["model"], str):
        raise TypeError(f"its name is {facts['model']!r}")
    return Model(keras_model, spec, facts["model"], list(facts.get("limits", ())))


def _check_archive(file: Path) -> None:
    """Refuse a Keras file whose archive contains paths outside its own folder."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = [PurePosixPath(name) for name in archive.namelist()]
    except (OSError, zipfile.BadZipFile) as error:
        raise UsageError(f"the model cannot be loaded: {error}", where=str(file)) from None
    for name in names:
        if name.is_absolute() or ".." in name.parts:
            raise UsageError(f"the model was changed since it was saved: it contains the path {name}", where=str(file))
