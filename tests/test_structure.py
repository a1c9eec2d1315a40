"""The structure that the code keeps: packages in order, one door for each heavy dependency, sizes, names."""

from __future__ import annotations

import ast
import re
import statistics
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# A file imports only from packages above its own.
LAYERS = [
    {"zoo/errors.py", "zoo/version.py", "zoo/quiet_import.py", "zoo/text.py", "zoo/seeding.py", "zoo/hardware.py"},
    {"zoo/small_files.py", "zoo/yaml_text.py", "zoo/typed_values.py"},
    {"zoo/portable"},
    {"zoo/registry.py"},
    {"zoo/earlier_spec.py", "zoo/spec.py", "zoo/target.py"},
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
    "PIL": {
        "zoo/data/sources",
        "zoo/figures/animations.py",
        "zoo/stored_runs/lookup.py",
        "tasks/image",
        "tasks/rl",
        "tasks/segmentation",
    },
}
NAMES_THAT_SAY_NOTHING = {"utils.py", "common.py", "helpers.py", "base.py", "misc.py"}


def sources() -> list[Path]:
    return [path for folder in ("zoo", "tasks") for path in sorted((ROOT / folder).rglob("*.py"))]


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def layer_of(name: str) -> int:
    if re.fullmatch(r"tasks/\w+/_command_\w+\.py", name):  # a task's own command uses stored runs, as zoo's do
        name = "zoo/serving"
    for number, members in enumerate(LAYERS):
        if any(name == member or name.startswith(f"{member}/") for member in members):
            return number
    raise AssertionError(f"{name} is in no layer; add it to LAYERS")


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
def test_a_file_imports_only_from_packages_above_its_own(path: Path) -> None:
    name = path.relative_to(ROOT).as_posix()
    if name == "zoo/__init__.py":
        return  # the front door names what it exports, and imports it when it is asked for
    package = path.parent.relative_to(ROOT).as_posix().replace("tasks", "zoo.tasks").replace("/", ".")
    for module in imported_modules(tree(path), package):
        if module == "zoo" or not module.startswith("zoo."):
            continue
        assert layer_of(place(module)) <= layer_of(name), f"{name} imports {module}, which comes after it"


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
        # An agent is its learning rule too; a private file has what a model or the task is made of.
        long = path.parent.name == "rl" or (path.name.startswith("_") and path.name != "__init__.py")
        most = 250 if long else 125
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
                shown_as_help = path.parent.name == "jobs" and node.value.startswith("Such as ")
                # A kind of input may be called as a task is: the spec declares it, and readers of cells spell it.
                kind = path.relative_to(ROOT).as_posix() in (
                    "zoo/spec.py",
                    "zoo/target.py",
                    "zoo/data/examples/array_columns.py",
                    "zoo/portable/rows.py",
                )
                assert kind or node.value not in tasks, f"{path}:{node.lineno}"
                assert shown_as_help or not any(f"{task}/" in node.value for task in tasks), f"{path}:{node.lineno}"


def test_every_package_is_listed() -> None:
    import configparser

    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    listed = set(config["options"]["packages"].split())
    there = {
        "zoo.tasks" + path.parent.as_posix().removeprefix((ROOT / "tasks").as_posix()).replace("/", ".")
        for path in (ROOT / "tasks").rglob("__init__.py")
    } | {path.parent.relative_to(ROOT).as_posix().replace("/", ".") for path in (ROOT / "zoo").rglob("__init__.py")}
    assert listed == there


