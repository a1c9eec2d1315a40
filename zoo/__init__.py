"""zoo: a registry of Keras task builders, tuned by KerasTuner, tracked by MLflow.

    >>> import zoo
    >>> run = zoo.train("classification/mlp", "wine")  # doctest: +SKIP

Nothing heavy is imported before it is needed: names are looked up when they are first used.
"""

from pathlib import Path as _Path
from typing import TYPE_CHECKING, Any

from zoo.errors import DataError, JobError, UsageError, ZooError
from zoo.version import __version__

if not (_Path(__file__).parent / "tasks").is_dir():  # a checkout: the catalogue lies beside this folder
    __path__.append(str(_Path(__file__).parent.parent))

if TYPE_CHECKING:
    from zoo.comparing.compare import compare
    from zoo.comparing.study import study
    from zoo.fitting.describe_model import arrays, build, describe, hypermodel, spec_of
    from zoo.registry import list_models
    from zoo.running.data_report import data_report
    from zoo.running.dispatch import train
    from zoo.running.reproduce import reproduce
    from zoo.serving.card import card
    from zoo.serving.export import export
    from zoo.serving.register import register
    from zoo.stored_runs.lookup import load
    from zoo.stored_runs.run_table import best, runs
    from zoo.tuning.tune import tune
else:
    _PLACES = {
        "list_models": "zoo.registry",
        "arrays": "zoo.fitting.describe_model",
        "build": "zoo.fitting.describe_model",
        "card": "zoo.serving.card",
        "compare": "zoo.comparing.compare",
        "describe": "zoo.fitting.describe_model",
        "export": "zoo.serving.export",
        "hypermodel": "zoo.fitting.describe_model",
        "spec_of": "zoo.fitting.describe_model",
        "best": "zoo.stored_runs.run_table",
        "data_report": "zoo.running.data_report",
        "load": "zoo.stored_runs.lookup",
        "register": "zoo.serving.register",
        "reproduce": "zoo.running.reproduce",
        "runs": "zoo.stored_runs.run_table",
        "study": "zoo.comparing.study",
        "train": "zoo.running.dispatch",
        "tune": "zoo.tuning.tune",
    }

    def __getattr__(name: str) -> Any:
        if name not in _PLACES:
            raise AttributeError(f"module 'zoo' has no attribute {name!r}")
        import importlib

        from zoo.quiet_import import import_tensorflow

        if name != "list_models":
            import_tensorflow()
        value = globals()[name] = getattr(importlib.import_module(_PLACES[name]), name)
        return value

    def __dir__() -> list[str]:
        return sorted([*globals(), *_PLACES])


__all__ = [
    "DataError",
    "JobError",
    "UsageError",
    "ZooError",
    "__version__",
    "arrays",
    "best",
    "build",
    "card",
    "compare",
    "data_report",
    "describe",
    "export",
    "hypermodel",
    "list_models",
    "load",
    "register",
    "reproduce",
    "runs",
    "spec_of",
    "study",
    "train",
    "tune",
]
