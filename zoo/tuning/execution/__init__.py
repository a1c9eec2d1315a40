"""Executors that run trials: worker processes on this machine, or Ray."""
