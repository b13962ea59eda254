"""From a configuration to a bundle, stage after stage.

frames -> backbone -> tokens -> contexts -> scout -> adapters -> thresholds -> bundle. Each stage
keeps what it made (``stages.py``), so a run continues where it has to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.contexts.presence import true_presence
from polymorph_ros.contexts.statistics import Dynamics, dynamics
from polymorph_ros.data.track import Track
from polymorph_ros.energy.ledger import EnergyLedger
from polymorph_ros.energy.meter import open_meter
from polymorph_ros.model.polymorph import PolymorphModel
from polymorph_ros.runtime.belief import sigmoid
from polymorph_ros.runtime.engine import Engine
from polymorph_ros.training.assembly import Parts, Thresholds, assemble
from polymorph_ros.training.backbones import backbone_stage, preprocessing_of, weights_folder
from polymorph_ros.training.config import TrainConfig
from polymorph_ros.training.context_task import context_tasks, train_context
from polymorph_ros.training.features import TokensStage
from polymorph_ros.training.frames import LabelledFrames, load_frames
from polymorph_ros.training.grouping import Contexts, ContextsStage, load_contexts
from polymorph_ros.training.loop import set_up_torch
from polymorph_ros.training.rehearsal import rehearse
from polymorph_ros.training.scout import ScoutStage, load_scout, scout_logits
from polymorph_ros.training.sources import frame_stages
from polymorph_ros.training.stages import make, told_when_the_disk_is_full
from polymorph_ros.training.thresholds import on_off, watch
from polymorph_ros.training.token_set import TokenFiles

_WATCH_RECALL = 0.97

Measure = Callable[[Engine, LabelledFrames], Mapping[str, float]]
Say = Callable[[str], None]


def train_bundle(config: TrainConfig, out: Path, work: Path, measure: Measure, say: Say) -> Bundle:
    """Train a bundle and write it.

    Args:
        config: what is trained, on what, and how.
        out: the bundle's folder; one that is there is replaced at the end.
        work: where stages keep what they made.
        measure: figures of an engine on the held-out test sequences, for the manifest.
        say: takes a line on what was done.
    """
    set_up_torch(config.threads)
    stages = frame_stages(config)
    train, validation = (make(stage, work, say) for stage in (stages.train, stages.validation))
    frames = load_frames(train.folder)
    say(f"{len(frames)} training and {len(load_frames(validation.folder))} validation frames")

    preprocessing = preprocessing_of(config.backbone)
    backbone = make(backbone_stage(config, preprocessing, train), work, say)
    grouped = make(ContextsStage(config.contexts, train, config.seed), work, say)
    contexts = load_contexts(grouped.folder)
    for index, name in enumerate(contexts.names):
        say(f"context {name}: {', '.join(contexts.labels_of(index))}")

    def tokens(part: str, augmentations: int) -> TokenFiles:
        kept = train if part == "train" else validation
        stage = TokensStage(
            backbone,
            kept,
            part,
            preprocessing,
            config.adapters.tail_blocks,
            augmentations,
            config.seed,
            config.threads,
        )
        return TokenFiles(kept, make(stage, work, say))

    data, held_out = tokens("train", config.tokens.augmentations), tokens("validation", 0)
    run = {"seed": config.seed, "threads": config.threads}
    scout = make(ScoutStage(config.scout, data, held_out, grouped, **run), work, say)
    tasks = context_tasks(config.adapters, backbone, data, held_out, grouped, **run, work=work)
    adapters = tuple(train_context(task) for task in tasks)

    tracks = frames.tracks()
    parts = Parts(
        config.name,
        config.description,
        preprocessing,
        config.adapters.tail_blocks,
        contexts,
        weights_folder(backbone),
        adapters,
        scout.folder,
        dynamics(tracks),
        context_dynamics(tracks, contexts),
    )
    logits, _ = scout_logits(load_scout(scout), held_out.load(grouped))
    with told_when_the_disk_is_full(work):
        thresholds = choose_thresholds(
            parts, sigmoid(logits.astype(np.float64)), load_frames(validation.folder), work
        )
        draft = assemble(parts, thresholds, {}, work / "draft")
        test = load_frames(make(stages.test, work, say).folder)
        metrics = dict(measure(engine_of(draft), test)) | {"mean_ap_floor": config.mean_ap_floor}
        return assemble(parts, thresholds, metrics, out)


def context_dynamics(tracks: list[Track], contexts: Contexts) -> Dynamics:
    """How contexts come and go."""
    members = contexts.members
    return dynamics([Track(true_presence(track, members), track.stamps_s) for track in tracks])


def choose_thresholds(
    parts: Parts, scouted: np.ndarray, validation: LabelledFrames, work: Path
) -> Thresholds:
    """Thresholds on the validation frames, with the engine as it will run.

    Args:
        scouted: the scout's probabilities of the validation frames, (frames, labels).
    """
    watched = watch(scouted, validation, parts.labels, _WATCH_RECALL)
    half = np.full(len(watched), 0.5)
    draft = assemble(parts, Thresholds(half, half * 0.5, watched), {}, work / "draft")
    beliefs = np.stack([result.scores for result in rehearse(engine_of(draft), validation)])
    return Thresholds(*on_off(beliefs, np.asarray(validation.truth)), watched)


def engine_of(bundle: Bundle) -> Engine:
    """An engine on the CPU that measures no energy."""
    model = PolymorphModel.from_bundle(bundle, "cpu")
    return Engine(model, bundle.manifest, EnergyLedger(open_meter("none")))
