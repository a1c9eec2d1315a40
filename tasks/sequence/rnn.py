"""Simple recurrent network: each state is a dense layer of the previous state and the current step.

Elman 1990, "Finding structure in time". Gradients vanish over many steps (Bengio, Simard and Frasconi 1994), which
led to gated units; it is included for comparison.

Input: a raw sequence of numbers (T, F) with its length, or a raw text. Output: probability of the second of two
classes (B, 1) or of each of several (B, K), or the standardized number (B, 1). Padding has no effect.
Run: ``zoo train sequence/rnn japanese_vowels``.
"""

import keras
import keras_tuner

from zoo.networks import Knobs, add_recurrent_layers, build_sequence_model
from zoo.spec import Spec, TextInput


def build(hp: keras_tuner.HyperParameters, spec: Spec) -> keras.Model:
    """Return the compiled model.

    Hyperparameters:
        units: Width of each recurrent layer, per direction.
        layers: Number of stacked recurrent layers.
        bidirectional: Whether sequences are read in both directions.
        summary: Input of the output layer: the last state, or the mean or maximum over all steps.
        embedding: Width of the embedding of each character or word, for texts only.
    """
    knobs = Knobs(
        hp,
        vary=("learning_rate", "dropout"),
        defaults={"learning_rate": 2e-3, "dropout": 0.2, "clip_norm": 1.0, "epochs": 100, "patience": 15},
    )
    units, layers = hp.Int("units", 16, 256, sampling="log", default=64), hp.Int("layers", 1, 3, default=1)
    bidirectional = hp.Boolean("bidirectional", default=True)
    summary = hp.Choice("summary", ["last", "mean", "max"], default="last")
    text = bool(spec.of_kind(TextInput))
    embedding = hp.Int("embedding", 8, 256, sampling="log", default=32) if text else hp.Fixed("embedding", 32)
    return build_sequence_model(
        spec,
        knobs,
        lambda steps, real: add_recurrent_layers(
            steps,
            real,
            knobs,
            kind=keras.layers.SimpleRNN,
            units=units,
            layers=layers,
            bidirectional=bidirectional,
            summary=summary,
        ),
        embedding=embedding,
    )
