"""Readers of sources: one file for each format."""
