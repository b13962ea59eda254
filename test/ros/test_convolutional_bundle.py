"""Pins that a node answers with a bundle of a convolutional backbone, trained here from end to end:
with contexts, unknown scenes, reuse and operating points, none of which has a class token to read.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.quick_training import QUICK
from helpers.ros_peer import Peer, picture
from helpers.tiny import tiny_backbone_folder
from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.evaluation.replay import measure
from polymorph_ros.msg import LabelArray
from polymorph_ros.ros.harness.images import image_message
from polymorph_ros.training.config import TrainConfig
from polymorph_ros.training.pipeline import train_bundle


@pytest.fixture(scope="module", params=["efficientnet_lite", "convnext"])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle that was trained for seconds on synthetic scenes."""
    root = tmp_path_factory.mktemp(request.param)
    folder = tiny_backbone_folder(root / "backbone", request.param)
    config = TrainConfig.model_validate(QUICK | {"backbone": {"folder": folder}})
    return train_bundle(config, root / "quick", root / "work", measure, lambda _: None).bundle


def test_a_node_answers_every_image_with_a_trained_convolutional_bundle(
    peer: Peer, active_node: Callable[..., object], trained: Bundle
) -> None:
    path: Path = trained.path
    active_node(bundle=str(path), bundle_root=str(path.parent), reuse_s=0.0)
    heard = peer.listen(LabelArray, "polymorph/labels")
    images = peer.images("image")
    stamps = [1_700_000_000_000_000_000 + 100_000_000 * number for number in range(4)]

    for count, stamp_ns in enumerate(stamps, start=1):
        images.publish(image_message(picture(seed=count), stamp_ns=stamp_ns))
        peer.wait_for(lambda count=count: len(heard) >= count, f"answer {count}")

    names = [label.name for label in trained.manifest.labels]
    for answer in heard:
        assert answer.state in (
            LabelArray.STATE_FRESH,
            LabelArray.STATE_DEGRADED,
            LabelArray.STATE_UNKNOWN_SCENE,
        )
        assert [label.name for label in answer.labels] == names
        assert all(0.0 <= label.score <= 1.0 for label in answer.labels)
    assert trained.manifest.unknown_scene is not None
