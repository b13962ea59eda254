"""Contexts beside other ways to group labels, on label traces."""
