"""Storing a search: whole now and then, and in between what changed, so that thousands of trials cost little."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from zoo.tuning.oracles.ask_tell import AskTell
from zoo.tuning.storage.records import SearchState, TrialRecord
from zoo.tuning.storage.search_folder import SearchFolder

MOST_SHARE = 0.05  # of the time that may go into storing the whole
# Oracles whose state follows from their trials; of the others all is stored each time.
_FOLLOWS = ("random", "asha", "bayesian")


class SearchJournal:
    """Stores a search so that a kill loses nothing.

    The whole, whose size grows with the trials, is written as often as takes no more than a twentieth of the time;
    in between one line is added for each trial that changed.

    Args:
        folder: Where it is stored.
        state: The search.
        oracle: Its oracle.
    """

    def __init__(self, folder: SearchFolder, state: SearchState, oracle: AskTell) -> None:
        self.folder, self.state, self.oracle = folder, state, oracle
        self._next_whole = 0.0

    def save(self, record: TrialRecord | None = None) -> None:
        """Store what is new; without the record that changed, everything."""
        began = time.perf_counter()
        if record is not None and began < self._next_whole and self.state.search in _FOLLOWS:
            self.folder.append(self._changed(record))
            return
        self.folder.write({**asdict(self.state), "oracle": self.oracle.state()})
        ended = time.perf_counter()
        self._next_whole = ended + (ended - began) / MOST_SHARE

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
