"""Data: reading a source, splitting it, describing its training part, and turning rows into inputs."""
