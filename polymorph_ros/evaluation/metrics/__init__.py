"""Metrics: what frames were called against what was true, and what they cost."""

from polymorph_ros.data.average_precision import (
    label_average_precision,
    mean_average_precision,
)

__all__ = ["label_average_precision", "mean_average_precision"]
