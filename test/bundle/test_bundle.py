"""Pins the bundle: what is written is read back, and anything damaged or foreign is refused whole.

Open: shapes that depend on the backbone are pinned in test/model.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.tiny_bundle import write_tiny_bundle
from polymorph_ros.bundle import read_bundle, write_bundle
from polymorph_ros.bundle.manifest import MANIFEST_FILE, FileEntry, LabelEntry
from polymorph_ros.errors import PolymorphError


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "sound").path


@pytest.fixture
def copy(sound: Path, tmp_path: Path) -> Path:
    target = tmp_path / "copy"
    target.mkdir()
    for file in sound.rglob("*"):
        if file.is_file():
            place = target / file.relative_to(sound)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(file.read_bytes())
    return target


def edit_manifest(bundle: Path, change: Callable[[dict], None]) -> None:
    file = bundle / MANIFEST_FILE
    document = json.loads(file.read_text())
    change(document)
    file.write_text(json.dumps(document))


def test_a_copied_bundle_is_the_same_bundle(sound: Path, copy: Path) -> None:
    assert read_bundle(copy).manifest == read_bundle(sound).manifest
    assert read_bundle(copy).checksum == read_bundle(sound).checksum


@pytest.mark.parametrize(
    "file",
    ["scout.safetensors", "adapters/office/adapter_model.safetensors", "backbone/config.json"],
)
def test_one_changed_byte_is_noticed_and_the_file_named(copy: Path, file: str) -> None:
    raw = bytearray((copy / file).read_bytes())
    raw[len(raw) // 2] ^= 1
    (copy / file).write_bytes(raw)

    with pytest.raises(PolymorphError, match=file):
        read_bundle(copy)


def test_a_missing_file_is_named(copy: Path) -> None:
    (copy / "adapters/street/head.safetensors").unlink()

    with pytest.raises(PolymorphError, match=r"street/head\.safetensors"):
        read_bundle(copy)


def test_a_truncated_file_is_noticed_by_its_size(copy: Path) -> None:
    file = copy / "scout.safetensors"
    file.write_bytes(file.read_bytes()[:-10])

    with pytest.raises(PolymorphError, match="bytes"):
        read_bundle(copy)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda d: d.update(format_version=99), "format version 99"),
        (lambda d: d.update(surprise=1), "surprise"),
        (lambda d: d["labels"].append(d["labels"][0]), "twice"),
        (lambda d: d["contexts"][0]["labels"].append("unicorn"), "unicorn"),
        (lambda d: d["contexts"].pop(), "no context serves"),
        (lambda d: d["labels"][0].update(on=0.2, off=0.9), "above on"),
        (lambda d: d["files"][0].update(path="../../etc/passwd"), "leaves the bundle"),
        (lambda d: d["files"][0].update(path="/etc/passwd"), "leaves the bundle"),
        (lambda d: d["contexts"][0].update(folder="../elsewhere"), "elsewhere"),
        (lambda d: d["backbone"].update(name="../elsewhere"), "elsewhere"),
        (lambda d: d["files"].clear(), "scout.safetensors"),
    ],
)
def test_a_manifest_that_cannot_be_is_refused_with_the_fault(
    copy: Path, change: Callable[[dict], None], told: str
) -> None:
    edit_manifest(copy, change)

    with pytest.raises(PolymorphError, match=told):
        read_bundle(copy)


@pytest.mark.parametrize("raw", [b"", b"not json", b"[]", b'"text"', b"\xff\xfe"])
def test_a_manifest_that_is_no_document_is_refused(copy: Path, raw: bytes) -> None:
    (copy / MANIFEST_FILE).write_bytes(raw)

    with pytest.raises(PolymorphError, match=r"manifest\.json"):
        read_bundle(copy)


def test_a_link_out_of_the_bundle_is_refused(copy: Path, tmp_path: Path) -> None:
    scout = copy / "scout.safetensors"
    outside = tmp_path / "outside.safetensors"
    scout.rename(outside)
    scout.symlink_to(outside)

    with pytest.raises(PolymorphError, match="link out of it"):
        read_bundle(copy)


def test_no_folder_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(PolymorphError, match="no such folder"):
        read_bundle(tmp_path / "nowhere")


def test_a_failed_write_leaves_the_old_bundle_and_no_rubbish(copy: Path) -> None:
    before = read_bundle(copy).checksum
    neighbours = sorted(path.name for path in copy.parent.iterdir())

    def write_half(folder: Path) -> None:
        (folder / "scout.safetensors").write_bytes(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_bundle(copy, write_half, lambda files: pytest.fail("not reached"), replace=True)

    assert read_bundle(copy).checksum == before
    assert sorted(path.name for path in copy.parent.iterdir()) == neighbours


def test_while_a_bundle_is_replaced_there_is_one_at_every_moment(copy: Path) -> None:
    old, neighbours = read_bundle(copy), sorted(path.name for path in copy.parent.iterdir())
    renamed = old.manifest.model_copy(update={"name": "another"})
    done, missing = threading.Event(), 0

    def watch() -> None:
        nonlocal missing
        while not done.is_set():
            missing += not (copy / "manifest.json").is_file()

    def write_parts(folder: Path) -> None:
        for entry in old.manifest.files:
            (folder / entry.path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(copy / entry.path, folder / entry.path)

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(20):
        new = write_bundle(
            copy,
            write_parts,
            lambda files: renamed.model_copy(update={"files": files}),
            replace=True,
        )
    done.set()
    watcher.join()

    assert missing == 0
    assert new.manifest.name == "another"
    assert sorted(path.name for path in copy.parent.iterdir()) == neighbours


def test_an_existing_bundle_is_not_replaced_unasked(copy: Path) -> None:
    with pytest.raises(PolymorphError, match="does not exist yet"):
        write_tiny_bundle(copy)


def test_entries_check_themselves() -> None:
    with pytest.raises(ValueError, match="leaves the bundle"):
        FileEntry(path="a/../../b", sha256="0" * 64, size=0)
    with pytest.raises(ValueError, match="greater_than|greater than 0"):
        LabelEntry(name="x", on=0.5, off=0.4, cover=0.2, prior=0.0, appear_hz=1, vanish_hz=1)
