"""Transformer encoder: each step, or window of steps, looks at all others by attention.

Vaswani et al. 2017, "Attention is all you need", section 3, with layer normalization before each part (Xiong et al.
2020) and sines of the positions.

Input: a raw sequence of numbers (T, F) with its length, or a raw text. Output: probability of the second of two
classes (B, 1) or of each of several (B, K), or the standardized number (B, 1). Padding has no effect.
Run: ``zoo train sequence/transformer japanese_vowels``.
"""

from typing import Any

import keras
import keras_tuner

from zoo.networks.dropout import Dropout
from zoo.networks.recurrent import GroupSteps, PoolSteps
from zoo.spec import Spec

from ._convolutional import build_convolutional_model, declare_training
from ._positions import AddPositions
from ._recurrent import declare_window

WIDER = 2  # hidden layer of a block, times the width


def build(hp: keras_tuner.HyperParameters, spec: Spec) -> keras.Model:
    """Return the compiled model.

    Hyperparameters:
        width: Width of each step.
        depth: Number of blocks of attention and a hidden layer.
        heads: Number of heads of attention.
        window: Steps that are joined to one, for numbers only; by default so many that some 64 are left on average.
        statistics: Whether the output layer also sees statistics of the values, for numbers only.
        slicing: Largest fraction of a sequence's steps that are left out in training, for numbers only.
        jitter: Standard deviation of noise in training, in standard deviations of the values, for numbers only.
        scaling: Standard deviation of a random factor of each column in training, for numbers only.
        embedding: Width of the embedding of each character or word, for texts only.
    """
    knobs = declare_training(hp, spec, learning_rate=2e-3)
    width, depth = hp.Int("width", 16, 256, sampling="log", default=64), hp.Int("depth", 1, 6, default=2)
    heads = hp.Int("heads", 1, 8, sampling="log", default=4)
    window = declare_window(hp, spec)
    dropout = knobs.get("dropout")

    def add_layers(steps: Any, real: Any) -> Any:
        steps, real = GroupSteps(window, name="windows")(steps, real) if window > 1 else (steps, real)
        steps = AddPositions(name="positions")(keras.layers.Dense(width, name="wide_steps")(steps))
        for number in range(depth):
            normalized = keras.layers.LayerNormalization(name=f"before_attention_{number}")(steps)
            attention = keras.layers.MultiHeadAttention(
                heads, max(1, width // heads), dropout=dropout, name=f"attention_{number}"
            )
            steps = keras.layers.Add()(
                [steps, attention(normalized, normalized, attention_mask=keras.ops.expand_dims(real, 1))]
            )
            hidden = keras.layers.LayerNormalization(name=f"before_hidden_{number}")(steps)
            hidden = keras.layers.Dense(WIDER * width, activation="gelu", name=f"hidden_{number}")(hidden)
            hidden = keras.layers.Dense(width, name=f"narrow_{number}")(hidden)
            hidden = Dropout(dropout)(hidden) if dropout else hidden
            steps = keras.layers.Add()([steps, hidden])
        steps = keras.layers.LayerNormalization(name="normalized")(steps)
        return PoolSteps("mean", name="mean_step")(steps, real)

    return build_convolutional_model(hp, spec, knobs, add_layers)
