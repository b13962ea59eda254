"""Pins training on a user's own labelled video: what cannot be used is told and left out, the rest
becomes a sound bundle; splits leave nothing out and no label without training frames.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from helpers.quick_training import QUICK
from polymorph_ros.bundle.manifest import Preprocessing
from polymorph_ros.data.clock import decide_clock
from polymorph_ros.data.dataset import Fault, LabelledSequence
from polymorph_ros.data.synthetic import SYNTHETIC_LABELS, make_sequence
from polymorph_ros.data.track import Track
from polymorph_ros.errors import PolymorphError
from polymorph_ros.evaluation.replay import measure
from polymorph_ros.model.polymorph import PolymorphModel
from polymorph_ros.model.preprocess import Preprocessor
from polymorph_ros.training.artifacts import make
from polymorph_ros.training.config import TrainConfig
from polymorph_ros.training.frames import load_about, load_frames
from polymorph_ros.training.pipeline import Trained, train_bundle
from polymorph_ros.training.rows import RowWriter
from polymorph_ros.training.sources import frame_stages
from polymorph_ros.training.splits import split_by_sequences, split_by_time, split_in_blocks
from polymorph_ros.training.stages.decoding import DecodingStage, content_of

PREPROCESSING = Preprocessing(size=32, mean=(0.5,) * 3, std=(0.25,) * 3)
FRAMES = 8


def write_video(folder: Path, sequences: int = 6) -> Path:
    """Scenes as a user's pictures with labels.csv; returns the CSV."""
    rows = []
    for index in range(sequences):
        scene = make_sequence(5, index=index, split="train", frames=FRAMES, hz=2.0, size=(64, 48))
        for number, frame in enumerate(scene.frames()):
            file = folder / f"drive{index}" / f"{number:03d}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(file), frame.image[:, :, ::-1])
            labels = [SYNTHETIC_LABELS[label] for label in np.flatnonzero(frame.truth == 1)]
            rows.append([f"drive{index}", frame.stamp_s, file.relative_to(folder), labels])
    return write_csv(folder / "labels.csv", rows)


def write_csv(file: Path, rows: list[list]) -> Path:
    with file.open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["sequence", "stamp", "file", "labels"])
        table.writerows([*row[:3], "|".join(row[3])] for row in rows)
    return file


def config_for(*sources: dict, **data: object) -> TrainConfig:
    parts = {key: value for key, value in QUICK.items() if key != "synthetic"}
    return TrainConfig.model_validate(parts | {"data": {"sources": sources, **data}})


def train(config: TrainConfig, folder: Path) -> Trained:
    return train_bundle(config, folder / "bundle", folder / "work", measure, lambda line: None)


def test_what_cannot_be_used_is_left_out_and_told(tmp_path: Path) -> None:
    table = write_video(tmp_path / "video")
    (tmp_path / "video/drive0/003.png").write_bytes(b"not a picture")
    rows = [
        [f"gone{number}", 1.0, f"nowhere/{number}.png", ["elsewhere"]] for number in range(2)
    ] + [["drive0", 9.0, "drive0/000.png", ["seldom"]]]
    with table.open("a", newline="") as stream:
        csv.writer(stream).writerows([*row[:3], "|".join(row[3])] for row in rows)

    trained = train(config_for({"path": table}, split="time"), tmp_path)

    PolymorphModel.from_bundle(trained.bundle, "cpu")
    told = " / ".join(f"{fault.where}: {fault.reason}" for fault in trained.left_out)
    assert "drive0/003.png" in told
    assert "label seldom: frames that show it: " in told
    assert "label elsewhere: frames that show it: 0" in told
    assert "nowhere/0.png" in told
    assert "sequence gone1: no picture of it can be used" in told
    assert "seldom" not in [label.name for label in trained.bundle.manifest.labels]
    assert 0 < trained.bundle.manifest.metrics["mean_ap"] <= 1


def test_pictures_are_shrunk_as_the_running_model_shrinks_them(tmp_path: Path) -> None:
    table = write_video(tmp_path / "video", sequences=3)
    stages = frame_stages(config_for({"path": table}), PREPROCESSING)

    frames = load_frames(make(stages.train, tmp_path / "work").folder)

    preprocessor = Preprocessor(PREPROCESSING, "cpu")
    sequence = stages.train.sequences[0]
    picture = next(iter(sequence.pictures.read()))
    seen = preprocessor.batch(np.asarray(frames.images[:1]))
    assert torch.equal(seen, preprocessor(picture))


