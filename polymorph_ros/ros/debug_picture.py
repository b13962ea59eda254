"""A camera's picture with what the node says about it drawn in: for people, not for programs."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from polymorph_ros.arrays import Image
from polymorph_ros.energy.reading import ESTIMATES
from polymorph_ros.interfaces.enumerations import ResultState
from polymorph_ros.runtime.result import FrameResult

Colour = tuple[int, int, int]

STATE_COLOURS: dict[ResultState, Colour] = {
    ResultState.FRESH: (60, 205, 105),
    ResultState.REUSED: (70, 160, 245),
    ResultState.DEGRADED: (250, 170, 30),
    ResultState.UNKNOWN_SCENE: (200, 105, 245),
    ResultState.NO_DATA: (240, 75, 60),
}
"""RGB of the frame around the picture."""

_WIDTHS = (320, 640)  # pixels; pictures outside are resized
_SIDE = 640  # pixels; the longest height
_LEAST_HEIGHT = 180
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_WHITE, _GREY, _DIM = (255, 255, 255), (190, 190, 190), (95, 95, 95)
_BLACK = (0, 0, 0)
_DARKENED = 0.2  # of the picture's light that is left behind text
_MOST_ROWS = 8
_MOST_INACTIVE = 3
_LEAST_INACTIVE_SCORE = 0.1


@dataclass(frozen=True)
class _Layout:
    """Sizes in pixels for a canvas of some width."""

    frame: int
    row: int
    scale: float

    @classmethod
    def of(cls, width: int) -> _Layout:
        growth = math.sqrt(width / _WIDTHS[0])
        return cls(round(4 * growth), round(16 * growth), 0.42 * growth)

    def width(self, text: str) -> int:
        return int(cv2.getTextSize(text, _FONT, self.scale, 1)[0][0])

    def cut(self, text: str, width: int) -> str:
        """The text, shortened to fit into so many pixels."""
        text = plain(text)
        if self.width(text) <= width:
            return text
        while text and self.width(text + "..") > width:
            text = text[:-1]
        return text + ".."


def draw(picture: Image, result: FrameResult) -> Image:
    """The picture with labels, adapters, cost and state.

    Args:
        picture: uint8 RGB of shape (height, width, 3); it is left as it is.
        result: what was said about it.

    Returns:
        uint8 RGB, 320 to 640 pixels wide.
    """
    canvas = _resized(picture)
    layout = _Layout.of(canvas.shape[1])
    colour = STATE_COLOURS[result.state]
    lines = [(_cost(result), _WHITE), (_adapters(result), _WHITE)]
    if result.reason:
        lines.append((result.reason, colour))
    top = _draw_footer(canvas, layout, result.state.name, colour, lines)
    _draw_labels(canvas, layout, result, top)
    _draw_frame(canvas, layout, colour)
    return canvas


def draw_no_data(shape: Sequence[int], reason: str) -> Image:
    """A dark picture that says that there is no result, and why.

    Args:
        shape: (height, width) of the pictures before.
        reason: in plain words.
    """
    canvas = _resized(np.full((shape[0], shape[1], 3), 40, np.uint8))
    layout = _Layout.of(canvas.shape[1])
    colour = STATE_COLOURS[ResultState.NO_DATA]
    margin = layout.frame * 3
    _tag(canvas, layout, ResultState.NO_DATA.name, margin, margin, colour)
    for place, line in enumerate(_wrapped(layout, reason, canvas.shape[1] - 2 * margin)):
        top = margin + round((place + 1.5) * layout.row)
        _write(canvas, layout, line, (margin, _inside(layout, 0, top)[1]), _WHITE)
    _draw_frame(canvas, layout, colour)
    return canvas


def plain(text: str) -> str:
    """The text in the letters that OpenCV can draw.

    >>> plain("Türschloß"), plain("椅子")
    ('Turschloss', '??')
    """
    text = text.replace("ß", "ss").replace("…", "..").replace("–", "-")
    decomposed = unicodedata.normalize("NFKD", text)
    letters = (letter for letter in decomposed if not unicodedata.combining(letter))
    return "".join(letter if " " <= letter <= "~" else "?" for letter in letters)


def _resized(picture: Image) -> Image:
    height, width = picture.shape[:2]
    factor = min(max(width, _WIDTHS[0]), _WIDTHS[1]) / width
    if height * factor > _SIDE:
        factor = max(_SIDE / height, _WIDTHS[0] / width)
    size = (round(width * factor), max(1, round(height * factor)))
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    canvas = cv2.resize(np.ascontiguousarray(picture), size, interpolation=method)[:_SIDE]
    missing = max(0, _LEAST_HEIGHT - canvas.shape[0])
    padded = cv2.copyMakeBorder(canvas, 0, missing, 0, 0, cv2.BORDER_CONSTANT)
    return np.ascontiguousarray(padded, dtype=np.uint8)


def _draw_labels(canvas: Image, layout: _Layout, result: FrameResult, bottom: int) -> None:
    """One row per label, the likeliest first: name, bar, score."""
    left, top = 2 * layout.frame, 2 * layout.frame
    room = min(_MOST_ROWS, (bottom - top) // layout.row - 1)
    active, others = _ranked(result)
    rows = (active + others)[: max(room, 0)]
    hidden = len(active) - sum(index in result.active_indices for index in rows)
    if not rows:
        _panel(canvas, left, top, left + layout.width("no labels") + layout.row, top + layout.row)
        _write(canvas, layout, "no labels", _inside(layout, left, top), _GREY)
        return
    number = layout.width("0.00") + layout.row // 2
    bar = layout.row * 4
    name = min(
        max(layout.width(plain(result.vocabulary[index])) for index in rows) + layout.row // 2,
        canvas.shape[1] * 3 // 5 - bar - number,
    )
    height = layout.row * (len(rows) + bool(hidden)) + layout.row // 3
    _panel(canvas, left, top, left + name + bar + number + layout.row // 2, top + height)
    for place, index in enumerate(rows):
        is_active = index in result.active_indices
        row_top = top + place * layout.row
        x, y = _inside(layout, left, row_top)
        text = layout.cut(result.vocabulary[index], name - layout.row // 3)
        _write(canvas, layout, text, (x, y), _WHITE if is_active else _GREY)
        score = float(result.score_array[index])
        _bar(canvas, layout, left + name, row_top, bar, score, is_active)
        at = (left + name + bar + layout.row // 3, y)
        _write(canvas, layout, f"{score:.2f}", at, _WHITE if is_active else _GREY)
    if hidden:
        at = _inside(layout, left, top + len(rows) * layout.row)
        _write(canvas, layout, f"{hidden} more", at, _GREY)


def _ranked(result: FrameResult) -> tuple[list[int], list[int]]:
    """The active labels and the likeliest of the others, by falling score."""
    order = np.argsort(-result.score_array, kind="stable").tolist()
    active = [index for index in order if result.active_mask[index]]
    others = [
        index
        for index in order
        if not result.active_mask[index] and result.score_array[index] >= _LEAST_INACTIVE_SCORE
    ]
    return active, others[:_MOST_INACTIVE]


def _bar(
    canvas: Image, layout: _Layout, left: int, top: int, length: int, score: float, active: bool
) -> None:
    """A bar whose whole length stands for a score of 1."""
    low, high = top + layout.row // 3, top + layout.row
    cv2.rectangle(canvas, (left, low), (left + length, high), _DIM, 1)
    if score > 0:
        colour = STATE_COLOURS[ResultState.FRESH] if active else _GREY
        filled = max(1, round(length * score))
        cv2.rectangle(canvas, (left, low), (left + filled, high), colour, cv2.FILLED)


def _draw_footer(
    canvas: Image, layout: _Layout, state: str, colour: Colour, lines: list[tuple[str, Colour]]
) -> int:
    """State and lines at the bottom; the row of pixels at which they begin."""
    height, width = canvas.shape[:2]
    left, right = 2 * layout.frame, width - 2 * layout.frame
    top = height - 2 * layout.frame - layout.row * len(lines) - layout.row // 3
    _panel(canvas, left, top, right, height - 2 * layout.frame)
    for place, (text, text_colour) in enumerate(lines):
        x, y = _inside(layout, left, top + place * layout.row)
        if place == 0:
            x += _tag(canvas, layout, state, left, top, colour)
        _write(canvas, layout, layout.cut(text, right - x - 2), (x, y), text_colour)
    return top


def _cost(result: FrameResult) -> str:
    seconds = sum(result.stage_seconds.values())
    parts = [f"{seconds * 1000:.0f} ms"]
    if math.isfinite(result.joules):
        estimated = result.energy.source in ESTIMATES
        parts.append(f"{result.joules:.3g} J{' est.' if estimated else ''}")
    else:
        parts.append("no joules")
    return "  ".join(parts)


def _adapters(result: FrameResult) -> str:
    if not result.adapters:
        return "no adapter: reused" if result.reused else "no adapter"
    return "adapters: " + ", ".join(result.adapters)


def _wrapped(layout: _Layout, text: str, width: int) -> list[str]:
    """The text in lines that fit into so many pixels."""
    lines: list[str] = []
    for word in plain(text).split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and layout.width(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(layout.cut(word, width))
    return lines[:_MOST_ROWS]


def _inside(layout: _Layout, left: int, top: int) -> tuple[int, int]:
    """Where text of a row starts: its baseline."""
    return left + layout.row // 3, top + layout.row - layout.row // 12


def _panel(canvas: Image, left: int, top: int, right: int, bottom: int) -> None:
    """Darken a rectangle, so that text on it can be read."""
    part = canvas[max(top, 0) : bottom, left:right]
    cv2.convertScaleAbs(part, part, alpha=_DARKENED)


def _tag(canvas: Image, layout: _Layout, text: str, left: int, top: int, colour: Colour) -> int:
    """Black text on a colour; its width in pixels."""
    width = layout.width(text) + layout.row * 2 // 3
    cv2.rectangle(canvas, (left, top), (left + width, top + layout.row), colour, cv2.FILLED)
    x, y = _inside(layout, left, top)
    _write(canvas, layout, text, (x, y - layout.row // 8), _BLACK)
    return width


def _write(canvas: Image, layout: _Layout, text: str, at: tuple[int, int], colour: Colour) -> None:
    cv2.putText(canvas, text, at, _FONT, layout.scale, colour, 1, lineType=cv2.LINE_AA)


def _draw_frame(canvas: Image, layout: _Layout, colour: Colour) -> None:
    canvas[: layout.frame] = canvas[-layout.frame :] = colour
    canvas[:, : layout.frame] = canvas[:, -layout.frame :] = colour
