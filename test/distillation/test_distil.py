"""Pins a whole distillation on tiny networks: what is written is a backbone that training takes, it
is nearer to the teacher than before, and the same after a kill; faults of teacher, pictures, disk
and time are one line.

Open: what a student is worth on real pictures (benchmarks/distill.py), and a GPU.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import yaml
from onnx import TensorProto, helper, numpy_helper, save_model
from safetensors.torch import load_file

from helpers.tiny import tiny_backbone_folder
from polymorph_ros.distillation.config import DistillConfig
from polymorph_ros.distillation.pipeline import Distilled, distil, plan_distillation
from polymorph_ros.errors import PolymorphError
from polymorph_ros.model.backbone import load_backbone
from polymorph_ros.training.backbone_choice import preprocessing_of
from polymorph_ros.training.config import FolderBackboneConfig, read_fields

PICTURES = 12
LITE = {"width": 0.1, "depth": 0.3, "image_size": 32, "head": 24}
VIT = {"hidden_size": 16, "layers": 2, "heads": 2, "patch_size": 8, "image_size": 24}
DEADLINE_S = 240.0


@pytest.fixture(autouse=True)
def torch_as_before() -> Iterator[None]:
    """Training sets torch's threads and determinism for the whole process."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)


def configuration(folder: Path, **changes: Any) -> DistillConfig:
    """Twelve pictures of coloured squares, and a tiny DINOv2 with random weights as teacher."""
    pictures, teacher = folder / "pictures", folder / "teacher"
    if not pictures.is_dir():
        pictures.mkdir()
        rng = np.random.default_rng(0)
        for number in range(PICTURES):
            blocks = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
            picture = cv2.resize(blocks, (50, 40), interpolation=cv2.INTER_NEAREST)
            cv2.imwrite(str(pictures / f"{number:03}.png"), picture)
        tiny_backbone_folder(teacher, "dinov2")
    document = {
        "threads": 1,
        "device": "cpu",
        "recordings": [{"path": str(pictures)}],
        "teacher": {"folder": str(teacher)},
        "student": LITE,
        "steps": 12,
        "batch_size": 4,
        "views": {"count": 2},
    }
    (folder / "distill.yaml").write_text(yaml.safe_dump(document | changes))
    return read_fields(folder / "distill.yaml", DistillConfig, "a configuration")


def run(folder: Path, config: DistillConfig, minutes: float | None = None) -> Distilled:
    return distil(config, folder / "student", folder / "work", minutes, lambda line: None)


@pytest.mark.parametrize("student", [LITE, VIT], ids=["lite", "vit"])
def test_the_student_is_a_backbone_that_training_takes(student: Any, tmp_path: Path) -> None:
    done = run(tmp_path, configuration(tmp_path, student=student))

    folder = tmp_path / "student"
    backbone = load_backbone(folder)
    preprocessing = preprocessing_of(FolderBackboneConfig(folder=folder))
    side = student["image_size"]
    assert preprocessing.size == side
    assert backbone.feature(torch.zeros(1, 3, side, side)).isfinite().all()
    assert done.plan.pictures == PICTURES and done.plan.steps == 12 and done.plan.views == 2
    report = json.loads((folder / "distillation.json").read_text())
    assert report["settings"]["teacher"]["folder"].endswith("teacher")
    assert report["steps"] == 12 and set(report["losses"]) == {"patches", "feature"}


@pytest.mark.parametrize("cache", ["always", "never"])
def test_the_losses_fall_with_stored_and_with_new_views(cache: str, tmp_path: Path) -> None:
    views = {"count": 2, "cache": cache}
    little = configuration(tmp_path, views=views, steps=1, learning_rate=1e-6)
    before = run(tmp_path, little)

    after = run(tmp_path, configuration(tmp_path, views=views, steps=150, learning_rate=3e-3))

    assert after.plan.views == (2 if cache == "always" else 0)
    for kind in ("patches", "feature"):
        assert after.losses[kind] < 0.9 * before.losses[kind]


