"""Scores by kind of target, with their intervals; NumPy only."""
