"""Pins what training makes of synthetic scenes and labelled video together: who judges which label,
what is left out, and that notices go into the bundle.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from helpers.quick_training import QUICK
from polymorph_ros.bundle.manifest import Preprocessing
from polymorph_ros.data.synthetic import SYNTHETIC_LABELS
from polymorph_ros.errors import PolymorphError
from polymorph_ros.evaluation.replay import measure
from polymorph_ros.training.artifacts import make
from polymorph_ros.training.config import TrainConfig, read_config
from polymorph_ros.training.frames import load_about, load_frames
from polymorph_ros.training.pipeline import train_bundle
from polymorph_ros.training.sources import frame_stages

PREPROCESSING = Preprocessing(size=32, mean=(0.5,) * 3, std=(0.25,) * 3)


def fruit(folder: Path, part: str) -> dict[str, object]:
    """Photos of two fruits, one colour each, and of one fruit that is there only once."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = ["sequence,stamp,file,labels"]
    kinds = {"apple": (0, 200, 0), "lemon": (0, 220, 220)}
    for number in range(6):
        for kind, colour in kinds.items():
            name = f"{part}_{kind}_{number}.png"
            cv2.imwrite(str(folder / name), np.full((30, 40, 3), colour, np.uint8))
            rows.append(f"{name},0.0,{name},{kind}{'|quince' if number == 0 else ''}")
    table = folder / f"{part}.csv"
    table.write_text("\n".join(rows) + "\n")
    return {"path": str(table), "part": part}


def mixed(folder: Path, absent: tuple[str, ...] = (), **more: object) -> TrainConfig:
    parts = ("train", "validation", "test")
    sources = [{**fruit(folder, part), "absent": absent} for part in parts]
    data = {"sources": sources, "fewest_examples": 3}
    return TrainConfig.model_validate({**QUICK, "data": data, **more})


def test_scenes_judge_every_label_and_video_only_its_own(tmp_path: Path) -> None:
    config = mixed(tmp_path / "fruit", absent=("bus",))
    stages = frame_stages(config, PREPROCESSING)

    train = make(stages.train, tmp_path / "work")

    frames, names = load_frames(train.folder), load_about(train.folder).vocabulary
    drawn = config.synthetic.train_sequences * config.synthetic.frames
    assert frames.images.shape == (drawn + 12, 32, 32, 3)
    assert len(frames.slices()) == config.synthetic.train_sequences + 12
    scenes, photos = frames.truth[:drawn], frames.truth[drawn:]
    assert (scenes[:, [names.index("apple"), names.index("lemon")]] == 0).all()
    assert (photos[:, names.index("apple")] == [1] * 6 + [0] * 6).all()
    judged = {name for name, column in zip(names, photos.T, strict=True) if (column >= 0).any()}
    assert judged == {"apple", "lemon", "bus"} & set(names)
    assert np.isin(names, [*SYNTHETIC_LABELS, "apple", "lemon"]).all()


def test_rare_labels_are_left_out_once_and_in_all_parts(tmp_path: Path) -> None:
    stages = frame_stages(mixed(tmp_path / "fruit"), PREPROCESSING)

    train = make(stages.train, tmp_path / "work")
    about = load_about(train.folder)
    test = make(stages.narrowed(about.vocabulary).test, tmp_path / "work")

    assert "quince" not in about.vocabulary
    assert [fault.where for fault in about.faults].count("label quince") == 1
    assert load_about(test.folder).vocabulary == about.vocabulary


def test_a_source_cannot_lack_what_it_names(tmp_path: Path) -> None:
    with pytest.raises(PolymorphError, match="apple"):
        frame_stages(mixed(tmp_path / "fruit", absent=("apple",)), PREPROCESSING)


def test_a_bundle_of_both_has_all_labels_and_the_notices(tmp_path: Path) -> None:
    notice = tmp_path / "fruit_licence.txt"
    notice.write_text("free fruit\n")
    config = mixed(tmp_path / "fruit", SYNTHETIC_LABELS, notices=(notice,))

    trained = train_bundle(
        config, tmp_path / "bundle", tmp_path / "work", measure, lambda line: None
    )

    labels = {label.name for label in trained.bundle.manifest.labels}
    assert {"apple", "lemon"} < labels
    assert labels & set(SYNTHETIC_LABELS)
    assert (trained.bundle.path / "notices" / notice.name).read_text() == "free fruit\n"


def test_a_notice_that_is_not_there_is_named_before_training(tmp_path: Path) -> None:
    file = tmp_path / "train.yaml"
    file.write_text(
        "name: a\nnotices: [gone.txt]\n"
        "synthetic: {train_sequences: 1, validation_sequences: 1, test_sequences: 1, frames: 2, "
        "hz: 1, evaluation_frames: 2, evaluation_hz: 1}\n"
        "backbone: {folder: nowhere}\ncontexts: {count: 1, labels_per_context: 1}\n"
        "scout: {epochs: 1}\nadapters: {epochs: 1}\n"
    )

    with pytest.raises(PolymorphError, match=r"gone\.txt"):
        read_config(file)
