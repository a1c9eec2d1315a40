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
    from zoo.registry import list_models
    from zoo.running.card import card
    from zoo.running.compare import compare
    from zoo.running.describe import arrays, build, describe, hypermodel, spec_of
    from zoo.running.export import export
    from zoo.running.lookup import load
    from zoo.running.register import register
    from zoo.running.report import data_report
    from zoo.running.reproduce import reproduce
    from zoo.running.run_table import best, runs
    from zoo.running.study import study
    from zoo.running.train import train
    from zoo.tuning.tune import tune
else:
    _PLACES = {
        "list_models": "zoo.registry",
        "arrays": "zoo.running.describe",
        "build": "zoo.running.describe",
        "card": "zoo.running.card",
        "compare": "zoo.running.compare",
        "describe": "zoo.running.describe",
        "export": "zoo.running.export",
        "hypermodel": "zoo.running.describe",
        "spec_of": "zoo.running.describe",
        "best": "zoo.running.run_table",
        "data_report": "zoo.running.report",
        "load": "zoo.running.lookup",
        "register": "zoo.running.register",
        "reproduce": "zoo.running.reproduce",
        "runs": "zoo.running.run_table",
        "study": "zoo.running.study",
        "train": "zoo.running.train",
        "tune": "zoo.tuning.tune",
    }

    def __getattr__(name: str) -> Any:
        if name not in _PLACES:
            raise AttributeError(f"module 'zoo' has no attribute {name!r}")
        import importlib

        from zoo.quietly import import_tensorflow

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
