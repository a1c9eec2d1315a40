"""Storage of a search: its folder, journal and shared storage."""
