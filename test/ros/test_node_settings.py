"""Pins what parameter values mean and which are refused, and that the shipped configuration and
the documentation name every parameter with its true default."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from polymorph_ros.errors import PolymorphError
from polymorph_ros.ros.parameters import SPECS, Changes
from polymorph_ros.ros.settings import CHOICES, NodeSettings

ROOT = Path(__file__).resolve().parents[2]
DEFAULTS: dict[str, Any] = {spec.name: spec.default for spec in SPECS}


def settings(**changes: Any) -> NodeSettings:
    return NodeSettings.of({**DEFAULTS, **{k.replace("__", "."): v for k, v in changes.items()}})


def test_the_defaults_are_valid_and_name_one_camera_on_image() -> None:
    assert settings().topics == {"camera": "image"}


@pytest.mark.parametrize(
    ("changes", "topics"),
    [
        # base topics, whatever the transport: image_transport's convention
        ({"image_transport": "compressed"}, {"camera": "image"}),
        # several cameras: each below its own name
        ({"cameras": ["left", "right"]}, {"left": "left/image", "right": "right/image"}),
        # given topics are taken as they are
        (
            {"image_topics": ["/cam/jpeg"], "image_transport": "compressed"},
            {"camera": "/cam/jpeg"},
        ),
        (
            {"cameras": ["left", "right"], "image_topics": ["/l", "/r"]},
            {"left": "/l", "right": "/r"},
        ),
    ],
)
def test_topics_follow_cameras_and_transport(
    changes: dict[str, Any], topics: dict[str, str]
) -> None:
    assert settings(**changes).topics == topics


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"cameras": []}, "cameras"),
        ({"cameras": ["a", "a"]}, "cameras"),
        ({"cameras": ["no/slash"]}, "cameras"),
        ({"cameras": ["line\n"]}, "cameras"),
        ({"cameras": ["a", "b"], "image_topics": ["/one"]}, "image_topics"),
        ({"cameras": ["a", "b"], "image_topics": ["/one", "/one"]}, "image_topics"),
        ({"image_transport": "theora"}, "image_transport"),
        ({"image_transport": "compressedDepth"}, "image_transport"),
        ({"image_topics": ["/cam/depth/compressedDepth"]}, "image_topics"),
        ({"device": "tpu"}, "device"),
        ({"engine.backend": "int4"}, "engine.backend"),
        ({"energy__meter": "guess"}, "energy.meter"),
        ({"publish__labels": "some"}, "publish.labels"),
        ({"max_adapters": -1}, "max_adapters"),
        ({"threshold_shift": float("nan")}, "threshold_shift"),
        ({"max_rate_hz": float("inf")}, "max_rate_hz"),
        # each is in its range, but together the node would call every pause a silence
        ({"max_rate_hz": 0.5, "no_data_timeout": 1.0}, "no_data_timeout"),
        ({"max_rate_hz": 1.0, "no_data_timeout": 1.0}, "no_data_timeout"),
    ],
)
def test_values_that_do_not_fit_are_refused_by_name(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(PolymorphError) as caught:
        settings(**changes)

    assert str(caught.value).startswith(f"{named}: expected ")


@pytest.mark.parametrize("transport", ["theora", "ffmpeg", "zstd"])
def test_case_11_a_video_transport_is_refused_with_the_command_that_decodes_it(
    transport: str,
) -> None:
    with pytest.raises(PolymorphError, match=f"image_transport republish {transport} raw"):
        settings(image_transport=transport)


def test_the_shipped_yaml_holds_every_parameter_with_its_default() -> None:
    document = yaml.safe_load((ROOT / "config" / "polymorph.yaml").read_text())

    assert _flat(document["/**"]["ros__parameters"]) == DEFAULTS


def test_the_documentation_lists_every_parameter_with_default_and_change() -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (ROOT / "docs" / "node.md").read_text().splitlines()
        if line.startswith("| `")
    ]
    documented = {row[0].strip("`"): row[1:3] for row in rows if len(row) == 4}

    for spec in SPECS:
        default = yaml.safe_load(documented[spec.name][0].strip("`"))
        assert (default, documented[spec.name][1]) == (spec.default, spec.changes.value), spec.name


@pytest.mark.parametrize("name", CHOICES)
def test_the_documentation_names_every_choice(name: str) -> None:
    page = (ROOT / "docs" / "node.md").read_text().splitlines()
    (row,) = [line for line in page if line.startswith(f"| `{name}` |")]

    assert [choice for choice in CHOICES[name] if choice not in row] == []


def test_every_parameter_says_what_it_is_and_when_it_may_change() -> None:
    for spec in SPECS:
        descriptor = spec.descriptor()
        assert spec.description in descriptor.description
        assert spec.changes.value in descriptor.description
        assert descriptor.read_only == (spec.changes is Changes.NEVER)
        number = isinstance(spec.default, (int, float)) and not isinstance(spec.default, bool)
        has_range = descriptor.integer_range or descriptor.floating_point_range
        assert bool(has_range) == number, f"{spec.name}: a number has a range, nothing else has"


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat
