"""A recording through the real node over DDS, for ``polymorph evaluate --mode live``."""
