"""Pins which options of `polymorph distill` go together, what a dry run says, and that mistakes in
the configuration are one line; what it does is pinned in test/distillation.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from helpers.tiny import tiny_backbone_folder
from polymorph_ros.cli.main import app, main

STUDENT = {"width": 0.1, "depth": 0.3, "image_size": 32}


def write_config(folder: Path, **changes: object) -> Path:
    document = {
        "threads": 1,
        "device": "cpu",
        "recordings": [{"path": "pictures"}],
        "teacher": {"folder": "teacher"},
        "student": STUDENT,
        "steps": 7,
    }
    file = folder / "distill.yaml"
    file.write_text(yaml.safe_dump(document | changes))
    return file


def test_without_a_place_it_is_wrong_use(tmp_path: Path) -> None:
    answer = CliRunner().invoke(app, ["distill", str(write_config(tmp_path))])

    assert answer.exit_code == 2
    assert "--out" in answer.output


def test_a_dry_run_says_what_it_would_do_and_writes_nothing(tmp_path: Path) -> None:
    tiny_backbone_folder(tmp_path / "teacher", "dinov2")
    (tmp_path / "pictures").mkdir()
    for number in range(3):
        picture = np.full((20, 30, 3), 80 * number, np.uint8)
        cv2.imwrite(str(tmp_path / f"pictures/{number}.png"), picture)
    config, work = write_config(tmp_path), tmp_path / "work"

    answer = CliRunner().invoke(app, ["distill", str(config), "--dry-run", "--work", str(work)])

    assert answer.exit_code == 0, answer.output
    assert "3 pictures, 4 stored views of each" in answer.output
    assert "7 gradient steps" in answer.output
    assert not work.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 3}, "epochs"),
        ({"student": {"hidden_size": 20, "layers": 2, "heads": 3, "patch_size": 8}}, "image_size"),
        ({"teacher": {"onnx": "x.onnx", "outputs": {}}}, "name at least one output"),
        ({"teacher": {"folder": "none"}}, "config.json and model.safetensors"),
        ({"recordings": [{"path": "none"}]}, "a folder with config.json"),
    ],
)
def test_a_mistake_in_the_configuration_is_one_line(
    changes: dict[str, object],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = write_config(tmp_path, **changes)
    monkeypatch.setattr("sys.argv", ["polymorph", "distill", str(config), "--dry-run"])

    with pytest.raises(SystemExit) as end:
        main()

    said = " ".join(capsys.readouterr().err.split())
    assert end.value.code == 1
    assert said.startswith("error:") and message in said
