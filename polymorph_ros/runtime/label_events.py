"""Events that pair: each label that appeared vanishes once before it appears again."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from polymorph_ros.interfaces.enumerations import ChangeKind, EndReason
from polymorph_ros.interfaces.stamps import stamp_fields
from polymorph_ros.runtime.message_fields import Fields
from polymorph_ros.runtime.result import FrameResult


@dataclass
class _Run:
    """A label that has appeared and not vanished yet, with its last score."""

    index: int
    first_stamp_ns: int
    score: float


class LabelEvents:
    """Makes the fields of ``LabelEvent``, without its header, for all cameras of a node.

    They come from comparing what was said to be active with what is active now. So they pair
    whatever happens between two results: resets, other bundles, pauses.

    Attributes:
        incarnation: 16 random hexadecimal digits; other ones for each object.
        sequence: how many events there were, of all cameras together.
    """

    def __init__(self) -> None:
        self.incarnation = secrets.token_hex(8)
        self.sequence = 0
        self._runs: dict[str, dict[str, _Run]] = {}  # by camera and label

    def of(self, result: FrameResult) -> list[Fields]:
        """What changed with a result: labels that appeared, then those that vanished.

        Where the result started anew, what was active before vanishes first.
        """
        ended = self.end(result.camera, EndReason.RESET) if result.started_anew else []
        runs = self._runs.setdefault(result.camera, {})
        active = dict(zip(result.active, result.active_indices, strict=True))
        appeared = []
        for name, index in active.items():
            score = float(result.score_array[index])
            if name in runs:
                runs[name].score = score
            else:
                runs[name] = _Run(index, result.stamp_ns, score)
                appeared.append(self._fields(ChangeKind.APPEARED, result.camera, name, runs[name]))
        gone = [name for name in runs if name not in active]
        for name in gone:
            runs[name].score = float(result.score_array[runs[name].index])
        return ended + appeared + self._vanish(result.camera, gone, EndReason.NONE)

    def end(self, camera: str, reason: EndReason) -> list[Fields]:
        """All active labels of a camera vanish, for a reason that is not in the picture."""
        return self._vanish(camera, list(self._runs.get(camera, {})), reason)

    def _vanish(self, camera: str, names: Iterable[str], reason: EndReason) -> list[Fields]:
        runs = self._runs.get(camera, {})
        ordered = sorted(names, key=lambda name: runs[name].index)
        return [
            self._fields(ChangeKind.VANISHED, camera, name, runs.pop(name), reason)
            for name in ordered
        ]

    def _fields(
        self,
        kind: ChangeKind,
        camera: str,
        name: str,
        run: _Run,
        reason: EndReason = EndReason.NONE,
    ) -> Fields:
        self.sequence += 1
        return {
            "camera": camera,
            "kind": int(kind),
            "name": name,
            "id": run.index,
            "score": run.score,
            "first_stamp": stamp_fields(run.first_stamp_ns),
            "reason": reason.value,
            "sequence": self.sequence,
            "incarnation": self.incarnation,
        }
