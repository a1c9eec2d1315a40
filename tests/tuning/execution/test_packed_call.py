from __future__ import annotations

import importlib
import sys
import threading
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.tuning.execution.processes import add, run
from zoo.errors import UsageError
from zoo.tuning.execution.worker_processes import Channel, Event, WorkerProcesses


def test_function_by_import_path(make: Callable[..., WorkerProcesses]) -> None:
    assert run(make(), add, {"a": 1, "b": 2}) == Event("call", "done", 3)


def test_module_beside_the_script_is_imported(
    make: Callable[..., WorkerProcesses], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "beside_the_script.py").write_text(
        "import sys\nclass RayWorker:\n    @staticmethod\n    def f(c, p):\n        return __name__ in sys.modules\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "beside_the_script", raising=False)
    module = importlib.import_module("beside_the_script")
    assert run(make(), module.RayWorker.f, {}).value is True


def test_module_that_no_path_leads_to_goes_by_value(
    make: Callable[..., WorkerProcesses], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = types.ModuleType("made_by_hand")
    monkeypatch.setitem(sys.modules, "made_by_hand", module)
    exec("def half(x):\n    return x / 2\ndef f(c, p):\n    return p['build'](half(p['x']))\n", vars(module))
    assert run(make(), module.f, {"x": 4, "build": module.half}).value == 1.0


def test_closure_goes_by_value(make: Callable[..., WorkerProcesses]) -> None:
    factor = 3

    def scale(channel: Channel, payload: dict[str, Any]) -> int:
        return factor * payload["build"](payload["x"])

    assert run(make(), scale, {"x": 4, "build": lambda x: x + 1}).value == 15


def test_payload_comes_as_it_was(make: Callable[..., WorkerProcesses]) -> None:
    def kinds(channel: Channel, payload: dict[str, Any]) -> list[str]:
        return [type(value).__name__ for value in payload["values"]]

    assert run(make(), kinds, {"values": [1, (2, 3), 0.5, None, {4: 5}]}).value == [
        "int",
        "tuple",
        "float",
        "NoneType",
        "dict",
    ]


def test_size_limit_names_what_is_large(tmp_path: Path) -> None:
    table = bytes(65 * 1024**2)

    def helper() -> int:
        return len(table)

    def call(channel: Channel, payload: dict[str, Any]) -> int:
        return helper()

    notebook: dict[str, Any] = {"__name__": "__main__", "TABLE": table}
    exec("def call(channel, payload):\n    return [TABLE[i] for i in payload['rows']]", notebook)
    with WorkerProcesses(1, folder=tmp_path, preload=()) as workers:
        with pytest.raises(UsageError, match=r"variable 'helper', in its variable 'table'"):
            workers.start("call", call, {})
        with pytest.raises(UsageError, match=r"call, in its global 'TABLE'"):
            workers.start("call", notebook["call"], {"rows": [1]})
        with pytest.raises(UsageError, match=r"payload\['rows'\]"):
            workers.start("call", add, {"a": 1, "rows": table})
        with pytest.raises(UsageError, match=r"payload\['text'\]"):
            workers.start("call", add, {"a": 1, "text": "x" * len(table)})
        assert workers.free == 1
        assert list(tmp_path.glob("*.call")) == []


def test_what_cannot_be_pickled_is_refused(tmp_path: Path) -> None:
    with WorkerProcesses(1, folder=tmp_path, preload=()) as workers:
        with pytest.raises(UsageError, match="add: cannot be sent to a process"):
            workers.start("call", add, {"lock": threading.Lock()})
        assert workers.free == 1
