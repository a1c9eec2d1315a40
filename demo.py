"""The demo: six of the tasks, one search, their baselines, one table, and a link to MLflow's pages."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import zoo

PORT = 5000
# A second metric that is easier to read: the model's, then the baseline's.
ALSO = ("clustering_accuracy", "accuracy", "r2")


def main() -> None:
    """Train, search, and print the table; on a terminal also serve the pages."""
    began = time.perf_counter()
    steps: list[tuple[str, Callable[[], Any]]] = [
        ("train classification/mlp on wine", lambda: _train("classification/mlp", "wine")),
        ("train regression/mlp on diabetes", lambda: _train("regression/mlp", "diabetes")),
        ("train clustering/autoencoder on digits, their labels for scoring only", _cluster),
        ("train sequence/gru on japanese_vowels", lambda: _train("sequence/gru", "japanese_vowels")),
        ("train image/cnn on digits", lambda: _train("image/cnn", "digits")),
        ("train rl/dqn on CartPole-v1 until it holds 475", lambda: _train("rl/dqn", "CartPole-v1", solved=475)),
        ("search classification/mlp on breast_cancer: 8 trials, 2 workers", _tune),
    ]
    rows: list[tuple[str, Any, float]] = []
    for number, (what, step) in enumerate(steps, start=1):
        print(f"[{number}/{len(steps)}] {what}", file=sys.stderr, flush=True)
        at = time.perf_counter()
        run = step()
        rows.append((what.split()[0], run, time.perf_counter() - at))
    print(_table(rows))
    print(
        f"\n{time.perf_counter() - began:.0f} s in all. Each model was scored once on the test split; it chose nothing."
    )
    _show_pages()


def _train(model: str, source: str, **options: Any) -> Any:
    return zoo.train(model, source, **options)


def _cluster() -> Any:
    return _train("clustering/autoencoder", "digits", clusters=10, labels="class")


def _tune() -> Any:
    """A fresh search each time: a finished one would only be recalled."""
    name = f"demo search {time.strftime('%Y-%m-%d %H:%M:%S')}"
    return zoo.tune("classification/mlp", "breast_cancer", trials=8, workers=2, name=name).best


def _table(rows: list[tuple[str, Any, float]]) -> str:
    head = (
        "task",
        "model",
        "data",
        "score on test [95 %]",
        "best baseline",
        "verdict",
        "also (model, baseline)",
        "seconds",
    )
    lines = [head, *(_row(*row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join(["", text[0], "-" * len(text[0]), *text[1:]])


def _row(how: str, run: Any, seconds: float) -> tuple[str, ...]:
    name = run.headline
    low, high = run.intervals[name]
    best = run.best_baseline
    searched = " (searched)" if how == "search" else ""
    also = next((name for name in ALSO if f"test_{name}" in run.metrics), None)
    value = f"{also} {run.metrics[f'test_{also}']:.3f}, {run.baselines[best][f'test_{also}']:.3f}" if also else ""
    return (
        run.task,
        run.model_name.split("/")[1] + searched,
        run.source,
        f"{run.objective} {run.metrics[name]:.4g} [{low:.4g}, {high:.4g}]",
        f"{best} {run.baselines[best][name]:.4g}",
        run.verdict,
        value,
        f"{seconds:.1f}",
    )


def _show_pages() -> None:
    from zoo.serving.servers import find_address, serve_pages
    from zoo.tracking.store import Store

    if sys.stdout.isatty():
        print("\nMLflow's pages, with one experiment for each data set; stop with Ctrl-C, start again with `make ui`.")
        serve_pages(None, PORT)
    else:
        print(f"\n`make ui`, then {find_address(Store(), None, f'http://127.0.0.1:{PORT}')}")


if __name__ == "__main__":
    main()
