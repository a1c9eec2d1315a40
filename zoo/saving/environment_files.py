"""Digests of the files in a model's folder that say which packages an isolated environment installs."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import yaml

from zoo.errors import UsageError
from zoo.portable.digests import DIGEST, compute_digest
from zoo.saving.model_facts import FACTS_FILE, read_facts

ENVIRONMENT = "environment"
_MLMODEL = "MLmodel"
_FILES = ("conda.yaml", "python_env.yaml", "requirements.txt")


def add_environment_digests(folder: Path) -> None:
    """Add the digests of a model's environment files to its JSON file.

    Args:
        folder: MLflow's folder of the model, with its file ``MLmodel``.
    """
    file = _data_folder(folder) / FACTS_FILE
    facts = json.loads(file.read_text(encoding="utf-8"))
    facts[ENVIRONMENT] = _compute_digests(folder)
    facts[DIGEST] = compute_digest(facts)
    file.write_text(json.dumps(facts, indent=1), encoding="utf-8")


def check_environment(folder: Path) -> None:
    """Refuse a model whose environment files are not those that it was saved with.

    Args:
        folder: MLflow's folder of the model, with its file ``MLmodel``.

    Raises:
        UsageError: When a file was changed or is missing, or the model has no digests of them.
    """
    facts = read_facts(_data_folder(folder))
    if ENVIRONMENT not in facts:
        raise UsageError(
            f"the model was saved by an earlier zoo, without digests of {', '.join(_FILES)}; if you trust these files, "
            "add --unchecked",
            where="isolated",
        )
    present = _compute_digests(folder)
    for name, digest in facts[ENVIRONMENT].items():
        if present.get(name) != digest:
            raise UsageError("the file was changed since the model was saved", where=str(folder / name))


def _data_folder(folder: Path) -> Path:
    return folder / _read_flavors(folder)["python_function"]["data"]


def _read_flavors(folder: Path) -> dict[str, Any]:
    flavors: dict[str, Any] = yaml.safe_load((folder / _MLMODEL).read_text(encoding="utf-8"))["flavors"]
    return flavors


def _compute_digests(folder: Path) -> dict[str, str]:
    """Return the digest of each environment file that exists, and of what ``MLmodel`` says of loader and environment.

    Not of the whole ``MLmodel``: it also names the run, whose id changes when it is sent to a server later.
    """
    contents = {name: (folder / name).read_bytes() for name in _FILES if (folder / name).is_file()}
    contents[_MLMODEL] = json.dumps(_read_flavors(folder), sort_keys=True).encode()
    return {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
