"""Colours and fonts that all plots share; the colours suit colour-blind readers (Okabe and Ito)."""

from __future__ import annotations

from typing import Any

INK = "#1f2933"
FAINT = "#7b8794"
GRID = "#e4e7eb"
BLUE = "#0072B2"
GREEN = "#009E73"
VERMILION = "#D55E00"
ORANGE = "#E69F00"
PURPLE = "#CC79A7"
PALE = "#cbd2d9"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"

# What kind of method it is decides the colour.
_KINDS = {
    "polymorph": BLUE,
    "oracle_cover": GREEN,
    "all_adapters": ORANGE,
    "switched_specialists": PURPLE,
    "merged_lora": PURPLE,
    "peft_mixed_batch": PURPLE,
}


def colour_of(method: str) -> str:
    """A method's colour: variants of Polymorph are grey, trained baselines vermilion."""
    if method in _KINDS:
        return _KINDS[method]
    return FAINT if method.startswith("polymorph_") else VERMILION


_SYMBOLS = (
    "circle", "square", "diamond", "triangle-up", "triangle-down", "cross", "x", "star", "hexagon",
    "pentagon", "bowtie", "hourglass",
)  # fmt: skip


def symbol_of(number: int) -> str:
    """The marker of the method with this place in the table."""
    return _SYMBOLS[number % len(_SYMBOLS)]


def layout(**more: Any) -> dict[str, Any]:
    """The layout that all figures of the page begin with."""
    return {
        "template": "plotly_white",
        "font": {"family": FONT, "size": 13, "color": INK},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 10, "r": 10, "t": 10, "b": 10},
        "hoverlabel": {"font": {"family": FONT}},
        **more,
    }
