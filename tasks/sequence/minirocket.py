"""MiniRocket: thousands of fixed convolutional features, and an output layer that is computed at once.

Dempster et al. 2021, "MiniRocket: a very fast (almost) deterministic transform for time series classification", with
the poolings and differences of MultiRocket (Tan et al. 2022) and statistics of the values beside them. Only the output
layer has weights to learn: a ridge regression in closed form, whose strength is chosen by leave-one-out, so that
training takes seconds and there are no epochs. Strong on few hundred sequences.

Input: a raw sequence of numbers (T, F) with its length, or a raw text of at most 64 different characters or words.
Output: probability of the second of two classes (B, 1) or of each of several (B, K), or the standardized number (B, 1).
Padding has no effect.
Run: ``zoo train sequence/minirocket japanese_vowels``.
"""

import math
from typing import Any

import keras
import keras_tuner

from zoo.errors import UsageError
from zoo.models.built_model import assemble
from zoo.networks import Knobs
from zoo.networks.recurrent import RealSteps
from zoo.networks.rocket import WIDTH, Differences, RocketFeatures, SequenceStatistics
from zoo.portable.preprocessing import LENGTH
from zoo.preprocessing.compose import preprocess_sequence
from zoo.preprocessing.sequences import CODES, STEPS
from zoo.preprocessing.table import is_column, join_features, preprocess_table
from zoo.spec import SequenceInput, Spec, TextInput

from ._ridge_trainer import FEATURES, RidgeTrainer, add_ridge_head

MOST_THRESHOLDS, MOST_VALUES = 48, 5e7  # by default: thresholds, and values of the features of all rows
MOST_TOKENS, LEVELS = 64, 8


def build(hp: keras_tuner.HyperParameters, spec: Spec) -> keras.Model:
    """Return the compiled model; its network carries what computes the output layer.

    Hyperparameters:
        thresholds: Thresholds of each of the 84 kernels, which three features each belong to; the default is 48, or
            fewer for more than 2,000 rows.
        differences: Whether the differences between steps get features too.
        statistics: Weight of the statistics of the values, and of columns beside the sequences, as a multiple of the
            weight of the kernels' features.
    """
    knobs = Knobs(hp, defaults={"epochs": 1, "patience": 1})
    differences = hp.Boolean("differences", default=True)
    affordable = int(MOST_VALUES / (2 * WIDTH * max(spec.rows, 1)))
    default = min(MOST_THRESHOLDS, max(1, affordable))
    thresholds = hp.Int("thresholds", 1, max(2, min(64, 2 * affordable)), sampling="log", default=default)
    share = hp.Float("statistics", 0.01, 10, sampling="log", default=0.3)

    check_data(spec)
    preprocessing = preprocess_sequence(spec)
    inputs = preprocessing.tensors()
    steps, longest = _add_steps(inputs, spec)
    real = RealSteps(name="real_steps")(steps, inputs[LENGTH])
    parts = [RocketFeatures(longest, thresholds, name="kernels")(steps, real)]
    if differences:
        changes = Differences(name="differences")(steps, real)
        parts.append(RocketFeatures(longest, thresholds, name="kernels_of_differences")(changes, real))
    parts.append(SequenceStatistics(LEVELS, name="statistics")(steps, real))
    importances = [1.0, share]
    if any(is_column(input_) for input_ in spec.inputs):
        parts.append(join_features(inputs, preprocess_table(spec)))
        importances.append(share)
    features = keras.layers.Concatenate(name=FEATURES)(parts)
    output, loss = add_ridge_head(features, spec)
    knobs.training(spec.rows)
    widths = [part.shape[-1] for part in parts]
    kernels = 1 + differences
    trainer = RidgeTrainer(spec, widths=(sum(widths[:kernels]), *widths[kernels:]), importances=importances)
    return assemble(preprocessing, inputs, output, loss, knobs, trainer=trainer)


def _add_steps(inputs: dict[str, Any], spec: Spec) -> tuple[Any, int]:
    """Return the steps (B, T, F), of a text one column per token, and the length of the longest sequence."""
    kept = spec.options.get("max_length") or math.inf
    if STEPS in inputs:
        return inputs[STEPS], int(min(kept, spec.only(SequenceInput).greatest_length))
    text = spec.only(TextInput)
    size = len(text.vocabulary) + 1
    one_hot = keras.layers.Embedding(size, size, embeddings_initializer="identity", trainable=False, name="tokens")
    return one_hot(inputs[CODES]), int(min(kept, text.greatest_length))


def check_data(spec: Spec) -> None:
    """Raise if texts have too many different characters or words, each of which would be a column."""
    for text in spec.of_kind(TextInput):
        if len(text.vocabulary) > MOST_TOKENS:
            raise UsageError(
                f"sequence/minirocket reads texts of at most {MOST_TOKENS} different {text.unit}s; these have "
                f"{len(text.vocabulary):,}; sequence/text reads them",
                where=text.name,
            )
