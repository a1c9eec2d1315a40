"""Digests that tell whether a folder is as it was written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

DIGEST, FILES = "digest", "files"


def with_digests(facts: Mapping[str, Any], folder: Path, files: Iterable[Path]) -> dict[str, Any]:
    """Return facts with the digests of files (``files``) and of themselves (``digest``), as JSON holds them.

    Args:
        facts: What goes into the folder's JSON file.
        folder: Holds that file.
        files: The files, in the folder or below.
    """
    held = {path.relative_to(folder).as_posix(): _digest_of_file(path) for path in sorted(files)}
    told: dict[str, Any] = json.loads(json.dumps({**facts, FILES: held}))
    return {**told, DIGEST: digest_of_facts(told)}


def check_digests(facts: Mapping[str, Any], file: Path) -> None:
    """Refuse a folder in which something was changed, that lacks a file, or that names one outside of it.

    Args:
        facts: From :func:`with_digests`.
        file: The JSON file that they stand in.

    Raises:
        ValueError: With the file and the reason.
    """
    folder = file.parent
    if facts.get(DIGEST) != digest_of_facts(facts):
        raise ValueError(f"{file} is not as it was written: its digest is another")
    for name, digest in facts[FILES].items():
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            raise ValueError(f"{file} names a file outside of the folder: {name}")
        if not path.is_file() or _digest_of_file(path) != digest:
            raise ValueError(f"{path} is not as it was written: its digest is another, or it is not there")


def check_nothing_more(facts: Mapping[str, Any], file: Path, name: str) -> None:
    """Refuse what lies in a model's own folder and was not written with it.

    Args:
        facts: From :func:`with_digests`.
        file: The JSON file that they stand in.
        name: The model's file or folder.

    Raises:
        ValueError: With the file.
    """
    folder = file.parent
    if not (folder / name).resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{file} names a file outside of the folder: {name}")
    held = {path.relative_to(folder).as_posix() for path in (folder / name).rglob("*") if not path.is_dir()}
    if more := sorted(held - set(facts[FILES])):
        raise ValueError(f"{folder / more[0]} was not written with the model")


def digest_of_facts(facts: Mapping[str, Any]) -> str:
    """Return the digest of facts, but for the digest itself."""
    known = {name: value for name, value in facts.items() if name != DIGEST}
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


def _digest_of_file(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
