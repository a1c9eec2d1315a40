"""Tracking: the recorder on MLflow, and what is asked of it. The only importer of MLflow's client."""
