"""The data report: column summaries and findings, as text, JSON and HTML."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from zoo.data.columns.column_kinds import Column
from zoo.reporting.check_inputs import OK, WARNING, Finding
from zoo.reporting.distributions import Distribution
from zoo.reporting.page import STYLE, format_bars, format_page

MOST_LINES = 8  # of evidence in a terminal; the page has more
_SIGNS = {"ok": " ", "note": "·", "warning": "!"}


@dataclass(frozen=True)
class DataReport:
    """Report on data before training.

    Args:
        source: The source of the data.
        target: Target column; None without a target.
        task: Task of the target; None without a target.
        splits: Number of rows of each split.
        columns: Summary of each column; empty for images, sequences and texts.
        findings: Results of the checks.
        notes: Notes from reading.
        output: The written page; None without one.
        distributions: Distributions of the columns.
        target_distribution: Distribution of the target; None for several targets.
    """

    source: str
    target: str | None
    task: str | None
    splits: Mapping[str, int]
    columns: Sequence[Column] = ()
    findings: Sequence[Finding] = ()
    notes: Sequence[str] = ()
    output: str | None = field(default=None, compare=False)
    distributions: Sequence[Distribution] = ()
    target_distribution: Distribution | None = None

    @property
    def warnings(self) -> list[Finding]:
        """The findings of level ``warning``."""
        return [finding for finding in self.findings if finding.level == WARNING]

    def as_dict(self) -> dict[str, Any]:
        """Return the report as a dict, as printed by ``zoo data --json``."""
        return {
            "source": self.source,
            "target": self.target,
            "task": self.task,
            "splits": dict(self.splits),
            "columns": [_column_as_dict(column) for column in self.columns],
            "findings": [finding.as_dict() for finding in self.findings],
            "notes": list(self.notes),
            "output": self.output,
            "distributions": [distribution.as_dict() for distribution in self.distributions],
            "target_distribution": self.target_distribution.as_dict() if self.target_distribution else None,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DataReport:
        """Create a report from the result of :meth:`as_dict`."""
        findings = list(map(Finding.from_dict, values["findings"]))
        columns = [_column_of_dict(column) for column in values["columns"]]
        values = {**values, "splits": values.get("splits", values.get("parts"))}  # zoo 0.1.0 wrote parts
        values.pop("parts", None)
        target = values.get("target_distribution")  # earlier reports have no distributions
        return cls(
            **{
                **values,
                "findings": findings,
                "columns": columns,
                "notes": tuple(values["notes"]),
                "distributions": tuple(map(Distribution.from_dict, values.get("distributions", ()))),
                "target_distribution": Distribution.from_dict(target) if target else None,
            }
        )

    def short(self) -> str:
        """Return the warnings, one per line, for a run's description."""
        lines = [f"- {finding.topic}: {finding.text}" for finding in self.warnings]
        return "\n".join(["Data report:", *lines]) if lines else ""

    def __str__(self) -> str:
        rows = sum(self.splits.values())
        sizes = ", ".join(f"{count:,} {name}" for name, count in self.splits.items())
        predicted = f", target {self.target} ({self.task})" if self.target else ""
        lines = [f"{self.source}: {rows:,} rows ({sizes}), {len(self.columns)} columns{predicted}"]
        lines += [f"  {note}" for note in self.notes if not note.startswith("column ")]
        if self.columns:
            lines += [
                "",
                "columns of the training rows:",
                f"{'column':<22}{'kind':<12}{'missing':>8}  {'range or categories':<40} enters as",
            ]
            lines += [_column_line(column) for column in self.columns]
            lines.append("to change a kind, use --column NAME=KIND")
        lines.append("")
        width = max((len(finding.topic) for finding in self.findings), default=0)
        for finding in self.findings:
            lines.append(f"{_SIGNS[finding.level]} {finding.topic:<{width}}  {finding.text}")
            if finding.level != OK:
                lines += [f"  {'':<{width}}    {text}" for text in finding.shown(MOST_LINES)]
                lines += [f"  {'':<{width}}  → {finding.advice}"] if finding.advice else []
        lines.append("")
        lines.append(_counted(len(self.warnings)))
        if self.output:
            lines.append(f"page: {self.output}")
        return "\n".join(lines)

    __repr__ = __str__

    def page(self) -> str:
        """Return the report as a self-contained HTML page."""
        return format_page(f"Data report: {self.source}", self._body())

    def _repr_html_(self) -> str:
        return f"<style>{STYLE}</style><div>{self._body()}</div>"

    def _body(self) -> str:
        rows = ", ".join(f"{count:,} {html.escape(name)}" for name, count in self.splits.items())
        predicted = f", target <code>{html.escape(self.target)}</code>" if self.target else ""
        lines = [f"<h1>Data report</h1><p><code>{html.escape(self.source)}</code>: {rows}{predicted}</p>"]
        if self.target_distribution is not None:
            lines.append(_draw_target(self.target_distribution))
        lines.append("<h2>Findings</h2><table><tr><th></th><th>topic</th><th>finding</th><th>what to do</th></tr>")
        ranked = sorted(self.findings, key=lambda finding: ("warning", "note", "ok").index(finding.level))
        lines += [_finding_row(finding) for finding in ranked]
        lines.append("</table>")
        if self.columns:
            head = ("column", "kind", "missing", "distribution", "range or categories", "enters as", "remarks")
            drawn = {shown.name: format_bars(shown.labels, shown.counts) for shown in self.distributions}
            cells = "".join(f"<th>{name}</th>" for name in head)
            lines.append(f"<h2>Columns</h2><table><tr>{cells}</tr>")
            lines += [_column_row(column, drawn.get(column.name, "")) for column in self.columns]
            lines.append(
                "</table><p>Bars are fractions of the training rows, orange lines those of the test rows. "
                "To change a kind, use <code>--column NAME=KIND</code>.</p>"
            )
        notes = [note for note in self.notes if not note.startswith("column ")]
        lines += (
            [f"<h2>Notes</h2><ul>{''.join(f'<li>{html.escape(note)}</li>' for note in notes)}</ul>"] if notes else []
        )
        return "".join(lines)


