"""A node in a process of its own, images for it, and what it publishes: for demo and tests."""
