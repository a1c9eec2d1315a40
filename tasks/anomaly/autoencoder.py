"""Autoencoder: the error of reconstructing a row from a narrow layer is its anomaly score.

Hinton and Salakhutdinov 2006, "Reducing the dimensionality of data with neural networks"; its error as the score of
an anomaly after Sakurada and Yairi 2014, "Anomaly detection using autoencoders with nonlinear dimensionality
reduction". Each column's part of the error says why. Inputs are dropped at random in training (Vincent et al. 2008).

Input: one raw scalar per column. Output: ``score`` (B, 1) and the ``contributions`` (B, C) of the columns to it.
Run: ``zoo train anomaly/autoencoder breast_cancer --labels class --positive malignant``.
"""

import keras
import keras_tuner
from keras import ops

from zoo.networks import Knobs, add_dense_layers, assemble, join_features, preprocess_table
from zoo.networks.autoencoder import OutputItself
from zoo.preprocessing.table import suggest_scaling
from zoo.spec import Spec

from ._layers import SCORE, create_outputs


def build(hp: keras_tuner.HyperParameters, spec: Spec) -> keras.Model:
    """Return the compiled model.

    Hyperparameters:
        units: Width of each dense layer in encoder and decoder.
        layers: Number of dense layers in encoder and decoder each.
        latent: Width of the narrow layer. A wider one always has a lower loss and reconstructs more anomalies, so a
            search does not vary it.
        noise: Fraction of inputs that are dropped at random during training.
    """
    knobs = Knobs(
        hp,
        vary=("learning_rate", "weight_decay"),
        defaults={"optimizer": "adamw", "weight_decay": 1e-4, "epochs": 200, "patience": 20,
                  "scaling": suggest_scaling(spec)},
    )  # fmt: skip
    units, layers = hp.Int("units", 32, 512, sampling="log", default=256), hp.Int("layers", 1, 3, default=2)
    latent, noise = hp.Fixed("latent", 8), hp.Fixed("noise", 0.1)
    preprocessing = preprocess_table(spec, scaling=knobs.get("scaling"))
    inputs = preprocessing.tensors()
    features = inputs["features"]
    x = keras.layers.Dropout(noise, name="noise")(join_features(inputs, preprocessing))
    x = add_dense_layers(x, knobs, units=units, layers=layers)
    x = keras.layers.Dense(latent, name="latent_vector")(x)
    for index in range(layers):
        x = keras.layers.Dense(units, knobs.get("activation"), name=f"decoder_{index}")(x)
    reconstruction = keras.layers.Dense(features.shape[-1], name="reconstruction")(x)
    outputs = create_outputs(ops.square(features - reconstruction), preprocessing.columns_of_features)
    knobs.training(spec.rows)
    return assemble(preprocessing, inputs, outputs[SCORE], OutputItself(), knobs, inference_output=outputs)
