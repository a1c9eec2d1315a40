"""The command ``list``, written by hand, for it loads nothing but the names of files."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from zoo.cli.app import app
from zoo.cli.printing import Json, print_result
from zoo.errors import UsageError
from zoo.registry import list_models


@dataclass
class ModelList:
    """Models with a one-line summary each."""

    models: list[dict[str, str]]

    def as_dict(self) -> dict[str, Any]:
        """Return what ``zoo list --json`` prints."""
        return {"models": self.models}

    def __str__(self) -> str:
        width = max((len(model["model"]) for model in self.models), default=0) + 2
        return "\n".join(f"{model['model']:<{width}}{model['summary']}" for model in self.models)


def match_models(pattern: str) -> ModelList:
    """Return the models whose name matches a pattern; a file that is not Python is reported and left out."""
    models = []
    for entry in list_models(pattern):
        try:
            models.append({"model": entry.name, "summary": entry.summary})
        except UsageError as error:
            print(f"zoo: {error}", file=sys.stderr)
    return ModelList(models)


def run_list(job: Any) -> ModelList:
    """Run a :class:`zoo.jobs.describe_jobs.ListJob`."""
    return match_models(job.pattern)


@app.command("list")
def list_command(pattern: Annotated[str, typer.Argument()] = "*", as_json: Json = False) -> None:
    """List the models whose name matches PATTERN, with a one-line summary each."""
    models = match_models(pattern)
    print_result(models, as_json)
    if not models.models and not as_json:
        print("no model matches this name", file=sys.stderr)
