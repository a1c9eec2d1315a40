"""The catalogue: a folder is a task, a file in it a model."""
