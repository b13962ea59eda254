"""A finding: what was checked, what was found, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class Level(str, Enum):
    """How grave a finding is."""

    OK = "ok"
    WARN = "warn"
    ERROR = "error"


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        subject: what was checked.
        level: how grave it is.
        found: what was found, for people.
        remedy: what to do; empty if nothing.
        facts: details for a bug report.
    """

    subject: str
    level: Level
    found: str
    remedy: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)


def ok(subject: str, found: str, **facts: object) -> Finding:
    """A finding that needs nothing."""
    return Finding(subject, Level.OK, found, "", facts)


def warn(subject: str, found: str, remedy: str, **facts: object) -> Finding:
    """A finding that may cause trouble."""
    return Finding(subject, Level.WARN, found, remedy, facts)


def error(subject: str, found: str, remedy: str, **facts: object) -> Finding:
    """A finding that keeps the node from its work."""
    return Finding(subject, Level.ERROR, found, remedy, facts)
