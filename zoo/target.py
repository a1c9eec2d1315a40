"""The description of a target: what a model predicts for each example."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """A target of a model.

    Args:
        name: The column's name.
        kind: ``class`` (encoded as class index) or ``number`` (encoded as standardised number).
        classes: Names of the classes in the order of their index.
        dtype: Type of predicted classes: ``int``, ``float``, ``bool`` or ``str``.
        positive: The positive class of two, for metrics such as f1.
        counts: Number of training rows of each class.
        mean: Mean of a number over the training split, in its own units.
        std: Standard deviation of a number over the training split, in its own units.
        quantiles: Probabilities of the predicted quantiles of a number; empty for its mean.
        shape: Shape of the target of one example; ``()`` for one value.
        bounds: Least and greatest value of each number of an action.
        threshold: Probability from which the positive class of two is predicted; None for the most likely class.
        notation: How the texts of a number are written, as of :class:`zoo.spec.NumberInput`.
        ordered: Whether the classes are in an order, from low to high.
        cells: Column whose cells list several labels, of which this target is one; empty for a column of its own.
        separator: Text between the labels of a cell; empty if cells are lists.
    """

    name: str
    kind: str
    classes: tuple[str, ...] = ()
    dtype: str = "float"
    positive: str | None = None
    counts: tuple[int, ...] = ()
    mean: float = 0.0
    std: float = 1.0
    quantiles: tuple[float, ...] = ()
    shape: tuple[int, ...] = ()
    bounds: tuple[tuple[float, float], ...] = ()
    threshold: float | None = None
    notation: str = ""
    ordered: bool = False
    cells: str = ""
    separator: str = ""

    @property
    def columns(self) -> frozenset[str]:
        """Columns of a source that may hold it: its own, and that of cells that list labels."""
        return frozenset({self.name, self.cells or self.name})

    @property
    def positive_index(self) -> int:
        """Index of the positive class; the last class if none is set."""
        return self.classes.index(self.positive) if self.positive is not None else len(self.classes) - 1
