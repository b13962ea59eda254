"""Pins what stages keep: whole or not at all, found by all that decides it, made anew if damaged,
and one line when the disk is full.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from safetensors.torch import save_file

from polymorph_ros.errors import PolymorphError
from polymorph_ros.training.artifacts import (
    CHECKPOINT_FILE,
    Artifact,
    find,
    folder_of,
    make,
    sole_use,
)
from polymorph_ros.training.config import ContextsConfig

MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Note:
    """A stage that writes a text, and counts how often."""

    text: str
    config: ContextsConfig | None = None
    inputs: tuple[Artifact, ...] = ()
    diary: Path | None = field(default=None, metadata={"decides": False})
    device: str = field(default="cpu", metadata={"unless": "cpu"})

    @property
    def name(self) -> str:
        return "note"

    def write(self, folder: Path) -> None:
        if self.diary:
            with self.diary.open("a") as stream:
                stream.write("made\n")
        (folder / CHECKPOINT_FILE).write_text("not for keeping")
        (folder / ".note.txt.new").write_text("half of a note")
        (folder / "note.txt").write_text(self.text)


@dataclass(frozen=True)
class Large:
    """A stage that writes a file of some megabytes, with NumPy or as safetensors."""

    tensors: bool

    @property
    def name(self) -> str:
        return "large"

    def write(self, folder: Path) -> None:
        content = torch.zeros(MEGABYTE, dtype=torch.uint8)
        if self.tensors:
            save_file({"zeros": content}, folder / "large")
        else:
            (folder / "large").write_bytes(content.numpy().tobytes())


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """No file may become larger than this: as near to a full disk as a test can come safely."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_stage_is_run_once(tmp_path: Path) -> None:
    note = Note("hello", diary=tmp_path / "diary")

    first, second = make(note, tmp_path), make(note, tmp_path)

    assert first == second == find(note, tmp_path)
    assert (tmp_path / "diary").read_text() == "made\n"
    assert (first.folder / "note.txt").read_text() == "hello"
    assert sorted(file.name for file in first.folder.iterdir()) == ["note.txt", "stage.json"]


def test_a_device_decides_unless_it_is_the_usual_one(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Before(Note):
        device: ClassVar[str] = "cpu"

    Before.__name__ = "Note"  # the stage as it was before it had a device

    assert folder_of(Note("a"), tmp_path) == folder_of(Before("a"), tmp_path)
    assert folder_of(Note("a", device="cuda"), tmp_path) != folder_of(Note("a"), tmp_path)


def test_everything_that_decides_changes_the_place(tmp_path: Path) -> None:
    note = Note("a", ContextsConfig(count=1, labels_per_context=2))
    kept = make(note, tmp_path)
    others = [
        replace(note, text="b"),
        replace(note, config=ContextsConfig(count=2, labels_per_context=2)),
        replace(note, config=None),
        replace(note, inputs=(kept,)),
        replace(note, inputs=(replace(kept, digest="0"),)),
        replace(note, inputs=(kept, kept)),
    ]

    places = {folder_of(stage, tmp_path) for stage in (note, *others)}

    assert len(places) == 7
    assert folder_of(replace(note, diary=tmp_path), tmp_path) == kept.folder


def test_an_input_decides_by_its_content_not_its_folder(tmp_path: Path) -> None:
    here = make(Note("a"), tmp_path / "here")
    there = make(Note("a"), tmp_path / "there")

    note = Note("b", inputs=(here,))

    assert here.folder != there.folder
    assert folder_of(note, tmp_path) == folder_of(replace(note, inputs=(there,)), tmp_path)


@pytest.mark.parametrize("damage", ["change", "shorten", "remove", "no sums"])
def test_what_is_damaged_is_made_again(tmp_path: Path, damage: str) -> None:
    note, said = Note("hello"), []
    file = make(note, tmp_path).folder / "note.txt"
    if damage == "change":
        file.write_text("hullo")
    elif damage == "shorten":
        file.write_text("hell")
    else:
        (file if damage == "remove" else file.with_name("stage.json")).unlink()

    kept = make(note, tmp_path, said.append)

    assert (kept.folder / "note.txt").read_text() == "hello"
    assert len(said) == 1
    assert "damaged" in said[0]


@pytest.mark.parametrize("tensors", [False, True])
def test_a_full_disk_is_told_in_one_line_and_the_next_run_goes_on(
    tmp_path: Path, tensors: bool
) -> None:
    stage = Large(tensors)

    with disk_of(MEGABYTE // 2), pytest.raises(PolymorphError, match="room on the disk") as caught:
        make(stage, tmp_path)

    assert "\n" not in str(caught.value)
    assert find(stage, tmp_path) is None
    assert make(stage, tmp_path).folder.is_dir()


def test_a_work_folder_is_for_one_run(tmp_path: Path) -> None:
    with sole_use(tmp_path), pytest.raises(PolymorphError, match="in use"), sole_use(tmp_path):
        pass

    with sole_use(tmp_path):
        pass
