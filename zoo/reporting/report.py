"""The report as an object: what was understood, and the verdicts, as text, JSON and a page."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from zoo.data.columns.column_kinds import Column
from zoo.reporting.check_inputs import OK, WARNING, Finding
from zoo.reporting.page import STYLE, whole_page

_SIGNS = {"ok": " ", "note": "·", "warning": "!"}


@dataclass(frozen=True)
class DataReport:
    """What is to know of data before a model is trained on them.

    Args:
        source: Where the data come from.
        target: Column that is predicted; None without.
        task: Task that they were read for; None without a target.
        parts: Number of rows of each part.
        columns: What was understood of each column; empty for images, sequences and texts.
        findings: The verdicts.
        notes: What was noticed while reading.
    """

    source: str
    target: str | None
    task: str | None
    splits: Mapping[str, int]
    columns: Sequence[Column] = ()
    findings: Sequence[Finding] = ()
    notes: Sequence[str] = ()
    output: str | None = field(default=None, compare=False)

    @property
    def warnings(self) -> list[Finding]:
        """The findings that somebody should look at."""
        return [finding for finding in self.findings if finding.level == WARNING]

    def as_dict(self) -> dict[str, Any]:
        """Return what ``zoo data --json`` prints."""
        return {
            "source": self.source,
            "target": self.target,
            "task": self.task,
            "splits": dict(self.splits),
            "columns": [_column_as_dict(known) for known in self.columns],
            "findings": [finding.as_dict() for finding in self.findings],
            "notes": list(self.notes),
            "output": self.output,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DataReport:
        """Return the report that :meth:`as_dict` described."""
        findings = list(map(Finding.from_dict, values["findings"]))
        columns = [_column_of_dict(known) for known in values["columns"]]
        values = {**values, "splits": values.get("splits", values.get("parts"))}  # zoo 0.1.0 wrote parts
        values.pop("parts", None)
        return cls(**{**values, "findings": findings, "columns": columns, "notes": tuple(values["notes"])})

    def short(self) -> str:
        """Return the warnings, a line each, for a run's description."""
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
                "columns, as the training rows have them:",
                f"{'column':<22}{'kind':<12}{'missing':>8}  {'range or levels':<40} enters as",
            ]
            lines += [_column_line(known) for known in self.columns]
            lines.append("a kind that is wrong is overruled by --column NAME=KIND")
        lines.append("")
        width = max((len(finding.topic) for finding in self.findings), default=0)
        for finding in self.findings:
            lines.append(f"{_SIGNS[finding.level]} {finding.topic:<{width}}  {finding.text}")
            if finding.level != OK:
                lines += [f"  {'':<{width}}    {text}" for text in finding.evidence[:8]]
                lines += [f"  {'':<{width}}  → {finding.advice}"] if finding.advice else []
        lines.append("")
        lines.append(_counted(len(self.warnings)))
        if self.output:
            lines.append(f"the page is in {self.output}")
        return "\n".join(lines)

    __repr__ = __str__

    def page(self) -> str:
        """Return one page of HTML that needs nothing else."""
        return whole_page(f"Data report: {self.source}", self._body())

    def _repr_html_(self) -> str:
        return f"<style>{STYLE}</style><div>{self._body()}</div>"

    def _body(self) -> str:
        rows = ", ".join(f"{count:,} {html.escape(name)}" for name, count in self.splits.items())
        predicted = f", target <code>{html.escape(self.target)}</code>" if self.target else ""
        lines = [f"<h1>Data report</h1><p><code>{html.escape(self.source)}</code>: {rows}{predicted}</p>"]
        lines.append("<h2>Verdicts</h2><table><tr><th></th><th>topic</th><th>verdict</th><th>what to do</th></tr>")
        ranked = sorted(self.findings, key=lambda finding: ("warning", "note", "ok").index(finding.level))
        lines += [_finding_row(finding) for finding in ranked]
        lines.append("</table>")
        if self.columns:
            head = ("column", "kind", "missing", "range or levels", "enters as", "remarks")
            cells = "".join(f"<th>{name}</th>" for name in head)
            lines.append(f"<h2>Columns</h2><table><tr>{cells}</tr>")
            lines += [_column_row(known) for known in self.columns]
            lines.append("</table><p>A kind that is wrong is overruled by <code>--column NAME=KIND</code>.</p>")
        notes = [note for note in self.notes if not note.startswith("column ")]
        lines += (
            [f"<h2>Notes</h2><ul>{''.join(f'<li>{html.escape(note)}</li>' for note in notes)}</ul>"] if notes else []
        )
        return "".join(lines)


def _counted(warnings: int) -> str:
    return f"{warnings} warning{'s' if warnings > 1 else ''}" if warnings else "no warning"


def _finding_row(finding: Finding) -> str:
    shown = "".join(f"<li>{html.escape(text)}</li>" for text in finding.evidence)
    evidence = f'<ul class="evidence">{shown}</ul>' if shown else ""
    cells = (
        f'<td class="{finding.level}">{finding.level}</td>',
        f"<td>{html.escape(finding.topic)}</td>",
        f"<td>{html.escape(finding.text)}{evidence}</td>",
        f"<td>{html.escape(finding.advice)}</td>",
    )
    return f"<tr>{''.join(cells)}</tr>"


def _extent(known: Column) -> str:
    if known.range is not None:
        return f"{known.range[0]} to {known.range[1]}"
    shown = ", ".join(f"{name} ({count:,})" for name, count in known.levels[:4])
    more = f", … {known.distinct} in all" if known.distinct > len(known.levels[:4]) else ""
    return shown + more if shown else f"{known.distinct:,} different"


def _column_line(known: Column) -> str:
    extent = _extent(known)
    extent = extent if len(extent) <= 39 else extent[:38] + "…"
    enters = f"left out: {known.left_out}" if known.left_out else known.enters
    return f"{known.name[:21]:<22}{known.kind:<12}{known.missing:>8,}  {extent:<40} {enters}".rstrip()


def _column_row(known: Column) -> str:
    enters = f"left out: {known.left_out}" if known.left_out else known.enters
    texts = (known.name, known.kind, f"{known.missing:,}", _extent(known), enters, "; ".join(known.remarks))
    return f"<tr>{''.join(f'<td>{html.escape(text)}</td>' for text in texts)}</tr>"


def _column_as_dict(known: Column) -> dict[str, Any]:
    values = asdict(known)
    return {
        **values,
        "range": list(known.range) if known.range else None,
        "levels": [list(pair) for pair in known.levels],
        "remarks": list(known.remarks),
    }


def _column_of_dict(values: Mapping[str, Any]) -> Column:
    extent = tuple(values["range"]) if values["range"] else None
    levels = tuple((str(name), int(count)) for name, count in values["levels"])
    return Column(**{**values, "range": extent, "levels": levels, "remarks": tuple(values["remarks"])})