def test_changed_labels_or_pictures_are_decoded_again(tmp_path: Path) -> None:
    table = write_video(tmp_path / "video", sequences=2)
    before = frame_stages(config_for({"path": table}), PREPROCESSING).train

    again = frame_stages(config_for({"path": table}), PREPROCESSING).train
    cv2.imwrite(str(tmp_path / "video/drive0/000.png"), np.zeros((48, 65, 3), np.uint8))
    pictures = frame_stages(config_for({"path": table}), PREPROCESSING).train

    assert again.content == before.content
    assert pictures.content != before.content


def test_parts_named_by_the_user_are_kept_apart(tmp_path: Path) -> None:
    train_csv = write_video(tmp_path / "one", sequences=3)
    test_csv = write_video(tmp_path / "two", sequences=2)
    config = config_for(
        {"path": train_csv, "part": "train"}, {"path": test_csv, "part": "test"}, split="time"
    )

    stages = frame_stages(config, PREPROCESSING)

    assert stages.test is not None
    assert stages.test.frame_count == 2 * FRAMES
    assert stages.train.frame_count + stages.validation.frame_count == 3 * FRAMES
    assert stages.validation.frame_count == pytest.approx(0.2 * 3 * FRAMES, abs=3)


def test_labels_that_a_source_does_not_judge_are_unknown_in_it(tmp_path: Path) -> None:
    one = write_video(tmp_path / "one", sequences=2)
    other = write_csv(
        tmp_path / "one/other.csv",
        [["other", float(n), f"drive0/00{n}.png", ["dragon"]] for n in range(5)],
    )

    stages = frame_stages(config_for({"path": one}, {"path": other}, split="time"), PREPROCESSING)

    dragon = stages.train.vocabulary.index("dragon")
    for sequence in stages.train.sequences:
        truth = sequence.track.truth
        foreign = (
            truth[:, dragon] if sequence.track.name != "other" else np.delete(truth, dragon, 1)
        )
        assert (foreign == -1).all()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"fewest_examples": 1000}, "a label that 1000 frames show"),
        ({"validation": 0.001, "split": "time"}, "frames for the validation part"),
    ],
)
def test_too_little_to_learn_from_is_told(tmp_path: Path, change: dict, told: str) -> None:
    table = write_video(tmp_path / "video", sequences=1)

    with pytest.raises(PolymorphError, match=told):
        train(config_for({"path": table}, **change), tmp_path)


class Numbered:
    """Pictures that are their number; those named cannot be read, and some may be missing."""

    def __init__(self, count: int, faults: tuple[int, ...] = ()) -> None:
        self.count, self.faults = count, faults

    def read(self) -> Iterator[NDArray[np.uint8] | Fault]:
        for number in range(self.count):
            if number in self.faults:
                yield Fault(f"picture {number}", "broken")
            else:
                yield np.full((40, 40, 3), number, np.uint8)


def sequence_of(name: str, truth: NDArray[np.int8], pictures: Numbered) -> LabelledSequence:
    return LabelledSequence(Track(truth, np.arange(len(truth)) / 2, name), pictures)


