"""The places of the synthetic scenes: what is found there, how it looks, what lies next door."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from polymorph_ros.data.synthetic.pen import Colour


@dataclass(frozen=True)
class Room:
    """How an indoor background may look: palettes, wall and floor patterns, and its counters.

    ``counter`` is the share of the wall taken by counters, ``counter_style`` one of
    ``cupboards``, ``desk`` and ``board``.
    """

    walls: tuple[Colour, ...]
    wall_patterns: tuple[str, ...]
    floors: tuple[Colour, ...]
    floor_patterns: tuple[str, ...]
    counter: float
    counter_style: str


@dataclass(frozen=True)
class Place:
    """A place: label weights (relative frequency within a layer), look and neighbours.

    ``room`` is None outdoors, where ``outdoors`` names the scenery: ``street`` or ``park``.
    """

    weights: Mapping[str, float]
    neighbours: tuple[str, ...]
    room: Room | None = None
    outdoors: str = ""


_CREAM: tuple[Colour, ...] = ((228, 216, 190), (206, 214, 206), (214, 196, 186), (190, 206, 220))
_STRONG: tuple[Colour, ...] = ((150, 176, 160), (196, 150, 120), (130, 150, 180), (220, 200, 150))
_WOODEN: tuple[Colour, ...] = ((170, 126, 84), (130, 90, 58), (196, 160, 118))
_STONE: tuple[Colour, ...] = ((176, 172, 166), (120, 116, 112), (206, 200, 190))
_CARPET: tuple[Colour, ...] = ((110, 120, 140), (140, 110, 104), (120, 128, 108), (90, 92, 98))

PLACES: dict[str, Place] = {
    "kitchen": Place(
        {
            "fridge": 1.5,
            "oven": 3.0,
            "door": 0.2,
            "window": 0.6,
            "clock": 0.6,
            "sink": 1.5,
            "pan": 1.6,
            "mug": 0.8,
            "bottle": 0.9,
            "plant": 0.4,
            "table": 0.8,
            "chair": 1.0,
            "person": 0.7,
            "cat": 0.3,
            "dog": 0.3,
            "bin": 0.6,
        },
        ("hallway", "living_room", "cafe"),
        Room(_CREAM, ("tiles", "plain"), _STONE, ("tiles",), 0.6, "cupboards"),
    ),
    "living_room": Place(
        {
            "shelf": 1.0,
            "door": 0.4,
            "window": 0.7,
            "clock": 0.3,
            "tv": 1.5,
            "lamp": 1.0,
            "plant": 0.9,
            "book": 0.8,
            "mug": 0.3,
            "laptop": 0.5,
            "sofa": 2.0,
            "table": 0.5,
            "chair": 0.5,
            "person": 0.8,
            "cat": 0.7,
            "dog": 0.6,
        },
        ("hallway", "kitchen", "bedroom"),
        Room(_STRONG, ("stripes", "plain", "dots"), _WOODEN, ("planks", "carpet"), 0.45, "board"),
    ),
    "bedroom": Place(
        {
            "shelf": 0.5,
            "door": 0.5,
            "window": 1.0,
            "clock": 0.5,
            "lamp": 1.2,
            "book": 0.9,
            "plant": 0.5,
            "mug": 0.3,
            "bottle": 0.2,
            "bed": 3.5,
            "chair": 0.6,
            "cat": 0.6,
            "person": 0.5,
            "tv": 0.2,
        },
        ("hallway", "living_room"),
        Room(_STRONG, ("dots", "plain", "stripes"), _CARPET, ("carpet", "planks"), 0.4, "board"),
    ),
    "office": Place(
        {
            "shelf": 0.9,
            "door": 0.4,
            "window": 0.7,
            "clock": 0.7,
            "monitor": 3.0,
            "keyboard": 3.0,
            "laptop": 1.2,
            "mug": 0.6,
            "book": 0.5,
            "lamp": 0.4,
            "plant": 0.4,
            "bottle": 0.3,
            "chair": 1.2,
            "table": 0.6,
            "bin": 0.8,
            "person": 0.9,
        },
        ("hallway", "cafe"),
        Room(_CREAM, ("plain", "panels"), _CARPET, ("carpet", "tiles"), 0.65, "desk"),
    ),
    "hallway": Place(
        {
            "door": 1.6,
            "window": 0.4,
            "clock": 0.8,
            "lamp": 0.8,
            "plant": 0.9,
            "shelf": 0.4,
            "bench": 0.6,
            "bicycle": 0.5,
            "person": 1.0,
            "dog": 0.7,
            "bin": 0.4,
            "cat": 0.3,
        },
        ("kitchen", "living_room", "bedroom", "office", "street"),
        Room(_CREAM, ("panels", "stripes", "plain"), _STONE, ("tiles", "planks"), 0.3, "board"),
    ),
    "cafe": Place(
        {
            "fridge": 0.9,
            "door": 0.5,
            "window": 0.8,
            "clock": 0.5,
            "tv": 0.5,
            "mug": 1.3,
            "pan": 0.3,
            "bottle": 1.2,
            "laptop": 0.7,
            "book": 0.4,
            "plant": 0.5,
            "sink": 0.6,
            "table": 1.3,
            "chair": 1.2,
            "person": 1.2,
            "dog": 0.4,
            "bench": 0.3,
        },
        ("street", "office", "park", "kitchen"),
        Room(_STRONG, ("bricks", "panels"), _WOODEN, ("planks", "tiles"), 0.6, "cupboards"),
    ),
    "street": Place(
        {
            "traffic_light": 1.1,
            "stop_sign": 0.8,
            "tree": 0.7,
            "door": 0.7,
            "window": 0.8,
            "car": 2.4,
            "bus": 1.8,
            "bicycle": 0.8,
            "person": 1.0,
            "dog": 0.4,
            "hydrant": 1.1,
            "bin": 0.5,
            "bench": 0.3,
            "plant": 0.2,
        },
        ("park", "cafe", "hallway"),
        outdoors="street",
    ),
    "park": Place(
        {
            "tree": 2.0,
            "bench": 1.1,
            "bicycle": 1.3,
            "person": 1.1,
            "dog": 1.0,
            "cat": 0.3,
            "bin": 0.6,
            "plant": 0.3,
            "hydrant": 0.2,
            "stop_sign": 0.15,
        },
        ("street", "cafe"),
        outdoors="park",
    ),
}
