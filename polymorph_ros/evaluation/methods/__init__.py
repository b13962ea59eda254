"""Polymorph and what else one could run: every method labels frames through one interface."""
