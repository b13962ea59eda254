"""Vocabulary, annotations, frame sources and synthetic scenes."""
