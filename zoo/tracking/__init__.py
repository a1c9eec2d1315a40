"""Tracking: the recorder that writes to MLflow, and queries. The only package that imports MLflow's client."""
