"""Preprocessing: what a picture becomes, whatever its memory looks like.

Pins: the arithmetic against a plain float computation, equal input for training (batches) and
running (single pictures), and every kind of strides. Leaves open: devices other than the CPU.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from polymorph_ros.bundle.manifest import Preprocessing
from polymorph_ros.errors import PolymorphError
from polymorph_ros.model.preprocess import Preprocessor

Image = NDArray[np.uint8]
SETTINGS = Preprocessing(size=32, mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3))
PREPROCESS = Preprocessor(SETTINGS, "cpu")


def picture(height: int, width: int, seed: int = 0) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@given(height=st.integers(1, 90), width=st.integers(1, 90), seed=st.integers(0, 99))
def test_it_squashes_scales_and_normalises(height: int, width: int, seed: int) -> None:
    image = picture(height, width, seed)

    pixels = PREPROCESS(image)

    exact = torch.nn.functional.interpolate(
        torch.from_numpy(image).permute(2, 0, 1)[None].double(),
        (32, 32),
        mode="bilinear",
        antialias=True,
    )
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (SETTINGS.mean, SETTINGS.std))
    assert pixels.shape == (1, 3, 32, 32) and pixels.dtype == torch.float32
    assert ((pixels * std + mean) * 255 - exact).abs().max() < 1.5  # grey levels


def test_a_picture_of_the_right_size_is_only_scaled_and_normalised() -> None:
    image = picture(32, 32)

    pixels = PREPROCESS(image)

    expected = (image / 255 - SETTINGS.mean) / SETTINGS.std
    np.testing.assert_allclose(pixels[0].permute(1, 2, 0), expected, atol=1e-5)


@given(height=st.integers(1, 70), width=st.integers(1, 70), count=st.integers(1, 4))
def test_training_and_running_see_equal_inputs(height: int, width: int, count: int) -> None:
    images = np.stack([picture(height, width, seed) for seed in range(count)])

    together = PREPROCESS.batch(images)

    alone = torch.cat([PREPROCESS(image) for image in images])
    assert torch.equal(together, alone)


def _read_only(image: Image) -> Image:
    return np.frombuffer(image.tobytes(), np.uint8).reshape(image.shape)


def _with_padded_rows(image: Image) -> Image:
    height, width, _ = image.shape
    padded = np.zeros((height, width + 5, 3), np.uint8)
    padded[:, :width] = image
    return padded[:, :width]


@pytest.mark.parametrize(
    "arrange",
    [
        _read_only,
        _with_padded_rows,
        np.asfortranarray,
        lambda image: np.ascontiguousarray(image[..., ::-1])[..., ::-1],  # BGR seen as RGB
        lambda image: np.ascontiguousarray(image[::-1])[::-1],  # stored bottom up
        lambda image: np.ascontiguousarray(image[:, ::-1, ::-1])[:, ::-1, ::-1],
    ],
    ids=["read-only", "padded-rows", "fortran", "bgr", "bottom-up", "mirrored-bgr"],
)
@pytest.mark.parametrize("shape", [(48, 64), (32, 32)])
@pytest.mark.filterwarnings("error")
def test_strides_do_not_matter(arrange: Callable[[Image], Image], shape: tuple[int, int]) -> None:
    image = picture(*shape)
    view = arrange(image)

    pixels = PREPROCESS(view)

    np.testing.assert_array_equal(view, image)
    assert torch.equal(pixels, PREPROCESS(image))


def test_the_picture_is_left_as_it_was() -> None:
    image = picture(32, 32)
    before = image.copy()

    PREPROCESS(image).fill_(7)

    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
    ids=["grey", "four-channels", "float", "empty"],
)
def test_what_is_no_picture_is_refused(image: Image) -> None:
    with pytest.raises(PolymorphError, match=r"expected uint8 pictures of shape \(height, width"):
        PREPROCESS(image)
