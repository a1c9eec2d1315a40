"""Removal of leftovers of failed, killed or deleted runs: first a list, then, on confirmation, the files."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from zoo.tracking.leftovers import Leftover, find_leftovers, remove_leftovers
from zoo.tracking.store import Store


@dataclass
class Leftovers:
    """What can be removed.

    Args:
        store: Where it is.
        items: Each leftover.
        resumable: Number of resumable runs, which are kept.
        removed: Whether the items were removed.
    """

    store: Store
    items: list[Leftover]
    resumable: int
    removed: bool = False

    def remove(self) -> None:
        """Remove all of it for good."""
        remove_leftovers(self.store, self.items)
        self.removed = True

    def as_dict(self) -> dict[str, Any]:
        """Return what ``zoo runs --prune --json`` prints."""
        return {
            "leftovers": [vars(leftover) for leftover in self.items],
            "resumable": self.resumable,
            "removed": self.removed,
        }

    def __repr__(self) -> str:
        kept = f"{self.resumable} interrupted runs are kept; resume them with zoo train --resume RUN"
        tail = [kept] if self.resumable else []
        if not self.items:
            return "\n".join(["nothing to remove", *tail])
        lines = [
            f"{leftover.what:<32}{_in_mib(leftover.size):>10}  {leftover.name}  {leftover.why[:60]}"
            for leftover in self.items
        ]
        total = _in_mib(sum(leftover.size for leftover in self.items))
        done = "removed" if self.removed else "can be removed"
        tail += [] if self.removed else ["nothing was removed; confirm with --yes"]
        return "\n".join([*lines, f"{len(self.items)} items, {total}, {done}", *tail])


def list_leftovers() -> Leftovers:
    """Return leftovers of runs that failed, cannot be resumed or were deleted, and files without a run.

    Example:
        >>> list_leftovers().items  # doctest: +SKIP
        []
    """
    store = Store()
    store.close_orphans()
    return Leftovers(store, *find_leftovers(store))


def prune(*, confirmed: bool, ask: bool) -> Leftovers:
    """Remove leftovers, and return what they are.

    Args:
        confirmed: Remove them without a question.
        ask: Ask on a terminal if they are not confirmed.
    """
    leftovers_ = list_leftovers()
    if leftovers_.items and (confirmed or (ask and sys.stdin.isatty() and _confirmed(leftovers_))):
        leftovers_.remove()
    return leftovers_


def _confirmed(leftovers_: Leftovers) -> bool:
    print(leftovers_, file=sys.stderr)
    return input("Remove them for good? [y/N]: ").strip().lower() in ("y", "yes")


def _in_mib(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB"
