"""The commands of the task language."""

from typing import Literal

from zoo.jobs.commands import Command
from zoo.jobs.job import Job
from zoo.jobs.option import declare_option


class GenerateJob(Job):
    """Texts that a language model generates."""

    command: Literal["generate"] = "generate"
    run: str = declare_option(..., "A run of a language model.")
    prompt: str = declare_option("", "What each text begins with; default nothing.", metavar="TEXT")
    n: int = declare_option(5, "Number of texts.", name="-n", ge=0, le=10_000)
    temperature: float = declare_option(
        1.0, "Below 1 prefers probable tokens; 0 takes the most probable one.", ge=0, le=100
    )
    top_k: int | None = declare_option(None, "Draw from this many most probable tokens only; default all.", ge=1)
    length: int = declare_option(200, "Maximum number of tokens after the prompt.", ge=1, le=100_000)
    seed: int = declare_option(0, "Seed of the draws; default 0.", ge=0)


COMMANDS = (
    Command(
        "generate",
        GenerateJob,
        "zoo.tasks.language._command_generate:generate",
        "Generate texts with the language model of RUN, and show which tokens may come next after a prompt.",
    ),
)
