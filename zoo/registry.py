"""The registry: tasks are folders and models are files, listed without importing and imported on demand."""

from __future__ import annotations

import ast
import contextlib
import fnmatch
import functools
import hashlib
import importlib
import importlib.metadata
import importlib.util
import os
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from zoo.errors import UsageError, ZooError, describe_unknown, shorten_error
from zoo.small_files import check_regular_file, read_small_text

CATALOGUE = "zoo.tasks"
FOLDERS_VARIABLE = "ZOO_TASKS"
MOST_CODE_BYTES = 10_000_000


@dataclass(frozen=True)
class ModelEntry:
    """A model of the catalogue: a file that is listed but not imported.

    Args:
        name: Task and file, ``task/model``.
        path: The file.
    """

    name: str
    path: Path

    @property
    def task(self) -> str:
        """Name of the task's folder."""
        return self.name.split("/")[0]

    @property
    def summary(self) -> str:
        """First line of the file's docstring, read without importing it."""
        return read_summary(self.path)

    def load_build(self) -> Callable[..., Any]:
        """Import the file and return its ``build(hp, spec)``.

        Raises:
            UsageError: If the file cannot be imported, or has no ``build``.
        """
        _check_code(self.path)
        module = _import(self.name)
        if not callable(getattr(module, "build", None)):
            raise UsageError(f"{self.path} has no function build(hp, spec)")
        build: Callable[..., Any] = module.build
        return build


def list_models(pattern: str = "*") -> list[ModelEntry]:
    """Return the models whose name matches a shell pattern, sorted by name, without importing them.

    Args:
        pattern: Such as ``*``, ``seq*`` or ``*/mlp``; it is also matched with the name without its task.

    Raises:
        UsageError: If two files have the same name, or ``ZOO_TASKS`` is not a folder.

    Example:
        >>> len(list_models("*")) >= len(list_models("*/mlp"))
        True
    """
    entries: dict[str, ModelEntry] = {}
    for root in list_catalogue_folders():
        for task_folder in _folders_in(root):
            for path in sorted(task_folder.glob("[!._]*.py")):
                name = f"{task_folder.name}/{path.stem}"
                if name in entries:
                    raise UsageError(f"two files have the name {name}: {entries[name].path} and {path}; rename one")
                entries[name] = ModelEntry(name, path)
    return [
        entries[name]
        for name in sorted(entries)
        if fnmatch.fnmatch(name, pattern) or fnmatch.fnmatch(name.split("/")[1], pattern)
    ]


def list_tasks() -> list[str]:
    """Return the sorted names of all tasks: folders with an ``__init__.py`` in any catalogue."""
    folders = [folder for root in list_catalogue_folders() for folder in _folders_in(root)]
    return sorted({folder.name for folder in folders if (folder / "__init__.py").is_file()})


def find_tasks_reading(kind: str) -> list[str]:
    """Return the names of the tasks that read sources of a kind, as in ``Task.reads``."""
    names = []
    for name in list_tasks():
        with contextlib.suppress(UsageError, AttributeError):  # a broken task must not hide the others
            names += [name] if kind in load_task_module(name).TASK.reads else []
    return names


# What users ask for by the start of a model's name, and no task of the catalogue does.
_NO_TASKS = {
    "detect": "object detection; image models predict one class for each image",
    "multilabel": "multi-label classification; train a model for each label",
    "multi-label": "multi-label classification; train a model for each label",
}


def resolve(name: str) -> ModelEntry:
    """Return the model called ``name``; this lists all folders, so callers pass the entry on.

    Raises:
        UsageError: If there is none; the error suggests the nearest name.
    """
    models = {entry.name: entry for entry in list_models()}
    if name not in models:
        error = describe_unknown("model", name, models)
        missing = next((words for start, words in _NO_TASKS.items() if name.lower().startswith(start)), None)
        if missing is not None and name.partition("/")[0] not in list_tasks():
            raise UsageError(f"{error.message}; no task here does {missing}")
        namesakes = [entry_name for entry_name in models if entry_name.split("/")[1] == name]
        raise UsageError(error.message, nearest=error.nearest or next(iter(namesakes), None))
    return models[name]


def is_pattern(name: str) -> bool:
    """Return whether a name is a pattern for several models.

    Example:
        >>> is_pattern("classification/*"), is_pattern("classification/mlp")
        (True, False)
    """
    return any(sign in name for sign in "*?[")


def match_entries(pattern: str) -> list[ModelEntry]:
    """Return the models of one task whose names match a pattern, or the model of a plain name.

    Raises:
        UsageError: If there is none, or they belong to several tasks.
    """
    if not is_pattern(pattern):
        return [resolve(pattern)]
    entries = list_models(pattern)
    tasks = sorted({entry.task for entry in entries})
    if not entries:
        raise UsageError(f"no model matches {pattern!r}; known: {', '.join(entry.name for entry in list_models())}")
    if len(tasks) > 1:
        raise UsageError(f"{pattern!r} matches models of several tasks, {', '.join(tasks)}; a search needs one task")
    return entries


