"""Running: a job becomes a tracked run."""
