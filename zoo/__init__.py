"""zoo: a registry of Keras task builders, tuned by KerasTuner, tracked by MLflow.

    >>> import zoo
    >>> run = zoo.train("classification/mlp", "wine")  # doctest: +SKIP

Nothing heavy is imported before it is needed: names are looked up when they are first used.
"""

from pathlib import Path as _Path
from typing import TYPE_CHECKING, Any

from zoo.errors import DataError, JobError, UsageError, ZooError
from zoo.jobs.commands import COMMANDS as _COMMANDS
from zoo.version import __version__

if not (_Path(__file__).parent / "tasks").is_dir():  # a checkout: the catalogue lies beside this folder
    __path__.append(str(_Path(__file__).parent.parent))

if TYPE_CHECKING:
    from zoo.comparing.compare import compare as compare
    from zoo.comparing.study import study as study
    from zoo.fitting.describe_model import arrays as arrays
    from zoo.fitting.describe_model import build as build
    from zoo.fitting.describe_model import describe as describe
    from zoo.fitting.describe_model import hypermodel as hypermodel
    from zoo.fitting.describe_model import spec_of as spec_of
    from zoo.registry import list_models as list_models
    from zoo.running.data_report import data_report as data_report
    from zoo.running.dispatch import train as train
    from zoo.running.reproduce import reproduce as reproduce
    from zoo.running.run_job import run_job as run_job
    from zoo.serving.card import card as card
    from zoo.serving.export import export as export
    from zoo.serving.register import register as register
    from zoo.stored_runs.lookup import load as load
    from zoo.stored_runs.run_table import best as best
    from zoo.stored_runs.run_table import runs as runs
    from zoo.tuning.tune import tune as tune
else:
    _PLACES = {command.run.partition(":")[2]: command.run for command in _COMMANDS if command.public} | {
        "arrays": "zoo.fitting.describe_model:arrays",
        "best": "zoo.stored_runs.run_table:best",
        "build": "zoo.fitting.describe_model:build",
        "describe": "zoo.fitting.describe_model:describe",
        "hypermodel": "zoo.fitting.describe_model:hypermodel",
        "list_models": "zoo.registry:list_models",
        "load": "zoo.stored_runs.lookup:load",
        "run_job": "zoo.running.run_job:run_job",
        "spec_of": "zoo.fitting.describe_model:spec_of",
    }

    def __getattr__(name: str) -> Any:
        if name not in _PLACES:
            raise AttributeError(f"module 'zoo' has no attribute {name!r}")
        from zoo.quiet_import import import_tensorflow
        from zoo.registry import import_object

        if name != "list_models":
            import_tensorflow()
        value = globals()[name] = import_object(_PLACES[name])
        return value

    def __dir__() -> list[str]:
        return sorted([*globals(), *_PLACES])

    __all__ = ["DataError", "JobError", "UsageError", "ZooError", "__version__", *sorted(_PLACES)]
