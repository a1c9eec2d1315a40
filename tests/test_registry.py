"""The registry: folders and files are listed, and imported only when asked for."""

import subprocess
import sys

import pytest

from zoo.errors import UsageError
from zoo.registry import (
    FOLDERS_VARIABLE,
    find_tasks_reading,
    list_models,
    list_tasks,
    load_task_module,
    read_summary,
    resolve,
)
from zoo.task import load_task, load_tasks

HEAVY = {"tensorflow", "keras", "keras_tuner", "mlflow", "pandas", "sklearn", "matplotlib"}
TASK_FILE = '''"""A task of one's own."""
from zoo.tasks.regression._baselines import choose_baselines
from zoo.supervised.supervised_task import SupervisedTask

TASK = SupervisedTask("{name}", example="diabetes", target_kind="number", estimators=choose_baselines)
'''
MODEL_FILE = '''"""A model of one's own.

More about it."""
from ._private import VALUE

def build(hp, spec):
    return VALUE
'''


def names(pattern="*"):
    return [entry.name for entry in list_models(pattern)]


def write(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)


@pytest.fixture
def own_folder(tmp_path, monkeypatch):
    """A folder of one's own models, named by the environment; forgotten again afterwards."""
    import zoo.tasks

    paths = {"zoo.tasks": list(zoo.tasks.__path__)}
    before = set(sys.modules)
    for name in ("classification", "regression"):
        paths[f"zoo.tasks.{name}"] = list(load_task_module(name).__path__)
    monkeypatch.setenv(FOLDERS_VARIABLE, str(tmp_path))
    yield tmp_path
    for name, path in paths.items():
        sys.modules[name].__path__ = path
    for name in set(sys.modules) - before:
        if name.startswith("zoo.tasks.") and name not in paths:
            del sys.modules[name]


def test_listing_imports_nothing_heavy():
    code = (
        "import sys, zoo\n"
        "entries = zoo.list_models('*')\n"
        "assert [entry.summary for entry in entries] and zoo.registry.list_tasks()\n"
        f"heavy = {HEAVY!r} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "pattern, expected",
    [
        ("classification/*", {"classification/linear", "classification/mlp"}),
        ("mlp", {"classification/mlp", "regression/mlp"}),
        ("*/lin*", {"classification/linear", "regression/linear"}),
        ("nothing", set()),
        ("_baselines", set()),
    ],
)
def test_patterns(pattern, expected):
    matches = names(pattern)
    assert set(matches) >= expected
    assert bool(matches) == bool(expected)
    assert matches == sorted(matches)


def test_entries_know_task_and_summary():
    entry = resolve("regression/mlp")
    assert entry.task == "regression"
    assert entry.summary.startswith("Multi-layer perceptron for a number")
    assert {"classification", "regression"} <= set(list_tasks())


@pytest.mark.parametrize("look_up, name", [(resolve, "clasification/mlp"), (load_task_module, "clasification")])
def test_unknown_names_have_a_nearest(look_up, name):
    with pytest.raises(UsageError) as caught:
        look_up(name)
    assert caught.value.nearest == name.replace("clas", "class")


def test_a_folder_of_ones_own_adds_a_model_to_a_task(own_folder):
    write(own_folder / "regression", mine=MODEL_FILE, _private="VALUE = 7\n")
    assert "regression/mine" in names()
    assert resolve("regression/mine").summary == "A model of one's own."
    assert resolve("regression/mine").load_build()(None, None) == 7
    assert callable(resolve("regression/mlp").load_build())


def test_a_folder_of_ones_own_adds_a_task(own_folder):
    write(own_folder / "risk", __init__=TASK_FILE.format(name="risk"), mine=MODEL_FILE, _private="VALUE = 8\n")
    assert "risk" in list_tasks()
    assert "risk/mine" in names("risk/*")
    assert load_task("risk").name == "risk"
    assert resolve("risk/mine").load_build()(None, None) == 8


def test_two_files_of_one_name_are_an_error(own_folder):
    write(own_folder / "regression", mlp=MODEL_FILE)
    with pytest.raises(UsageError, match=r"two files have the name regression/mlp: .* and .*; rename one"):
        list_models()


def test_what_editors_and_python_leave_is_not_listed(own_folder):
    write(own_folder / "regression" / "__pycache__", mine=MODEL_FILE)
    write(own_folder / ".hidden", mine=MODEL_FILE)
    write(own_folder / "regression", **{".#mine": "", "_helper": ""})
    assert not [name for name in names() if "mine" in name or "helper" in name]


def test_a_folder_that_is_not_there(monkeypatch):
    monkeypatch.setenv(FOLDERS_VARIABLE, "/no/such/folder")
    with pytest.raises(UsageError, match="ZOO_TASKS contains '/no/such/folder', which is not a folder"):
        list_models()


@pytest.mark.parametrize(
    "files, name, message",
    [
        ({"mine": '"""Doc."""'}, "regression/mine", r"mine\.py has no function build\(hp, spec\)"),
        ({"mine": ""}, "fresh/mine", "the folder fresh is not a task: it has no __init__.py"),
    ],
)
def test_files_that_are_no_model(own_folder, files, name, message):
    write(own_folder / name.split("/")[0], **files)
    with pytest.raises(UsageError, match=message):
        resolve(name).load_build()


def test_a_task_without_its_instance(own_folder):
    write(own_folder / "fresh", __init__="TASK = 3\n")
    with pytest.raises(UsageError, match=r"exposes TASK, an instance of zoo\.task\.Task"):
        load_task("fresh")


@pytest.mark.parametrize(
    "code, message",
    [
        ("raise RuntimeError('unlucky')", "cannot be imported: RuntimeError: unlucky"),
        ("import sys; sys.exit(3)", "cannot be imported: SystemExit: 3"),
        ("def build(hp: Nothing, spec): ...", "cannot be imported: NameError"),
    ],
)
def test_whatever_a_file_raises_on_import_is_an_error_with_its_line(own_folder, code, message):
    write(own_folder / "regression", bad=f'"""Bad."""\n{code}\n')
    write(own_folder / "wrong", __init__=code)
    with pytest.raises(UsageError, match=rf"bad\.py, line 2: {message}"):
        resolve("regression/bad").load_build()
    assert "regression/mlp" in names()
    assert "wrong" not in find_tasks_reading("table")
    assert "wrong" not in {task.name for task in load_tasks()}
    assert {"classification", "regression"} <= {task.name for task in load_tasks()}


@pytest.mark.parametrize(
    "content, message",
    [
        (b"x = 1\ndef broken(:\n", r"mine\.py, line 2: not valid Python: "),
        (b"\xff\xfe", r"mine\.py: cannot read the file: not a text file in UTF-8"),
        (b"a = 1\0", r"mine\.py.*: not valid Python: "),
    ],
)
def test_a_broken_file_is_named(own_folder, content, message):
    write(own_folder / "regression")
    (own_folder / "regression" / "mine.py").write_bytes(content)
    with pytest.raises(UsageError, match=message):
        print([entry.summary for entry in list_models()])


def test_a_file_without_docstring_has_an_empty_summary(tmp_path):
    (tmp_path / "a.py").write_text("x = 1\n")
    assert read_summary(tmp_path / "a.py") == ""
