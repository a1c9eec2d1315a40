"""Running: turn a job into a tracked run."""
