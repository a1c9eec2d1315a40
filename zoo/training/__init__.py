"""Training: fit loops, checkpoints, baselines; they report to a recorder."""
