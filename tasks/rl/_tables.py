"""Networks that are a table: the value of each action in each state."""

from __future__ import annotations

import keras

from zoo.models.built_model import Trainer
from zoo.networks import Knobs, assemble
from zoo.preprocessing.observations import ObservationPreprocessing
from zoo.spec import Spec

from ._actions import require_discrete
from ._environments import require_states


def check_table(spec: Spec, agent: str) -> None:
    """Raise if the observation is not one integer, or the actions are continuous.

    Args:
        spec: Spec of an environment.
        agent: Name of the agent, for errors.

    Raises:
        UsageError: If it is so.
    """
    require_states(spec, agent)
    require_discrete(spec.target, agent)


def assemble_table(spec: Spec, knobs: Knobs, trainer: Trainer, agent: str) -> keras.Model:
    """Return the compiled model of one dense layer without bias, ``values``, whose weights are the table (S, A).

    Args:
        spec: Spec whose observation is one integer, and whose actions are discrete.
        knobs: Provide epochs and patience.
        trainer: Fills in the table.
        agent: Name of the agent, for errors.

    Raises:
        UsageError: If the observation or the actions are something else.
    """
    check_table(spec, agent)
    actions = len(spec.target.classes)
    preprocessing = ObservationPreprocessing(spec)
    inputs = preprocessing.tensors()
    table = keras.layers.Dense(actions, use_bias=False, kernel_initializer="zeros", name="values")
    for name in ("epochs", "patience", "min_delta"):
        knobs.get(name)
    # The optimizer has nothing to do: the agent assigns the table.
    optimizer = keras.optimizers.SGD()
    return assemble(
        preprocessing, inputs, table(inputs["observations"]), "mse", knobs, optimizer=optimizer, trainer=trainer
    )
