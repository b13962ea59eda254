"""A contact sheet: frames with the labels that were found in them, compared with the truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import cv2
import numpy as np

from polymorph_ros.arrays import Image
from polymorph_ros.errors import PolymorphError
from polymorph_ros.files import replacing

Colour = tuple[int, int, int]
Point = tuple[int, int]

# Everything is drawn at twice its size and scaled down: OpenCV's line fonts look smooth then.
_SCALE = 2
_COLUMNS = 4
_TILE_WIDTH = 320
_MARGIN = 20
_PADDING = 10
_LINE = 24
_CHIP_ROWS = 5
_CHIP_GAP = 6
_FONT = 0.42
_HEADER = 112

_PAPER: Colour = (24, 26, 30)
_CARD: Colour = (36, 39, 45)
_INK: Colour = (232, 234, 238)
_FAINT: Colour = (150, 155, 165)


class Verdict(Enum):
    """A label of one frame compared with the truth."""

    RIGHT = "found, present"
    WRONG = "found, absent"
    MISSED = "not found, present"
    UNJUDGED = "found, no truth"


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

    @property
    def text(self) -> str:
        """What it says."""
        return f"{self.label} {self.score:.2f}"


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

    @property
    def picture_height(self) -> int:
        """Height of the picture at the width of a tile."""
        return max(1, round(_TILE_WIDTH * self.image.shape[0] / self.image.shape[1]))


def judge(
    scores: Mapping[str, float], active: Sequence[str], truth: Mapping[str, int] | None
) -> tuple[Chip, ...]:
    """The labels worth showing: those found and those missed, best score first.

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
    tile_height = _tile_height(tiles)
    width, height = _sheet_size(len(tiles), tile_height)
    canvas = np.full((height * _SCALE, width * _SCALE, 3), _PAPER, dtype=np.uint8)
    _draw_text(canvas, title, (_MARGIN, 36), _INK, 0.8)
    _draw_text(canvas, subtitle, (_MARGIN, 62), _FAINT, 0.48)
    _draw_legend(canvas, {chip.verdict for tile in tiles for chip in tile.chips})
    for tile, corner in zip(tiles, _corners(len(tiles), tile_height), strict=True):
        _draw_tile(canvas, tile, corner, tile_height)
    smaller = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(smaller, dtype=np.uint8)