def test_decoding_goes_on_after_the_sequences_that_are_done(tmp_path: Path) -> None:
    truth = np.ones((5, 1), np.int8)
    sequences = (
        sequence_of("a", truth, Numbered(5, (0,))),
        sequence_of("b", truth, Numbered(5, (1,))),
        sequence_of("c", truth, Numbered(5, (2,))),
        sequence_of("short", truth, Numbered(2)),
    )
    stage = DecodingStage("train", PREPROCESSING, ("thing",), 1, content_of(sequences), sequences)
    begun = tmp_path / "begun"
    begun.mkdir()
    # What a run leaves that was killed in its third sequence.
    with RowWriter(begun, stage.rows()) as writer:
        for number, sequence in [
            (1, 0),
            (2, 0),
            (3, 0),
            (4, 0),
            (0, 1),
            (2, 1),
            (3, 1),
            (4, 1),
            (0, 2),
        ]:
            writer.append(
                images=np.full((1, 32, 32, 3), number),
                judged=np.ones((1, 1)),
                sequence=np.array([sequence]),
                stamps_s=np.array([number / 2]),
            )
    (begun / "faults.json").write_text('[[0, "picture 0", "broken"], [1, "picture 1", "broken"]]')

    stage.write(begun)

    whole = make(stage, tmp_path / "work").folder
    assert load_about(begun) == load_about(whole)
    assert [fault.where for fault in load_about(whole).faults] == [
        "picture 0", "picture 1", "picture 2", "sequence short",
    ]  # fmt: skip
    for name in ("images", "truth", "sequence", "stamps_s"):
        assert np.array_equal(np.load(begun / f"{name}.npy"), np.load(whole / f"{name}.npy"))
    assert load_frames(whole).images[:, 0, 0, 0].tolist() == [
        1,
        2,
        3,
        4,
        0,
        2,
        3,
        4,
        0,
        1,
        3,
        4,
        0,
        1,
    ]


def test_a_part_of_a_recording_keeps_its_clock() -> None:
    stamps_ns = np.arange(5) * 100_000_000 + 1
    whole = replace(
        sequence_of("a", np.ones((5, 1), np.int8), Numbered(5)),
        frame_id="cam",
        clock=decide_clock(stamps_ns, stamps_ns),
    )

    parts = split_by_time((whole,), 0.4)

    assert [(part.clock, part.frame_id) for (part,) in parts] == [(whole.clock, "cam")] * 2


TRUTHS = st.lists(
    st.integers(0, 12).flatmap(
        lambda frames: st.lists(
            st.lists(st.sampled_from([-1, 0, 1]), min_size=3, max_size=3),
            min_size=frames,
            max_size=frames,
        )
    ),
    min_size=1,
    max_size=6,
)


@given(truths=TRUTHS, share=st.floats(0.01, 0.6), seed=st.integers(0, 3))
def test_splits_lose_no_frame_and_by_sequence_no_label(
    truths: list, share: float, seed: int
) -> None:
    sequences = tuple(
        sequence_of(
            str(index), np.array(truth, np.int8).reshape(len(truth), 3), Numbered(len(truth))
        )
        for index, truth in enumerate(truths)
    )
    total = sum(len(sequence) for sequence in sequences)

    rest, taken = split_by_sequences(sequences, share, np.random.default_rng(seed))
    first, last = split_by_time(sequences, share)
    stay, blocks = split_in_blocks(sequences, share)

    assert sorted(s.track.name for s in (*rest, *taken)) == [s.track.name for s in sequences]
    assert {s.track.name for s in taken}.isdisjoint(s.track.name for s in rest)

    def shown(some: tuple[LabelledSequence, ...]) -> set[int]:
        return {int(i) for s in some for i in np.flatnonzero((s.track.truth == 1).any(axis=0))}

    assert shown(rest) == shown(sequences)
    assert sum(len(s) for s in (*first, *last)) == total
    assert sum(len(s) for s in (*stay, *blocks)) == total
    for part in (*first, *last, *stay, *blocks):
        pictures = list(part.pictures.read())
        assert len(pictures) == len(part)


def test_blocks_come_from_all_over_a_recording_and_have_its_labels() -> None:
    truth = np.zeros((100, 2), np.int8)
    truth[10:15, 0] = truth[60:65, 0] = 1
    truth[30:35, 1] = truth[95:100, 1] = 1
    whole = sequence_of("drive", truth, Numbered(100))

    (rest,), (taken,) = split_in_blocks((whole,), 0.2)

    assert len(taken) == 20
    assert (rest.track.truth == 1).any(axis=0).all()
    assert (taken.track.truth == 1).any(axis=0).any()
    assert np.ptp(taken.track.stamps_s) > 0.5 * np.ptp(whole.track.stamps_s)
    shown = [int(picture.flat[0]) for picture in taken.pictures.read()]
    stamps = whole.track.stamps_s.tolist()
    assert shown == [stamps.index(stamp) for stamp in taken.track.stamps_s.tolist()]
