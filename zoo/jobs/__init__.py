"""Typed jobs: the options of each command, the same from Python, YAML and the command line."""
