"""The one error that a user's mistake raises: what was expected, found, where, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial


class PolymorphError(Exception):
    """A mistake in input or configuration, in one line that says how to mend it.

    Command lines print it without a traceback and exit with code 1; the node logs it and
    stays as it was.

    >>> print(PolymorphError("2 rows", "3", where="head.safetensors", remedy="export it again"))
    head.safetensors: expected 2 rows, found 3; export it again
    """

    def __init__(self, expected: str, found: str, *, where: str = "", remedy: str = "") -> None:
        self.expected = expected
        self.found = found
        self.where = where
        self.remedy = remedy
        super().__init__(expected, found, where, remedy)

    def __reduce__(self) -> tuple[Callable[..., PolymorphError], tuple[str, str]]:
        """Let it be sent from one process to another."""
        make = partial(PolymorphError, where=self.where, remedy=self.remedy)
        return make, (self.expected, self.found)

    def __str__(self) -> str:
        prefix = f"{self.where}: " if self.where else ""
        suffix = f"; {self.remedy}" if self.remedy else ""
        return f"{prefix}expected {self.expected}, found {self.found}{suffix}"
