"""What a search keeps: its folder, journal and shared storage."""
