"""Procedural video sequences with truth: a camera that wanders through places."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.data.synthetic.objects import SYNTHETIC_LABELS
from polymorph_ros.data.synthetic.places import PLACES
from polymorph_ros.data.synthetic.render import Renderer, look
from polymorph_ros.data.synthetic.visit import Visit
from polymorph_ros.errors import PolymorphError

SPLITS: tuple[str, ...] = ("train", "val", "test")


@dataclass(frozen=True)
class SyntheticFrame:
    """A picture with its truth.

    Attributes:
        image: uint8 RGB, shape (height, width, 3).
        stamp_s: seconds since the sequence began.
        truth: int8, shape (V,), in ``SYNTHETIC_LABELS`` order: 1 present, 0 absent, -1 unknown
            (seen, but too little of it; see ``render.look``).
        cells: uint8, shape (90, round(90 * width / height)): label index + 1 of what each cell
            of the picture shows, 0 for none of the labels.
        place: where the camera is.
    """

    image: NDArray[np.uint8]
    stamp_s: float
    truth: NDArray[np.int8]
    cells: NDArray[np.uint8]
    place: str


@dataclass(frozen=True)
class SyntheticSequence:
    """A sequence that is drawn as it is read; every reading gives the same frames.

    Place, path and things depend on ``split``, ``seed``, ``index`` and time only: another
    ``hz`` or ``size`` shows the same world at other moments or in another resolution.
    ``visit_s`` bounds how long the camera stays in a place before it goes to a neighbouring one.
    """

    seed: int
    index: int
    split: str
    count: int
    hz: float
    size: tuple[int, int]
    visit_s: tuple[float, float] = (8.0, 24.0)

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise PolymorphError(f"a split of {', '.join(SPLITS)}", repr(self.split))
        if self.seed < 0 or self.index < 0:
            raise PolymorphError("seed and index of at least 0", f"{self.seed} and {self.index}")
        if self.count < 0 or not self.hz > 0 or min(self.size) < 16:
            raise PolymorphError(
                "frames >= 0, hz > 0 and a size of at least 16x16",
                f"{self.count}, {self.hz} and {self.size[0]}x{self.size[1]}",
                where="scene sequence",
            )
        if not 0 < self.visit_s[0] <= self.visit_s[1]:
            raise PolymorphError("visits of more than 0 s, least first", f"{self.visit_s}")

    @property
    def name(self) -> str:
        """Split, seed and index: what the sequence is drawn from."""
        return f"{self.split}-{self.seed}-{self.index}"

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that its truth is about, in order."""
        return SYNTHETIC_LABELS

    def __len__(self) -> int:
        return self.count

    def frames(self) -> Iterator[SyntheticFrame]:
        """The frames in order, ``1 / hz`` seconds apart."""
        aspect = self.size[0] / self.size[1]
        visits = self._visits()
        drawn, end = None, 0.0
        for number in range(self.count):
            stamp = number / self.hz
            while stamp >= end:
                visit = next(visits)
                start, end = end, end + visit.duration
            if visit is not drawn:
                renderer, drawn = Renderer(visit, self.size), visit
            t = stamp - start
            seen = look(visit.things, visit.camera.at(t), t, aspect)
            yield SyntheticFrame(
                image=renderer.picture(t, round(stamp * 1000)),
                stamp_s=stamp,
                truth=seen.truth,
                cells=seen.cells,
                place=visit.place,
            )

    def _visits(self) -> Iterator[Visit]:
        root = np.random.SeedSequence([SPLITS.index(self.split), self.seed, self.index])
        rng = np.random.default_rng(root)
        place = str(rng.choice(list(PLACES)))
        while True:
            yield Visit(place, float(rng.uniform(*self.visit_s)), root.spawn(1)[0])
            place = str(rng.choice(PLACES[place].neighbours))


def make_sequence(
    seed: int,
    *,
    index: int = 0,
    split: str = "train",
    frames: int,
    hz: float = 10.0,
    size: tuple[int, int] = (160, 120),
    visit_s: tuple[float, float] = (8.0, 24.0),
) -> SyntheticSequence:
    """A sequence of ``frames`` pictures of ``size`` (width, height), ``hz`` per second.

    The split is part of what seeds the world, so sequences of different splits never coincide.

    >>> sequence = make_sequence(7, split="test", frames=2, hz=2.0)
    >>> [frame.image.shape for frame in sequence.frames()]
    [(120, 160, 3), (120, 160, 3)]

    Raises:
        PolymorphError: unknown split, or a number out of its range.
    """
    return SyntheticSequence(seed, index, split, frames, hz, size, visit_s)
