"""Select the best trial of a search: another one than the default only if validation can tell them apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo.data.dataset import Dataset
from zoo.fitting.model_builder import ModelBuilder
from zoo.jobs.search_options import TuneJob
from zoo.metrics.significance import SIGNIFICANT, compare_on_rows, estimate_mean
from zoo.tuning.objective import FACTS, Objective
from zoo.tuning.storage.records import TrialRecord, apply_epochs
from zoo.tuning.storage.search_folder import SearchFolder
from zoo.tuning.trial import WEIGHTS_FILE, restore_hyperparameters, restore_weights

MOST_DRAWS = 20_000
ScoredRows = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class TrialComparison:
    """Compares trials of a search on what ranked them.

    Args:
        job: The search job.
        builder: Builder of the model.
        dataset: The dataset.
        folder: Folder of the search, with the weights of the trials.
        objective: Objective of the search.
        fits: Scores of the folds of each trial, by its id.
        trials: Number of ranked trials. The best of many is compared, so it divides the level of the test (Bonferroni).
    """

    job: TuneJob
    builder: ModelBuilder
    dataset: Dataset
    folder: SearchFolder
    objective: Objective
    fits: Mapping[str, Sequence[float]]
    trials: int = 1

    def is_better(self, trial: TrialRecord, default: TrialRecord) -> bool:
        """Return whether a trial is better than the default beyond chance; True where that cannot be judged.

        Over folds, by the one-sided corrected t-test of their scores (Nadeau and Bengio 2003); else by the bootstrap
        of the validation rows.
        """
        if self.objective.name in FACTS:
            return True
        sign = self.objective.direction.sign
        if self.job.cv is not None:
            scores = [np.asarray(self.fits.get(record.trial_id, ())) for record in (trial, default)]
            if len(scores[0]) != len(scores[1]) or len(scores[0]) < 2:
                return True
            estimate = estimate_mean(sign * (scores[1] - scores[0]), tested=1 / (len(scores[0]) - 1))
            return estimate.mean > 0 and estimate.p < 2 * SIGNIFICANT / self.trials
        rows, default_rows = self._scored_rows(trial), self._scored_rows(default)
        if rows is None or default_rows is None:
            return True
        split, rules = self.dataset.splits["validation"], self.builder.task.rules(self.dataset.spec)
        metric = next(m for m in rules.metrics() if self.objective.name == self.objective.prefix + m.name)
        (truth, prediction), (_, of_default) = rows, default_rows
        weight, group = split.weight, split.group
        draws = min(MOST_DRAWS, max(1000, 100 * self.trials))  # enough to resolve the level
        fraction = compare_on_rows(
            metric, truth, prediction, of_default, weight=weight, group=group, seed=self.job.seed, draws=draws
        )
        return fraction >= 1 - SIGNIFICANT / self.trials

    def _scored_rows(self, record: TrialRecord) -> ScoredRows | None:
        """Return truth and predictions of the validation rows by a trial's weights."""
        self.folder.fetch_trial(record.trial_id)
        weights = self.folder.trial(record.trial_id) / WEIGHTS_FILE
        if not weights.is_file():
            return None
        values = apply_epochs(record.hyperparameters, self.job.epochs)
        built_model = self.builder.build_model(restore_hyperparameters(values), self.dataset.spec, seed=self.job.seed)
        restore_weights(weights, built_model)
        built_model.run_after_fit(self.dataset)
        return self.builder.task.scored_rows(built_model.full_model(), self.dataset, "validation")


def find_defaults(trials: Sequence[TrialRecord], defaults: Sequence[Mapping[str, Any]]) -> list[TrialRecord]:
    """Return the trials with the default hyperparameters of a model that were trained as long as any other.

    Args:
        trials: Trials with a score. One that was pruned or stopped early is no fair default.
        defaults: The default hyperparameters of each model of the search.
    """
    longest = max((record.epochs or 0 for record in trials), default=0)  # set by Hyperband only
    complete = [
        record
        for record in trials
        if record.status == "COMPLETED" and not record.reason and (record.epochs or longest) == longest
    ]
    return [
        record
        for record in complete
        if any(all(record.hyperparameters.get(name) == value for name, value in each.items()) for each in defaults)
    ]


def select_trial(
    ranked: Sequence[TrialRecord],
    defaults: Sequence[TrialRecord],
    is_better: Callable[[TrialRecord, TrialRecord], bool],
    most: int,
) -> TrialRecord:
    """Return the trial to use: the first in the ranking that is better than the best default one beyond chance.

    The best of many trials on few validation rows is often the luckiest, and worse on new rows than the default:
    ``benchmarks/selection.py`` measures by how much.

    Args:
        ranked: Trials, the best score first.
        defaults: Those of them with default hyperparameters; without any, the first trial is selected.
        is_better: Whether the first trial is better than the second beyond chance.
        most: Number of trials to compare with the default.
    """
    default = next((record for record in ranked if record in defaults), None)
    if default is None:
        return ranked[0]
    for record in ranked[: ranked.index(default)][:most]:
        if is_better(record, default):
            return record
    return default
