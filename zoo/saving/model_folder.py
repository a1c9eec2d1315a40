"""A model's folder: a ``.keras`` file and a JSON of what surrounds it. No pickle, no code."""

from __future__ import annotations

import json
import warnings
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

from zoo.errors import UsageError
from zoo.portable.digests import DIGEST, check_digests, with_digests
from zoo.registry import list_models, load_build
from zoo.saving.model import Model
from zoo.spec import Spec
from zoo.task import task_of
from zoo.version import __version__

# 2 has digests; 1, of before, is read as it is.
FORMAT = 2
KERAS_FILE, FACTS_FILE = "model.keras", "zoo.json"


def save_model(folder: Path, model: Model, facts: dict[str, Any] | None = None) -> None:
    """Write a model's folder.

    Args:
        folder: Made when it is not there.
        model: The model.
        facts: What else shall stand in the JSON, such as hyperparameters.

    Raises:
        UsageError: When a user's own model cannot be loaded again, since it holds code.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # The whole model's optimizer is the network's; what is needed to go on training is in checkpoints.
    model.keras_model.save(folder / KERAS_FILE, include_optimizer=False)
    values = {
        "format": FORMAT,
        "zoo": __version__,
        "model": model.name,
        "spec": json.loads(model.spec.to_json()),
        "limits": list(model.conformal_quantiles),
        **(facts or {}),
    }
    told = with_digests(values, folder, [folder / KERAS_FILE])
    (folder / FACTS_FILE).write_text(json.dumps(told, indent=1), encoding="utf-8")


def load_model(folder: Path) -> Model:
    """Return the model in a folder that :func:`save_model` wrote.

    Raises:
        UsageError: When there is none, somebody changed it, a newer zoo wrote it, or it needs code that is not there.
    """
    facts = _facts(folder)
    _check_archive(folder / KERAS_FILE)
    import keras

    import zoo.networks  # noqa: F401  registers the layers that the file names

    spec = Spec.from_json(json.dumps(facts["spec"]))
    task_of(spec.task)
    if facts["model"] in {entry.name for entry in list_models()}:
        load_build(facts["model"])  # a model's file may register layers of its own
    try:
        with warnings.catch_warnings():
            # The network inside remembers that it was compiled; its optimizer was left out on purpose.
            warnings.filterwarnings("ignore", message="Skipping variable loading for optimizer")
            whole = keras.saving.load_model(folder / KERAS_FILE, compile=False, safe_mode=True)
    except (TypeError, ValueError) as error:
        raise UsageError(f"the model cannot be loaded: {str(error).splitlines()[0]}", where=str(folder)) from None
    return Model(whole, spec, facts["model"], facts.get("limits", ()))


def _facts(folder: Path) -> dict[str, Any]:
    """What the JSON says, once the folder is found to be as it was written."""
    file = folder / FACTS_FILE
    if not file.is_file():
        raise UsageError(f"no model of zoo lies there: it has no {FACTS_FILE}", where=str(folder))
    try:
        facts: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        if facts["format"] > FORMAT:
            raise UsageError(
                f"this model's folder has format {facts['format']}, which zoo {facts['zoo']} wrote; "
                f"this is zoo {__version__}, which reads formats up to {FORMAT}",
                where=str(folder),
            )
        if facts["format"] >= 2 or DIGEST in facts:
            check_digests(facts, file)
    except (ValueError, KeyError, TypeError) as error:  # no JSON, or another one
        raise UsageError(f"the model was changed since it was saved: {error}", where=str(folder)) from None
    return facts


def _check_archive(file: Path) -> None:
    """Refuse a file of Keras that holds another path than its own: it is an archive, and is unpacked somewhere."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = [PurePosixPath(name) for name in archive.namelist()]
    except (OSError, zipfile.BadZipFile) as error:
        raise UsageError(f"the model cannot be loaded: {error}", where=str(file)) from None
    for name in names:
        if name.is_absolute() or ".." in name.parts:
            raise UsageError(f"the model was changed since it was saved: it holds the path {name}", where=str(file))
