"""Keras building blocks: preprocessing inside the model, shared hyperparameters, blocks and heads."""

from zoo.models.built_model import assemble
from zoo.models.shared_hyperparameters import Knobs
from zoo.networks.augmentation import Augment, add_augmentation
from zoo.networks.convolutional import add_convolutional_blocks, build_image_model
from zoo.networks.dense import add_dense_layers
from zoo.networks.heads import add_head
from zoo.networks.recurrent import add_recurrent_layers, build_sequence_model
from zoo.networks.table_model import build_table_model
from zoo.preprocessing.table import join_features, preprocess_table

__all__ = [
    "Augment",
    "Knobs",
    "add_augmentation",
    "add_convolutional_blocks",
    "add_dense_layers",
    "add_head",
    "add_recurrent_layers",
    "assemble",
    "build_image_model",
    "build_sequence_model",
    "build_table_model",
    "join_features",
    "preprocess_table",
]
