"""Mean average precision of a bundle's engine on labelled video or on synthetic scenes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.data.dataset import Dataset, Fault, LabelledSequence
from polymorph_ros.data.synthetic import SYNTHETIC_LABELS, make_sequence
from polymorph_ros.data.track import Track
from polymorph_ros.data.vocabulary import Vocabulary
from polymorph_ros.energy.ledger import EnergyLedger
from polymorph_ros.energy.meter import open_meter
from polymorph_ros.evaluation.join import join
from polymorph_ros.evaluation.metrics import mean_average_precision
from polymorph_ros.model.polymorph import PolymorphModel
from polymorph_ros.progress import progress_bar
from polymorph_ros.runtime.engine import Engine


@dataclass(frozen=True)
class DrawnPictures:
    """Pictures that are in memory already: uint8 RGB (frames, height, width, 3)."""

    images: NDArray[np.uint8]

    def read(self) -> Iterator[NDArray[np.uint8] | Fault]:
        yield from self.images


def synthetic_dataset(sequences: int, frames: int = 24, hz: float = 4.0) -> Dataset:
    """Held-out synthetic scenes, 160x120, each sequence of so many frames."""
    found = []
    for index in range(sequences):
        scene = make_sequence(0, index=index, split="test", frames=frames, hz=hz, size=(160, 120))
        drawn = list(scene.frames())
        track = Track(
            np.stack([frame.truth for frame in drawn]),
            np.array([frame.stamp_s for frame in drawn]),
            name=f"scene {index}",
        )
        images = np.stack([frame.image for frame in drawn])
        found.append(LabelledSequence(track, DrawnPictures(images)))
    return Dataset(Vocabulary(tuple(SYNTHETIC_LABELS)), tuple(found))


def mean_ap(bundle: Bundle, data: Dataset, device: str, where: Path | str = "") -> float:
    """Mean average precision of the engine's beliefs, of those labels that the data know.

    Raises:
        PolymorphError: not one label of the data is in the bundle.
    """
    joined = join(data, [label.name for label in bundle.manifest.labels], str(where))
    model = PolymorphModel.from_bundle(bundle, device)
    engine = Engine(model, bundle.manifest, EnergyLedger(open_meter("none")))
    scores, truth = [], []
    with progress_bar() as bars:
        task = bars.add_task(bundle.path.name, total=len(joined), note="")
        for sequence in joined.sequences:
            engine.reset()
            for one in sequence.frames():
                bars.update(task, advance=1)
                scores.append(engine.step(one.frame).score_array)
                truth.append(one.truth)
    return mean_average_precision(np.stack(scores), np.stack(truth))
