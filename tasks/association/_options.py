"""Options of association."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from zoo.jobs.fit_options import TaskOptions
from zoo.task import NEED_A_TARGET

from ._network import MOST_RANKED

REFUSES = {**NEED_A_TARGET, **dict.fromkeys(("target", "positive"), "it predicts the items of baskets")}


class Options(TaskOptions):
    """Options of association."""

    basket: tuple[str, ...] = Field(
        (),
        description="column with the name of the basket that a row belongs to; may be repeated, for a key of several",
    )
    item: str | None = Field(None, description="column of items; without --basket, of all items of a basket")
    items: int = Field(
        10_000, ge=2, description="maximum number of items: the most frequent ones of the training baskets"
    )
    min_support: float | None = Field(
        None, gt=0, le=1, description="fraction of baskets that have all items of a rule; default 0.005 or more"
    )
    min_confidence: float = Field(
        0.1, ge=0, le=1, description="fraction of the baskets with the first items of a rule that have the others too"
    )
    hidden_seed: int = Field(0, ge=0, description="seed of the item that is hidden in each scored basket")

    @field_validator("basket", mode="before")
    @classmethod
    def _as_names(cls, value: Any) -> Any:
        return () if value is None else (value,) if isinstance(value, str) else value


class PredictOptions(TaskOptions):
    """Options of prediction."""

    top_k: int = Field(10, ge=1, le=MOST_RANKED, description="number of items that complete a basket")
