"""What a method is, and the one that is the engine's own."""
