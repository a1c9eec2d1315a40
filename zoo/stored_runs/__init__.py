"""Stored runs: look up, list, show, clean up."""
