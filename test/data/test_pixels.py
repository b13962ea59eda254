"""Pins how the bytes of image messages become RGB arrays.

Every encoding with random sizes and row padding against references written here (loops and the
BT.601 formula, not the code's own conversions); no copy where a view suffices; every malformed
message is refused with its reason. Leaves open how good the demosaicing looks; what drivers do
otherwise is in ``test_case_pictures``.
"""

from __future__ import annotations

from array import array

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polymorph_ros.data.image_stream import GreyScale, ImageStream
from polymorph_ros.data.pixels import ENCODINGS, ImageError, image_from_buffer, image_from_jpeg
from polymorph_ros.errors import PolymorphError

# where R, G, B lie among the channels of each interleaved encoding
CHANNELS = {
    "rgb8": (0, 1, 2, 3),
    "bgr8": (2, 1, 0, 3),
    "rgba8": (0, 1, 2, 4),
    "bgra8": (2, 1, 0, 4),
    "8UC3": (2, 1, 0, 3),
    "8UC4": (2, 1, 0, 4),
}
DEEP = {
    "rgb16": (0, 1, 2, 3),
    "bgr16": (2, 1, 0, 3),
    "rgba16": (0, 1, 2, 4),
    "bgra16": (2, 1, 0, 4),
    "16UC3": (2, 1, 0, 3),
    "16UC4": (2, 1, 0, 4),
}
# first row, second row of the colour filter
FILTERS = {"rggb": ("RG", "GB"), "bggr": ("BG", "GR"), "gbrg": ("GB", "RG"), "grbg": ("GR", "BG")}
PACKED = (
    dict.fromkeys(("yuv422", "uyvy", "uyvy422"), "UYVY")
    | dict.fromkeys(("yuv422_yuy2", "yuyv", "yuy2", "yuyv422"), "YUYV")
    | dict.fromkeys(("yvyu", "yvyu422"), "YVYU")
)
# how chroma lies behind luma: pairs or planes, which comes first, and whether of each pixel
PLANAR = {
    "nv12": ("pairs", "UV", False),
    "nv21": ("pairs", "VU", False),
    "nv24": ("pairs", "UV", True),
    "nv42": ("pairs", "VU", True),
    "yv12": ("planes", "VU", False),
} | dict.fromkeys(("i420", "iyuv", "yu12", "yuv420", "yuv420p"), ("planes", "UV", False))

sides = st.integers(1, 23)
halves = st.integers(2, 12)
paddings = st.integers(0, 9)
seeds = st.integers(0, 2**32 - 1)
light = settings(max_examples=40, deadline=None)


def all_bits() -> ImageStream:
    """A stream whose 16-bit samples use all 16 bits."""
    return ImageStream(grey=GreyScale(16))


def padded(rows: np.ndarray, padding: int, rng: np.random.Generator) -> tuple[bytes, int]:
    """The rows (uint8, 2-D) as message data with random padding, and their step."""
    filler = rng.integers(0, 256, (rows.shape[0], padding), np.uint8)
    return np.hstack([rows, filler]).tobytes(), rows.shape[1] + padding


def bt601(y: float, u: float, v: float) -> np.ndarray:
    """RGB of a video-range YUV triple, by ITU-R BT.601."""
    y, u, v = float(y), float(u), float(v)
    luma = 1.164383 * (y - 16)
    red = luma + 1.596027 * (v - 128)
    green = luma - 0.391762 * (u - 128) - 0.812968 * (v - 128)
    blue = luma + 2.017232 * (u - 128)
    return np.clip([red, green, blue], 0, 255)


@pytest.mark.parametrize("encoding", sorted(CHANNELS))
@light
@given(height=sides, width=sides, padding=paddings, seed=seeds)
def test_interleaved_channels(
    encoding: str, height: int, width: int, padding: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    red, green, blue, count = CHANNELS[encoding]
    rgb = rng.integers(0, 256, (height, width, 3), np.uint8)
    pixels = rng.integers(0, 256, (height, width, count), np.uint8)
    for source, channel in enumerate((red, green, blue)):
        pixels[:, :, channel] = rgb[:, :, source]
    data, step = padded(pixels.reshape(height, -1), padding, rng)

    image = image_from_buffer(data, height, width, step, encoding)

    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, rgb)


@light
@given(height=sides, width=sides, padding=paddings, seed=seeds, big=st.booleans())
def test_grey(height: int, width: int, padding: int, seed: int, big: bool) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 65536, (height, width))
    deep = values.astype(">u2" if big else "<u2")
    flat = (values >> 8).astype(np.uint8)
    expected = np.stack([flat] * 3, axis=2)

    data, step = padded(deep.view(np.uint8), padding, rng)
    np.testing.assert_array_equal(
        image_from_buffer(data, height, width, step, "mono16", big, all_bits()), expected
    )
    data, step = padded(flat, padding, rng)
    for encoding in ("mono8", "8UC1"):
        np.testing.assert_array_equal(
            image_from_buffer(data, height, width, step, encoding, big), expected
        )


