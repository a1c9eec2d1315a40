"""Removing what is left of runs that came to nothing: first a list, then, if a person says so, the files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from zoo.tracking.leftovers import Leftover, find_leftovers, remove_leftovers
from zoo.tracking.store import Store


@dataclass
class Leftovers:
    """What can be removed.

    Args:
        store: Where it is.
        found: Each thing.
        resumable: Runs that ended early and are kept, because they can be gone on with.
        removed: Whether it was removed.
    """

    store: Store
    found: list[Leftover]
    resumable: int
    removed: bool = False

    def remove(self) -> None:
        """Remove all of it for good."""
        remove_leftovers(self.store, self.found)
        self.removed = True

    def as_dict(self) -> dict[str, Any]:
        """Return what ``zoo runs --prune --json`` prints."""
        return {
            "leftovers": [vars(known) for known in self.found],
            "resumable": self.resumable,
            "removed": self.removed,
        }

    def __repr__(self) -> str:
        kept = f"{self.resumable} runs that were cut short are kept: zoo train --resume RUN goes on with them"
        tail = [kept] if self.resumable else []
        if not self.found:
            return "\n".join(["nothing to remove", *tail])
        lines = [f"{known.what:<32}{_in_mib(known.size):>10}  {known.name}  {known.why[:60]}" for known in self.found]
        total = _in_mib(sum(known.size for known in self.found))
        done = "removed" if self.removed else "can be removed"
        return "\n".join([*lines, f"{len(self.found)} things, {total}, {done}", *tail])


def leftovers() -> Leftovers:
    """Return what is left of runs that failed, were killed beyond going on, or were deleted, and files without a run.

    Example:
        >>> leftovers().found  # doctest: +SKIP
        []
    """
    store = Store()
    store.close_orphans()
    return Leftovers(store, *find_leftovers(store))


def _in_mib(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB"