def _counted(warnings: int) -> str:
    return f"{warnings} warning{'s' if warnings > 1 else ''}" if warnings else "no warning"


def _finding_row(finding: Finding) -> str:
    shown = "".join(f"<li>{html.escape(text)}</li>" for text in finding.shown())
    evidence = f'<ul class="evidence">{shown}</ul>' if shown else ""
    cells = (
        f'<td class="{finding.level}">{finding.level}</td>',
        f"<td>{html.escape(finding.topic)}</td>",
        f"<td>{html.escape(finding.text)}{evidence}</td>",
        f"<td>{html.escape(finding.advice)}</td>",
    )
    return f"<tr>{''.join(cells)}</tr>"


def _extent(column: Column) -> str:
    if column.range is not None:
        return f"{column.range[0]} to {column.range[1]}"
    shown = ", ".join(f"{name} ({count:,})" for name, count in column.categories[:4])
    more = f", … {column.distinct} in total" if column.distinct > len(column.categories[:4]) else ""
    return shown + more if shown else f"{column.distinct:,} distinct"


def _column_line(column: Column) -> str:
    extent = _extent(column)
    extent = extent if len(extent) <= 39 else extent[:38] + "…"
    enters = f"left out: {column.left_out}" if column.left_out else column.enters
    return f"{column.name[:21]:<22}{column.kind:<12}{column.missing:>8,}  {extent:<40} {enters}".rstrip()


def _column_row(column: Column, drawing: str) -> str:
    enters = f"left out: {column.left_out}" if column.left_out else column.enters
    texts = (column.name, column.kind, f"{column.missing:,}", _extent(column), enters, "; ".join(column.remarks))
    cells = [html.escape(text) for text in texts]
    cells.insert(3, drawing)
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _draw_target(shown: Distribution) -> str:
    """Return the bars of the target with a table of their counts."""
    splits = list(shown.counts)
    head = "".join(f'<th class="number">{html.escape(split)}</th>' for split in splits)
    rows = []
    for index, label in enumerate(shown.labels):
        cells = "".join(f'<td class="number">{shown.counts[split][index]:,}</td>' for split in splits)
        rows.append(f"<tr><td>{html.escape(label)}</td>{cells}</tr>")
    table = f"<table><tr><th>bar, from the left</th>{head}</tr>{''.join(rows)}</table>"
    bars = format_bars(shown.labels, shown.counts, scale=3)
    few = " open" if len(shown.labels) <= MOST_LINES else ""
    legend = "<p>Bars are fractions of the training rows, orange lines those of the test rows.</p>"
    return f"<h2>Target</h2>{bars}{legend}<details{few}><summary>rows of each bar</summary>{table}</details>"


def _column_as_dict(column: Column) -> dict[str, Any]:
    values = asdict(column)
    return {
        **values,
        "range": list(column.range) if column.range else None,
        "categories": [list(pair) for pair in column.categories],
        "remarks": list(column.remarks),
    }


def _column_of_dict(values: Mapping[str, Any]) -> Column:
    extent = tuple(values["range"]) if values["range"] else None
    values = dict(values)
    counts = values.pop("levels") if "levels" in values else values["categories"]  # in reports of earlier runs
    categories = tuple((str(name), int(count)) for name, count in counts)
    return Column(**{**values, "range": extent, "categories": categories, "remarks": tuple(values["remarks"])})
