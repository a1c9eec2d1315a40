"""The command ``similar``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from zoo.errors import DataError, UsageError, find_nearest_name
from zoo.models.built_model import find_network
from zoo.spec import TextInput
from zoo.stored_runs.lookup import load
from zoo.text import convert_to_plain

from ._commands import SimilarJob
from ._layers import SumItems
from ._network import COMPLETION, ITEMS


@dataclass(frozen=True)
class Similar:
    """The items that are most similar to given ones.

    Args:
        table: ``item``, ``similar`` and ``similarity`` (the cosine of their embeddings), the greatest first.
    """

    table: pd.DataFrame

    def as_dict(self) -> dict[str, Any]:
        """Return what ``zoo similar --json`` prints."""
        return convert_to_plain({"similar": self.table.to_dict("records")})

    def __str__(self) -> str:
        lines = []
        for item, rows in self.table.groupby("item", sort=False):
            pairs = zip(rows["similar"], rows["similarity"], strict=True)
            lines.append(f"{item}: " + ", ".join(f"{other} {value:.3f}" for other, value in pairs))
        return "\n".join(lines)


def find_similar(job: SimilarJob) -> Similar:
    """Return the items whose embeddings have the greatest cosine with that of each given item.

    Args:
        job: The job.

    Raises:
        UsageError: If no item is given, or the run is of another task.
        DataError: If the model does not know an item.
    """
    if not job.item:
        raise UsageError("similar to which item? Use --item ITEM", where="item")
    model = load(job.run)
    if model.spec.task != "association":
        message = f"run {job.run} is of {model.name}; similar items need a model of baskets, such as association/elsa"
        raise UsageError(message, where="run")
    items = model.spec.only(TextInput).vocabulary
    layer = find_network(model.keras_model).get_layer(COMPLETION).get_layer(ITEMS)
    return Similar(rank_similar(layer, items, job.item, job.n))


def rank_similar(layer: SumItems, items: Sequence[str], wanted: Sequence[str], count: int) -> pd.DataFrame:
    """Return the most similar items of each wanted one, with the cosine of their embeddings.

    Args:
        layer: The layer with the embeddings.
        items: Name of each item.
        wanted: Names of the items to compare with.
        count: Number of similar items of each.

    Raises:
        DataError: If an item is unknown.
    """
    places = {item: place for place, item in enumerate(items)}
    vectors = np.asarray(layer.embeddings(), np.float64)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    rows = []
    for item in wanted:
        if item not in places:
            message = f"{item!r} is not among the {len(items):,} items of the training baskets"
            raise DataError(message, where="item", nearest=find_nearest_name(item, list(items)))
        cosines = vectors @ vectors[places[item]]
        cosines[places[item]] = -np.inf
        best = np.argsort(-cosines, kind="stable")[: min(count, len(items) - 1)]
        rows += [(item, items[place], round(float(cosines[place]), 6)) for place in best]
    return pd.DataFrame(rows, columns=["item", "similar", "similarity"])
