"""Denoising score matching with a noise scale per column; the error of the predicted noise is the score.

K-DSM (arXiv 2605.06955, 2026): the network predicts the noise that was added to a row, which is the gradient of the log
density times the noise scale (Vincent 2011, "A connection between score matching and denoising autoencoders"). Columns
with heavy tails get more noise. The paper's anomaly score is the length of the gradient at the row itself; here it is
the row's own loss, the mean over fixed draws of the noise, in which the columns' parts are of one scale.

Input: one raw scalar per column. Output: ``score`` (B, 1) and the ``contributions`` (B, C) of the columns to it.
Run: ``zoo train anomaly/ksdm breast_cancer --labels class --positive malignant``.
"""

import keras
import keras_tuner
from keras import ops

from zoo.models.activations import ACTIVATIONS
from zoo.networks import Knobs, assemble, join_features, preprocess_table
from zoo.networks.autoencoder import OutputItself
from zoo.preprocessing.table import suggest_scaling
from zoo.spec import Spec

from ._layers import SCORE, ColumnNoise, create_outputs

MOST_EXAMPLES = 750_000


def build(hp: keras_tuner.HyperParameters, spec: Spec) -> keras.Model:
    """Return the compiled model.

    Hyperparameters:
        units: Width of each hidden layer.
        layers: Number of hidden layers.
        copies: Number of noisy copies of each row in a training step.
        noise: Standard deviation of the noise of a normally distributed column, in its standard deviations. Losses with
            different noise cannot be compared, so a search does not vary it.
        slope: How much the noise grows with the kurtosis of a column.
        epochs: 300; of more than 2,500 rows fewer, down to 10.
    """
    epochs = int(min(300, max(10, MOST_EXAMPLES // max(spec.rows, 1))))
    knobs = Knobs(
        hp,
        vary=("learning_rate", "weight_decay"),
        defaults={"optimizer": "adamw", "activation": "silu", "epochs": epochs, "patience": max(5, epochs // 5),
                  "schedule": "cosine", "batch_size": 128, "scaling": suggest_scaling(spec)},
    )  # fmt: skip
    units, layers = hp.Int("units", 32, 1024, sampling="log", default=256), hp.Int("layers", 1, 4, default=2)
    copies, noise, slope = hp.Fixed("copies", 3), hp.Fixed("noise", 0.5), hp.Fixed("slope", 0.33)
    preprocessing = preprocess_table(spec, scaling=knobs.get("scaling"))
    inputs = preprocessing.tensors()
    features = inputs["features"]
    noisy, added = ColumnNoise(copies, noise, slope, name="noise")(features)
    x = noisy
    if preprocessing.embedded:  # embeddings get no noise, and are not scored
        context = join_features(inputs, preprocessing)[:, features.shape[-1] :]
        x = ops.concatenate([x, context[:, None] + ops.zeros_like(noisy[..., :1])], axis=-1)
    for index in range(layers):
        x = keras.layers.Dense(units, ACTIVATIONS[knobs.get("activation")], name=f"dense_{index}")(x)
    predicted = keras.layers.Dense(features.shape[-1], name="predicted_noise")(x)
    errors = ops.mean(ops.square(predicted - added), axis=1)
    outputs = create_outputs(errors, preprocessing.columns_of_features)
    knobs.training(spec.rows)
    return assemble(preprocessing, inputs, outputs[SCORE], OutputItself(), knobs, inference_output=outputs)
