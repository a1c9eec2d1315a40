"""Data that are read in chunks and never held whole in memory."""
