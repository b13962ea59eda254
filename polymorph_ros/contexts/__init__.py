"""Label statistics and context formation."""
