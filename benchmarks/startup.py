"""How long `import zoo` and `zoo list` take as fresh processes, beside a bare Python.

Byte code is compiled before, in a folder that is gone afterwards. Also fails if either imports one of
the heavy packages.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from _results import Results, alternated, judged, read_arguments, spread

HEAVY = ("tensorflow", "keras", "mlflow", "pandas", "sklearn")
AIM_IMPORT_S, AIM_LIST_S = 0.15, 0.4
ROUNDS, QUICK_ROUNDS = 10, 3
_LIST_IN_PROCESS = "import sys; sys.argv = ['zoo', 'list']; from zoo.cli.app import app; app(standalone_mode=False)"
_NAME_HEAVY = f"; import sys; print(*[name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"


def main() -> None:
    """Measure and report."""
    options = read_arguments(__doc__ or "")
    rounds = QUICK_ROUNDS if options.quick else ROUNDS
    results = Results(__file__, options, {"rounds": rounds})
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        runner = _Runner(Path(folder))
        for statement in ("import zoo", _LIST_IN_PROCESS):
            runner.check_light(statement)
        for command in runner.commands.values():
            runner.seconds(command)
        for number in range(rounds):
            results.measure(f"round {number}", lambda number=number: runner.round(number))
    _report(results)


class _Runner:
    """Starts processes that find compiled byte code.

    Args:
        folder: For the byte code; also the working folder, so that what is installed is imported.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        self.environment["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")
        script = Path(sys.executable).with_name("zoo")
        zoo = [str(script)] if script.exists() else [sys.executable, "-m", "zoo"]
        self.commands = {
            "bare_s": [sys.executable, "-c", "pass"],
            "import_s": [sys.executable, "-c", "import zoo"],
            "list_s": [*zoo, "list"],
        }

    def round(self, number: int) -> dict[str, Any]:
        """Return the seconds of each command, run once."""
        taken = {name: self.seconds(self.commands[name]) for name in alternated(list(self.commands), number)}
        return {name: taken[name] for name in self.commands}

    def seconds(self, command: list[str]) -> float:
        """Return the wall time of a process from its start to its end."""
        began = time.perf_counter()
        subprocess.run(command, env=self.environment, cwd=self.folder, stdout=subprocess.DEVNULL, check=True)
        return time.perf_counter() - began

    def check_light(self, statement: str) -> None:
        """Fail if a statement imports a heavy package."""
        command = [sys.executable, "-c", statement + _NAME_HEAVY]
        done = subprocess.run(
            command, env=self.environment, cwd=self.folder, capture_output=True, text=True, check=True
        )
        if done.stderr.strip():
            raise SystemExit(f"{statement!r} imports {done.stderr.strip()}")


def _report(results: Results) -> None:
    bare, imported, listed = (results.column(name) for name in ("bare_s", "import_s", "list_s"))
    lines = [("python -c pass", spread(bare, ".3f", " s"), "", "", "")]
    for name, values, aim in (
        ("python -c 'import zoo'", imported, AIM_IMPORT_S),
        ("zoo list", listed, AIM_LIST_S),
    ):
        ratios = [value / other for value, other in zip(values, bare, strict=True)]
        lines.append((name, spread(values, ".3f", " s"), spread(ratios), f"at most {aim} s", judged(values, aim)))
    results.report(
        "Start-up: fresh processes, wall time",
        ("command", "median (least to greatest)", "times a bare Python", "aim", "met"),
        lines,
        [f"{len(bare)} alternated runs each, byte code compiled. Neither imports {', '.join(HEAVY)}."],
    )


if __name__ == "__main__":
    main()