def test_answers_are_stored_where_each_is_used_more_than_once(tmp_path: Path) -> None:
    few = configuration(tmp_path, steps=PICTURES * 2 // 4)  # each of 24 views once
    more = configuration(tmp_path, steps=PICTURES * 2 // 4 + 1)

    plans = [plan_distillation(config, tmp_path / "work", None) for config in (few, more)]

    assert [plan.views for plan in plans] == [0, 2]
    assert plans[0].pictures == PICTURES
    assert not (tmp_path / "work").exists()


def test_a_student_may_start_from_given_weights(tmp_path: Path) -> None:
    start = tiny_backbone_folder(tmp_path / "start", "efficientnet_lite", seed=3)
    little = {"steps": 1, "learning_rate": 1e-9, "weight_decay": 0.0}

    run(tmp_path, configuration(tmp_path, student={"folder": str(start)}, **little))

    first, last = (load_file(at / "model.safetensors") for at in (start, tmp_path / "student"))
    weights = [name for name in first if "running" not in name and "num_batches" not in name]
    assert weights
    for name in weights:
        torch.testing.assert_close(last[name], first[name], rtol=0, atol=1e-6)


def test_every_so_many_th_picture_is_taken_and_a_broken_one_left_out(tmp_path: Path) -> None:
    recordings = [{"path": str(tmp_path / "pictures"), "every": 3}]
    config = configuration(tmp_path, recordings=recordings)
    (tmp_path / "pictures/003.png").write_bytes(b"no picture")

    done = run(tmp_path, config)

    assert done.plan.pictures == PICTURES // 3 - 1
    assert [fault.where.endswith("003.png") for fault in done.left_out] == [True]


def test_minutes_decide_the_steps_and_a_second_run_takes_as_many(tmp_path: Path) -> None:
    config = configuration(tmp_path)

    first = run(tmp_path, config, 0.03)
    second = run(tmp_path, config, 0.03)

    assert second == first
    assert first.plan.steps != config.steps
    assert first.plan.seconds == pytest.approx(0.03 * 60, rel=0.2)


def test_too_little_time_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PolymorphError, match="time for a step"):
        run(tmp_path, configuration(tmp_path), 1e-6)


def write_roots(file: Path) -> None:
    """A network that answers with the root of 0.9 minus the mean of each channel."""
    nodes = [
        helper.make_node("ReduceMean", ["pixels"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("Sub", ["most", "mean"], ["left"]),
        helper.make_node("Sqrt", ["left"], ["roots"]),
    ]
    pixels, roots = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("pixels", ["n", 3, 16, 16]), ("roots", ["n", 3]))
    )
    most = numpy_helper.from_array(np.float32([0.9] * 3), "most")
    graph = helper.make_graph(nodes, "teacher", [pixels], [roots], [most])
    opset = helper.make_opsetid("", 17)
    save_model(helper.make_model(graph, opset_imports=[opset], ir_version=8), file)


@pytest.mark.parametrize("cache", ["always", "never"])
def test_a_picture_to_which_the_teacher_answers_nan_is_named(cache: str, tmp_path: Path) -> None:
    write_roots(tmp_path / "roots.onnx")
    teacher = {"onnx": str(tmp_path / "roots.onnx"), "outputs": {"feature": "roots"}}
    config = configuration(tmp_path, teacher=teacher, views={"cache": cache})
    white = np.full((40, 50, 3), 255, np.uint8)
    cv2.imwrite(str(tmp_path / "pictures/007.png"), white)

    with pytest.raises(PolymorphError, match=r"NaN or infinity in feature of .* picture 7 at"):
        run(tmp_path, config)


def test_a_loss_that_the_teacher_cannot_give_is_refused(tmp_path: Path) -> None:
    losses = {"patches": 0, "feature": 0, "logits": 1}

    with pytest.raises(PolymorphError, match="a loss with a weight"):
        run(tmp_path, configuration(tmp_path, losses=losses))


def test_a_folder_of_something_else_is_not_replaced(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    (tmp_path / "student").mkdir()

    with pytest.raises(PolymorphError, match="a student or nothing"):
        run(tmp_path, config)


def start(folder: Path, **options: Any) -> subprocess.Popen[str]:
    places = ["--out", str(folder / "student"), "--work", str(folder / "work")]
    words = ["distill", str(folder / "distill.yaml"), *places]
    return subprocess.Popen(
        [sys.executable, "-m", "polymorph_ros.cli.main", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


@pytest.mark.slow
def test_a_run_that_was_killed_ends_with_the_same_student(tmp_path: Path) -> None:
    config = configuration(tmp_path, steps=300)
    distil(config, tmp_path / "undisturbed", tmp_path / "other_work", None, lambda line: None)
    process = start(tmp_path)
    deadline = time.monotonic() + DEADLINE_S
    while not list(tmp_path.glob("work/.student-*.part/checkpoint.safetensors")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    process.kill()
    process.communicate()
    assert not (tmp_path / "student").exists()

    run(tmp_path, config)

    one, other = (
        load_file(tmp_path / name / "model.safetensors") for name in ("undisturbed", "student")
    )
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


@pytest.mark.slow
def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    configuration(tmp_path)

    def small_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))  # less than the pictures

    process = start(tmp_path, preexec_fn=small_disk)
    output, _ = process.communicate(timeout=DEADLINE_S)

    assert process.returncode == 1
    told = [line for line in output.splitlines() if "error:" in line]
    assert len(told) == 1 and "room on the disk" in told[0]
    assert "Traceback" not in output