def write_sheet(sheet: Image, path: Path) -> None:
    """Write it as PNG, whole or not at all."""
    done, data = cv2.imencode(".png", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
    if not done:
        raise PolymorphError("a picture that can be written as PNG", f"shape {sheet.shape}")
    with replacing(path) as unfinished:
        unfinished.write_bytes(data.tobytes())


def _tile_height(tiles: Sequence[Tile]) -> int:
    """The height that fits the highest picture, its caption and the most rows of labels."""
    rows = max(min(len(_chip_rows(tile.chips)), _CHIP_ROWS + 1) for tile in tiles)
    return max(tile.picture_height for tile in tiles) + _LINE * (rows + 1) + 12


def _sheet_size(tiles: int, tile_height: int) -> Point:
    """Width and height; wide enough for title and legend."""
    columns = min(_COLUMNS, tiles)
    width = _MARGIN + max(columns, 2) * (_TILE_WIDTH + _MARGIN)
    return width, _HEADER + -(-tiles // columns) * (tile_height + _MARGIN)


def _corners(tiles: int, tile_height: int) -> Iterator[Point]:
    """The upper left corner of each tile, row by row."""
    for number in range(tiles):
        row, column = divmod(number, min(_COLUMNS, tiles))
        yield (
            _MARGIN + column * (_TILE_WIDTH + _MARGIN),
            _HEADER + row * (tile_height + _MARGIN),
        )


def _draw_tile(canvas: Image, tile: Tile, corner: Point, height: int) -> None:
    x, y = corner
    _draw_box(canvas, corner, (_TILE_WIDTH, height), _CARD)
    _draw_picture(canvas, tile, corner)
    caption = _shortened(tile.caption, _TILE_WIDTH - 2 * _PADDING)
    below = y + tile.picture_height
    _draw_text(canvas, caption, (x + _PADDING, below + 18), _FAINT)
    _draw_chips(canvas, tile.chips, (x + _PADDING, below + _LINE + 4))


def _draw_picture(canvas: Image, tile: Tile, corner: Point) -> None:
    x, y = corner[0] * _SCALE, corner[1] * _SCALE
    width, height = _TILE_WIDTH * _SCALE, tile.picture_height * _SCALE
    method = cv2.INTER_AREA if tile.image.shape[1] > width else cv2.INTER_CUBIC
    image = np.ascontiguousarray(tile.image)
    canvas[y : y + height, x : x + width] = cv2.resize(image, (width, height), interpolation=method)


def _chip_rows(chips: Sequence[Chip]) -> list[list[Chip]]:
    """Chips in rows that fit a tile."""
    rows: list[list[Chip]] = [[]]
    used = 0
    for chip in chips:
        width = _chip_width(chip.text)
        if used + width > _TILE_WIDTH - 2 * _PADDING:
            rows.append([])
            used = 0
        rows[-1].append(chip)
        used += width + _CHIP_GAP
    return rows


def _draw_chips(canvas: Image, chips: Sequence[Chip], corner: Point) -> None:
    rows = _chip_rows(chips)
    for number, row in enumerate(rows[:_CHIP_ROWS]):
        x, y = corner[0], corner[1] + number * _LINE
        for chip in row:
            x += _draw_chip(canvas, chip.text, chip.verdict, (x, y)) + _CHIP_GAP
    hidden = sum(len(row) for row in rows[_CHIP_ROWS:])
    if hidden:
        where = (corner[0], corner[1] + _CHIP_ROWS * _LINE + 12)
        _draw_text(canvas, f"and {hidden} more", where, _FAINT)


def _draw_legend(canvas: Image, verdicts: set[Verdict]) -> None:
    x = _MARGIN
    for verdict in Verdict:
        if verdict in verdicts:
            x += _draw_chip(canvas, verdict.value, verdict, (x, 78)) + _CHIP_GAP


def _draw_chip(canvas: Image, text: str, verdict: Verdict, corner: Point) -> int:
    """Draw a filled box with text, hollow for what was missed; its width."""
    x, y = corner
    width, height, colour, ink = _chip_width(text), _LINE - 5, _COLOURS[verdict], _INK
    _draw_box(canvas, corner, (width, height), colour)
    if verdict is Verdict.MISSED:
        _draw_box(canvas, (x + 1, y + 1), (width - 2, height - 2), _CARD)
        ink = colour
    _draw_text(canvas, text, (x + 7, y + 14), ink)
    return width


def _chip_width(text: str) -> int:
    return _text_width(text) + 14


def _draw_box(canvas: Image, corner: Point, size: Point, colour: Colour) -> None:
    first = (corner[0] * _SCALE, corner[1] * _SCALE)
    last = ((corner[0] + size[0]) * _SCALE - 1, (corner[1] + size[1]) * _SCALE - 1)
    cv2.rectangle(canvas, first, last, colour, cv2.FILLED)


def _draw_text(
    canvas: Image, text: str, origin: Point, colour: Colour, font: float = _FONT
) -> None:
    where = (origin[0] * _SCALE, origin[1] * _SCALE)
    face = cv2.FONT_HERSHEY_DUPLEX
    cv2.putText(canvas, text, where, face, font * _SCALE, colour, 1, cv2.LINE_AA)


def _shortened(text: str, room: int) -> str:
    if _text_width(text) <= room:
        return text
    while text and _text_width(f"{text}...") > room:
        text = text[:-1]
    return f"{text}..."


def _text_width(text: str) -> int:
    (width, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, _FONT * _SCALE, 1)
    return -(-int(width) // _SCALE)
