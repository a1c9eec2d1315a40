"""Denoising score matching with a noise scale for each column; the length of the score is the anomaly score.

K-DSM (arXiv 2605.06955, 2026): the network learns the noise that was added to a row (Vincent 2011, "A connection
between score matching and denoising autoencoders"). Divided by the noise scale, that is the gradient of the log
density, which points from an anomaly back to the data. Columns with heavy tails get more noise.

Input: one raw scalar per column. Output: ``score`` (B, 1), ``contributions`` (B, C) of the columns, ``loss`` (B, 1).
Run: ``zoo train anomaly/ksdm breast_cancer --labels class --positive malignant``.
"""

from typing import Any

import keras
import keras_tuner
from keras import ops

from zoo.models.activations import ACTIVATIONS
from zoo.networks import Knobs, assemble, join_features, preprocess_table
from zoo.networks.autoencoder import OutputItself
from zoo.preprocessing.table import suggest_scaling
from zoo.spec import Spec

from ._layers import ColumnNoise, create_outputs

MOST_EXAMPLES = 5_000_000


def build(hp: keras_tuner.HyperParameters, spec: Spec) -> keras.Model:
    """Return the compiled model.

    Hyperparameters:
        units: Width of each hidden layer.
        layers: Number of hidden layers.
        copies: Number of noisy copies of each row in a training step.
        noise: Standard deviation of the noise of a normally distributed column, in its standard deviations. Losses with
            different noise cannot be compared, so a search does not vary it.
        slope: How much the noise grows with the kurtosis of a column.
        epochs: 500, as in the paper; of more than 10,000 rows fewer, down to 30.
    """
    epochs = int(min(500, max(30, MOST_EXAMPLES // max(spec.rows, 1))))
    knobs = Knobs(
        hp,
        vary=("learning_rate", "weight_decay"),
        defaults={"optimizer": "adamw", "activation": "silu", "epochs": epochs, "patience": max(5, epochs // 10),
                  "batch_size": 128, "scaling": suggest_scaling(spec)},
    )  # fmt: skip
    units, layers = hp.Int("units", 32, 1024, sampling="log", default=256), hp.Int("layers", 1, 4, default=2)
    copies, noise, slope = hp.Fixed("copies", 3), hp.Fixed("noise", 0.5), hp.Fixed("slope", 0.33)
    preprocessing = preprocess_table(spec, scaling=knobs.get("scaling"))
    inputs = preprocessing.tensors()
    features = inputs["features"]
    noisy, added, scales = ColumnNoise(copies, noise, slope, name="noise")(features)
    activation = ACTIVATIONS[knobs.get("activation")]
    hidden = [keras.layers.Dense(units, activation, name=f"dense_{index}") for index in range(layers)]
    predicted = keras.layers.Dense(features.shape[-1], name="predicted_noise")
    context = join_features(inputs, preprocessing)[:, features.shape[-1] :]  # embeddings, which get no noise

    def predict_noise(x: Any, context: Any) -> Any:
        x = ops.concatenate([x, context], axis=-1) if preprocessing.embedded else x
        for layer in hidden:
            x = layer(x)
        return predicted(x)

    of_copies = context[:, None] + ops.zeros_like(noisy[..., :1])
    loss = ops.mean(ops.square(predict_noise(noisy, of_copies) - added), axis=(1, 2))[:, None]
    outputs = create_outputs(
        ops.square(predict_noise(features, context) / scales), loss, preprocessing.columns_of_features
    )
    knobs.training(spec.rows)
    return assemble(preprocessing, inputs, loss, OutputItself(), knobs, inference_output=outputs)
