"""The enumerations of the messages, with the values of their constants."""

from __future__ import annotations

from enum import Enum, IntEnum


class ScoreSource(IntEnum):
    """Where a label's score comes from (the values of ``Label.msg``)."""

    SCOUT = 1
    ADAPTER = 2
    REUSED = 3


class ResultState(IntEnum):
    """How far a result can be trusted (the values of ``LabelArray.msg``)."""

    FRESH = 1
    REUSED = 2
    DEGRADED = 3
    UNKNOWN_SCENE = 4
    NO_DATA = 5


class ChangeKind(IntEnum):
    """What happened to a label (the values of ``LabelEvent.msg``)."""

    APPEARED = 1
    VANISHED = 2


class EndReason(Enum):
    """Why a label vanished without being seen to leave (``reason`` of ``LabelEvent.msg``)."""

    NONE = ""
    RESET = "reset"
    BUNDLE = "bundle"
    DEACTIVATED = "deactivated"
    NO_DATA = "no_data"
    SWITCHED_OFF = "switched_off"
