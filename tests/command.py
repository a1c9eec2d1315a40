"""The command line as a test sees it: status, standard output, standard error."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest


@dataclass
class Answer:
    """What a command gave."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON object on standard output."""
        return json.loads(self.out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
