"""Training: fit loops, preprocessed arrays, checkpoints and recorders."""
