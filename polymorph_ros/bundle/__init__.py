"""Read, check and write a bundle."""
