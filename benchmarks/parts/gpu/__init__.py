"""The parts of ``benchmarks/gpu.py``: its processes, its sections, and what they share."""
