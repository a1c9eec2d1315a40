"""What an export takes along: files that need NumPy alone, and nothing of zoo."""
