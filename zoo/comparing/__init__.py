"""Comparisons of models, and studies of a trained network."""
