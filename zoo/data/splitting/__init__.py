"""Splitting a dataset: splitters, folds, sample weights."""