@pytest.mark.parametrize("encoding", sorted(DEEP))
@light
@given(height=sides, width=sides, padding=paddings, seed=seeds, big=st.booleans())
def test_case_14_interleaved_channels_of_16_bits(
    encoding: str, height: int, width: int, padding: int, seed: int, big: bool
) -> None:
    rng = np.random.default_rng(seed)
    red, green, blue, count = DEEP[encoding]
    pixels = rng.integers(0, 65536, (height, width, count)).astype(">u2" if big else "<u2")
    data, step = padded(pixels.reshape(height, -1).view(np.uint8), padding, rng)

    image = image_from_buffer(data, height, width, step, encoding, big, all_bits())

    np.testing.assert_array_equal(image, pixels[:, :, [red, green, blue]] >> 8)


@pytest.mark.parametrize("encoding", sorted(PACKED))
@light
@given(height=sides, pairs=st.integers(1, 12), padding=paddings, seed=seeds)
def test_packed_yuv(encoding: str, height: int, pairs: int, padding: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    luma = rng.integers(16, 236, (height, pairs * 2), np.uint8)
    chroma = rng.integers(16, 241, (height, pairs, 2), np.uint8)
    rows = np.zeros((height, pairs * 4), np.uint8)
    expected = np.zeros((height, pairs * 2, 3))
    for y in range(height):
        for pair in range(pairs):
            u, v = chroma[y, pair]
            parts = {"Y": iter(luma[y, 2 * pair : 2 * pair + 2]), "U": iter([u]), "V": iter([v])}
            for place, letter in enumerate(PACKED[encoding]):
                rows[y, pair * 4 + place] = next(parts[letter])
            for side in (0, 1):
                expected[y, 2 * pair + side] = bt601(luma[y, 2 * pair + side], u, v)
    data, step = padded(rows, padding, rng)

    image = image_from_buffer(data, height, pairs * 2, step, encoding)

    # fixed-point arithmetic is allowed to be off by rounding
    assert np.abs(image - expected).max() <= 2


@pytest.mark.parametrize("encoding", sorted(PLANAR))
@light
@given(down=halves, across=halves, padding=paddings, seed=seeds)
def test_case_14_planar_yuv(encoding: str, down: int, across: int, padding: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = down * 2, across * 2
    kind, order, full = PLANAR[encoding]
    every = 1 if full else 2
    luma = rng.integers(16, 236, (height, width), np.uint8)
    chroma = rng.integers(16, 241, (height // every, width // every, 2), np.uint8)
    expected = np.zeros((height, width, 3))
    for y in range(height):
        for x in range(width):
            pair = dict(zip(order, chroma[y // every, x // every], strict=True))
            expected[y, x] = bt601(luma[y, x], pair["U"], pair["V"])
    data, step = padded(luma, padding, rng)
    if kind == "pairs":
        flat = chroma.reshape(len(chroma), -1)
        data += padded(flat, step * (2 if full else 1) - flat.shape[1], rng)[0]
    else:
        for plane in (chroma[:, :, 0], chroma[:, :, 1]):
            data += padded(plane, (step + 1) // 2 - plane.shape[1], rng)[0]

    image = image_from_buffer(data, height, width, step, encoding)

    assert np.abs(image - expected).max() <= 2


@pytest.mark.parametrize("pattern", sorted(FILTERS))
@pytest.mark.parametrize("bits", [8, 16])
@light
@given(down=halves, across=halves, padding=paddings, seed=seeds, big=st.booleans())
def test_bayer_keeps_the_measured_samples(
    pattern: str, bits: int, down: int, across: int, padding: int, seed: int, big: bool
) -> None:
    rng = np.random.default_rng(seed)
    height, width = down * 2, across * 2
    values = rng.integers(0, 256, (height, width), np.uint8)
    rows = values
    if bits == 16:
        low = rng.integers(0, 256, (height, width))
        rows = ((values.astype(int) << 8) | low).astype(">u2" if big else "<u2").view(np.uint8)
    data, step = padded(rows, padding, rng)

    image = image_from_buffer(data, height, width, step, f"bayer_{pattern}{bits}", big, all_bits())

    assert image.shape == (height, width, 3)
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            measured = "RGB".index(FILTERS[pattern][y % 2][x % 2])
            assert image[y, x, measured] == values[y, x]


@pytest.mark.parametrize("pattern", sorted(FILTERS))
def test_bayer_of_one_colour_is_that_colour_up_to_the_border(pattern: str) -> None:
    colour = {"R": 200, "G": 120, "B": 30}
    mosaic = [[colour[FILTERS[pattern][y % 2][x % 2]] for x in range(6)] for y in range(4)]
    image = image_from_buffer(np.array(mosaic, np.uint8), 4, 6, 6, f"bayer_{pattern}8")
    assert {tuple(pixel) for pixel in image.reshape(-1, 3).tolist()} == {(200, 120, 30)}


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "rgba8", "bgra8", "mono8", "mono16"])
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda data: array("B", data)])
def test_no_copy_where_a_view_suffices(encoding: str, kind: type) -> None:
    size = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1, "mono16": 2}[encoding]
    data = kind(bytes(480 * (640 * size + 8)))
    image = image_from_buffer(data, 480, 640, 640 * size + 8, encoding, stream=all_bits())
    assert np.shares_memory(image, np.frombuffer(data, np.uint8))


def test_encodings_are_all_tried_here() -> None:
    tried = {*CHANNELS, *DEEP, *PACKED, *PLANAR, "mono8", "8UC1", "mono16"}
    tried |= {f"bayer_{pattern}{bits}" for pattern in FILTERS for bits in (8, 16)}
    assert tried == set(ENCODINGS)


@pytest.mark.parametrize(
    ("reason", "height", "width", "step", "encoding", "count"),
    [
        pytest.param("encoding", 4, 4, 12, "rgb9", 48, id="unknown"),
        pytest.param("encoding", 4, 4, 12, "", 48, id="no encoding"),
        pytest.param("empty", 0, 4, 12, "rgb8", 48, id="no rows"),
        pytest.param("empty", 4, 0, 12, "rgb8", 48, id="no columns"),
        pytest.param("empty", 4, 4, 12, "rgb8", 0, id="no data"),
        pytest.param("empty", -4, 4, 12, "rgb8", 48, id="negative height"),
        pytest.param("step", 4, 4, 11, "rgb8", 48, id="row does not fit"),
        pytest.param("step", 4, 4, 4, "mono16", 16, id="row of 16 bits does not fit"),
        pytest.param("step", 4, 4, -12, "rgb8", 48, id="negative step"),
        pytest.param("size", 4, 4, 12, "rgb8", 47, id="too little"),
        pytest.param("size", 4, 4, 14, "rgb8", 53, id="last row not whole"),
        pytest.param("size", 4, 4, 2**40, "rgb8", 48, id="huge step"),
        pytest.param("size", 4, 4, 4, "nv12", 16, id="nv12 without chroma"),
        pytest.param("size", 3, 4, 4, "nv12", 18, id="nv12 of odd height"),
        pytest.param("size", 4, 3, 6, "yuyv", 24, id="yuyv of odd width"),
        pytest.param("size", 5, 4, 4, "bayer_rggb8", 20, id="bayer of odd height"),
        pytest.param("size", 2, 2, 2, "bayer_rggb8", 4, id="bayer too small to interpolate"),
    ],
)
def test_malformed_images_are_refused(
    reason: str, height: int, width: int, step: int, encoding: str, count: int
) -> None:
    with pytest.raises(ImageError) as caught:
        image_from_buffer(bytes(count), height, width, step, encoding)
    assert caught.value.reason == reason
    assert isinstance(caught.value, PolymorphError)


def smooth_picture() -> np.ndarray:
    y, x = np.mgrid[0:48, 0:64]
    return np.stack([x * 4, y * 5, 255 - x * 3], axis=2).astype(np.uint8)


@pytest.mark.parametrize(("suffix", "error"), [(".jpg", 6.0), (".png", 0.0)])
@pytest.mark.parametrize("kind", [bytes, lambda data: array("B", data)])
def test_compressed_pictures(suffix: str, error: float, kind: type) -> None:
    picture = smooth_picture()
    data = cv2.imencode(suffix, picture[:, :, ::-1])[1].tobytes()
    image = image_from_jpeg(kind(data), "rgb8; jpeg compressed bgr8")
    assert image.dtype == np.uint8
    assert np.abs(image.astype(int) - picture).mean() <= error


def test_a_grey_jpeg_has_three_channels() -> None:
    data = cv2.imencode(".jpg", smooth_picture()[:, :, 0])[1].tobytes()
    assert image_from_jpeg(data).shape == (48, 64, 3)


def test_zeros_after_a_jpeg_do_no_harm() -> None:
    data = cv2.imencode(".jpg", smooth_picture())[1].tobytes()
    assert image_from_jpeg(data + bytes(100)).shape == (48, 64, 3)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@light
@given(share=st.floats(0.0, 0.99))
def test_compressed_pictures_that_break_off_are_refused(suffix: str, share: float) -> None:
    data = cv2.imencode(suffix, smooth_picture())[1].tobytes()
    with pytest.raises(ImageError) as caught:
        image_from_jpeg(data[: int(len(data) * share)])
    assert caught.value.reason in ("decode", "empty")


@light
@given(data=st.binary(min_size=1, max_size=300))
def test_noise_is_refused(data: bytes) -> None:
    with pytest.raises(ImageError) as caught:
        image_from_jpeg(data)
    assert caught.value.reason in ("decode", "encoding", "size")  # it may begin like anything


def test_compressed_depth_is_refused() -> None:
    data = cv2.imencode(".png", smooth_picture())[1].tobytes()
    with pytest.raises(ImageError) as caught:
        image_from_jpeg(data, "16UC1; compressedDepth png")
    assert caught.value.reason == "encoding"
