"""The structure that the code keeps: rooms in order, one door for each heavy dependency, sizes, names."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# A file imports only from rooms above its own.
ROOMS = [
    {"zoo/errors.py", "zoo/version.py", "zoo/quiet_import.py", "zoo/text.py", "zoo/seeding.py"},
    {"zoo/portable"},
    {"zoo/registry.py"},
    {"zoo/spec.py"},
    {"zoo/jobs"},
    {"zoo/metrics"},
    {"zoo/figures"},
    {"zoo/models"},
    {"zoo/data"},
    {"zoo/preprocessing"},
    {"zoo/networks"},
    {"zoo/calibration"},
    {"zoo/training"},
    {"zoo/inspection"},
    {"zoo/task.py"},
    {"zoo/supervised"},
    {"zoo/fitting"},
    {"zoo/saving"},
    {"zoo/reporting"},
    {"tasks"},
    {"zoo/tracking"},
    {"zoo/stored_runs"},
    {"zoo/running"},
    {"zoo/comparing"},
    {"zoo/serving"},
    {"zoo/tuning"},
    {"zoo/cli"},
    {"zoo/__main__.py", "zoo/__init__.py"},
]
DOORS = {
    "mlflow": {"zoo/tracking", "zoo/saving/pyfunc.py", "zoo/serving/scoring_app.py"},
    "keras_tuner": {"zoo/models", "zoo/tuning", "tasks", "zoo/fitting"},
    "matplotlib": {"zoo/figures"},
    "sklearn": {
        "zoo/data",
        "zoo/metrics",
        "zoo/calibration",
        "zoo/supervised",
        "zoo/reporting",
        "zoo/tuning/oracles",
        "tasks",
    },
    "typer": {"zoo/cli"},
    "rich": {"zoo/running/progress.py", "zoo/running/search_progress.py"},
    "cloudpickle": {"zoo/tuning"},
    "ray": {"zoo/tuning/execution/ray_executor.py"},
    "grpc": {"zoo/tuning/execution/ray_executor.py"},
    "fsspec": {"zoo/tuning/storage/shared_storage.py"},
    "gymnasium": {"tasks/rl"},
    "psutil": {"zoo/data/limits.py"},
    "pyarrow": {"zoo/data/sources", "zoo/data/memory.py", "zoo/data/streaming"},
    "sqlalchemy": {"zoo/data/sources/sql.py"},
    "tensorflow_datasets": {"zoo/data/sources/public_sets.py"},
    "tf2onnx": {"zoo/saving/export_formats.py"},
    "onnxruntime": {"zoo/portable"},
    "ai_edge_litert": {"zoo/portable"},
    "PIL": {"zoo/data/sources", "zoo/stored_runs/lookup.py", "tasks/image"},
}
NAMES_THAT_SAY_NOTHING = {"utils.py", "common.py", "helpers.py", "base.py", "misc.py"}


def sources() -> list[Path]:
    return [path for folder in ("zoo", "tasks") for path in sorted((ROOT / folder).rglob("*.py"))]


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def room_of(name: str) -> int:
    for number, members in enumerate(ROOMS):
        if any(name == member or name.startswith(f"{member}/") for member in members):
            return number
    raise AssertionError(f"{name} stands in no room; add it to ROOMS")


def imported_modules(module: ast.Module, package: str) -> Iterator[str]:
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = f"{package}.{node.module}" if node.level else node.module or ""
            if module == "zoo":  # `from zoo import cli` imports the module
                yield from (f"zoo.{alias.name}" for alias in node.names)
            else:
                yield module


def place(module: str) -> str:
    """The file or folder that a module of zoo stands in, as a path."""
    path = module.replace("zoo.tasks", "tasks").replace(".", "/")
    return f"{path}.py" if (ROOT / f"{path}.py").is_file() else path


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_imports_only_from_rooms_above_its_own(path: Path) -> None:
    name = path.relative_to(ROOT).as_posix()
    if name == "zoo/__init__.py":
        return  # the front door names what it exports, and imports it when it is asked for
    package = path.parent.relative_to(ROOT).as_posix().replace("tasks", "zoo.tasks").replace("/", ".")
    for module in imported_modules(tree(path), package):
        if module == "zoo" or not module.startswith("zoo."):
            continue
        assert room_of(place(module)) <= room_of(name), f"{name} imports {module}, which stands below it"


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_heavy_dependency_has_one_door(path: Path) -> None:
    name = path.relative_to(ROOT).as_posix()
    for module in imported_modules(tree(path), ""):
        doors = DOORS.get(module.split(".")[0])
        if doors is not None:
            assert any(name == door or name.startswith(f"{door}/") for door in doors), f"{name} imports {module}"


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring."""
    assert function.end_lineno is not None
    lines = function.end_lineno - function.lineno + 1
    first = function.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        assert first.end_lineno is not None
        lines -= first.end_lineno - first.lineno + 1
    return lines


def functions() -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    return {
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}": node
        for path in sources()
        for node in ast.walk(tree(path))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }


def test_sizes_of_functions() -> None:
    sizes = {name: body_lines(node) for name, node in functions().items()}
    assert {name: size for name, size in sizes.items() if size > 60} == {}
    assert statistics.quantiles(sizes.values(), n=10)[-1] <= 27


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_sizes_and_names_of_files(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400
    assert path.name not in NAMES_THAT_SAY_NOTHING
    if path.is_relative_to(ROOT / "tasks"):
        most = 250 if path.parent.name == "rl" else 125  # an agent is its learning rule too
        assert len(path.read_text(encoding="utf-8").splitlines()) <= most


def test_public_functions_are_annotated() -> None:
    bare = [
        name
        for name, node in functions().items()
        if not node.name.startswith("_") and node.returns is None and "tests" not in name
    ]
    assert bare == []


def test_the_engine_names_no_task() -> None:
    tasks = {folder.name for folder in (ROOT / "tasks").iterdir() if (folder / "__init__.py").is_file()}
    for path in sources():
        if path.is_relative_to(ROOT / "tasks"):
            continue
        module = tree(path)
        docstrings = {
            id(node.body[0].value)
            for node in ast.walk(module)
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        for node in ast.walk(module):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
                shown_as_help = path.parent.name == "cli" and node.value.startswith("Such as ")
                # A kind of input may be called as a task is: there it is declared, and nowhere else is it spelled but
                # in what an export takes along.
                kind = path.relative_to(ROOT).as_posix() in (
                    "zoo/data/examples/array_columns.py",
                    "zoo/portable/rows.py",
                )
                assert kind or node.value not in tasks, f"{path}:{node.lineno}"
                assert shown_as_help or not any(f"{task}/" in node.value for task in tasks), f"{path}:{node.lineno}"


def test_every_room_is_packaged() -> None:
    import configparser

    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    listed = set(config["options"]["packages"].split())
    there = {
        "zoo.tasks" + path.parent.as_posix().removeprefix((ROOT / "tasks").as_posix()).replace("/", ".")
        for path in (ROOT / "tasks").rglob("__init__.py")
    } | {path.parent.relative_to(ROOT).as_posix().replace("/", ".") for path in (ROOT / "zoo").rglob("__init__.py")}
    assert listed == there