def module_of(path: Path) -> str:
    """The dotted name of a source file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    name = ".".join(parts if parts[0] == "zoo" else ("zoo", *parts))
    return name.removesuffix(".__init__")


def imports_between_files() -> dict[str, set[str]]:
    """The files that each file imports, by dotted name; imports inside functions count too."""
    modules = {module_of(path): path for path in sources()}
    graph: dict[str, set[str]] = {}
    for module, path in modules.items():
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        targets: set[str] = set()
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ImportFrom):
                base = node.module or ""
                if node.level:
                    parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                    base = ".".join([*parents, *([node.module] if node.module else [])])
                targets |= {f"{base}.{name.name}" if f"{base}.{name.name}" in modules else base for name in node.names}
        graph[module] = {target for target in targets if target in modules and target != module}
    graph["zoo"] = set()  # its imports are lazy
    return graph


def test_no_import_cycles() -> None:
    graph, done = imports_between_files(), set[str]()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module not in done:
            for target in sorted(graph[module]):
                visit(target, (*path, module))
            done.add(module)

    for module in graph:
        visit(module, ())


MIRRORED = {"metrics", "figures", "preprocessing"}  # numbers, classes, images, … in each


def test_folders_are_small_and_file_names_unique() -> None:
    folders: dict[Path, list[str]] = {}
    for path in sources():
        is_model = path.is_relative_to(ROOT / "tasks") and not path.name.startswith("_")  # a task has any number
        if path.name not in ("__init__.py", "__main__.py") and not is_model:
            folders.setdefault(path.parent, []).append(path.name)
    assert {str(folder): len(names) for folder, names in folders.items() if len(names) > 15} == {}
    names = [
        name for folder, files in folders.items() for name in files
        if folder.name not in MIRRORED and not folder.is_relative_to(ROOT / "tasks")
    ]  # fmt: skip
    assert sorted({name for name in names if names.count(name) > 1}) == []


def test_no_module_has_the_name_of_a_public_function() -> None:
    """``zoo.train`` would be the module after its first import."""
    import zoo

    modules = {
        path.stem for path in (ROOT / "zoo").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert modules & set(zoo.__all__) == set()


FILLERS = {"known", "made", "told", "found", "own"}


@cache
def fields_of(path: Path) -> set[int]:
    """The lines of a file's class fields, which may be those of options, as `known` is a list of columns."""
    bodies = (node.body for node in ast.walk(tree(path)) if isinstance(node, ast.ClassDef))
    return {line.lineno for body in bodies for line in body if isinstance(line, ast.AnnAssign)}


def test_local_variables_say_what_they_hold() -> None:
    names = [
        f"{path.relative_to(ROOT)}:{node.lineno} {name}"
        for path in sources()
        for node in ast.walk(tree(path))
        for name in ([node.id] if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) else
                     [node.arg] if isinstance(node, ast.arg) else [])
        if name in FILLERS and node.lineno not in fields_of(path)
    ]  # fmt: skip
    assert names == []


# What user-facing text calls otherwise: see the vocabulary of CONTRIBUTING.md.
BANNED_WORDS = {
    "rival": "baseline", "rivals": "baselines", "picture": "image", "pictures": "images", "whole number": "integer",
    "small letters": "lower case", "stroke": "slash", "judged part": "split", "test part": "test split",
    "training part": "training split", "validation part": "validation split", "pass by": "streamed", "knobs": "",
    "nobody": "no one", "stands beside": "next to", "gone on with": "resumed",
}  # fmt: skip


def texts_of(path: Path) -> Iterator[tuple[int, str]]:
    """The string constants of a file, docstrings among them."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.lineno, node.value


def test_text_uses_the_vocabulary() -> None:
    pages = [
        (ROOT / name, [(1, (ROOT / name).read_text(encoding="utf-8"))]) for name in ("README.md", "CONTRIBUTING.md")
    ]
    used = [
        f"{path.relative_to(ROOT)}:{line} {word!r}; write {better!r}"
        for path, texts in [*((path, texts_of(path)) for path in sources()), *pages]
        for line, text in texts
        for word, better in BANNED_WORDS.items()
        if better and re.search(rf"\b{word}\b", text, re.IGNORECASE)
    ]
    assert used == []


# A function's name begins with one of these; a new verb is welcome here, a noun is not.
VERBS = set(
    """
    accept accumulate add adopt apply assemble average begin build calibrate call carry check choose clear close collect
    compare compile compose compute connect convert count create cut declare decode describe diagnose disable download
    draw drop encode end estimate evaluate explain export extend extract fill find finish fit follow format forward fuse
    gather get generate give group guess hash hide import iterate join keep leave limit list load look make map mask
    match measure mine mix name open pack parse play post predict prepare preprocess print prune rank read refuse
    register release remember remove repeat report reproduce require resolve restore resume return run sample save score
    seed select separate serve set shorten show shrink silence simplify sort split stack standardize step study suggest
    take train translate tune unpack widen write
    """.split()  # noqa: SIM905 (a list of one word a line would be 150 lines)
)
QUESTIONS = {"benefits", "can", "has", "is", "must", "was"}


def test_public_functions_begin_with_a_verb() -> None:
    """Except for what has the field's own name: metrics, figures, activations and what ``zoo`` exports."""
    import zoo

    nouns = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in sources()
        if path.parent.name not in ("metrics", "figures") and path.name != "activations.py"
        for node in tree(path).body
        if isinstance(node, ast.FunctionDef)
        and not node.name.startswith("_")
        and node.name not in {*zoo.__all__, "main"}
        if node.name.split("_")[0] not in VERBS | QUESTIONS
    ]
    assert nouns == []
