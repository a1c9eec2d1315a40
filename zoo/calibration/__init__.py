"""Calibration of probabilities, and conformal quantiles."""
