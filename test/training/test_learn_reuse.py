"""Pins when a result may be reused: the largest change up to which the engine's label
sets agree, the pace of true labels meanwhile, nothing where too few pictures are alike, and an
agreement at which reuse costs no mean AP."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from helpers.tiny_bundle import write_tiny_bundle
from polymorph_ros.bundle.manifest import Manifest, Preprocessing
from polymorph_ros.model.polymorph import PolymorphModel
from polymorph_ros.training.engine_replay import replay_engine
from polymorph_ros.training.frames import LabelledFrames
from polymorph_ros.training.score_replay import AS_TRAINED, StoredModel, StoredScores
from polymorph_ros.training.stages.reuse import choose_reuse, learn_reuse, thumbnails_of

PREPROCESSING = Preprocessing(size=32, mean=(0.5,) * 3, std=(0.25,) * 3)
HZ = 5.0
LABELS = 4


def stepping(grey_per_frame: float, *, sequences: int = 20, length: int = 10) -> LabelledFrames:
    """Sequences of even pictures that grow lighter; all labels present, always."""
    levels = np.tile(60 + grey_per_frame * np.arange(length), sequences).astype(np.uint8)
    images = np.broadcast_to(levels[:, None, None, None], (len(levels), 24, 32, 3)).copy()
    return LabelledFrames(
        images=images,
        truth=np.ones((len(levels), LABELS), np.int8),
        sequence=np.repeat(np.arange(sequences, dtype=np.int32), length),
        stamps_s=np.tile(np.arange(length) / HZ, sequences),
    )


def changing_every(period: int, frames: LabelledFrames) -> np.ndarray:
    """Active labels that are all others after so many frames of a sequence."""
    number = np.arange(len(frames)) % 10 // period
    return (number[:, None] % 2) == (np.arange(LABELS) % 2)[None, :]


def test_the_threshold_is_the_change_up_to_which_the_label_sets_agree() -> None:
    frames = stepping(6.0)  # 6 grey levels from frame to frame
    active = np.ones((len(frames), LABELS), dtype=np.bool_)
    active[np.arange(len(frames)) % 10 >= 8] = False  # wholly others in the last two frames

    entry = learn_reuse(frames, active, PREPROCESSING, agreement=0.88)

    # neighbours agree in 8 of 9 pairs; with those two frames apart, in fewer
    assert entry is not None
    assert entry.difference == pytest.approx(6.0, abs=0.02)
    assert entry.agreement == 0.88
    assert entry.max_age_s == 1.0


def test_label_sets_that_always_agree_allow_the_largest_change_that_was_seen() -> None:
    frames = stepping(6.0)

    entry = learn_reuse(frames, np.ones((len(frames), LABELS), np.bool_), PREPROCESSING)

    assert entry is not None
    assert entry.difference == pytest.approx(30.0, abs=0.02), "5 frames are within a second"
    assert entry.pace == 1.0, "labels that never change have no usual pace"


def test_label_sets_that_change_with_every_frame_allow_nothing() -> None:
    frames = stepping(6.0)

    assert learn_reuse(frames, changing_every(1, frames), PREPROCESSING, agreement=0.99) is None


def test_few_pictures_teach_nothing() -> None:
    frames = stepping(6.0, sequences=1)  # 35 pairs within a second

    active = np.ones((len(frames), LABELS), np.bool_)
    assert learn_reuse(frames, active, PREPROCESSING) is None


def test_frames_of_different_sequences_are_not_compared() -> None:
    frames = stepping(6.0, sequences=60, length=2)
    active = np.ones((len(frames), LABELS), dtype=np.bool_)
    active[frames.sequence % 2 == 1] = False  # each sequence agrees within itself

    entry = learn_reuse(frames, active, PREPROCESSING, agreement=1.0)

    assert entry is not None
    assert entry.difference == pytest.approx(6.0, abs=0.02)


def test_the_pace_is_that_of_true_labels_in_pictures_that_are_alike() -> None:
    still, moving = stepping(0.0, sequences=30), stepping(12.0, sequences=30)
    truth = np.concatenate([still.truth, moving.truth])
    ends = np.arange(300) % 10 >= 5
    truth[300:][ends, :2] = 0  # half of the labels go in each moving sequence
    truth[:300][ends, 3] = -1  # where nobody looked is no change
    frames = LabelledFrames(
        images=np.concatenate([still.images, moving.images]),
        truth=truth,
        sequence=np.concatenate([still.sequence, moving.sequence + 30]),
        stamps_s=np.concatenate([still.stamps_s, moving.stamps_s]),
    )
    active = truth == 1
    active[:300, 3] = True

    entry = learn_reuse(frames, active, PREPROCESSING, agreement=0.999)

    assert entry is not None
    assert entry.difference < 12.0
    assert entry.pace == 0.0


def flickering_and_driving() -> LabelledFrames:
    """Most pairs flicker at 20 Hz and keep their labels; a few, less alike, change them at 2 Hz."""
    flicker, drive = 300, 40
    rng = np.random.default_rng(0)
    levels = np.where(np.arange(flicker) % 2, 100, 60), 60 + 70 * (np.arange(drive) % 3)
    level = np.concatenate(levels).astype(np.uint8)
    truth = np.zeros((flicker + drive, LABELS), np.int8)
    truth[:flicker, 0] = 1
    truth[flicker:] = rng.integers(0, 2, (drive, LABELS))
    return LabelledFrames(
        images=np.broadcast_to(level[:, None, None, None], (len(level), 24, 32, 3)).copy(),
        truth=truth,
        sequence=np.repeat([0, 1], [flicker, drive]).astype(np.int32),
        stamps_s=np.concatenate([np.arange(flicker) / 20.0, np.arange(drive) / 2.0]),
    )


def knowing(folder: Path, frames: LabelledFrames) -> tuple[StoredModel, Manifest]:
    """A model that scores the truth of frames nearly for certain, and its manifest."""
    contexts = {"one": ("a", "b"), "two": ("c", "d")}
    bundle = write_tiny_bundle(folder / "bundle", contexts=contexts)
    sure = np.where(frames.truth == 1, 0.97, 0.03).astype(np.float32)
    both = np.stack([sure[:, :2].max(axis=1), sure[:, 2:].max(axis=1)], axis=1)
    stored = StoredScores(frames, sure, both, (sure[:, :2], sure[:, 2:]))
    pictures = thumbnails_of(frames, bundle.manifest.preprocessing)
    model = PolymorphModel.from_bundle(bundle, "cpu")
    return StoredModel(model, {AS_TRAINED: stored}, pictures), bundle.manifest


def test_reuse_that_costs_accuracy_is_not_learned_though_most_pairs_agree(tmp_path: Path) -> None:
    frames = flickering_and_driving()
    model, manifest = knowing(tmp_path, frames)
    every = replay_engine(model, manifest, frames)
    first = learn_reuse(frames, every.active, manifest.preprocessing)
    assert first is not None, "most pairs agree"
    reused = replay_engine(model, manifest.model_copy(update={"reuse": first}), frames)
    assert reused.mean_ap(frames) < every.mean_ap(frames) - 0.05, "what it would cost"

    entry = choose_reuse(model, manifest, frames)

    assert entry is not None
    assert entry.agreement > first.agreement
    kept = replay_engine(model, manifest.model_copy(update={"reuse": entry}), frames)
    assert kept.mean_ap(frames) >= every.mean_ap(frames) - 0.002
    assert kept.computed < len(frames), "what stays the same is still reused"
