"""Keras building blocks: preprocessing inside the model, shared hyperparameters, blocks and heads."""

from zoo.models.built_model import assemble
from zoo.models.shared_hyperparameters import Knobs
from zoo.networks.convolutional import Augment, convolutional_blocks, image_model
from zoo.networks.dense import dense_layers
from zoo.networks.heads import head
from zoo.networks.recurrent import recurrent_layers, sequence_model
from zoo.networks.table_model import table_model
from zoo.preprocessing.table import flat_features, preprocess_table

__all__ = [
    "Augment",
    "Knobs",
    "assemble",
    "convolutional_blocks",
    "dense_layers",
    "flat_features",
    "head",
    "image_model",
    "preprocess_table",
    "recurrent_layers",
    "sequence_model",
    "table_model",
]
