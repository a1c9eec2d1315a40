"""Figures of training, classes and numbers; matplotlib's object-oriented interface only."""
