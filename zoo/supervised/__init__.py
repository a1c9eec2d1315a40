"""The base of tasks with a target."""
