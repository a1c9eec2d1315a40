"""Keras building blocks: preparation inside the model, shared knobs, blocks and heads."""

from zoo.layers.assembly import assemble
from zoo.layers.dense import dense_layers
from zoo.layers.heads import head
from zoo.layers.knobs import Knobs
from zoo.layers.pictures import Augment, convolutional_blocks, picture_model
from zoo.layers.preparation import flat_features, prepare_table
from zoo.layers.sequences import recurrent_layers, sequence_model
from zoo.layers.tables import table_model

__all__ = [
    "Augment",
    "Knobs",
    "assemble",
    "convolutional_blocks",
    "dense_layers",
    "flat_features",
    "head",
    "picture_model",
    "prepare_table",
    "recurrent_layers",
    "sequence_model",
    "table_model",
]
