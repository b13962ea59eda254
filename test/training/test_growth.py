"""Pins what it means to add labels to a bundle: every old adapter byte for byte, the old labels'
scout scores, thresholds and dynamics as before, new contexts, and what is refused.

Open: how well new labels are told from old places, of which the new data may have no picture.
"""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from safetensors.numpy import load_file

from polymorph_ros.bundle.reader import Bundle, read_bundle
from polymorph_ros.data.synthetic import make_sequence
from polymorph_ros.errors import PolymorphError
from polymorph_ros.evaluation.replay import measure
from polymorph_ros.model.polymorph import PolymorphModel
from polymorph_ros.training.config import SourceConfig, TrainConfig
from polymorph_ros.training.pipeline import Trained, grow_bundle, growth_config, train_bundle

NEW = ("robot", "forklift", "pallet")


@pytest.fixture(scope="module", params=[0, 2], ids=["scout of the trunk", "scout with an adapter"])
def old(
    request: pytest.FixtureRequest,
    quick_config: TrainConfig,
    tmp_path_factory: pytest.TempPathFactory,
) -> Bundle:
    folder = tmp_path_factory.mktemp("old")
    scout = quick_config.scout.model_copy(update={"rank": request.param})
    config = quick_config.model_copy(update={"scout": scout})
    return train_bundle(
        config, folder / "bundle", folder / "work", measure, lambda line: None
    ).bundle


@pytest.fixture(scope="module")
def grown(old: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("grown")
    bundle = shutil.copytree(old.path, folder / "bundle")
    return grow(bundle, write_video(folder / "video"), folder)


def write_video(folder: Path, labels: tuple[str, ...] = ("person", *NEW)) -> Path:
    """Scenes in which other things are said to be."""
    folder.mkdir()
    with (folder / "labels.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["sequence", "stamp", "file", "labels"])
        for index in range(4):
            scene = make_sequence(9, index=index, split="train", frames=10, hz=2.0, size=(64, 48))
            for number, frame in enumerate(scene.frames()):
                file = f"{index}-{number}.png"
                cv2.imwrite(str(folder / file), frame.image[:, :, ::-1])
                shown = [name for bit, name in enumerate(labels) if (number + index) >> bit & 1]
                table.writerow([f"drive{index}", frame.stamp_s, file, "|".join(shown)])
    return folder


def grow(bundle: Path, data: Path, folder: Path) -> Trained:
    config = growth_config(bundle, SourceConfig.model_validate({"path": data}))
    return grow_bundle(config, bundle, folder / "work", measure, lambda line: None)


def test_every_file_of_an_old_adapter_is_as_it_was(old: Bundle, grown: Trained) -> None:
    files = {entry.path: entry for entry in grown.bundle.manifest.files}

    changed = [entry.path for entry in old.manifest.files if files.get(entry.path) != entry]

    deep = ["scout/head.safetensors"] if old.manifest.scout_adapter else []
    assert sorted(changed) == ["scout.safetensors", *deep]
    for entry in old.manifest.files:
        if entry.path.startswith(("adapters/", "backbone/")):
            there = (grown.bundle.path / entry.path).read_bytes()
            assert there == (old.path / entry.path).read_bytes()


def test_new_labels_have_contexts_and_old_entries_stay(old: Bundle, grown: Trained) -> None:
    before, after = old.manifest, grown.bundle.manifest

    assert after.labels[: len(before.labels)] == before.labels
    assert sorted(label.name for label in after.labels[len(before.labels) :]) == sorted(NEW)
    assert after.contexts[: len(before.contexts)] == before.contexts
    added = after.contexts[len(before.contexts) :]
    assert {name for context in added for name in context.labels} == set(NEW)
    assert 0 < after.metrics["added_mean_ap"] <= 1
    assert after.metrics["mean_ap"] == before.metrics["mean_ap"]


def test_few_new_frames_are_not_learned_in_a_handful_of_steps(old: Bundle) -> None:
    config = growth_config(old.path, SourceConfig.model_validate({"path": "anywhere"}))

    assert config.adapters.least_steps >= 100
    assert config.scout.least_steps >= 100
    assert config.tokens.augmentations_of(100) > config.tokens.augmentations_of(10**6) == 0
    assert config.data is not None
    assert config.data.test == 0.0


def test_a_label_that_is_nowhere_in_what_is_held_out_is_learned_too(
    old: Bundle, tmp_path: Path
) -> None:
    bundle = shutil.copytree(old.path, tmp_path / "bundle")
    video = write_video(tmp_path / "video", ("crane",))
    first, *rows = (video / "labels.csv").read_text().splitlines()
    bare = [row.removesuffix("crane") for row in rows]
    few = [row + "crane" * (number in (0, 5)) for number, row in enumerate(bare)]
    (video / "labels.csv").write_text("\n".join([first, *few]) + "\n")

    grown = grow(bundle, video, tmp_path)

    assert grown.bundle.manifest.labels[-1].name == "crane"
    assert all(np.isfinite(list(grown.bundle.manifest.metrics.values())))


def test_the_scout_answers_as_before_for_what_it_knew(old: Bundle, grown: Trained) -> None:
    models = [PolymorphModel.from_bundle(bundle, "cpu") for bundle in (old, grown.bundle)]
    frame = next(make_sequence(1, split="test", frames=1, size=(64, 48)).frames())

    (labels, contexts), (all_labels, all_contexts) = (
        model.scout(model.trunk(model.preprocess(frame.image))) for model in models
    )

    assert np.abs(all_labels[: len(labels)] - labels).max() <= 1e-6
    assert np.abs(all_contexts[: len(contexts)] - contexts).max() <= 1e-6
    assert len(all_labels) == len(labels) + len(NEW)


def test_a_grown_bundle_can_grow_again(grown: Trained, tmp_path: Path) -> None:
    bundle = shutil.copytree(grown.bundle.path, tmp_path / "bundle")

    again = grow(bundle, write_video(tmp_path / "video", ("robot", "crane", "hook")), tmp_path)

    names = [label.name for label in again.bundle.manifest.labels]
    assert names[-2:] == ["crane", "hook"] or names[-2:] == ["hook", "crane"]
    scout = load_file(again.bundle.path / "scout.safetensors")
    assert len(scout["label_head.bias"]) == len(names)


def test_what_cannot_be_added_leaves_the_bundle_as_it_was(old: Bundle, tmp_path: Path) -> None:
    bundle = shutil.copytree(old.path, tmp_path / "bundle")

    with pytest.raises(PolymorphError, match="labels that the bundle does not have yet"):
        grow(bundle, write_video(tmp_path / "video", ("person", "car")), tmp_path)

    assert read_bundle(bundle).checksum == old.checksum


def test_a_bundle_that_does_not_say_how_it_was_trained_is_told(old: Bundle, tmp_path: Path) -> None:
    bundle = shutil.copytree(old.path, tmp_path / "bundle")
    manifest = (bundle / "manifest.json").read_text()
    assert "training.json" in manifest
    (bundle / "training.json").write_text("{}")

    with pytest.raises(PolymorphError, match="bytes"):
        growth_config(bundle, SourceConfig.model_validate({"path": tmp_path}))
