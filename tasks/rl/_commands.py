"""The commands of the task rl."""

from typing import Literal

from zoo.jobs.commands import Command
from zoo.jobs.job import Job
from zoo.jobs.option import declare_option


class PlayJob(Job):
    """An episode that an agent plays."""

    command: Literal["play"] = "play"
    run: str = declare_option(..., "A run of an agent.")
    seed: int = declare_option(0, "Seed of the episode; default 0.", ge=0)
    output: str | None = declare_option(
        None, "An animation of the episode, a .gif file; default RUN-SEED.gif.", metavar="PATH"
    )
    most_steps: int = declare_option(10_000, "Steps after which the episode is left; default 10,000.", ge=1)


COMMANDS = (
    Command(
        "play",
        PlayJob,
        "zoo.tasks.rl._command_play:play",
        "Play an episode with the agent of RUN, and draw it as an animation if the environment can be drawn.",
    ),
)
