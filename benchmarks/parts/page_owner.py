"""An owner who labels captured frames on the page of ``polymorph label``, by keyboard alone.

The owner knows of each frame which kinds it shows. Every kind is typed once, said to be absent
everywhere, and then painted over each span in which it is there.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect, sync_playwright

from polymorph_ros.errors import PolymorphError
from polymorph_ros.ros.harness.process import ChildProcess

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync")
_LABELLING = frozenset(["Enter", "/", "[", "]", "}", *"0123456789"])
_DEADLINE_MS = 60_000

Shows = Callable[[int], Sequence[str]]
"""Stamp of a captured frame, nanoseconds, to the kinds that it shows."""


@dataclass
class Keyboard:
    """Presses keys and counts them.

    Attributes:
        actions: keys that label: a name's / and Enter, a span's two ends, Enter and digits.
        moves: keys that go to another frame or choose a label.
        letters: of the labels' names.
        frames: that were labelled.
    """

    page: Page
    actions: int = field(default=0, init=False)
    moves: int = field(default=0, init=False)
    letters: int = field(default=0, init=False)
    frames: int = field(default=0, init=False)

    def press(self, key: str, times: int = 1) -> None:
        """Press a key so many times."""
        for _ in range(times):
            self.page.keyboard.press(key)
        if key in _LABELLING:
            self.actions += times
        else:
            self.moves += times

    def type(self, name: str) -> None:
        """Type a name."""
        self.page.keyboard.type(name)
        self.letters += len(name)


@contextmanager
def label_page(recording: Path, labels: Path, bundle: Path, log: Path) -> Iterator[Page]:
    """The page of the real command in a real browser.

    Raises:
        PolymorphError: the command does not serve anything, or there is no browser.
    """
    arguments = ["label", recording, "--labels", labels, "--bundle", bundle, "--no-browser"]
    command = ChildProcess(
        "polymorph_ros.cli.main", [str(part) for part in arguments], log, piped=True
    )
    try:
        url = next((line.split()[1] for line in command.lines if line.startswith("open ")), "")
        if not url:
            command.wait()
            command.check()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=_chromium(), args=_FLAGS)
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.goto(url)
            page.wait_for_selector("body[data-ready]", timeout=_DEADLINE_MS)
            yield page
            browser.close()
    finally:
        command.interrupt()


def _chromium() -> str:
    found = os.environ.get("POLYMORPH_CHROMIUM") or next(
        filter(None, map(shutil.which, _NAMES)), ""
    )
    if not found:
        raise PolymorphError("Chromium", "none", remedy="install it, or set POLYMORPH_CHROMIUM")
    return found


def label_captures(page: Page, kinds: Sequence[str], shows: Shows) -> Keyboard:
    """Label every frame of a recording.

    Args:
        page: of ``label_page``, over one recording.
        kinds: what the labels are called.
        shows: what the owner sees in a frame.
    """
    stamps_ns = _stamps_ns(page)
    seen = [frozenset(shows(stamp_ns)) for stamp_ns in stamps_ns]
    keys = Keyboard(page)
    keys.frames = len(seen)
    page.select_option("#order", "time")
    page.select_option("#step", "0")
    page.focus("#viewer")
    at = _shown(page)
    for kind in kinds:  # each at a frame that shows it
        first = next(frame for frame, there in enumerate(seen) if kind in there)
        at = _go(keys, at, first)
        keys.press("/")
        keys.type(kind)
        keys.press("Enter")
        expect(page.locator("#labels .selected .name")).to_contain_text(kind)
    at = _absent_everywhere(keys, at, kinds, len(seen))
    for kind, start, end in sorted(_spans(kinds, seen), key=lambda span: span[1:]):
        at = _go(keys, at, start)
        _choose(keys, kinds, kind)
        if start == end:
            keys.press(str(kinds.index(kind) + 1))
            continue
        keys.press("[")
        at = _go(keys, at, end)
        keys.press("]")
    for place, kind in enumerate(kinds):  # a count is shown when the change is saved
        count = sum(kind in there for there in seen)
        shown = page.locator("#labels button").nth(place).locator(".need")
        expect(shown).to_have_text(re.compile(rf"^{count}( of |$)"), timeout=_DEADLINE_MS)
    return keys


def _stamps_ns(page: Page) -> list[int]:
    """The frames' stamps, to the millisecond that the page knows."""
    state: Any = page.evaluate("fetch('/api/state').then(answer => answer.json())")
    if len(state["clips"]) != 1:
        names = ", ".join(clip["name"] for clip in state["clips"])
        raise PolymorphError("one recording of captures", names, where="capture.folder")
    stamps = state["clips"][0]["stamps"]
    return [round((stamps["first"] + ms / 1000) * 1e9) for ms in stamps["ms"]]


def _shown(page: Page) -> int:
    found = re.search(r"frame (\d+) of", page.inner_text("#place"))
    assert found is not None
    return int(found[1]) - 1


def _go(keys: Keyboard, at: int, to: int) -> int:
    """Go to a frame."""
    keys.press("." if to > at else ",", abs(to - at))
    return to


def _absent_everywhere(keys: Keyboard, at: int, kinds: Sequence[str], frames: int) -> int:
    """Say of each kind that it is in no frame; where the owner ends up."""
    for kind in kinds:
        ends = (0, frames - 1) if at < frames // 2 else (frames - 1, 0)
        at = _go(keys, at, ends[0])
        _choose(keys, kinds, kind)
        keys.press("[")
        at = _go(keys, at, ends[1])
        keys.press("}")
    return at


def _choose(keys: Keyboard, kinds: Sequence[str], kind: str) -> None:
    """Choose a label of the list, which begins with the kinds in the order in which they came."""
    selected = keys.page.locator("#labels .selected .name").inner_text()
    now = next(place for place, name in enumerate(kinds) if selected.startswith(name))
    there = kinds.index(kind)
    keys.press("ArrowDown" if there > now else "ArrowUp", abs(there - now))


def _spans(kinds: Sequence[str], seen: Sequence[frozenset[str]]) -> Iterator[tuple[str, int, int]]:
    """Each kind with the first and the last frame of each span that shows it."""
    for kind in kinds:
        start = -1
        for frame, there in enumerate([*seen, frozenset()]):
            if kind in there and start < 0:
                start = frame
            elif kind not in there and start >= 0:
                yield kind, start, frame - 1
                start = -1
