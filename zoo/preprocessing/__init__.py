"""Keras layers from raw columns to tensors, by kind of input."""
