"""The commands of the task association."""

from typing import Literal

from zoo.jobs.commands import Command
from zoo.jobs.job import Job
from zoo.jobs.option import declare_option


class SimilarJob(Job):
    """Items that go with the same other items as a given one."""

    command: Literal["similar"] = "similar"
    run: str = declare_option(..., "A run of association.")
    item: tuple[str, ...] = declare_option((), "An item; may be repeated.", metavar="ITEM")
    n: int = declare_option(10, "Number of similar items; default 10.", name="-n", ge=1, le=10_000)


COMMANDS = (
    Command(
        "similar",
        SimilarJob,
        "zoo.tasks.association._command_similar:find_similar",
        "Show the items that are most similar to an item, by the model of RUN.",
    ),
)
