"""Messages that no driver should send: mutations of good ones, the same for the same seed.

A burst holds shots of one kind. It depends on the run's seed and its own number only, so that one
burst can be repeated alone.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import DescribeParameters, GetParameters, ListParameters, SetParameters
from rclpy.serialization import serialize_message
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image

from polymorph_ros.ros.harness.images import image_message
from polymorph_ros.ros.parameters import SPECS
from polymorph_ros.srv import LoadBundle, ResetContext

IMAGES, DAMAGE, PARAMETERS, SERVICES, CLOCK = "image", "damage", "parameters", "services", "clock"

# Weight of a kind among the bursts, and the shots of its bursts.
_KINDS: Mapping[str, tuple[int, int]] = {
    IMAGES: (55, 256), DAMAGE: (30, 256), PARAMETERS: (6, 64), SERVICES: (4, 32), CLOCK: (5, 128),
}  # fmt: skip

_ENCODINGS = (
    "rgb8", "bgr8", "rgba8", "bgra8", "mono8", "mono16", "yuv422", "yuv422_yuy2", "nv12", "nv21",
    "bayer_rggb8", "bayer_gbrg16", "16UC1", "32FC1", "8UC3", "64FC4", "RGB8", "", "rgb8 ", "rgb",
    "é", "a" * 4000, "jpeg", "bayer_", "yuv", "16SC0", "8UC99999999",
)  # fmt: skip
_FORMATS = (
    "jpeg", "png", "rgb8; jpeg compressed bgr8", "16UC1; png compressed", "16UC1; compressedDepth",
    "32FC1; compressedDepth rvl", "h264", "hevc", "av1", "", "; ", "mono8; jpeg", "x" * 4000,
    "rgb8; png compressed rgb8", "tiff", "webp",
)  # fmt: skip
_INTEGERS = (0, 1, 2, 3, 127, 128, 255, 256, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1)
_LARGEST_SIDE = 450  # an image of that is larger than Fast DDS's default shared memory
_CLAIMED = (1, 7, 4000, 16000, 32000, 65535)  # sides that a picture's header may claim


KINDS = tuple(_KINDS)


@dataclass(frozen=True)
class Shot:
    """One message or request.

    Attributes:
        kind: one of the module's kinds.
        name: what was done to it, for people.
        payload: a message, its bytes, or a pair of service type and request.
        service: name of the service below the node; empty for messages.
    """

    kind: str
    name: str
    payload: Any
    service: str = ""


def burst(seed: int, number: int, compressed: bool) -> list[Shot]:
    """One burst.

    Args:
        seed: of the run.
        number: of the burst.
        compressed: whether images are ``CompressedImage``.
    """
    chance = random.Random(f"{seed} {number} {compressed}")
    weights = [weight for weight, _ in _KINDS.values()]
    kind = chance.choices(list(_KINDS), weights)[0]
    return [_shot(kind, chance, compressed) for _ in range(_KINDS[kind][1])]


def _shot(kind: str, chance: random.Random, compressed: bool) -> Shot:
    if kind == IMAGES:
        name, message = (_compressed if compressed else _image)(chance)
        return Shot(kind, name, message)
    if kind == DAMAGE:
        _, message = (_compressed if compressed else _image)(chance)
        name, data = _damage(serialize_message(message), chance)
        return Shot(kind, name, data)
    if kind == CLOCK:
        name, message = _clock(chance)
        return Shot(kind, name, message)
    return _parameters(chance) if kind == PARAMETERS else _service(chance)


# ---- images


def _image(chance: random.Random) -> tuple[str, Image]:
    message = _good_image(chance)
    names = [_apply(chance, message, _IMAGE_MUTATIONS) for _ in range(chance.randint(1, 3))]
    return "+".join(names), message


def _compressed(chance: random.Random) -> tuple[str, CompressedImage]:
    message = CompressedImage(format=chance.choice(_FORMATS[:3]))
    message.data = chance.choice(_encoded())
    names = [_apply(chance, message, _COMPRESSED_MUTATIONS) for _ in range(chance.randint(1, 3))]
    return "+".join(names), message


def _good_image(chance: random.Random) -> Image:
    height, width = chance.choice(((24, 32), (48, 64), (1, 1), (120, 160), (31, 17)))
    pixels = np.random.default_rng(chance.getrandbits(32)).integers(
        0, 256, (height, width, 3), dtype=np.uint8
    )
    return image_message(pixels, stamp_ns=chance.getrandbits(50))


@cache
def _encoded() -> tuple[bytes, ...]:
    """Good pictures as JPEG, PNG, 16-bit PNG, WebP and TIFF."""
    rng = np.random.default_rng(0)
    colour = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
    deep = rng.integers(0, 65536, (48, 64), dtype=np.uint16)
    kinds = (
        (".jpg", colour),
        (".png", colour),
        (".png", deep),
        (".webp", colour),
        (".tiff", colour),
    )
    return tuple(cv2.imencode(suffix, picture)[1].tobytes() for suffix, picture in kinds)


Mutation = Callable[[random.Random, Any], None]


def _apply(chance: random.Random, message: Any, mutations: Mapping[str, Mutation]) -> str:
    name = chance.choice(list(mutations))
    mutations[name](chance, message)
    return name


def _any_stamp(chance: random.Random, message: Any) -> None:
    message.header.stamp.sec = chance.choice(
        (0, 1, -1, -(2**31), 2**31 - 1, chance.getrandbits(31))
    )
    message.header.stamp.nanosec = chance.choice((0, 999_999_999, 1_000_000_000, 2**32 - 1))


def _any_frame_id(chance: random.Random, message: Any) -> None:
    message.header.frame_id = chance.choice(("", "a" * 70_000, "\x00", "/", "ü\n", "camera"))


def _any_size(chance: random.Random, message: Any) -> None:
    message.height, message.width = chance.choice(_INTEGERS), chance.choice(_INTEGERS)


def _one_side(chance: random.Random, message: Any) -> None:
    setattr(message, chance.choice(("height", "width")), chance.choice(_INTEGERS))


def _any_step(chance: random.Random, message: Any) -> None:
    message.step = chance.choice((*_INTEGERS, message.step + 1, message.step - 1 & 2**32 - 1))


def _any_encoding(chance: random.Random, message: Any) -> None:
    message.encoding = chance.choice(_ENCODINGS)


def _byte_order(chance: random.Random, message: Any) -> None:
    message.is_bigendian = chance.choice((0, 1, 2, 255))


def _other_length(chance: random.Random, message: Any) -> None:
    data = bytes(message.data)
    cut = chance.choice((0, 1, len(data) // 2, max(0, len(data) - 1)))
    message.data = chance.choice((data[:cut], data + b"\0", data * 2))


def _large(chance: random.Random, message: Any) -> None:
    height, width = chance.randint(1, _LARGEST_SIDE), chance.randint(1, _LARGEST_SIDE)
    message.height, message.width, message.step = height, width, 3 * width
    message.data = bytes(3 * width * height)


_IMAGE_MUTATIONS: Mapping[str, Mutation] = {
    "stamp": _any_stamp, "frame_id": _any_frame_id, "size": _any_size, "side": _one_side,
    "step": _any_step, "encoding": _any_encoding, "byte order": _byte_order,
    "length": _other_length, "large": _large, "none": lambda _chance, _message: None,
}  # fmt: skip


def _any_format(chance: random.Random, message: Any) -> None:
    message.format = chance.choice(_FORMATS)


def _flip(chance: random.Random, message: Any) -> None:
    data = bytearray(message.data)
    for _ in range(chance.choice((1, 3, 30)) if data else 0):
        data[chance.randrange(len(data))] = chance.getrandbits(8)
    message.data = bytes(data)


def _noise(chance: random.Random, message: Any) -> None:
    message.data = chance.randbytes(chance.choice((0, 1, 2, 100, 10_000)))


def _claimed_size(chance: random.Random, message: Any) -> None:
    """A JPEG or PNG whose header claims another size than its data have."""
    data = bytearray(chance.choice(_encoded()[:2]))
    height, width = chance.choice(_CLAIMED), chance.choice(_CLAIMED)
    if data[:2] == b"\xff\xd8":
        place = data.find(b"\xff\xc0") + 5
        data[place : place + 4] = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    else:
        data[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    message.data = bytes(data)


_COMPRESSED_MUTATIONS: Mapping[str, Mutation] = {
    "stamp": _any_stamp, "frame_id": _any_frame_id, "format": _any_format, "bytes": _flip,
    "length": _other_length, "noise": _noise, "claimed size": _claimed_size,
    "none": lambda _chance, _message: None,
}  # fmt: skip


# ---- damage of what is on the wire


def _damage(data: bytes, chance: random.Random) -> tuple[str, bytes]:
    """CDR that is broken off, lengthened, flipped, or whose lengths and encapsulation lie."""
    name = chance.choice(("cut", "longer", "flip", "length", "encapsulation", "noise"))
    changed = bytearray(data)
    if name == "cut":
        changed = changed[: chance.choice((4, 5, 11, 12, 16, 20, chance.randrange(4, len(data))))]
    elif name == "longer":
        changed += chance.randbytes(chance.choice((1, 3, 4, 1000)))
    elif name == "flip":
        for _ in range(chance.choice((1, 4, 32))):
            changed[chance.randrange(min(64, len(changed)))] = chance.getrandbits(8)
    elif name == "length":  # of frame_id, which comes after encapsulation and stamp
        changed[12:16] = chance.choice(_INTEGERS).to_bytes(4, "little")
    elif name == "encapsulation":
        changed[:4] = chance.randbytes(4)
    else:
        changed[4:] = chance.randbytes(len(changed) - 4)
    return name, bytes(changed)


# ---- parameters, services, clock


def _value(chance: random.Random) -> ParameterValue:
    return ParameterValue(
        type=chance.choice((*range(10), 10, 99, 255)),
        bool_value=chance.random() < 0.5,
        integer_value=chance.choice((0, 1, -1, 2**63 - 1, -(2**63), 100)),
        double_value=chance.choice((0.0, -1.0, 0.5, 1e308, float("nan"), float("inf"))),
        string_value=chance.choice(("", "auto", "cuda:99", "\x00", "é" * 1000, "[]", "all")),
        string_array_value=chance.choice(([], [""], ["a", "a"], ["camera"])),
        double_array_value=chance.choice(([], [float("nan")])),
    )


def _name(chance: random.Random) -> str:
    known = [spec.name for spec in SPECS]
    odd = [
        "",
        "use_sim_time",
        ".",
        "a" * 5000,
        "qos_overrides./x.subscription.depth",
        "é",
        "no_such",
    ]
    return chance.choice(known + odd)


def _parameters(chance: random.Random) -> Shot:
    count = chance.choice((0, 1, 1, 1, 3, 50))
    given = [Parameter(name=_name(chance), value=_value(chance)) for _ in range(count)]
    types = "/".join(sorted({str(parameter.value.type) for parameter in given}))
    request = SetParameters.Request(parameters=given)
    return Shot(PARAMETERS, f"{count} of type {types}", (SetParameters, request), "set_parameters")


def _service(chance: random.Random) -> Shot:
    text = chance.choice(
        ("", ".", "../../..", "/etc", "\x00", "é" * 2000, "nowhere", "a/b", "~", "*")
    )
    transition = Transition(id=chance.randrange(9, 256), label=chance.choice(("", "explode", text)))
    depth = chance.choice((0, 2**63))
    requests: Mapping[str, tuple[Any, Any]] = {
        "load_bundle": (LoadBundle, LoadBundle.Request(path=text)),
        "reset_context": (ResetContext, ResetContext.Request(camera=text)),
        "change_state": (ChangeState, ChangeState.Request(transition=transition)),
        "get_parameters": (GetParameters, GetParameters.Request(names=[_name(chance), text])),
        "describe_parameters": (
            DescribeParameters, DescribeParameters.Request(names=[_name(chance)]),
        ),
        "list_parameters": (
            ListParameters, ListParameters.Request(prefixes=[text], depth=depth),
        ),
    }  # fmt: skip
    name = chance.choice(list(requests))
    return Shot(SERVICES, name, requests[name], name)


def _clock(chance: random.Random) -> tuple[str, Clock]:
    message = Clock()
    message.clock.sec = chance.choice((0, 1, -1, -(2**31), 2**31 - 1, chance.getrandbits(31)))
    message.clock.nanosec = chance.choice((0, 1, 999_999_999, 2**32 - 1))
    return f"{message.clock.sec} s {message.clock.nanosec} ns", message
