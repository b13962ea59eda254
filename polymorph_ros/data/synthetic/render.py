"""A visit's picture and its truth at one moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from polymorph_ros.data.synthetic.backgrounds import STRIP_PAD, draw_background
from polymorph_ros.data.synthetic.camera import View
from polymorph_ros.data.synthetic.objects import SYNTHETIC_LABELS
from polymorph_ros.data.synthetic.pen import SPRITE_PIXELS
from polymorph_ros.data.synthetic.places import PLACES
from polymorph_ros.data.synthetic.thing import Thing
from polymorph_ros.data.synthetic.visit import Visit

PRESENT, ABSENT, UNKNOWN = 1, 0, -1
MIN_SHARE = 0.4  # of an object's silhouette that must be seen for it to count
MIN_AREA = 0.01  # of the picture that it must fill
_TRUTH_HEIGHT = 90  # rows of the buffer that visibility is counted in, at any picture size
_SLACK = 0.1  # units added to the view's half width for roll and shadows
_INDEX = {label: index for index, label in enumerate(SYNTHETIC_LABELS)}

Matrix = NDArray[np.float64]


def _chain(outer: Matrix, inner: Matrix) -> Matrix:
    """The affine map that does ``inner`` first."""
    linear = outer[:, :2] @ inner[:, :2]
    return np.column_stack([linear, outer[:, :2] @ inner[:, 2] + outer[:, 2]])


def _centred(matrix: Matrix) -> Matrix:
    """The same map between pixel indices, whose centres lie half a pixel from their corners."""
    moved = matrix.copy()
    moved[:, 2] += matrix[:, :2] @ np.array([0.5, 0.5]) - 0.5
    return moved


def _window(
    matrix: Matrix, source: tuple[int, ...], target: tuple[int, ...]
) -> tuple[int, int, int, int] | None:
    """The pixels (x0, y0, x1, y1) of the target that the mapped source can touch."""
    height, width = source[:2]
    corners = np.array([[0, width, 0, width], [0, 0, height, height]], np.float64)
    mapped = matrix[:, :2] @ corners + matrix[:, 2:]
    x0, y0 = (max(0, int(v)) for v in np.floor(mapped.min(axis=1)))
    x1 = min(target[1], int(np.ceil(mapped[0].max())) + 1)
    y1 = min(target[0], int(np.ceil(mapped[1].max())) + 1)
    return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None


def _shifted(matrix: Matrix, x: int, y: int) -> Matrix:
    moved = matrix.copy()
    moved[:, 2] -= (x, y)
    return moved


def _near(thing: Thing, t: float, view: View, aspect: float) -> bool:
    """Whether the thing can be in the picture at all: a cheap test on its horizontal extent."""
    reach = thing.half_width + (aspect / 2 + _SLACK) / view.zoom
    return abs(thing.position(t) - view.x) * thing.parallax <= reach


def _lay(picture: NDArray[np.uint8], sprite: NDArray[np.uint8], matrix: Matrix) -> None:
    """Blend a premultiplied RGBA sprite into the picture, in place."""
    window = _window(matrix, sprite.shape, picture.shape)
    if window is None:
        return
    x0, y0, x1, y1 = window
    patch = cv2.warpAffine(sprite, _centred(_shifted(matrix, x0, y0)), (x1 - x0, y1 - y0))
    clear = cv2.cvtColor(255 - patch[:, :, 3], cv2.COLOR_GRAY2RGB)
    region = picture[y0:y1, x0:x1]
    cv2.add(
        cv2.multiply(region, clear, scale=1 / 255),
        cv2.cvtColor(patch, cv2.COLOR_RGBA2RGB),
        dst=region,
    )


class Renderer:
    """Draws one visit at one picture size (width, height)."""

    def __init__(self, visit: Visit, size: tuple[int, int]) -> None:
        self._visit = visit
        self._size = size
        self._background = draw_background(
            PLACES[visit.place],
            np.random.default_rng(visit.looks),
            length=visit.plan.length,
            floor=visit.plan.floor,
            counter=visit.plan.counter_top,
            counters=visit.counters,
            pixels=size[1],
        )

    def picture(self, t: float, stamp_ms: int) -> NDArray[np.uint8]:
        """The frame at ``t`` seconds into the visit: uint8 RGB, shape (height, width, 3)."""
        view = self._visit.camera.at(t)
        unit = 1.0 / self._size[1]
        strip = np.array(
            [[unit, 0.0, self._visit.plan.origin - STRIP_PAD], [0.0, unit, -STRIP_PAD]]
        )
        warped = cv2.warpAffine(
            self._background,
            _centred(_chain(view.matrix(self._size), strip)),
            self._size,
            borderMode=cv2.BORDER_REPLICATE,
        )
        picture = np.asarray(warped, np.uint8)
        for thing in self._visit.things:
            if not _near(thing, t, view, self._size[0] / self._size[1]):
                continue
            pixels, sprite = self._fitting(thing, view)
            matrix = _chain(view.matrix(self._size, thing.parallax), thing.placed(t, pixels))
            _lay(picture, sprite, matrix)
        return self._visit.light.apply(picture, t, stamp_ms)

    def _fitting(self, thing: Thing, view: View) -> tuple[float, NDArray[np.uint8]]:
        """The smallest sprite that still has a pixel for every pixel of the picture."""
        wanted = thing.height * view.zoom * self._size[1]
        level = 0
        while level + 1 < len(thing.looks.sprites) and SPRITE_PIXELS / 2 ** (level + 1) >= wanted:
            level += 1
        return SPRITE_PIXELS / 2**level, thing.looks.sprites[level]


@dataclass(frozen=True)
class Seen:
    """What can be seen at one moment.

    Attributes:
        truth: int8 of shape (labels,), see ``look``.
        cells: uint8 of shape (90, round(90 * aspect)): label index + 1 of what each cell of the
            picture shows, 0 for none of the labels.
    """

    truth: NDArray[np.int8]
    cells: NDArray[np.uint8]


def look(things: Sequence[Thing], view: View, t: float, aspect: float) -> Seen:
    """Labels at ``t`` seconds, in the order of ``SYNTHETIC_LABELS``; nearer things come last.

    ``PRESENT`` (1): of some instance at least ``MIN_SHARE`` of the silhouette is inside the
    picture and unoccluded, and it fills at least ``MIN_AREA`` of the picture. ``UNKNOWN`` (-1):
    something of it is seen, but less than that. ``ABSENT`` (0): nothing is seen.

    The result does not depend on the picture's resolution, only on its aspect (width / height).
    """
    owners, whole = _owners(things, view, t, aspect)
    visible = np.bincount(owners.ravel(), minlength=len(whole))
    truth = np.full(len(SYNTHETIC_LABELS), ABSENT, np.int8)
    labels = np.zeros(len(whole), np.uint8)
    for number, thing in enumerate(things, start=1):
        if visible[number] == 0:
            continue
        index = _INDEX[thing.label]
        labels[number] = index + 1
        clear = visible[number] >= MIN_SHARE * whole[number]
        if clear and visible[number] >= MIN_AREA * owners.size:
            truth[index] = PRESENT
        elif truth[index] == ABSENT:
            truth[index] = UNKNOWN
    return Seen(truth, labels[owners])


def _owners(
    things: Sequence[Thing], view: View, t: float, aspect: float
) -> tuple[NDArray[np.uint16], NDArray[np.float64]]:
    """The thing (number from 1) that each cell shows, and the cells of each thing if unhidden."""
    size = (round(_TRUTH_HEIGHT * aspect), _TRUTH_HEIGHT)
    owners = np.zeros((size[1], size[0]), np.uint16)
    whole = np.ones(len(things) + 1)
    for number, thing in enumerate(things, start=1):
        if not _near(thing, t, view, aspect):
            continue
        placed = thing.placed(t, SPRITE_PIXELS / 2)
        matrix = _chain(view.matrix(size, thing.parallax), placed)
        window = _window(matrix, thing.looks.mask.shape, owners.shape)
        if window is None:
            continue
        x0, y0, x1, y1 = window
        seen = cv2.warpAffine(
            thing.looks.mask,
            _centred(_shifted(matrix, x0, y0)),
            (x1 - x0, y1 - y0),
            flags=cv2.INTER_NEAREST,
        )
        owners[y0:y1, x0:x1][seen > 0] = number
        whole[number] = thing.looks.mask.sum() * abs(np.linalg.det(matrix[:, :2]))
    return owners, whole
