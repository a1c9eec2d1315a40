"""Digests that detect changes in an exported folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

DIGEST, FILES = "digest", "files"


def add_digests(facts: Mapping[str, Any], folder: Path, files: Iterable[Path]) -> dict[str, Any]:
    """Return facts with the digests of files (``files``) and a digest of the facts (``digest``), as in JSON.

    Args:
        facts: Content of the folder's JSON file.
        folder: The folder.
        files: Files in the folder or in its subfolders.
    """
    digests = {path.relative_to(folder).as_posix(): _digest_of_file(path) for path in sorted(files)}
    content: dict[str, Any] = json.loads(json.dumps({**facts, FILES: digests}))
    return {**content, DIGEST: compute_digest(content)}


def check_digests(facts: Mapping[str, Any], file: Path) -> None:
    """Raise an error if a folder was changed, lacks a file, or refers to a file outside of it.

    Args:
        facts: From :func:`add_digests`.
        file: The JSON file with the facts.

    Raises:
        ValueError: With the file and the reason.
    """
    folder = file.parent
    if facts.get(DIGEST) != compute_digest(facts):
        raise ValueError(f"{file} was changed: its digest differs")
    for name, digest in facts[FILES].items():
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            raise ValueError(f"{file} refers to a file outside of the folder: {name}")
        if not path.is_file() or _digest_of_file(path) != digest:
            raise ValueError(f"{path} was changed or is missing")


def check_nothing_more(facts: Mapping[str, Any], file: Path, name: str) -> None:
    """Raise an error if a model's folder has files that were not exported with it.

    Args:
        facts: From :func:`add_digests`.
        file: The JSON file with the facts.
        name: The model's file or folder.

    Raises:
        ValueError: With the additional file.
    """
    folder = file.parent
    if not (folder / name).resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{file} refers to a file outside of the folder: {name}")
    files = {path.relative_to(folder).as_posix() for path in (folder / name).rglob("*") if not path.is_dir()}
    if more := sorted(files - set(facts[FILES])):
        raise ValueError(f"{folder / more[0]} was not exported with the model")


def compute_digest(facts: Mapping[str, Any]) -> str:
    """Return the digest of facts, without the digest itself."""
    content = {name: value for name, value in facts.items() if name != DIGEST}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _digest_of_file(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
