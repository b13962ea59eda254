"""A picture of a run: frames with what was seen in them, beside what was there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import cv2
import numpy as np

from polymorph_ros.arrays import Image
from polymorph_ros.errors import PolymorphError
from polymorph_ros.files import replacing

Colour = tuple[int, int, int]

# Everything is drawn at twice its size and scaled down: OpenCV's line fonts look smooth then.
_SCALE = 2
_COLUMNS = 4
_TILE_WIDTH = 320
_MARGIN = 20
_LINE = 24
_CHIP_ROWS = 5
_SMALL = 0.42
_HEADER = 112

_PAPER: Colour = (24, 26, 30)
_CARD: Colour = (36, 39, 45)
_INK: Colour = (232, 234, 238)
_FAINT: Colour = (150, 155, 165)


class Verdict(Enum):
    """A label of one frame against the truth, with the colour of its chip."""

    RIGHT = "seen, and there"
    WRONG = "seen, but not there"
    MISSED = "there, but not seen"
    UNJUDGED = "seen, truth unknown"


_COLOURS: Mapping[Verdict, Colour] = {
    Verdict.RIGHT: (46, 160, 87),
    Verdict.WRONG: (208, 72, 72),
    Verdict.MISSED: (222, 160, 44),
    Verdict.UNJUDGED: (76, 122, 184),
}


@dataclass(frozen=True)
class Chip:
    """A label as it is drawn."""

    label: str
    score: float
    verdict: Verdict


@dataclass(frozen=True)
class Tile:
    """One frame of the sheet.

    Attributes:
        image: uint8 RGB.
        caption: one line under it.
        chips: its labels.
    """

    image: Image
    caption: str
    chips: tuple[Chip, ...]


def judge(
    scores: Mapping[str, float], active: Sequence[str], truth: Mapping[str, int] | None
) -> tuple[Chip, ...]:
    """The labels worth showing: those seen and those missed, best score first.

    Args:
        scores: of every label.
        active: labels that count as present.
        truth: 1 present, 0 absent, -1 unknown by label; None where there is none.
    """
    known = truth or {}
    chips = []
    for label in sorted(scores, key=lambda name: scores[name], reverse=True):
        present = known.get(label, -1)
        if label in active:
            verdict = {1: Verdict.RIGHT, 0: Verdict.WRONG}.get(present, Verdict.UNJUDGED)
            chips.append(Chip(label, scores[label], verdict))
        elif present == 1:
            chips.append(Chip(label, scores[label], Verdict.MISSED))
    return tuple(chips)


def draw_sheet(tiles: Sequence[Tile], title: str, subtitle: str) -> Image:
    """The whole sheet, uint8 RGB.

    Raises:
        PolymorphError: there is no tile.
    """
    if not tiles:
        raise PolymorphError("at least one answered frame", "none", where="contact sheet")
    heights = [_picture_height(tile.image) for tile in tiles]
    chip_rows = max(min(len(_rows_of(tile.chips)), _CHIP_ROWS + 1) for tile in tiles)
    tile_height = max(heights) + _LINE * (chip_rows + 1) + 12
    columns = min(_COLUMNS, len(tiles))
    rows = -(-len(tiles) // columns)
    width = _MARGIN + columns * (_TILE_WIDTH + _MARGIN)
    height = _HEADER + rows * (tile_height + _MARGIN)
    width = max(width, 2 * (_TILE_WIDTH + _MARGIN) + _MARGIN)
    canvas = np.full((height * _SCALE, width * _SCALE, 3), _PAPER, dtype=np.uint8)
    _text(canvas, title, (_MARGIN, 36), _INK, 0.8)
    _text(canvas, subtitle, (_MARGIN, 62), _FAINT, 0.48)
    _legend(canvas, {chip.verdict for tile in tiles for chip in tile.chips})
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        corner = (
            _MARGIN + column * (_TILE_WIDTH + _MARGIN),
            _HEADER + row * (tile_height + _MARGIN),
        )
        _tile(canvas, tile, corner, tile_height)
    smaller = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(smaller, dtype=np.uint8)


def write_sheet(sheet: Image, path: Path) -> None:
    """Write it as PNG, whole or not at all."""
    done, data = cv2.imencode(".png", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
    if not done:
        raise PolymorphError("a picture that can be written as PNG", f"shape {sheet.shape}")
    with replacing(path) as unfinished:
        unfinished.write_bytes(data.tobytes())


def _picture_height(image: Image) -> int:
    return max(1, round(_TILE_WIDTH * image.shape[0] / image.shape[1]))


def _tile(canvas: Image, tile: Tile, corner: tuple[int, int], height: int) -> None:
    x, y = corner
    _box(canvas, (x, y), (_TILE_WIDTH, height), _CARD)
    shown = _picture_height(tile.image)
    size = (_TILE_WIDTH * _SCALE, shown * _SCALE)
    shrinks = tile.image.shape[1] > size[0]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    picture = cv2.resize(np.ascontiguousarray(tile.image), size, interpolation=method)
    canvas[y * _SCALE : y * _SCALE + size[1], x * _SCALE : x * _SCALE + size[0]] = picture
    caption = _shortened(tile.caption, _TILE_WIDTH - 20, _SMALL)
    _text(canvas, caption, (x + 10, y + shown + 18), _FAINT, _SMALL)
    _chips(canvas, tile.chips, (x + 10, y + shown + _LINE + 4))


def _rows_of(chips: Sequence[Chip]) -> list[list[tuple[str, Verdict, int]]]:
    """Chips with their words and widths, in rows that fit a tile."""
    rows: list[list[tuple[str, Verdict, int]]] = [[]]
    room = _TILE_WIDTH - 20
    used = 0
    for chip in chips:
        words = f"{chip.label} {chip.score:.2f}"
        width = _text_width(words, _SMALL) + 14
        if used + width > room:
            rows.append([])
            used = 0
        rows[-1].append((words, chip.verdict, width))
        used += width + 6
    return rows


def _chips(canvas: Image, chips: Sequence[Chip], corner: tuple[int, int]) -> None:
    rows = _rows_of(chips)
    for number, row in enumerate(rows[:_CHIP_ROWS]):
        x, y = corner[0], corner[1] + number * _LINE
        for words, verdict, width in row:
            _chip(canvas, words, verdict, (x, y), width)
            x += width + 6
    hidden = sum(len(row) for row in rows[_CHIP_ROWS:])
    if hidden:
        where = (corner[0], corner[1] + _CHIP_ROWS * _LINE + 12)
        _text(canvas, f"and {hidden} more", where, _FAINT, _SMALL)


def _chip(canvas: Image, words: str, verdict: Verdict, corner: tuple[int, int], width: int) -> None:
    x, y = corner
    colour = _COLOURS[verdict]
    _box(canvas, (x, y), (width, _LINE - 5), colour)
    if verdict is Verdict.MISSED:
        _box(canvas, (x + 1, y + 1), (width - 2, _LINE - 7), _CARD)
    _text(canvas, words, (x + 7, y + 14), colour if verdict is Verdict.MISSED else _INK, _SMALL)


def _legend(canvas: Image, verdicts: set[Verdict]) -> None:
    x = _MARGIN
    for verdict in Verdict:
        if verdict in verdicts:
            width = _text_width(verdict.value, _SMALL) + 14
            _chip(canvas, verdict.value, verdict, (x, 78), width)
            x += width + 8


def _box(canvas: Image, corner: tuple[int, int], size: tuple[int, int], colour: Colour) -> None:
    first = (corner[0] * _SCALE, corner[1] * _SCALE)
    last = ((corner[0] + size[0]) * _SCALE - 1, (corner[1] + size[1]) * _SCALE - 1)
    cv2.rectangle(canvas, first, last, colour, cv2.FILLED)


def _text(canvas: Image, words: str, origin: tuple[int, int], colour: Colour, size: float) -> None:
    where = (origin[0] * _SCALE, origin[1] * _SCALE)
    cv2.putText(
        canvas, words, where, cv2.FONT_HERSHEY_DUPLEX, size * _SCALE, colour, 1, cv2.LINE_AA
    )


def _shortened(words: str, room: int, size: float) -> str:
    if _text_width(words, size) <= room:
        return words
    while words and _text_width(f"{words}...", size) > room:
        words = words[:-1]
    return f"{words}..."


def _text_width(words: str, size: float) -> int:
    (width, _), _ = cv2.getTextSize(words, cv2.FONT_HERSHEY_DUPLEX, size * _SCALE, 1)
    return -(-int(width) // _SCALE)
