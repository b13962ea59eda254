"""A trained baseline on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from polymorph_ros.bundle.manifest import Preprocessing
from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.errors import PolymorphError
from polymorph_ros.files import write_text

BASELINE_FILE = "baseline.json"
OWN_BACKBONE = "backbone"

Form = Literal["lora", "plain", "attentive", "ml_decoder", "early_exit", "zero_shot"]
"""What a baseline has on a backbone: a LoRA and a head, or a head of ``heads``."""


class BaselineText(BaseModel):
    """What ``baseline.json`` says.

    Attributes:
        form: what it has on the backbone.
        backbone: the bundle's, or one of its own in the folder ``backbone``.
        labels: the vocabulary; a row of the head each.
        on: a label counts as active at or above this score; chosen on validation frames.
        belief_on, belief_off: the same for the engine's beliefs, where an engine runs it.
        steps: gradient steps.
        parameters: trained ones.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    form: Form
    backbone: Literal["bundle", "own"]
    preprocessing: Preprocessing
    tail_blocks: int
    labels: tuple[str, ...]
    on: tuple[float, ...]
    belief_on: tuple[float, ...] = ()
    belief_off: tuple[float, ...] = ()
    steps: int
    parameters: int


@dataclass(frozen=True)
class TrainedBaseline:
    """Its folder and its text."""

    folder: Path
    text: BaselineText


def read_trained(folder: Path, bundle: Bundle) -> TrainedBaseline:
    """Read a baseline.

    Raises:
        PolymorphError: it was not trained, or for another vocabulary than the bundle's.
    """
    file = folder / BASELINE_FILE
    if not file.is_file():
        raise PolymorphError(
            "a trained baseline", "none", where=str(folder),
            remedy="train it: polymorph evaluate --train-baselines CONFIG",
        )  # fmt: skip
    try:
        text = BaselineText.model_validate_json(file.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]["msg"]
        raise PolymorphError("a baseline's text", first, where=str(file)) from None
    if text.labels != tuple(label.name for label in bundle.manifest.labels):
        raise PolymorphError(
            "a baseline for the bundle's vocabulary", "one for another", where=str(folder),
            remedy="train the baselines of this bundle",
        )  # fmt: skip
    return TrainedBaseline(folder, text)


def write_trained(folder: Path, text: BaselineText) -> TrainedBaseline:
    """Write the text; weights lie in the folder already."""
    write_text(folder / BASELINE_FILE, text.model_dump_json(indent=1) + "\n")
    return TrainedBaseline(folder, text)
