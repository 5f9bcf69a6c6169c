"""Two answers side by side, and why they differ."""
