"""Check whether gradients reach the first time steps and the first layers of a network."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import keras
import numpy as np

from zoo.inspection.gradient_flow import has_recurrent_layers, measure_over_depth, measure_over_time, shorten_arrays
from zoo.reporting.check_inputs import WARNING, Finding
from zoo.reporting.diagnosis import EXPLODING, VANISHING
from zoo.training.preprocessed_arrays import Arrays

LEAST, MOST = 1e-3, 1e3  # gradient at the first step or layer, as a multiple of that at the last
LEAST_STEPS = 10  # fewer steps are no long memory
AVERAGED = 0.1  # fraction of the steps at either end that a norm is averaged over


@dataclass(frozen=True)
class _Path:
    """The gradient at the far end of a path, as a multiple of that at the near end."""

    ratio: float
    far: str
    near: str
    advice: str

    def describe(self) -> str:
        """Return the finding in a sentence."""
        size = f"{self.ratio:.1g} times that at {self.near}" if self.ratio else "zero"
        return f"the gradient at {self.far} is {size}, and the network is hardly better than a constant"


def check_gradients(network: keras.Model, arrays: Arrays, hyperparameters: Collection[str] = ()) -> list[Finding]:
    """Report a gradient that vanishes or explodes on its way to the first time steps or layers.

    It is measured on a few rows. It is meant for a network that is hardly better than a constant: one that has learnt
    may ignore its first steps because they do not matter.

    Args:
        network: Compiled network.
        arrays: A few preprocessed rows, with targets.
        hyperparameters: Names of the model's hyperparameters, which the advice is limited to.
    """
    few = shorten_arrays(arrays)
    paths = [*_over_time(network, few, hyperparameters), *_over_depth(network, few, hyperparameters)]
    vanishing = [path for path in paths if path.ratio < LEAST]
    exploding = [path for path in paths if path.ratio > MOST]
    if vanishing:
        worst = min(vanishing, key=lambda path: path.ratio)
        return [Finding(VANISHING, WARNING, worst.describe(), worst.advice)]
    if exploding:
        worst = max(exploding, key=lambda path: path.ratio)
        ways = ["--set clip_norm=1"] if "clip_norm" in hyperparameters else []
        advice = ", ".join([*ways, "a lower learning_rate, or fewer steps or layers"])
        return [Finding(EXPLODING, WARNING, worst.describe(), advice)]
    return []


def _over_time(network: keras.Model, arrays: Arrays, hyperparameters: Collection[str]) -> Iterator[_Path]:
    if not has_recurrent_layers(network):
        return
    simple = any(isinstance(layer, keras.layers.SimpleRNN) for layer in network._flatten_layers())
    ways = ["a model with gates (lstm, gru)"] if simple else []
    ways += ["--set summary=mean"] if "summary" in hyperparameters else []
    advice = ", ".join([*ways, "a higher learning_rate, or shorter sequences"])
    ratios: dict[str, list[float]] = {}
    places: dict[str, str] = {}
    for name, norms in measure_over_time(network, arrays).items():
        layer, _, direction = name.partition(" ")
        places[layer] = (
            f"steps in the middle of {layer}" if direction else f"the first of {len(norms)} steps of {layer}"
        )
        # Of two directions, the other one reads the first steps last: the way is longest from the middle.
        norms = norms[: len(norms) // 2 + 1] if direction else norms
        steps = max(1, round(AVERAGED * len(norms)))
        near, far = float(np.mean(norms[:steps])), float(np.mean(norms[-steps:]))
        if len(norms) >= LEAST_STEPS and near > 0:
            ratios.setdefault(layer, []).append(_finite(far / near))
    for layer, of_directions in ratios.items():
        yield _Path(max(of_directions), places[layer], "the last", advice)  # one way to the loss is enough


def _over_depth(network: keras.Model, arrays: Arrays, hyperparameters: Collection[str]) -> Iterator[_Path]:
    norms = measure_over_depth(network, arrays)
    if len(norms) < 2:
        return
    (first, far), *_, (last, near) = norms.items()
    ways = ["--set activation=relu"] if "activation" in hyperparameters else []
    ways += ["--set normalization=batch"] if "normalization" in hyperparameters else []
    ways += ["--set initializer=he_normal"] if "initializer" in hyperparameters else []
    advice = ", ".join([*ways, "fewer layers, or layers with residual connections"])
    if near > 0:
        yield _Path(_finite(far / near), f"the first hidden layer ({first})", f"the last ({last})", advice)


def _finite(ratio: float) -> float:
    """Return infinity in place of NaN, which comes of gradients that overflow."""
    return math.inf if math.isnan(ratio) else ratio
