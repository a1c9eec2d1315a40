"""Columns of a table: kinds, statistics, missing values and encoding."""
