"""What a benchmark finds: kept at once, so that it can go on after a break, and shown as one table."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

# TensorFlow's notes on standard error would drown the progress; children inherit this.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

FOLDER = Path(__file__).parent / "results"
PACKAGES = ("keras-task-zoo", "tensorflow", "keras", "keras-tuner", "mlflow", "numpy", "pandas", "scikit-learn")


def read_arguments(description: str, parts: Sequence[str] = ()) -> argparse.Namespace:
    """Return the options that all benchmarks have: ``quick``, ``fresh``, ``data`` and, of parts by name, ``only``."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a short run whose results are not kept")
    parser.add_argument("--fresh", action="store_true", help="measure again what is there already")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="folder with real data, see README.md")
    if parts:
        parser.add_argument("--only", choices=parts, metavar="NAME", help=f"one part alone: {', '.join(parts)}")
    return parser.parse_args()


class Results:
    """The measurements of one benchmark, each with a key, written to a file as soon as it is made.

    Args:
        script: Path of the benchmark's file, whose name the results bear.
        options: From :func:`read_arguments`; the keys of a part begin with its name and a comma.
        settings: What was measured (sizes, numbers of rounds); other settings begin anew.
    """

    def __init__(self, script: str, options: argparse.Namespace, settings: dict[str, Any]) -> None:
        self.name, self.quick = Path(script).stem, options.quick
        # A quick run tries the same code, and its folder is gone with it.
        self._temporary = tempfile.TemporaryDirectory(prefix="benchmark-") if self.quick else None
        self.folder = Path(self._temporary.name) if self._temporary else FOLDER
        self.path = self.folder / f"{self.name}.json"
        self.settings = json.loads(json.dumps(settings))
        self.machine = describe_machine()
        self.date = _today()
        self.rows: dict[str, dict[str, Any]] = {}
        only = getattr(options, "only", None)
        if self.path.exists() and (only or not options.fresh):
            self._take_up(json.loads(self.path.read_text(encoding="utf-8")))
        if options.fresh and only:  # the other parts stay
            self.rows = {key: row for key, row in self.rows.items() if not key.startswith(f"{only},")}

    def __contains__(self, key: str) -> bool:
        return key in self.rows

    def add(self, key: str, values: dict[str, Any]) -> None:
        """Keep a measurement."""
        self.rows[key] = values
        self.folder.mkdir(parents=True, exist_ok=True)
        stored = {
            "benchmark": self.name,
            "date": self.date,
            "machine": self.machine,
            "settings": self.settings,
            "rows": [{"key": name, **row} for name, row in self.rows.items()],
        }
        writing = self.path.with_name(f".{self.path.name}")
        writing.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
        writing.replace(self.path)
        numbers = (f"{name} {value:.4g}" for name, value in values.items() if isinstance(value, float))
        say(f"{self.name}: {key}: {', '.join(numbers)}")

    def measure(self, key: str, function: Callable[[], dict[str, Any]]) -> None:
        """Keep what ``function`` returns, unless this was measured before."""
        if key not in self:
            self.add(key, function())

    def column(self, field: str, prefix: str = "") -> list[float]:
        """Return a field of all rows whose key begins so, in the order of measuring."""
        return [row[field] for key, row in self.rows.items() if key.startswith(prefix) and field in row]

    def report(self, title: str, header: Sequence[str], lines: Iterable[Sequence[str]], notes: Sequence[str]) -> None:
        """Print the table; of a full run also write it, with date and machine, as Markdown.

        Args:
            title: What was measured.
            header: Names of the table's columns.
            lines: The table.
            notes: What a reader must know, a paragraph each.
        """
        shown = table(header, lines)
        facts = self.machine
        packages = ", ".join(f"{name} {number}" for name, number in facts["packages"].items())
        place = f"{facts['processor']}, {facts['cores']} cores, {facts['memory_gib']} GiB, {facts['system']}"
        origin = f"Measured {self.date} on {place}; Python {facts['python']}; {packages}."
        paragraphs = [shown, *notes, origin]
        print("\n\n".join([f"{title}{' (quick run: too short to be trusted)' if self.quick else ''}", *paragraphs]))
        if not self.quick:
            command = f"`python benchmarks/{self.name}.py`"
            text = "\n\n".join([f"# {title}", *paragraphs, f"Repeat with {command}."])
            self.path.with_suffix(".md").write_text(text + "\n", encoding="utf-8")

    def _take_up(self, stored: dict[str, Any]) -> None:
        """Go on with what was measured before, if that was on this machine and of the same kind."""
        for what in ("machine", "settings"):
            if stored[what] != getattr(self, what):
                say(f"{self.name}: the stored results have another {what}; all is measured again")
                return
        self.date = stored["date"]
        self.rows = {row.pop("key"): row for row in stored["rows"]}
        say(f"{self.name}: {len(self.rows)} measurements of {self.date} are kept; --fresh measures all again")


def describe_machine() -> dict[str, Any]:
    """Return processor, cores, memory and versions; nothing that names the machine or its user."""
    packages = {}
    for name in PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = "not installed"
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": packages,
    }


def table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a table that is Markdown and also aligned for the eye."""
    rows = [list(header), *(list(line) for line in lines)]
    widths = [max(len(row[index]) for row in rows) for index in range(len(header))]
    rows.insert(1, ["-" * width for width in widths])
    return "\n".join(f"| {' | '.join(f'{cell:<{w}}' for cell, w in zip(row, widths, strict=True))} |" for row in rows)


def spread(values: Sequence[float], form: str = ".2f", unit: str = "") -> str:
    """Return median, least and greatest value as text, such as ``0.21 (0.19 to 0.24)``."""
    if not values:
        return "–"
    low, high = min(values), max(values)
    return f"{statistics.median(values):{form}}{unit} ({low:{form}} to {high:{form}})"


def mean_and_deviation(values: Sequence[float], form: str = ".4f") -> str:
    """Return mean and standard deviation as text, such as ``0.9927 ± 0.0005``; of one value no deviation."""
    deviation = f" ± {statistics.stdev(values):{form}}" if len(values) > 1 else ""
    return f"{statistics.mean(values):{form}}{deviation}"


def judged(values: Sequence[float], most: float) -> str:
    """Tell whether the median keeps to an aim."""
    return "–" if not values else "yes" if statistics.median(values) <= most else "no"


def alternated(sides: Sequence[Any], number: int) -> list[Any]:
    """Return the sides in the order of a round: each begins in its turn, so that none is always first."""
    start = number % len(sides)
    return [*sides[start:], *sides[:start]]


def say(message: str) -> None:
    """Print progress to standard error."""
    print(message, file=sys.stderr, flush=True)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # macOS
        return platform.processor() or "unknown processor"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _today() -> str:
    return datetime.datetime.now(datetime.UTC).date().isoformat()
