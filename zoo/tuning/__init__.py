"""Tuning: an oracle decides, workers train, and what was paid for survives a kill."""
