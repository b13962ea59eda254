"""The ordered list of label names: a label's id is its place in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property

from polymorph_ros.errors import PolymorphError


@dataclass(frozen=True)
class Vocabulary:
    """Label names in order, each once.

    >>> vocabulary = Vocabulary(("cat", "dog"))
    >>> vocabulary.id_of("dog"), len(vocabulary)
    (1, 2)

    Raises:
        PolymorphError: no names, an empty name, or one that comes twice.
    """

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))
        if not self.names:
            raise PolymorphError("at least one label", "none", where="vocabulary")
        seen: set[str] = set()
        for name in self.names:
            if not name.strip():
                raise PolymorphError("a name for every label", repr(name), where="vocabulary")
            if name in seen:
                raise PolymorphError("every label once", f"{name!r} twice", where="vocabulary")
            seen.add(name)

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.names)}

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self._ids

    def id_of(self, name: str) -> int:
        """The label's id.

        Raises:
            PolymorphError: no such label; the remedy names those that are spelt alike.
        """
        if name not in self._ids:
            close = get_close_matches(name, self.names)
            raise PolymorphError(
                f"one of {len(self)} labels",
                repr(name),
                where="vocabulary",
                remedy=f"did you mean {' or '.join(close)}?" if close else "",
            )
        return self._ids[name]

    def ids_of(self, names: Iterable[str]) -> tuple[int, ...]:
        """The ids of several labels, in the order given; errors as ``id_of``."""
        return tuple(self.id_of(name) for name in names)
