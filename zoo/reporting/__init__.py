"""The data report: what was understood of a source, and what is wrong with it, before a model learns from it."""
