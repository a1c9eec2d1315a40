"""The options of the task rl."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator

from zoo.errors import UsageError
from zoo.jobs.fit_options import TaskOptions


class Options(TaskOptions):
    """Options of reinforcement learning."""

    unused_by_baselines = ("processes", "envpool", "video", "solved")
    may_change = ("processes",)

    env: dict[str, Any] = Field(default_factory=dict, description="KEY=VALUE that the environment is made with")
    solved: Literal["auto"] | float | None = Field(
        None, description="stop once the mean return reaches this; auto takes the environment's own threshold"
    )
    processes: int | None = Field(
        None,
        ge=1,
        description="processes that step the environments, on Linux; default chosen by the measured time of a step",
    )
    envpool: bool = Field(False, description="step the environments of training by EnvPool (extra envpool)")
    video: bool = Field(False, description="draw an episode at the start, in the middle and at the end of training")

    @field_validator("processes")
    @classmethod
    def _can_fork(cls, value: int | None) -> int | None:
        if value is not None and value > 1 and sys.platform != "linux":
            raise UsageError("several processes need Linux; leave it out", where="processes")
        return value

    @field_validator("env")
    @classmethod
    def _has_no_window(cls, value: dict[str, Any]) -> dict[str, Any]:
        if value.get("render_mode") == "human":
            advice = "zoo play RUN draws an episode of a run, and --video draws some of a training"
            raise UsageError(f"render_mode=human opens a window, which training never does; {advice}", where="env")
        return value

    @field_validator("env", mode="before")
    @classmethod
    def _pairs(cls, value: Any) -> Any:
        """Parse ``KEY=VALUE`` texts, with values as JSON if they are valid JSON."""
        if isinstance(value, Mapping):
            return value
        if not isinstance(value, (str, list, tuple)):
            raise UsageError(f"received {value!r}; it must be KEY=VALUE, or keys and values", where="env")
        pairs = {}
        for text in [value] if isinstance(value, str) else value:
            key, sign, given = str(text).partition("=")
            if not sign or not key:
                raise UsageError(f"received {text!r}; it must be KEY=VALUE, such as max_episode_steps=500", where="env")
            try:
                pairs[key] = json.loads(given)
            except json.JSONDecodeError:
                pairs[key] = given
        return pairs
