"""Pins `upgrade_bundle`: a bundle of format version 1 gets the names of today, every weight
byte for byte, in place or beside the old one; a damaged or foreign one stays as it is.

Open: that old bundles gave the same answers; the weights and numbers are the same, so they do.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from helpers.tiny_bundle import write_tiny_bundle
from polymorph_ros.bundle.manifest import ReuseEntry, UnknownSceneEntry
from polymorph_ros.bundle.reader import Bundle, file_sha256, read_bundle
from polymorph_ros.bundle.upgrade import upgrade_bundle
from polymorph_ros.errors import PolymorphError


def as_version_1(bundle: Bundle) -> Path:
    """Rewrite a bundle with the names of format version 1."""
    document = json.loads((bundle.path / "manifest.json").read_text())
    document |= {"format_version": 1, "unchanged": document.pop("reuse")}
    document["scene"] = document.pop("unknown_scene")
    document["evidence"]["company"] = document["evidence"].pop("cooccurrence")
    for label in document["labels"]:
        label["watch"] = label.pop("cover")
    for entry in document["files"]:
        if entry["path"] == "unknown_scene.safetensors":
            entry["path"] = "scene.safetensors"
    bundle.unknown_scene_file.rename(bundle.path / "scene.safetensors")
    (bundle.path / "manifest.json").write_text(json.dumps(document))
    return bundle.path


@pytest.fixture
def new(tmp_path: Path) -> Bundle:
    return write_tiny_bundle(
        tmp_path / "tiny",
        reuse=ReuseEntry(difference=8.0, max_age_s=1.0, pace=0.5, agreement=0.99),
        unknown_scene=UnknownSceneEntry(threshold=2.0, false_alarms=0.01),
    )


def sums_of(folder: Path) -> list[str]:
    files = (file for file in folder.rglob("*.safetensors"))
    return sorted(file_sha256(file) for file in files)


def test_an_old_bundle_is_refused_with_the_command_that_rewrites_it(new: Bundle) -> None:
    old = as_version_1(new)

    with pytest.raises(PolymorphError, match=f"polymorph bundle upgrade {old}"):
        read_bundle(old)


def test_every_number_and_weight_survives(new: Bundle) -> None:
    manifest = new.manifest
    weights = sums_of(new.path)
    old = as_version_1(new)

    upgraded = upgrade_bundle(old)

    assert upgraded.manifest == manifest
    assert sums_of(old) == weights
    assert read_bundle(old).checksum == upgraded.checksum


def test_the_old_bundle_stays_where_another_folder_is_named(new: Bundle, tmp_path: Path) -> None:
    manifest = new.manifest
    old = as_version_1(new)
    before = (old / "manifest.json").read_bytes()

    upgraded = upgrade_bundle(old, tmp_path / "upgraded")

    assert upgraded.path == tmp_path / "upgraded"
    assert upgraded.manifest == manifest
    assert (old / "manifest.json").read_bytes() == before


def test_a_bundle_of_today_stays_as_it_is(new: Bundle) -> None:
    assert upgrade_bundle(new.path).checksum == new.checksum


def test_a_damaged_old_bundle_is_refused_and_left_alone(new: Bundle) -> None:
    old = as_version_1(new)
    with (old / "scout.safetensors").open("r+b") as stream:
        stream.seek(-1, 2)
        stream.write(b"\xff")
    before = {file: file.read_bytes() for file in old.rglob("*") if file.is_file()}

    with pytest.raises(PolymorphError, match=r"scout\.safetensors.*damaged"):
        upgrade_bundle(old)

    assert {file: file.read_bytes() for file in old.rglob("*") if file.is_file()} == before
    assert [path.name for path in old.parent.iterdir()] == [old.name]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 7}, "version 1 or 2, found format version 7"),
        ({"labels": "all"}, "valid manifest of format version 1"),
        ({"files": [{"path": "../x", "sha256": "0" * 64, "size": 1}]}, "leaves the bundle"),
        ({"files": 3}, "valid manifest of format version 1"),
    ],
)
def test_a_foreign_manifest_is_refused_in_one_line(
    new: Bundle, change: dict[str, object], message: str
) -> None:
    old = as_version_1(new)
    document = json.loads((old / "manifest.json").read_text())
    (old / "manifest.json").write_text(json.dumps(document | change))

    with pytest.raises(PolymorphError, match=message) as caught:
        upgrade_bundle(old)

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["[1]", "{", "[" * 100_000])
def test_what_is_no_manifest_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)

    with pytest.raises(PolymorphError, match=r"manifest\.json: expected (JSON|a JSON object)"):
        upgrade_bundle(tmp_path)
