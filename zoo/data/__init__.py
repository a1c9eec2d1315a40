"""Data: reading a source, splitting it, describing its training split, and turning rows into inputs."""
