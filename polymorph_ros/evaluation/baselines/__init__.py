"""Baselines that have to be trained: on the same frames, as long, by the same code."""
