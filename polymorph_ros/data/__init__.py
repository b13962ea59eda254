"""Vocabulary, annotations, frame sources and procedural scenes."""
