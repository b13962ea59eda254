"""One spelling for each label, whatever form its letters and spaces come in."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

# control characters, invisible ones such as joiners, and halves of a character
_INVISIBLE = frozenset({"Cc", "Cf", "Cs"})


def clean_name(text: str) -> str:
    r"""A name in Unicode's composed form (NFC), with single spaces and nothing invisible.

    >>> clean_name("  coffee \u00a0cup\u200b "), clean_name("cafe\u0301") == "caf\u00e9"
    ('coffee cup', True)
    """
    spaced = " ".join(text.split())
    visible = (one for one in spaced if unicodedata.category(one) not in _INVISIBLE)
    return unicodedata.normalize("NFC", " ".join("".join(visible).split()))


def spelling_notes(spellings: Iterable[str]) -> list[str]:
    """What to say of labels as they are written: which were put together, which differ in case.

    Only form, spaces and invisible characters are looked past. Case stays: a data set may mean it
    (``US``, ``us``), names on disk and in other tools keep it, and a label taken for another
    cannot be separated again, while two that are one are joined by renaming.
    """
    forms: dict[str, set[str]] = {}
    for text in spellings:
        forms.setdefault(clean_name(text), set()).add(" ".join(text.split(" ")).strip(" "))
    notes = [
        f"{len(found)} spellings of the label {name!r} are one: they differ in spaces, invisible "
        "characters or Unicode form"
        for name, found in forms.items()
        if name and len(found) > 1
    ]
    by_case: dict[str, list[str]] = {}
    for name in forms:
        by_case.setdefault(name.casefold(), []).append(name)
    return notes + [
        f"the labels {' and '.join(map(repr, names))} differ in case only: they stay different "
        "labels; rename one if they are the same"
        for names in by_case.values()
        if len(names) > 1
    ]


def printable(text: str) -> str:
    """Text that can be printed and written as UTF-8 in one line."""
    encoded = text.encode("utf-8", "replace").decode()
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in encoded)
