"""Teach a small backbone on unlabelled recordings to answer as a large one does."""
