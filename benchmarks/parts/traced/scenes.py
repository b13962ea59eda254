"""Pictures for a trace: real label sequences, synthetic pixels.

Which labels are there, for how long and with which others is what the trace says, so sparsity,
continuity and co-occurrence are those of real video. What is seen is made: while a label stays,
one instance of its look moves smoothly; things that are no labels move behind them; every
sequence has a background of its own, which says nothing about the labels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from parts.traced.look import draw, lay, look_of, seeded
from parts.traced.place import Place
from parts.traces import Trace
from polymorph_ros.data.dataset import Dataset, LabelledSequence
from polymorph_ros.data.track import Track
from polymorph_ros.errors import PolymorphError

_DISTRACTORS = 40  # looks that are no labels
_DISTRACTOR_S = 12.0  # for so long a distractor stays
_SIZES = (0.4, 0.7)  # side of a thing, as a share of the picture's height
_BODY = 0.33  # radius of a body, as a share of its side, about


@dataclass(frozen=True)
class _Thing:
    """An instance in sight: its sprite, and where it is at any time, in shares of the picture.

    ``label`` is its index, -1 for a distractor.
    """

    label: int
    sprite: NDArray[np.uint8]
    centre: NDArray[np.float64]
    sway: NDArray[np.float64]
    period_s: NDArray[np.float64]
    phase: NDArray[np.float64]
    side: float

    def at(self, t: float) -> tuple[float, float, float]:
        """x, y and side at ``t`` seconds."""
        wave = np.sin(2 * np.pi * t / self.period_s + self.phase)
        x, y = (self.centre + self.sway * wave[:2]).tolist()
        return x, y, self.side * (1 + 0.2 * float(wave[2]))


@dataclass(frozen=True)
class TracedPictures:
    """The pictures of one sequence, drawn as they are read; every reading gives the same bytes.

    Attributes:
        track: what to show and when.
        labels: the names of the track's columns.
        size: width and height, pixels.
        seed: another one shows other instances in other places.
        world: other worlds give equal names other looks.
        distractors: things in sight, on average, that are no labels.
    """

    track: Track
    labels: tuple[str, ...]
    size: tuple[int, int] = (96, 96)
    seed: int = 0
    world: str = "labels"
    distractors: int = 2

    def read(self) -> Iterator[NDArray[np.uint8]]:
        """uint8 RGB (height, width, 3), one per frame."""
        width, height = self.size
        place = Place(self.size, self._seeded("place"))
        light = self._seeded("light").uniform(0.75, 1.1)
        for frame, (t, things) in enumerate(self._in_sight()):
            picture = place.view(t)
            for thing in things:
                x, y, side = thing.at(t)
                lay(picture, thing.sprite, x * width, y * height, side * height)
            grain = self._seeded("grain", frame).integers(-6, 7, (height, width, 1))
            yield np.clip(picture * np.float32(light) + grain, 0, 255).astype(np.uint8)

    def cells(self, side: int) -> Iterator[NDArray[np.uint8]]:
        """What each cell of a grid shows, about: label index + 1, 0 for none of the labels.

        Returns:
            uint8 (side, side), one per frame; for at most 255 labels.
        """
        for t, things in self._in_sight():
            grid = np.zeros((side, side), np.uint8)
            for thing in things:
                x, y, size = (round(value * side * 16) for value in thing.at(t))
                radius = round(_BODY * size)
                cv2.circle(grid, (x - 8, y - 8), radius, thing.label + 1, cv2.FILLED, shift=4)
            yield grid

    def _in_sight(self) -> Iterator[tuple[float, list[_Thing]]]:
        """Each frame's time and things from back to front: distractors, labels as they came."""
        present = self.track.truth == 1
        began = _began(present)
        things: dict[tuple[int, str, str], _Thing] = {}
        for frame, t in enumerate(self.track.stamps_s.tolist()):
            labels = np.flatnonzero(present[frame]).tolist()
            stays = [(label, self.labels[label], f"{began[frame, label]}") for label in labels]
            keys = [*self._distractors(t), *sorted(stays, key=lambda stay: int(stay[2]))]
            things = {key: things.get(key) or self._thing(*key) for key in keys}
            yield t, list(things.values())

    def _distractors(self, t: float) -> Iterator[tuple[int, str, str]]:
        """Each of twice as many slots holds one half of the time, for some seconds each."""
        slots = 2 * self.distractors
        for slot in range(slots):
            turn = int(t / _DISTRACTOR_S + slot / slots)
            rng = self._seeded("distractor", slot, turn)
            if rng.integers(2):
                yield -1, f"no label {rng.integers(_DISTRACTORS)}", f"{slot} {turn}"

    def _thing(self, label: int, name: str, stay: str) -> _Thing:
        rng = self._seeded(name, stay)
        side = float(rng.uniform(*_SIZES))
        return _Thing(
            label=label,
            sprite=draw(look_of(f"{self.world} {name}"), rng),
            centre=rng.uniform(0.25, 0.75, 2),
            sway=rng.uniform(0.02, 0.12, 2),
            period_s=rng.uniform(8, 30, 3),
            phase=rng.uniform(0, 2 * np.pi, 3),
            side=side,
        )

    def _seeded(self, *words: object) -> np.random.Generator:
        return seeded(self.seed, self.world, self.track.name, *words)


def traced_scenes(
    trace: Trace,
    *,
    size: tuple[int, int] = (96, 96),
    seed: int = 0,
    world: str = "labels",
    distractors: int = 2,
) -> Dataset:
    """A data set that shows a trace.

    The pictures are made; the labels' coming and going is the trace's. A label is true while
    the trace says so, even where another thing stands before it.

    Raises:
        PolymorphError: a size below 32 pixels, or fewer than no distractors.
    """
    if min(size) < 32 or distractors < 0:
        raise PolymorphError(
            "at least 32x32 pixels and 0 distractors",
            f"{size[0]}x{size[1]} and {distractors}",
            where="traced scenes",
        )
    names = trace.vocabulary.names
    sequences = tuple(
        LabelledSequence(track, TracedPictures(track, names, size, seed, world, distractors))
        for track in trace.tracks
    )
    return Dataset(trace.vocabulary, sequences)


def _began(present: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Per frame and label, in which frame the present stay began; only valid where present."""
    frames = np.arange(len(present))[:, None]
    starts = present & ~np.vstack([np.zeros_like(present[:1]), present[:-1]])
    began: NDArray[np.int64] = np.maximum.accumulate(np.where(starts, frames, 0), axis=0)
    return began
