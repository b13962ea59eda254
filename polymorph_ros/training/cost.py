"""What a stage costs, and what that rests on: how long things take on this machine."""

from __future__ import annotations

from dataclasses import dataclass

FRAME_S = 0.01
"""Seconds to render or decode a frame: assumed, not measured."""


@dataclass(frozen=True)
class StageCost:
    """What a stage takes and leaves.

    Attributes:
        frames: frames that it goes through.
        steps: gradient steps.
        size: bytes that it writes.
        seconds: about how long it takes on this machine.
    """

    frames: int = 0
    steps: int = 0
    size: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Rates:
    """Seconds of a step or frame on this machine, and bytes of what is written.

    Attributes:
        token_shape: (N, D) of the trunk's tokens of a frame.
        pretrain_step_s: none where no backbone is trained.
        trunk_frame_s: a frame in a batch.
        engine_frame_s: a frame on its own, without tails.
    """

    token_shape: tuple[int, int]
    backbone_bytes: int
    adapter_bytes: int
    scout_bytes: int
    pretrain_step_s: float | None
    trunk_frame_s: float
    engine_frame_s: float
    scout_step_s: float
    adapter_step_s: float
