"""The checks of ``polymorph doctor``: each gives findings, and raises for nothing it finds."""
