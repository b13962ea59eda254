"""Looks at frames in the background: those that the page waits for first, then all over.

What was seen is kept in a file beside the table, so that a second day starts where the first ended.
"""

from __future__ import annotations

import hashlib
import threading
import time
import zipfile
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np

from polymorph_ros.annotation.book import FrameKey
from polymorph_ros.annotation.footage import Footage, spread_frames
from polymorph_ros.annotation.ranking import rank_frames
from polymorph_ros.annotation.vision import Eye, Look
from polymorph_ros.data.dataset import Fault
from polymorph_ros.errors import PolymorphError
from polymorph_ros.files import replacing
from polymorph_ros.runtime.views import usual_distance

MOST_FRAMES = 2_000  # that are looked at unasked; the order is made of these
_RANK_EVERY_S = 2.0
_ALIKE = 0.4  # of the usual distance: nearer frames are near-identical
_ALIKE_WITHIN = (0.02, 0.3)  # where hardly anything moves, all the usual distance is noise
_RANK_AGAIN = 10  # ranking takes at most a tenth of the time
_STORE_EVERY_S = 30.0
_FEATURE_TYPE = np.float16

MakeEye = Callable[[], Eye]


class Worker(threading.Thread):
    """A thread that looks at frames and puts them in the order in which they teach most.

    Args:
        footage: whose frames.
        make_eye: opens what looks at them, in the thread; it may take seconds.
        identity: what decides the answers beside the frames, for instance a bundle's checksum.
        cache: the folder in which to keep them.
        labelled: gives the frames that have labels, at any time.

    Attributes:
        error: why it gave up; empty while it works.
        order: frames in the order in which they teach most.
        order_version: goes up when the order changes.
        usual_distance: of two frames' features; 0 while none is known.
    """

    def __init__(
        self,
        footage: Footage,
        make_eye: MakeEye,
        identity: str,
        cache: Path,
        labelled: Callable[[], set[FrameKey]],
    ) -> None:
        super().__init__(name="annotation worker", daemon=True)
        self._footage, self._make_eye = footage, make_eye
        self._labelled = labelled
        self._file = cache / "frames.npz"
        self._identity = _identity(footage, identity)
        self._spread = spread_frames(footage, MOST_FRAMES)
        self._looks: dict[FrameKey, Look | None] = {}
        self._asked: deque[FrameKey] = deque()
        self._wake = threading.Condition()
        self._stopping = False
        self._ranked_of: tuple[int, int] = (0, 0)
        self.error = ""
        self.order: list[FrameKey] = list(self._spread)
        self.order_version = 1
        self.usual_distance = 0.0

    def look(self, key: FrameKey) -> Look | None:
        """What is known of a frame; None where it is not known yet, or cannot be read."""
        return self._looks.get(key)

    def ask(self, keys: Iterable[FrameKey]) -> None:
        """Look at these frames next, the first one first."""
        with self._wake:
            new = [key for key in keys if key not in self._looks]
            if new:
                later = [key for key in self._asked if key not in new]
                self._asked = deque([*new, *later][:200])
                self._wake.notify()

    @property
    def progress(self) -> tuple[int, int]:
        """How many frames have been looked at, and of how many."""
        return min(len(self._looks), len(self._spread)), len(self._spread)

    def stop(self) -> None:
        """Let it end, and wait until what it knows is stored."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self.is_alive():
            self.join()

    def run(self) -> None:
        """Look at frames until told to stop."""
        try:
            self._load()
            self._rank()
            eye = self._make_eye()
            self._work(eye)
        except PolymorphError as error:
            self.error = str(error)
        except Exception as error:  # of the model, of any kind: the page says so and works on
            self.error = f"{type(error).__name__}: {error}"

    def _work(self, eye: Eye) -> None:
        unasked = iter(self._spread)
        stored = time.monotonic()
        rank_at = 0.0
        while not self._stopping:
            key = self._next(unasked)
            if key is not None:
                self._looks[key] = self._see(eye, key)
            now = time.monotonic()
            if now >= rank_at:
                self._rank()
                rank_at = _RANK_AGAIN * time.monotonic() - (_RANK_AGAIN - 1) * now + _RANK_EVERY_S
            if now - stored > _STORE_EVERY_S:
                self._store()
                stored = now
            if key is None:
                with self._wake:
                    if not self._asked and not self._stopping:
                        self._wake.wait(_RANK_EVERY_S)
        self._store()

    def _next(self, unasked: Iterable[FrameKey]) -> FrameKey | None:
        with self._wake:
            while self._asked:
                key = self._asked.popleft()
                if key not in self._looks:
                    return key
        return next((key for key in unasked if key not in self._looks), None)

    def _see(self, eye: Eye, key: FrameKey) -> Look | None:
        image = self._footage.clips[key[0]].pictures.read(key[1])
        return None if isinstance(image, Fault) else eye.look(image)

    def _rank(self) -> None:
        """Order what is known anew, if anything is new; what is not known comes behind."""
        labelled = self._labelled()
        keys = [key for key, look in list(self._looks.items()) if look is not None]
        state = (len(keys), len(labelled))
        if state == self._ranked_of or not keys:
            return
        looks = [self._looks[key] for key in keys]
        known = [look for look in looks if look is not None]
        features = np.stack([look.features for look in known]).astype(np.float64)
        self.usual_distance = usual_distance(features)
        ranking = rank_frames(
            features,
            np.array([look.uncertainty for look in known]),
            np.array([look.unknown for look in known], bool),
            np.array([key in labelled for key in keys], bool),
            float(np.clip(_ALIKE * self.usual_distance, *_ALIKE_WITHIN)),
        )
        first = [keys[place] for place in ranking.order[: ranking.fresh].tolist()]
        seen = set(self._looks)
        rest = [keys[place] for place in ranking.order[ranking.fresh :].tolist()]
        self.order = [*first, *(key for key in self._spread if key not in seen), *rest]
        self._ranked_of = state
        self.order_version += 1

    def _store(self) -> None:
        looks = {key: look for key, look in self._looks.items() if look is not None}
        if not looks:
            return
        known = list(looks.values())
        actives = np.zeros((len(known), len(known[0].scores)), bool)
        for row, look in enumerate(known):
            actives[row, list(look.active)] = True
        with suppress(PolymorphError), replacing(self._file) as unfinished:
            np.savez(
                unfinished,
                identity=np.array(self._identity),
                keys=np.array(list(looks), np.int64),
                features=np.stack([look.features for look in known]).astype(_FEATURE_TYPE),
                scores=np.stack([look.scores for look in known]),
                actives=actives,
                uncertainty=np.array([look.uncertainty for look in known]),
                unknown=np.array([look.unknown for look in known]),
            )

    def _load(self) -> None:
        """What an earlier session saw of the same frames; a damaged file is as none."""
        with suppress(OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            with np.load(self._file, allow_pickle=False) as file:
                stored = {name: file[name] for name in file.files}
            if str(stored["identity"]) != self._identity:
                return
            looks = zip(
                stored["features"].astype(np.float32),
                stored["scores"],
                (tuple(np.flatnonzero(row).tolist()) for row in stored["actives"]),
                stored["uncertainty"].tolist(),
                stored["unknown"].tolist(),
                strict=True,
            )
            keys = [(clip, frame) for clip, frame in stored["keys"].tolist()]
            self._looks = {key: Look(*look) for key, look in zip(keys, looks, strict=True)}


def _identity(footage: Footage, eye: str) -> str:
    parts = [eye]
    for clip in footage.clips:
        stamps_ns = clip.pictures.stamps_ns
        parts.append(f"{clip.recording.path} {len(clip)} {stamps_ns[0]} {stamps_ns[-1]}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
