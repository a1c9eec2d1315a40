"""Base of tasks with a target."""
