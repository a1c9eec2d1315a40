"""Results of a comparison: a board for each source, significance tests, and ranks over sources."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np

from zoo.figures.comparisons import critical_difference, scores_beside
from zoo.metrics.direction import Direction
from zoo.metrics.intervals import Interval
from zoo.metrics.metric import clip_to_limits
from zoo.metrics.significance import SIGNIFICANT, Estimate, Ranks, estimate_mean, holm, rank_over_sources
from zoo.reporting.page import STYLE, format_figure, format_page
from zoo.text import convert_to_plain, format_interval, format_number

MODEL, BASELINE = "model", "baseline"


@dataclass(frozen=True)
class Entry:
    """A model, or a baseline, on a source.

    Args:
        name: Its name.
        kind: ``model`` or ``baseline``.
        scores: The metric that the board ranks by, one value for each repeat: (R,).
        metrics: The mean of each metric, by its name with prefix.
        noise: Standard error from the sampling of test rows, if all repeats share them, NaN if it is unknown; else 0.
        seconds: Mean training time; for a baseline, evaluation included.
        latency_ms: Time for one row; None if it was not measured.
        n_parameters: Number of parameters; None for baselines.
        run_ids: MLflow's ids of its runs.
    """

    name: str
    kind: str
    scores: Sequence[float]
    metrics: Mapping[str, float]
    noise: float = 0.0
    seconds: float = math.nan
    latency_ms: float | None = None
    n_parameters: int | None = None
    run_ids: Sequence[str] = ()


@dataclass(frozen=True)
class Pair:
    """A comparison of two entries.

    Args:
        names: Their names, the better first.
        difference: First minus second on the same splits, before the correction.
        p: p-value, corrected for all pairs of the board (Holm 1979).
    """

    names: tuple[str, str]
    difference: Estimate
    p: float

    @property
    def tied(self) -> bool:
        """Whether the difference is not significant."""
        return not self.p < SIGNIFICANT


@dataclass
class Board:
    """Models and baselines on one source, the best first.

    Args:
        source: Where the data came from.
        task: Name of the task.
        score: The metric that ranks, with the prefix of its split.
        direction: ``min`` or ``max``.
        entries: Models and baselines, in any order.
        test_ratio: Test rows divided by training rows, if each repeat draws its own split; else 0.
        evaluation: Text that says what the repeats are and what the intervals include.
        notes: Notes for the user.
        limits: Least and greatest possible value of the score; None if there are none.
    """

    source: str
    task: str
    score: str
    direction: str
    entries: list[Entry]
    test_ratio: float
    evaluation: str
    notes: Sequence[str] = ()
    limits: Interval | None = None

    def __post_init__(self) -> None:
        self.entries.sort(key=lambda entry: Direction(self.direction).key(float(np.mean(entry.scores))))

    def interval(self, entry: Entry) -> tuple[float, float]:
        """Return the 95 % interval of an entry's mean score."""
        estimate = estimate_mean(np.asarray(entry.scores), tested=self.test_ratio, noise=entry.noise)
        return clip_to_limits(self.limits, estimate.low, estimate.high)

    @cached_property
    def pairs(self) -> list[Pair]:
        """All pairs of entries, the better one first."""
        differences = []
        for a, b in combinations(self.entries, 2):
            difference = np.asarray(a.scores) - np.asarray(b.scores)
            # Errors on the same rows are correlated; assuming independence is conservative.
            noise = math.hypot(a.noise, b.noise)
            differences.append((a.name, b.name, estimate_mean(difference, tested=self.test_ratio, noise=noise)))
        corrected = holm([estimate.p for _, _, estimate in differences])
        return [Pair((a, b), estimate, p) for (a, b, estimate), p in zip(differences, corrected, strict=True)]

    def verdict(self, entry: Entry) -> str:
        """Return how an entry compares with the first: ``first``, ``tie``, ``worse`` or ``unknown``."""
        first = self.entries[0]
        if entry is first:
            return "first"
        pair = next(candidate for candidate in self.pairs if candidate.names == (first.name, entry.name))
        return "unknown" if math.isnan(pair.p) else "tie" if pair.tied else "worse"

    @property
    def summary(self) -> str:
        """One sentence: which entry is first, and which are tied with it."""
        first, *others = self.entries
        tied = [entry.name for entry in others if self.verdict(entry) == "tie"]
        if any(self.verdict(entry) == "unknown" for entry in others):
            return f"{first.name} has the best mean; without the sampling error of the test rows, no test is possible"
        result = f"tied with {', '.join(tied)}" if tied else "significantly better than all others"
        return f"{first.name} has the best mean and is {result}" if others else f"{first.name} is the only entry"

    def rows(self) -> list[dict[str, Any]]:
        """Return the table as one dictionary for each entry, the best first."""
        first, rows = self.entries[0], []
        for entry in self.entries:
            pair = next((candidate for candidate in self.pairs if candidate.names == (first.name, entry.name)), None)
            rows.append(
                {
                    "name": entry.name,
                    "kind": entry.kind,
                    "mean": float(np.mean(entry.scores)),
                    "interval": list(self.interval(entry)),
                    "verdict": self.verdict(entry),
                    "difference": pair.difference.mean if pair else 0.0,
                    "p": pair.p if pair else math.nan,
                    "seconds": entry.seconds,
                    "latency_ms": entry.latency_ms,
                    "n_parameters": entry.n_parameters,
                    "scores": list(entry.scores),
                    "metrics": dict(entry.metrics),
                    "runs": list(entry.run_ids),
                }
            )
        return rows

    def as_dict(self) -> dict[str, Any]:
        """Return the board as JSON."""
        names = ("source", "task", "score", "direction")
        pairs = [
            {
                "better": pair.names[0],
                "other": pair.names[1],
                "difference": pair.difference.mean,
                "interval": [pair.difference.low, pair.difference.high],
                "p": pair.p,
                "tied": pair.tied,
            }
            for pair in self.pairs
        ]
        facts = {name: getattr(self, name) for name in names}
        return convert_to_plain(
            {**facts, "judged": self.evaluation, "entries": self.rows(), "pairs": pairs, "notes": list(self.notes)}
        )

    def cells(self) -> tuple[list[str], list[list[str]]]:
        """Return the table as text: its header and its rows."""
        header = [self.score, "mean", "95 % interval", "vs. first", "p", "training", "one row", "parameters"]
        cells = []
        for row in self.rows():
            latency, size = row["latency_ms"], row["n_parameters"]
            cells.append(
                [
                    row["name"] + (" (baseline)" if row["kind"] == BASELINE else ""),
                    format_number(row["mean"]),
                    format_interval(tuple(row["interval"])),
                    row["verdict"],
                    "" if row["verdict"] in ("first", "unknown") else _p_in_words(row["p"]),
                    "–" if math.isnan(row["seconds"]) else f"{row['seconds']:.1f} s",
                    "–" if latency is None else f"{latency:.2f} ms",
                    "–" if size is None else f"{size:,}",
                ]
            )
        return header, cells

    def figure(self) -> Any:
        """Return the scores with their intervals, as a figure."""
        return scores_beside(
            [entry.name for entry in self.entries],
            [float(np.mean(entry.scores)) for entry in self.entries],
            [self.interval(entry) for entry in self.entries],
            [list(entry.scores) for entry in self.entries],
            score=self.score,
            baselines=[entry.name for entry in self.entries if entry.kind == BASELINE],
        )

    def __str__(self) -> str:
        header, rows = self.cells()
        widths = [max(len(row[index]) for row in [header, *rows]) for index in range(len(header))]
        lines = [f"{self.source}: {self.evaluation}"]
        lines += ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in [header, *rows]]
        return "\n".join([*lines, self.summary, *(f"note: {note}" for note in self.notes)])

    def html(self) -> str:
        """Return the board as a section of a page."""
        header, rows = self.cells()
        head = "".join(f"<th>{html.escape(text)}</th>" for text in header)
        body = "".join(f"<tr>{''.join(f'<td>{html.escape(c)}</td>' for c in row)}</tr>" for row in rows)
        notes = "".join(f"<li>{html.escape(note)}</li>" for note in self.notes)
        return (
            f"<h2><code>{html.escape(self.source)}</code></h2><p>{html.escape(self.evaluation)}</p>"
            f"<p><b>{html.escape(self.summary)}.</b></p><table><tr>{head}</tr>{body}</table>"
            f"{format_figure(self.figure(), f'{self.score} of each model with its interval')}"
            + (f"<ul>{notes}</ul>" if notes else "")
        )

    def markdown(self) -> str:
        """Return the board for a run's description."""
        header, rows = self.cells()
        lines = [f"| {' | '.join(row)} |" for row in [header, ["---"] * len(header), *rows]]
        return "\n".join([f"**{self.source}**: {self.evaluation}", "", *lines, "", f"{self.summary}."])


