"""Actions drawn from the policy of a saved model, as the agent drew them in training."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from zoo.models.built_model import find_network, find_preprocessing
from zoo.preprocessing.observations import OBSERVATION
from zoo.spec import Target

from .._actions import convert_actions, mask_output
from ._policies import CategoricalPolicy, GaussianPolicy, SquashedGaussianPolicy

# Layers of a policy's network, by which its distribution is found.
LOGITS, DEVIATION, DISTRIBUTION = "logits", "deviation", "distribution"


def create_sampling_policy(
    model: keras.Model, target: Target, seed: int
) -> Callable[[np.ndarray, np.ndarray | None], np.ndarray] | None:
    """Return a function from raw observations (B, …) and masks of legal actions to actions drawn from a policy.

    Args:
        model: A saved model: preprocessing, then the network.
        target: The target that represents the actions.
        seed: Seed of the draws.

    Returns:
        None if the model has no distribution of actions, as that of an agent with action values.
    """
    network, rng = find_network(model), np.random.default_rng(seed)
    names = {layer.name for layer in network.layers}
    if not names & {LOGITS, DEVIATION, DISTRIBUTION}:
        return None
    if DISTRIBUTION in names:
        network = keras.Model(network.inputs, network.get_layer(DISTRIBUTION).output)
    whole = keras.Model(model.input, network(find_preprocessing(model)(model.input)))
    call = tf.function(whole, reduce_retracing=True)

    def policy(observations: np.ndarray, masks: np.ndarray | None) -> np.ndarray:
        output = call({OBSERVATION: tf.constant(observations, tf.float32)}, training=False).numpy()
        if LOGITS in names:
            return CategoricalPolicy().draw(mask_output(output, masks), rng)
        if DEVIATION in names:
            return convert_actions(target, GaussianPolicy(network.get_layer(DEVIATION)).draw(output, rng))
        noise = rng.standard_normal((len(output), output.shape[1] // 2))
        return convert_actions(target, SquashedGaussianPolicy(network).draw(output, noise))

    return policy