def compute_code_digest(pattern: str) -> str:
    """Return a digest of the files of models and of the private files and packages of their task.

    Searches with the same digest are the same search, which is resumed.
    """
    digest = hashlib.sha256()
    for entry in match_entries(pattern):
        folder = entry.path.parent
        for path in [entry.path, *sorted(folder.glob("_[!_]*.py")), *sorted(folder.glob("_[!_]*/**/*.py"))]:
            _check_code(path)
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def load_task_module(name: str) -> ModuleType:
    """Import the package of a task.

    Raises:
        UsageError: If there is no such task, or it cannot be imported.
    """
    if Path(name).name != name or name[:1] in "._":
        raise describe_unknown("task", name, list_tasks())
    folders = list_catalogue_folders()
    if not _is_task(name, folders):
        incomplete = next((folder / name for folder in folders if (folder / name).is_dir()), None)
        if incomplete is not None:
            raise UsageError(f"{incomplete} is not a task: it has no __init__.py with a TASK")
        raise describe_unknown("task", name, list_tasks())
    return _import(name)


def import_object(reference: str) -> Any:
    """Import what ``module:name`` refers to; a module of the catalogue is found in each of its folders.

    Example:
        >>> import_object("zoo.errors:UsageError").__name__
        'UsageError'
    """
    module, _, name = reference.partition(":")
    prefix = f"{CATALOGUE}."
    in_catalogue = module.startswith(prefix)
    imported = _import(module.removeprefix(prefix)) if in_catalogue else importlib.import_module(module)
    return getattr(imported, name)


def list_task_files(name: str) -> list[Path]:
    """Return the files of a name in the folders of all tasks, in all catalogues."""
    paths = [folder / name for root in list_catalogue_folders() for folder in _folders_in(root)]
    return [path for path in paths if path.is_file()]


def read_summary(path: Path) -> str:
    """Return the first line of a Python file's docstring without importing the file."""
    try:
        docstring = ast.get_docstring(ast.parse(read_small_text(path, "the file", most_bytes=MOST_CODE_BYTES))) or ""
    except SyntaxError as error:
        raise UsageError(f"not valid Python: {error.msg}", where=f"{path}, line {error.lineno}") from None
    except (ValueError, RecursionError, MemoryError) as error:  # a NUL, or nested too deeply
        raise UsageError(f"not valid Python: {shorten_error(error)}", where=str(path)) from None
    return docstring.split("\n")[0].strip()


def _check_code(path: Path) -> None:
    check_regular_file(path, "the file", most_bytes=MOST_CODE_BYTES)


def list_catalogue_folders() -> list[Path]:
    """Return the folders that contain tasks: the bundled one, ``ZOO_TASKS``, and installed plug-ins.

    A plug-in is a package with an entry point in the group ``zoo.tasks``.
    """
    bundled = importlib.util.find_spec(CATALOGUE)
    assert bundled is not None
    assert bundled.submodule_search_locations is not None
    folders = [Path(next(iter(bundled.submodule_search_locations)))]
    for text in filter(None, os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep)):
        folder = Path(text).expanduser().resolve()
        if not folder.is_dir():
            raise UsageError(f"{FOLDERS_VARIABLE} contains {text!r}, which is not a folder")
        folders.append(folder)
    return [*folders, *_plugin_folders()]


@functools.cache
def _plugin_folders() -> tuple[Path, ...]:
    """Return the folders of plug-ins; reading the metadata of all installed packages takes 10 ms."""
    plugins = [importlib.util.find_spec(entry.value) for entry in importlib.metadata.entry_points(group=CATALOGUE)]
    locations = [plugin.submodule_search_locations for plugin in plugins if plugin is not None]
    return tuple(Path(next(iter(paths))) for paths in locations if paths is not None)


def _folders_in(root: Path) -> list[Path]:
    return sorted(child for child in root.iterdir() if child.is_dir() and child.name[0] not in "._")


def _is_task(name: str, folders: list[Path]) -> bool:
    return any((folder / name / "__init__.py").is_file() for folder in folders)


def _import(name: str) -> ModuleType:
    """Import a task or a model of the catalogue, with all catalogue folders on the paths of its packages.

    Thus a user's folder extends ``zoo.tasks``, and a folder in it with the name of a bundled task extends that task, so
    that relative imports and private modules work as in the bundled catalogue.
    """
    folders = list_catalogue_folders()
    catalogue = importlib.import_module(CATALOGUE)
    _extend(catalogue, folders)
    name = name.replace(".", "/")
    task = name.split("/")[0]
    if not _is_task(task, folders):
        raise UsageError(f"the folder {task} is not a task: it has no __init__.py with a TASK")
    for folder in folders:
        if (init := folder / task / "__init__.py").is_file():
            _check_code(init)
    try:
        package = importlib.import_module(f"{CATALOGUE}.{task}")
        _extend(package, [folder / task for folder in folders if (folder / task).is_dir()])
        importlib.invalidate_caches()
        return importlib.import_module(f"{CATALOGUE}.{name.replace('/', '.')}")
    except SyntaxError as error:
        raise UsageError(f"not valid Python: {error.msg}", where=f"{error.filename}, line {error.lineno}") from None
    except ImportError as error:
        raise UsageError(str(error), where=_line_of(error, task) or name) from error
    except ZooError:
        raise
    except (Exception, SystemExit) as error:  # whatever a user's file does when it is imported
        message = f"cannot be imported: {type(error).__name__}: {shorten_error(error)}"
        raise UsageError(message, where=_line_of(error, task) or name) from error


def _line_of(error: BaseException, task: str) -> str | None:
    """Return the last line of a task's file in an error's traceback, for the message."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [frame for frame in frames if Path(frame.filename).parent.name == task]
    return f"{places[-1].filename}, line {places[-1].lineno}" if places else None


def _extend(package: ModuleType, folders: list[Path]) -> None:
    existing = {str(Path(path).resolve()) for path in package.__path__}
    package.__path__ = [*package.__path__, *(str(f) for f in folders if str(f.resolve()) not in existing)]
