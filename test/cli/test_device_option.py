"""Pins ``--device`` of every command that computes: without a GPU, ``cuda`` is one plain error
before anything is computed.

Open: that they compute there; test/training/test_gpu_training.py does it on a GPU.
"""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from helpers.quick_training import QUICK
from helpers.tiny_bundle import write_tiny_bundle
from polymorph_ros.cli.main import app
from polymorph_ros.errors import PolymorphError


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny bundle, a configuration and labelled pictures."""
    root = tmp_path_factory.mktemp("devices")
    write_tiny_bundle(root / "tiny")
    (root / "train.yaml").write_text(json.dumps(QUICK))
    (root / "walk").mkdir()
    lines = ["image,labels"]
    for number in range(6):
        cv2.imwrite(str(root / "walk" / f"{number}.png"), np.full((48, 64, 3), number, np.uint8))
        lines.append(f"{number}.png,cup|desk")
    (root / "walk" / "labels.csv").write_text("\n".join(lines) + "\n")
    return root


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.parametrize(
    "words",
    [
        "train {0}/train.yaml --out {0}/out --work {0}/work",
        "train {0}/train.yaml --dry-run --work {0}/work",
        "evaluate --bundle {0}/tiny --data {0}/walk --out {0}/results",
        "data frames {0}/walk {0}/frames --bundle {0}/tiny",
        "label {0}/walk --bundle {0}/tiny --labels {0}/new.csv --no-browser",
        "bench compose --quick",
    ],
)
def test_a_gpu_that_is_not_there_is_one_plain_error(root: Path, words: str) -> None:
    result = CliRunner().invoke(app, [*words.format(root).split(), "--device", "cuda"])

    assert isinstance(result.exception, PolymorphError), result.output
    assert "device cuda: expected a GPU" in str(result.exception)
    assert not (root / "out").exists() and not (root / "results").exists()


def test_a_cluster_computes_on_cpus(root: Path) -> None:
    result = CliRunner().invoke(
        app,
        [*f"train {root}/train.yaml --out {root}/out --ray auto".split(), "--device", "cuda"],
    )

    assert isinstance(result.exception, PolymorphError), result.output
    assert "cpu on a Ray cluster" in str(result.exception)
