"""Pins an evaluation as a whole on a tiny bundle: what it writes, that it repeats, that it goes on.

Weights and pictures are random, so nothing is said about accuracy. Left open: metrics of cost,
which depend on the machine.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from rosbags.highlevel import AnyReader

from helpers.labelled_video import Noise, noise_dataset
from helpers.tiny_bundle import write_tiny_bundle
from polymorph_ros.data.dataset import Dataset, Fault
from polymorph_ros.errors import PolymorphError
from polymorph_ros.evaluation.frame_log import FrameLog, read_frame_log
from polymorph_ros.evaluation.report.write import write_report
from polymorph_ros.evaluation.session import Outcome, Request, evaluate, rows
from polymorph_ros.interfaces.bag_messages import message_types

LABELS = ("person", "cup", "car", "kite")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("evaluate") / "tiny").path


def run(bundle: Path, out: Path, dataset: Dataset, *methods: str) -> Outcome:
    request = Request(bundle, "noise", methods or ("polymorph",), out, device="cpu", memory=False)
    return evaluate(request, dataset, lambda _: None)


def scores_in(out: Path) -> dict[str, NDArray[np.float32]]:
    files = sorted((out / "frames").rglob("*.parquet"))
    return {str(file.relative_to(out)): read_frame_log(file).scores for file in files}


def test_a_run_writes_rows_frames_recordings_and_a_summary(bundle: Path, tmp_path: Path) -> None:
    dataset = noise_dataset(LABELS, sequences=2, unreadable=(3,))

    outcome = run(bundle, tmp_path / "out", dataset, "polymorph", "all_adapters")

    names = [row["method"] for row in rows(outcome.metrics)]
    assert names == ["polymorph", "all_adapters"]
    for row in rows(outcome.metrics):
        assert 0.0 <= row["mean_ap_low"] <= row["mean_ap_high"] <= 1.0
        assert row["energy_source"] == "uncalibrated_estimate" or row["joules_per_frame"] >= 0
        assert row["seconds_per_frame"] > 0
        assert row["frames"] == 78
    assert outcome.metrics[1].cover.adapters_per_frame == 2.0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["complete"] is True
    assert summary["data"]["labels_left_out"] == ["kite"]
    assert summary["data"]["frames_unread"] == 2
    log = read_frame_log(next((tmp_path / "out/frames/method=polymorph").glob("0000-*.parquet")))
    assert log.frames.tolist() == [0, 1, 2, *range(4, 40)]


def test_two_runs_give_the_same_scores_bit_for_bit(bundle: Path, tmp_path: Path) -> None:
    dataset = noise_dataset(LABELS)

    run(bundle, tmp_path / "one", dataset)
    run(bundle, tmp_path / "two", dataset)

    one, two = scores_in(tmp_path / "one"), scores_in(tmp_path / "two")
    assert len(one) == 3
    assert all(np.array_equal(scores, two[file]) for file, scores in one.items())


@dataclass(frozen=True)
class Breaking:
    """Pictures in whose midst somebody presses Ctrl-C."""

    pictures: Noise
    at: int

    def read(self) -> Iterator[NDArray[np.uint8] | Fault]:
        for index, picture in enumerate(self.pictures.read()):
            if index == self.at:
                raise KeyboardInterrupt
            yield picture


def test_an_interrupted_run_keeps_what_it_has_and_goes_on(bundle: Path, tmp_path: Path) -> None:
    dataset = noise_dataset(LABELS)
    last = dataset.sequences[-1]
    broken = replace(last, pictures=Breaking(last.pictures, at=35))
    breaking = replace(dataset, sequences=(*dataset.sequences[:-1], broken))

    with pytest.raises(KeyboardInterrupt):
        run(bundle, tmp_path / "out", breaking)

    kept = scores_in(tmp_path / "out")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert len(kept) == 2
    assert summary["complete"] is False
    assert summary["methods"][0]["frames"] == 40 + 40 + 32
    stamps = {file: (tmp_path / "out" / file).stat().st_mtime_ns for file in kept}

    outcome = run(bundle, tmp_path / "out", dataset)

    assert outcome.complete
    assert outcome.metrics[0].frames == 120
    assert all((tmp_path / "out" / file).stat().st_mtime_ns == at for file, at in stamps.items())
    run(bundle, tmp_path / "whole", dataset)
    whole = scores_in(tmp_path / "whole")
    assert all(np.array_equal(whole[file], s) for file, s in scores_in(tmp_path / "out").items())


def test_the_recording_says_what_the_frames_say_at_the_images_stamps(
    bundle: Path, tmp_path: Path
) -> None:
    dataset = noise_dataset(LABELS, sequences=1)
    (sequence,) = dataset.sequences
    run(
        bundle,
        tmp_path / "out",
        replace(dataset, sequences=(replace(sequence, frame_id="left_optical"),)),
    )

    log = read_frame_log(next((tmp_path / "out/frames/method=polymorph").glob("*.parquet")))
    (bag,) = (tmp_path / "out" / "bags").iterdir()
    said = recorded(bag, "/polymorph/labels")
    assert [stamp for stamp, _ in said] == log.stamps_ns.tolist()
    assert {message.header.frame_id for _, message in said} == {"left_optical"}
    scores = np.array([[label.score for label in message.labels] for _, message in said])
    assert np.array_equal(scores.astype(np.float32), log.scores)
    assert [m.adapters for _, m in recorded(bag, "/polymorph/context")] == [
        list(names) for names in log.adapters
    ]
    total = recorded(bag, "/polymorph/energy")[-1][1].total_joules
    assert total == pytest.approx(float(log.joules.sum()))
    info = recorded(bag, "/polymorph/label_info")
    assert len(info) == 1 and info[0][1].labels[0] == "person"


def test_results_of_another_run_are_not_mixed_in(bundle: Path, tmp_path: Path) -> None:
    run(bundle, tmp_path / "out", noise_dataset(LABELS, sequences=1))

    with pytest.raises(PolymorphError, match="differs in: data"):
        run(bundle, tmp_path / "out", noise_dataset(LABELS, sequences=2))


def test_methods_that_run_the_same_adapters_otherwise_say_the_same(
    bundle: Path, tmp_path: Path
) -> None:
    methods = ("polymorph", "switched_specialists", "merged_lora", "peft_mixed_batch")

    outcome = run(bundle, tmp_path / "out", noise_dataset(LABELS, sequences=1), *methods)

    (reference,) = outcome.logs["polymorph"]
    assert any(len(names) > 1 for names in reference.adapters)
    for name in methods[1:]:
        (log,) = outcome.logs[name]
        assert log.adapters == reference.adapters
        assert np.abs(log.scores - reference.scores).max() < 1e-4


def test_variants_differ_in_what_they_leave_out(bundle: Path, tmp_path: Path) -> None:
    methods = ("polymorph", "oracle_cover", "polymorph_no_gating", "polymorph_no_filter")

    outcome = run(bundle, tmp_path / "out", noise_dataset(LABELS, sequences=1), *methods)

    (reference,) = outcome.logs["polymorph"]
    for name in methods[1:]:
        assert not np.array_equal(outcome.logs[name][0].scores, reference.scores)
    (oracle,) = outcome.logs["oracle_cover"]
    assert all(covers(oracle, row) for row in range(len(oracle)))


def test_without_the_filter_only_the_first_frame_is_as_with_it(
    bundle: Path, tmp_path: Path
) -> None:
    dataset = noise_dataset(LABELS, sequences=1)

    outcome = run(bundle, tmp_path / "out", dataset, "polymorph", "polymorph_no_filter")

    filtered, bare = (outcome.logs[name][0] for name in ("polymorph", "polymorph_no_filter"))
    assert np.array_equal(filtered.scores[0], bare.scores[0])
    assert not np.array_equal(filtered.scores[5], bare.scores[5])


@pytest.mark.parametrize("value", [0, -1])
def test_data_without_a_positive_still_make_a_report(
    bundle: Path, tmp_path: Path, value: int
) -> None:
    """Nothing is present in a single frame, or nobody knows."""
    dataset = noise_dataset(LABELS, sequences=1, frames=1)
    (one,) = dataset.sequences
    track = replace(one.track, truth=np.full_like(one.track.truth, value))
    empty = replace(dataset, sequences=(replace(one, track=track),))

    outcome = run(bundle, tmp_path / "out", empty)
    write_report(outcome, tmp_path / "out")

    (row,) = rows(outcome.metrics)
    assert row["mean_ap"] is row["mean_ap_low"] is row["micro_f1"] is None
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["complete"] is True
    assert (tmp_path / "out" / "report.html").is_file()


def covers(log: FrameLog, row: int) -> bool:
    """Whether an adapter of every true label ran."""
    contexts = {
        "office": {"person", "desk", "chair", "cup"},
        "street": {"person", "car", "tree"},
    }
    true = {log.labels[label] for label in np.flatnonzero(log.truth[row] == 1)}
    return true <= set().union(*(contexts[name] for name in log.adapters[row]))


def recorded(bag: Path, topic: str) -> list[tuple[int, object]]:
    with AnyReader([bag], default_typestore=message_types()) as reader:
        links = [link for link in reader.connections if link.topic == topic]
        return [
            (stamp, reader.deserialize(raw, link.msgtype))
            for link, stamp, raw in reader.messages(connections=links)
        ]