def _p_in_words(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.2g}"


@dataclass
class Comparison:
    """Models compared with each other and with baselines.

    Args:
        run_id: MLflow's id of the parent run.
        experiment: Name of the experiment.
        boards: One for each source.
        output: File that the page was written to.
    """

    run_id: str
    experiment: str
    boards: list[Board] = field(default_factory=list)
    output: str | None = None

    @property
    def ranks(self) -> Ranks | None:
        """Mean ranks over sources of the entries on every board; None for one source, or for different metrics."""
        kinds = {(board.score, board.direction) for board in self.boards}
        common = [
            entry.name
            for entry in self.boards[0].entries
            if all(any(other.name == entry.name for other in board.entries) for board in self.boards)
        ]
        if len(self.boards) < 2 or len(kinds) > 1 or len(common) < 2:
            return None
        scores = {
            name: [float(np.mean(e.scores)) for board in self.boards for e in board.entries if e.name == name]
            for name in common
        }
        return rank_over_sources(scores, self.boards[0].direction)

    @property
    def figures(self) -> dict[str, Any]:
        """The figures by name."""
        several = len(self.boards) > 1
        figures = {
            f"scores_{index}" if several else "scores": b.figure() for index, b in enumerate(self.boards, start=1)
        }
        if (ranks := self.ranks) is not None:
            figures["critical_difference"] = critical_difference(ranks.mean, ranks.distance, sources=len(self.boards))
        return figures

    def as_dict(self) -> dict[str, Any]:
        """Return what ``zoo compare --json`` prints."""
        ranks = self.ranks
        rank_values = (
            None if ranks is None else {"mean": ranks.mean, "p": ranks.p, "critical_difference": ranks.distance}
        )
        return {
            "run_id": self.run_id,
            "experiment": self.experiment,
            "boards": [board.as_dict() for board in self.boards],
            "ranks": convert_to_plain(rank_values),
            "output": self.output,
        }

    def markdown(self) -> str:
        """Return the comparison for a run's description."""
        return "\n\n".join([*(board.markdown() for board in self.boards), *self._ranks_in_words()])

    def page(self) -> str:
        """Return a self-contained page of HTML."""
        return format_page(f"Comparison on {', '.join(board.source for board in self.boards)}", self._body())

    def _repr_html_(self) -> str:
        return f"<style>{STYLE}</style><div>{self._body()}</div>"

    def _body(self) -> str:
        sections = ["<h1>Comparison</h1>", *(board.html() for board in self.boards)]
        if (ranks := self.ranks) is not None:
            figure = critical_difference(ranks.mean, ranks.distance, sources=len(self.boards))
            paragraphs = "".join(f"<p>{html.escape(text)}</p>" for text in self._ranks_in_words())
            sections.append(
                "<h2>Over all sources</h2>"
                f"{paragraphs}{format_figure(figure, 'mean ranks with the critical difference')}"
            )
        sections.append(
            "<p>The table is ordered by the mean. <i>p</i> is the p-value of the paired difference to the first, "
            f"corrected for all pairs of the table (Holm 1979); below {SIGNIFICANT} the difference is significant.</p>"
        )
        return "".join(sections)

    def _ranks_in_words(self) -> list[str]:
        ranks = self.ranks
        if ranks is None:
            return []
        each = ", ".join(f"{name} {rank:.2f}" for name, rank in sorted(ranks.mean.items(), key=lambda item: item[1]))
        equal = "" if math.isnan(ranks.p) else f"; p-value of no difference {ranks.p:.2g} (Friedman)"
        return [
            f"Mean ranks over {len(self.boards)} sources: {each}{equal}. Ranks less than {ranks.distance:.2f} apart "
            "are tied (Nemenyi)."
        ]

    def __repr__(self) -> str:
        lines = [f"Comparison {self.run_id[:8]}", *(f"\n{board}" for board in self.boards)]
        lines += [f"\n{text}" for text in self._ranks_in_words()]
        return "\n".join([*lines, f"page written to {self.output}"] if self.output else lines)
