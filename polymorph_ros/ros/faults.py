"""A fault as one line, for logs, diagnostics and responses of services."""

from __future__ import annotations

from polymorph_ros.errors import PolymorphError


def one_line(error: BaseException) -> str:
    """An error in one line; a foreign one with its type, since its text may not stand alone."""
    text = " ".join(str(error).split())
    return text if isinstance(error, PolymorphError) else f"{type(error).__name__}: {text}"
