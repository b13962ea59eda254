"""synthetic scenes: labelled video sequences of rooms and streets, drawn on the spot.

``make_sequence`` gives a sequence; ``SYNTHETIC_LABELS`` is its vocabulary in order. Pictures and
truth are synthetic: results measured on them say so.
"""

from polymorph_ros.data.synthetic.objects import SYNTHETIC_LABELS
from polymorph_ros.data.synthetic.places import PLACES
from polymorph_ros.data.synthetic.sequence import (
    SPLITS,
    SyntheticFrame,
    SyntheticSequence,
    make_sequence,
)

__all__ = [
    "PLACES",
    "SPLITS",
    "SYNTHETIC_LABELS",
    "SyntheticFrame",
    "SyntheticSequence",
    "make_sequence",
]
