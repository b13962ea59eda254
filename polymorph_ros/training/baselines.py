"""What a bundle of contexts has to beat: one adapter for all labels, trained just as long.

A baseline is a bundle with one context of all labels, so everything else is the same: backbone,
frames, the training of the scout, calibration, thresholds, and belief over time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from polymorph_ros.training.config import TrainConfig
from polymorph_ros.training.context_task import ContextTask
from polymorph_ros.training.frames import load_frames


@dataclass(frozen=True)
class Baseline:
    """One adapter for all labels: how it is trained, in as many gradient steps as the bundle.

    Attributes:
        name: what it is, with its rank.
        config: of its bundle; its gradient steps are the bundle's up to half of an epoch.
    """

    name: str
    config: TrainConfig


def baselines(
    config: TrainConfig, tasks: Sequence[ContextTask], steps: int, labels: int
) -> tuple[Baseline, ...]:
    """One adapter of the same rank, and one as large as all adapters together.

    Args:
        tasks: the bundle's own adapters.
        steps: gradient steps of all LoRAs of the bundle together.
        labels: size of the vocabulary.
    """
    own = config.adapters
    frames = len(load_frames(tasks[0].train.frames.folder))
    per_epoch = max(1, frames // own.batch_size)
    found = []
    for name, factor in (("same rank", 1), ("same size in all", len(tasks))):
        adapters = own.model_copy(
            update={
                "rank": own.rank * factor,
                "alpha": own.alpha * factor,
                "others": 1.0,
                "epochs": max(1, round(steps / per_epoch)),
            }
        )
        scout = config.scout.model_copy(update={"rank": 0})
        contexts = config.contexts.model_copy(update={"count": 1, "labels_per_context": labels})
        update = {"adapters": adapters, "contexts": contexts, "scout": scout}
        part = config.model_copy(update=update)
        found.append(Baseline(f"one adapter, {name} ({adapters.rank})", part))
    return tuple(found)
