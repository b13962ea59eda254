"""The stages of training, one in a file; ``training/graph.py`` has their order."""
