"""Pins `files.py`: a file or folder is whole or as it was, whatever happens while it is written."""

from __future__ import annotations

import json
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from polymorph_ros.errors import PolymorphError
from polymorph_ros.files import new_folder, replacing, write_json, write_text


def test_a_file_is_replaced_and_its_folder_is_created(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "rows.json"

    write_json(file, [1])
    write_json(file, {"größe": 2})

    assert json.loads(file.read_text(encoding="utf-8")) == {"größe": 2}
    assert [path.name for path in file.parent.iterdir()] == ["rows.json"]


def test_a_failing_body_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    write_text(file, "before")

    def fail() -> None:
        with replacing(file) as unfinished:
            unfinished.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    assert file.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def write_to_a_file(place: Path) -> None:
    write_text(place, "text")


def write_to_a_folder(place: Path) -> None:
    with new_folder(place):
        pass


@pytest.mark.parametrize("write", [write_to_a_file, write_to_a_folder])
def test_a_place_below_a_file_is_refused(tmp_path: Path, write: Callable[[Path], None]) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(PolymorphError, match="file/below: expected a place that can be written"):
        write(tmp_path / "file" / "below")


def test_a_full_disk_is_one_line_and_the_old_file_stays(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    write_text(file, "before")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(PolymorphError, match=r"a\.txt: expected room on the disk"):
            write_text(file, "x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)

    assert file.read_text() == "before"


def test_a_folder_appears_whole_under_its_own_name(tmp_path: Path) -> None:
    target = tmp_path / "bag"

    with new_folder(target) as unfinished:
        assert unfinished.name == "bag"
        assert not target.exists()
        (unfinished / "bag.mcap").write_text("data")

    assert (target / "bag.mcap").read_text() == "data"
    assert os.listdir(tmp_path) == ["bag"]


def test_a_folder_that_exists_is_left_alone_unless_it_may_be_replaced(tmp_path: Path) -> None:
    target = tmp_path / "bag"
    target.mkdir()
    (target / "old").touch()

    with pytest.raises(PolymorphError, match="does not exist yet"), new_folder(target):
        pass
    assert os.listdir(target) == ["old"]
    with new_folder(target, replace=True) as unfinished:
        (unfinished / "new").touch()

    assert os.listdir(target) == ["new"]


def test_a_failing_body_leaves_no_folder(tmp_path: Path) -> None:
    def fail() -> None:
        with new_folder(tmp_path / "bag") as unfinished:
            (unfinished / "half").touch()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    assert os.listdir(tmp_path) == []
