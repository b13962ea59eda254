"""Take out of a report what names a person, a machine or a network, before it leaves the robot."""

from __future__ import annotations

import os
import platform
import pwd
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

_IPV4 = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])")
_IPV6_OR_MAC = re.compile(r"(?<![\w:])(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{0,4}(?![\w:])")
_UUID = re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b")
_HOMES = re.compile(r"/(home|Users)/[^/\s'\",;:]+")
_SHORTEST = 2  # a name of one letter would also be found in ordinary text


class Scrubber:
    """Replaces names of user and host, home folders, addresses and UUIDs in texts.

    >>> scrubber = Scrubber(users=("ada",), hosts=("lab-7",), homes=("/home/ada",))
    >>> scrubber("/home/ada/b: no route from LAB-7 (/lab_7/image of ada) to 10.0.0.2")
    '~/b: no route from <host> (/<host>/image of <user>) to <address>'

    Args:
        users, hosts: names; the form that ROS allows in topics is found too.
        homes: folders.
    """

    def __init__(
        self, users: Sequence[str], hosts: Sequence[str], homes: Sequence[str] = ()
    ) -> None:
        self._patterns = [
            *((re.compile(rf"{re.escape(home)}(?![\w.-])"), "~") for home in homes),
            (_HOMES, r"/\1/<user>"),
            *((pattern, "<host>") for pattern in _words(hosts)),
            *((pattern, "<user>") for pattern in _words(users)),
            (_UUID, "<uuid>"),
            (_IPV4, "<address>"),
            (_IPV6_OR_MAC, "<address>"),
        ]

    @classmethod
    def of_this_machine(cls) -> Scrubber:
        """For the user and host that this process runs as and on."""
        return cls(
            users=sorted(set(_users())), hosts=sorted(set(_hosts())), homes=sorted(set(_homes()))
        )

    def __call__(self, text: str) -> str:
        """The text without them."""
        for pattern, replacement in self._patterns:
            text = pattern.sub(replacement, text)
        return text

    def everywhere(self, document: Any) -> Any:
        """A JSON document with every text in it replaced; keys stay, they are ours."""
        if isinstance(document, str):
            return self(document)
        if isinstance(document, Mapping):
            return {key: self.everywhere(value) for key, value in document.items()}
        if isinstance(document, (list, tuple)):
            return [self.everywhere(value) for value in document]
        return document


def _words(names: Sequence[str]) -> Iterator[re.Pattern[str]]:
    """Patterns that find names as words; longer ones first. An underscore ends a word, too."""
    forms = {form for name in names for form in (name, re.sub(r"\W", "_", name))}
    for form in sorted(forms, key=len, reverse=True):
        if len(form) >= _SHORTEST:
            yield re.compile(rf"(?<![A-Za-z0-9]){re.escape(form)}(?![A-Za-z0-9])", re.IGNORECASE)


def _users() -> Iterator[str]:
    yield from filter(None, map(os.environ.get, ("USER", "LOGNAME", "SUDO_USER", "USERNAME")))
    try:
        yield pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user without an entry
        return


def _hosts() -> Iterator[str]:
    names = (socket.gethostname(), platform.node(), os.environ.get("HOSTNAME", ""))
    for name in filter(None, names):
        yield name
        yield name.partition(".")[0]


def _homes() -> Iterator[str]:
    try:
        homes = [str(Path.home()), pwd.getpwuid(os.getuid()).pw_dir]
    except (KeyError, RuntimeError):
        homes = [os.environ.get("HOME", "")]
    yield from (home.rstrip("/") for home in homes if len(home) > 1)
