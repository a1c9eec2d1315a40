"""The JSON file in a model's folder: its format, its spec, and the digests that detect changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from zoo.errors import UsageError
from zoo.portable.digests import DIGEST, check_digests
from zoo.version import __version__

# 2 has digests; 1, the older format, is read without checks.
FORMAT = 2
KERAS_FILE, FACTS_FILE = "model.keras", "zoo.json"


def read_facts(folder: Path) -> dict[str, Any]:
    """Return the content of the JSON file of a folder that :func:`zoo.saving.model_folder.save_model` wrote.

    Raises:
        UsageError: When there is no model, it was changed, or a newer zoo wrote it.
    """
    file = folder / FACTS_FILE
    if not file.is_file():
        raise UsageError(f"no model of zoo here: the folder has no {FACTS_FILE}", where=str(folder))
    try:
        facts: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        if facts["format"] > FORMAT:
            raise UsageError(
                f"this model's folder has format {facts['format']}, written by zoo {facts['zoo']}; "
                f"this is zoo {__version__}, which reads formats up to {FORMAT}",
                where=str(folder),
            )
        if facts["format"] >= 2 or DIGEST in facts:
            check_digests(facts, file)
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
    ) as error:  # not JSON, or JSON of another kind
        raise UsageError(f"the model was changed since it was saved: {error}", where=str(folder)) from None
    return facts
