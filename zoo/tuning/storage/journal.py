"""The journal of a search: full snapshots at intervals and one line per change in between."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from zoo.tuning.oracles.ask_tell import AskTell
from zoo.tuning.storage.records import SearchState, TrialRecord
from zoo.tuning.storage.search_folder import SearchFolder

MOST_SHARE = 0.05  # of the time may be spent on full snapshots
# Oracles whose state follows from their trials; for the others each save is a full snapshot.
_STATE_FROM_TRIALS = ("random", "asha", "bayesian")


class SearchJournal:
    """Stores a search so that a kill loses nothing.

    A full snapshot grows with the number of trials, so it is written only as often as takes 5 % of the time. In
    between, each changed trial adds one line.

    Args:
        folder: Where the search is stored.
        state: The search.
        oracle: Its oracle.
    """

    def __init__(self, folder: SearchFolder, state: SearchState, oracle: AskTell) -> None:
        self.folder, self.state, self.oracle = folder, state, oracle
        self._next_snapshot = 0.0

    def save(self, record: TrialRecord | None = None) -> None:
        """Store a trial that changed; without one, write a full snapshot."""
        began = time.perf_counter()
        if record is not None and began < self._next_snapshot and self.state.search in _STATE_FROM_TRIALS:
            self.folder.append(self._changed(record))
            return
        self.folder.write({**asdict(self.state), "oracle": self.oracle.state()})
        ended = time.perf_counter()
        self._next_snapshot = ended + (ended - began) / MOST_SHARE

    def _changed(self, record: TrialRecord) -> dict[str, Any]:
        key = record.trial_id
        rungs = {epoch: {key: scores[key]} for epoch, scores in self.state.rungs.items() if key in scores}
        fits = {key: self.state.fits[key]} if key in self.state.fits else {}
        trial = {record.oracle_id: self.oracle.trial_state(record.oracle_id)}
        return {
            "seconds": self.state.seconds,
            "best": self.state.best,
            "trials": {key: asdict(record)},
            "rungs": rungs,
            "fits": fits,
            "oracle": {"trials": trial},
        }
