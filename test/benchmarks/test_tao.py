"""Pins `benchmarks/tao.py`: from annotations in TAO's format to a row for each method, in which
what nobody looked for never counts as absent.

The videos are small ones that the test writes, and backbones have random weights: accuracy is left
open, except where unknown cells alone decide it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tao

from helpers.command import invoke
from helpers.tiny import tiny_backbone_folder
from polymorph_ros.errors import PolymorphError

CATEGORIES = {"person": 1, "dog": 2, "kite": 3, "zebra": 4}
FRAMES = 6
SIZE = 48  # the backbones were trained with 32
METHODS = "all_adapters,all_label_lora,larger_backbone"


def write_part(root: Path, part: str, videos: list[dict[str, Any]]) -> None:
    """Writes annotations and pictures; a video says what each of its frames shows."""
    rng = np.random.default_rng(len(part))
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, video in enumerate(videos):
        for index in range(FRAMES):
            name = f"{part}/clip{number}/frame{30 * index:04d}.jpg"
            file = root / "frames" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(file), rng.integers(0, 255, (48, 64, 3), dtype=np.uint8))
            image = {"id": len(images), "video_id": number, "frame_index": 30 * index}
            images.append({**image, "file_name": name})
            for category in video["shows"](index):
                entry = {"id": len(annotations), "image_id": image["id"], "track_id": number}
                annotations.append({**entry, "category_id": CATEGORIES[category]})
    document = {
        "categories": [{"id": key, "name": name} for name, key in CATEGORIES.items()],
        "videos": [
            {
                "id": number,
                "name": f"{part}/clip{number}",
                "neg_category_ids": [CATEGORIES[name] for name in video["absent"]],
                "not_exhaustive_category_ids": [CATEGORIES[name] for name in video["partly"]],
            }
            for number, video in enumerate(videos)
        ],
        "images": images,
        "annotations": annotations,
    }
    file = root / "annotations" / f"{part}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(document))


def clip(shows: Any, absent: tuple[str, ...] = (), partly: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"shows": shows, "absent": absent, "partly": partly}


@pytest.mark.slow
def test_the_comparison_runs_from_annotations_to_rows(tmp_path: Path) -> None:
    def person_then_dog(index: int) -> tuple[str, ...]:
        return ("person", "kite") if index < 3 else ("dog",)

    write_part(
        tmp_path,
        "train",
        [clip(person_then_dog), clip(lambda index: ("zebra",), absent=("person", "dog", "kite"))]
        * 3,
    )
    # Of kites some are not annotated, so they are absent nowhere; nobody looked for zebras.
    write_part(tmp_path, "validation", [clip(person_then_dog, partly=("kite",))] * 2)
    backbones = [
        tiny_backbone_folder(tmp_path / name, family, seed=seed)
        for seed, (name, family) in enumerate([("small", "deit"), ("large", "vit")])
    ]

    result = invoke(
        tao.main,
        *("--annotations", tmp_path / "annotations", "--frames", tmp_path / "frames"),
        *("--backbone", backbones[0], "--larger-backbone", backbones[1]),
        *("--size", SIZE, "--epochs", 1, "--methods", METHODS, "--device", "cpu"),
        *("--folder", tmp_path / "out", "--results", tmp_path / "results"),
    )

    assert result.exit_code == 0, result.output
    (file,) = (tmp_path / "results").glob("tao-*.json")
    found = json.loads(file.read_text())
    rows = {row["method"]: row for row in found["summary"]["methods"]}
    assert list(rows) == ["polymorph", *METHODS.split(",")]
    assert found["summary"]["data"]["labels_scored"] == ["person", "dog", "kite"]
    for row in rows.values():
        assert row["frames"] == 2 * FRAMES
        assert row["label_ap"]["kite"] == 1.0  # every known cell is present
        assert 0 < row["label_ap"]["person"] <= 1
    assert rows["larger_backbone"]["trained"]["steps"] == rows["all_label_lora"]["trained"]["steps"]
    larger = json.loads(
        (tmp_path / "out/bundle-baselines/larger_backbone/baseline.json").read_text()
    )
    assert larger["preprocessing"]["size"] == SIZE
    assert found["summary"]["machine"]["date"]
    assert set(found["validation"]) >= {"polymorph", "polymorph_no_filter", "all_label_lora"}


def test_a_folder_without_annotations_is_one_line(tmp_path: Path) -> None:
    result = invoke(
        tao.main,
        *("--annotations", tmp_path, "--frames", tmp_path),
        *("--backbone", "none", "--larger-backbone", "none"),
    )

    assert isinstance(result.exception, PolymorphError)
    assert "train.json" in str(result.exception)
