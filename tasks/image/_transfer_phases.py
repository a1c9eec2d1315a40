"""Phases of transfer learning: the output layer alone on the frozen backbone, then also the backbone."""

from __future__ import annotations

import keras

from zoo.models.phases import Phase


def create_phases(
    backbone: keras.Model, title: str, *, head_epochs: int, unfrozen: float, rate: float
) -> tuple[Phase, ...]:
    """Return the phases in which a backbone is trained.

    Args:
        backbone: The backbone inside the network.
        title: What it is, for the user.
        head_epochs: Number of first epochs in which it is frozen.
        unfrozen: Fraction of its layers with weights, from the top, that are trained then.
        rate: Learning rate then, as a fraction.
    """
    layers = [layer for layer in backbone.layers if layer.weights]
    lower = tuple(layers[: len(layers) - round(min(unfrozen, 1) * len(layers))])
    head = Phase(0, f"only the output layer is trained, on the frozen {title}", (backbone,))
    if len(lower) == len(layers):
        return (head,)
    part = f"the upper {unfrozen:.0%} of the layers of {title} are" if lower else f"{title} is"
    slower = f", at {rate:.3g} of the learning rate" if rate != 1 else ""
    rest = Phase(head_epochs, f"{part} trained{slower}", lower, rate)
    return (head, rest) if head_epochs else (rest,)
