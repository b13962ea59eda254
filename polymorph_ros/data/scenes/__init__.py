"""Procedural scenes: labelled video sequences of rooms and streets, drawn on the spot.

``make_sequence`` gives a sequence; ``SCENE_LABELS`` is its vocabulary in order. Pictures and
truth are synthetic: figures measured on them say so.
"""

from polymorph_ros.data.scenes.objects import SCENE_LABELS
from polymorph_ros.data.scenes.places import PLACES
from polymorph_ros.data.scenes.sequence import SPLITS, SceneFrame, SceneSequence, make_sequence

__all__ = [
    "PLACES",
    "SCENE_LABELS",
    "SPLITS",
    "SceneFrame",
    "SceneSequence",
    "make_sequence",
]
