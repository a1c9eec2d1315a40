"""Saving: a model's folder, written and loaded without pickle, and predictions from raw rows."""
