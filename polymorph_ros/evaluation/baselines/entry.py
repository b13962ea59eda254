"""An entry of the table of methods: what it is, how it is built, and the weights that it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.evaluation.baselines.trained import TrainedBaseline, read_trained
from polymorph_ros.evaluation.methods.method import Method
from polymorph_ros.model.polymorph import PolymorphModel

if TYPE_CHECKING:
    from polymorph_ros.evaluation.baselines.train import Inputs


@dataclass(frozen=True)
class Source:
    """What methods are built from.

    Attributes:
        bundle: whose vocabulary, contexts and backbone all methods share.
        device: "cpu", "cuda" or "auto".
        folder: where trained baselines lie, a folder each.
    """

    bundle: Bundle
    device: str
    folder: Path

    def model(self) -> PolymorphModel:
        """The bundle's model, loaded anew: methods share nothing."""
        return PolymorphModel.from_bundle(self.bundle, self.device)

    def trained(self, weights: Weights) -> TrainedBaseline:
        """Trained weights; PolymorphError as ``read_trained``."""
        return read_trained(self.folder / weights.name, self.bundle)


@dataclass(frozen=True)
class Weights:
    """Weights that have to be trained.

    Attributes:
        name: of their folder.
        train: trains them into a folder; None where that cannot be done, which it says.
    """

    name: str
    train: Callable[[Inputs, Path], TrainedBaseline | None]


@dataclass(frozen=True)
class Entry:
    """A method.

    Attributes:
        name: as ``--compare`` takes it.
        description: what it is, for tables.
        make: builds it under a name.
        weights: what has to be trained for it.
    """

    name: str
    description: str
    make: Callable[[str, Source], Method]
    weights: Weights | None = None
