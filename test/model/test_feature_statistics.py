"""Pins the scene statistics of a bundle as the model loads them: listed, of the backbone's length,
finite; and the thumbnails by which pictures are compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from helpers.tiny import HIDDEN_SIZE, IMAGE_SIZE
from helpers.tiny_bundle import write_tiny_bundle
from polymorph_ros.bundle.manifest import UnknownSceneEntry
from polymorph_ros.bundle.reader import Bundle, read_bundle
from polymorph_ros.errors import PolymorphError
from polymorph_ros.model.polymorph import PolymorphModel
from polymorph_ros.model.thumbnail import GRID, thumbnails

FEATURES = 2 * HIDDEN_SIZE
SCENE = UnknownSceneEntry(threshold=1.5, false_alarms=0.01)
STD = (0.5, 0.25, 0.125)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return write_tiny_bundle(tmp_path / "tiny", unknown_scene=SCENE)


def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)


def test_the_distance_of_a_frame_is_one_number_that_is_left_on_the_device(bundle: Bundle) -> None:
    model = PolymorphModel.from_bundle(bundle, "cpu")
    tokens = model.trunk(model.preprocess(picture()))

    distance = model.feature_distance(tokens)

    # mean 0 and covariance 1: the root mean square of the feature itself
    feature = torch.cat([tokens[0, 0], tokens[0, 1:].mean(dim=0)])
    assert isinstance(distance, torch.Tensor)
    assert distance.shape == (1,)
    assert float(distance) == pytest.approx(float(feature.square().mean().sqrt()), rel=1e-5)


def test_a_bundle_without_statistics_judges_nothing(tmp_path: Path) -> None:
    model = PolymorphModel.from_bundle(write_tiny_bundle(tmp_path / "plain"), "cpu")

    assert model.feature_distance(model.trunk(model.preprocess(picture()))) is None


@pytest.mark.parametrize(
    ("tensors", "told"),
    [
        ({"mean": torch.zeros(FEATURES)}, "whitening"),
        ({"mean": torch.zeros(3), "whitening": torch.eye(3)}, rf"mean of shape \({FEATURES},\)"),
        (
            {"mean": torch.zeros(FEATURES), "whitening": torch.ones(2, FEATURES)},
            "whitening of shape",
        ),
        (
            {"mean": torch.full((FEATURES,), torch.nan), "whitening": torch.eye(FEATURES)},
            "finite tensor mean",
        ),
    ],
)
def test_statistics_that_do_not_fit_are_refused_by_name(
    bundle: Bundle, tensors: dict[str, torch.Tensor], told: str
) -> None:
    save_file(tensors, bundle.unknown_scene_file)

    with pytest.raises(PolymorphError, match=rf"unknown_scene\.safetensors: expected .*{told}"):
        PolymorphModel.from_bundle(bundle, "cpu")


def test_a_manifest_that_speaks_of_statistics_lists_their_file(tmp_path: Path) -> None:
    plain = write_tiny_bundle(tmp_path / "plain")
    manifest = plain.manifest.model_copy(update={"unknown_scene": SCENE})
    (plain.path / "manifest.json").write_text(manifest.model_dump_json())

    with pytest.raises(
        PolymorphError, match=r"expected unknown_scene\.safetensors in the manifest"
    ):
        read_bundle(plain.path)


@pytest.mark.parametrize("size", [GRID, 32, 42])
def test_a_thumbnail_differs_by_the_grey_levels_of_its_cells(size: int) -> None:
    pixels = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    levels = torch.tensor([8.0, 4.0, 2.0])  # of 255, per channel
    lighter = pixels + (levels / (255 * torch.tensor(STD))).view(1, 3, 1, 1)

    change = thumbnails(lighter, STD) - thumbnails(pixels, STD)

    assert change.shape == (1, 3, GRID, GRID)
    assert torch.allclose(change, levels.view(1, 3, 1, 1).expand_as(change), atol=1e-3)


def test_the_thumbnail_of_a_picture_is_where_the_picture_is(bundle: Bundle) -> None:
    model = PolymorphModel.from_bundle(bundle, "cpu")
    image = np.zeros((IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8)
    changed = image.copy()
    changed[:2, -2:, 2] = 100  # the top right cell, blue

    change = model.thumbnail(model.preprocess(changed)) - model.thumbnail(model.preprocess(image))

    assert change.dtype == np.float32
    assert change[2, 0, GRID - 1] == pytest.approx(100.0, abs=0.01)
    assert np.count_nonzero(np.abs(change) > 0.01) == 1


@pytest.mark.gpu
def test_a_gpu_takes_the_same_distance_and_thumbnail(bundle: Bundle) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no GPU on this machine")
    found = []
    for device in ("cpu", "cuda"):
        model = PolymorphModel.from_bundle(bundle, device)
        pixels = model.preprocess(picture())
        distance = model.feature_distance(model.trunk(pixels))
        assert distance is not None
        assert distance.device.type == device
        found.append((float(distance), model.thumbnail(pixels)))

    (distance, thumbnail), (other_distance, other_thumbnail) = found
    assert other_distance == pytest.approx(distance, rel=1e-2)
    assert np.abs(other_thumbnail - thumbnail).max() < 1.0
