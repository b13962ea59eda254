"""Every label of the synthetic scenes: how it is drawn, how large it is and where it stands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import cv2
import numpy as np
from numpy.typing import NDArray

from polymorph_ros.data.synthetic import furniture, living, outdoors, tabletop
from polymorph_ros.data.synthetic.pen import Pen


class Layer(Enum):
    """Where an object is: hung on the wall, at the wall's foot, on a counter, or on the floor."""

    HUNG = "hung"
    FOOT = "foot"
    COUNTER = "counter"
    FLOOR = "floor"


class Motion(Enum):
    """Stands still, walks to and fro, or drives past and comes again."""

    STILL = "still"
    STROLL = "stroll"
    DRIVE = "drive"


@dataclass(frozen=True)
class ObjectKind:
    """A label's look and habits.

    Attributes:
        draw: draws it into a pen of that ``aspect`` (width over height).
        height: least and greatest height, as a share of the picture's height.
        motion: how it moves by itself; about half of the instances stand still.
        top_speed: in picture heights per second.
    """

    draw: Callable[[Pen, np.random.Generator], None]
    aspect: float
    height: tuple[float, float]
    layer: Layer
    motion: Motion = Motion.STILL
    top_speed: float = 0.0


KINDS: dict[str, ObjectKind] = {
    "person": ObjectKind(living.person, 0.44, (0.55, 0.7), Layer.FLOOR, Motion.STROLL, 0.22),
    "dog": ObjectKind(living.dog, 1.45, (0.27, 0.36), Layer.FLOOR, Motion.STROLL, 0.25),
    "cat": ObjectKind(living.cat, 0.8, (0.28, 0.36), Layer.FLOOR),
    "chair": ObjectKind(furniture.chair, 0.6, (0.4, 0.5), Layer.FLOOR),
    "table": ObjectKind(furniture.table, 1.6, (0.32, 0.4), Layer.FLOOR),
    "sofa": ObjectKind(furniture.sofa, 1.9, (0.34, 0.42), Layer.FLOOR),
    "bed": ObjectKind(furniture.bed, 2.0, (0.34, 0.42), Layer.FLOOR),
    "bench": ObjectKind(furniture.bench, 1.8, (0.3, 0.38), Layer.FLOOR),
    "bin": ObjectKind(tabletop.waste_bin, 0.7, (0.28, 0.36), Layer.FLOOR),
    "fridge": ObjectKind(furniture.fridge, 0.52, (0.6, 0.7), Layer.FOOT),
    "oven": ObjectKind(furniture.oven, 0.9, (0.36, 0.44), Layer.FOOT),
    "door": ObjectKind(furniture.door, 0.5, (0.58, 0.68), Layer.FOOT),
    "shelf": ObjectKind(furniture.shelf, 0.95, (0.5, 0.6), Layer.FOOT),
    "window": ObjectKind(furniture.window, 0.9, (0.34, 0.42), Layer.HUNG),
    "clock": ObjectKind(tabletop.clock, 1.0, (0.18, 0.24), Layer.HUNG),
    "tv": ObjectKind(tabletop.tv, 1.75, (0.26, 0.32), Layer.HUNG),
    "lamp": ObjectKind(tabletop.lamp, 0.6, (0.34, 0.42), Layer.COUNTER),
    "plant": ObjectKind(tabletop.plant, 0.8, (0.3, 0.4), Layer.COUNTER),
    "book": ObjectKind(tabletop.book, 1.2, (0.19, 0.24), Layer.COUNTER),
    "laptop": ObjectKind(tabletop.laptop, 1.5, (0.22, 0.27), Layer.COUNTER),
    "monitor": ObjectKind(tabletop.monitor, 1.2, (0.29, 0.36), Layer.COUNTER),
    "keyboard": ObjectKind(tabletop.keyboard, 2.4, (0.13, 0.16), Layer.COUNTER),
    "mug": ObjectKind(tabletop.mug, 1.0, (0.18, 0.23), Layer.COUNTER),
    "bottle": ObjectKind(tabletop.bottle, 0.38, (0.28, 0.36), Layer.COUNTER),
    "pan": ObjectKind(tabletop.pan, 1.8, (0.17, 0.21), Layer.COUNTER),
    "sink": ObjectKind(furniture.sink, 1.4, (0.25, 0.31), Layer.COUNTER),
    "tree": ObjectKind(outdoors.tree, 0.82, (0.6, 0.8), Layer.FOOT),
    "car": ObjectKind(outdoors.car, 2.4, (0.24, 0.31), Layer.FLOOR, Motion.DRIVE, 0.4),
    "bus": ObjectKind(outdoors.bus, 2.3, (0.4, 0.48), Layer.FLOOR, Motion.DRIVE, 0.3),
    "bicycle": ObjectKind(outdoors.bicycle, 1.6, (0.32, 0.4), Layer.FLOOR, Motion.DRIVE, 0.3),
    "traffic_light": ObjectKind(outdoors.traffic_light, 0.38, (0.5, 0.6), Layer.FOOT),
    "stop_sign": ObjectKind(outdoors.stop_sign, 0.62, (0.46, 0.55), Layer.FOOT),
    "hydrant": ObjectKind(outdoors.hydrant, 0.6, (0.26, 0.33), Layer.FLOOR),
}

SYNTHETIC_LABELS: tuple[str, ...] = tuple(sorted(KINDS))


def draw_sprite(label: str, rng: np.random.Generator) -> NDArray[np.uint8]:
    """One instance of a label: premultiplied uint8 RGBA, ``SPRITE_PIXELS`` for its height."""
    kind = KINDS[label]
    pen = Pen(kind.aspect)
    kind.draw(pen, rng)
    return pen.finish(rng)


def silhouette(sprite: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The outline as a filled mask (uint8, 0 or 255); gaps such as spokes and legs are closed.

    Shadows are not part of it.
    """
    solid = (sprite[:, :, 3] > 127).astype(np.uint8) * 255
    closed = cv2.morphologyEx(solid, cv2.MORPH_CLOSE, np.ones((25, 25), np.uint8))
    return np.asarray(closed, np.uint8)
