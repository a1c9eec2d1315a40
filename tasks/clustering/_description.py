"""What the tables and figures of a run say about its clusters: profile, hierarchy and number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.dataset import Dataset

from ._figures import draw_figures, draw_hierarchy
from ._hierarchy import Hierarchy, create_hierarchy
from ._number import CURVE, draw_numbers
from ._profile import Profile, create_profile


@dataclass
class Description:
    """Tables and figures of the clusters of one split, computed when they are needed.

    Args:
        dataset: The data.
        split: Name of the split, which has the profile.
        output: The model's outputs for its rows.
        latent: Latent vectors of the training rows, which have the hierarchy (N, L).
        assigned: Cluster of each training row (N,).
        means: Means of the clusters (K, L) in the latent space.
    """

    dataset: Dataset
    split: str
    output: Mapping[str, np.ndarray]
    latent: np.ndarray
    assigned: np.ndarray
    means: Any

    @cached_property
    def profile(self) -> Profile:
        """The profile of the clusters."""
        rows, assigned = self.dataset.splits[self.split], self.output["cluster"].argmax(axis=1)
        return create_profile(rows, self.dataset.spec, self.output["latent"], assigned)

    @cached_property
    def hierarchy(self) -> Hierarchy:
        """The hierarchy of the clusters."""
        return create_hierarchy(self.means, self.latent, self.assigned)

    @property
    def curve(self) -> pd.DataFrame:
        """The curve that the number of clusters was chosen by; empty if it was given."""
        return pd.DataFrame(self.dataset.facts.get(CURVE, {}))

    def draw(self, model: Any) -> dict[str, Any]:
        """Return the figures by name; the model provides the preprocessing for reconstructions."""
        figures = draw_figures(self.dataset, self.split, self.output, model, self.profile)
        curve = {} if self.curve.empty else {CURVE: draw_numbers(self.curve, len(self.hierarchy.means))}
        return {**figures, **draw_hierarchy(self.hierarchy), **curve}

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return the tables by name."""
        curve = {} if self.curve.empty else {CURVE: self.curve}
        return {**self.profile.tables(self.dataset.splits[self.split]), **self.hierarchy.tables(), **curve}
