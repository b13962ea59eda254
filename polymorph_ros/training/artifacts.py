"""What stages write: folders named by the hash of everything that decides their content.

A stage is a frozen dataclass. Its fields are all that decides its result: parts of the
configuration, and the artifacts of other stages, which count by their content. So a run that was
stopped, or one that changes only a late stage, repeats only what it has to.

A folder appears under its own name only when it is whole. While a stage works, its folder has a
hidden name and stays where the work stops, so that a stage may continue inside itself.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel
from safetensors import SafetensorError

from polymorph_ros.bundle.reader import file_sha256
from polymorph_ros.errors import PolymorphError
from polymorph_ros.files import DISK_FULL, cannot_write, write_json
from polymorph_ros.training.cost import Rates, StageCost

SUMS_FILE = "stage.json"
CHECKPOINT_FILE = "checkpoint.safetensors"
"""Of a stage that is not done yet."""
_LOCK_FILE = ".lock"
_PLANNED = "planned"  # no SHA-256: a stage with a planned input is never found

Log = Callable[[str], None]
"""Takes a line on what was done."""


class Stage(Protocol):
    """A piece of training that can be sent anywhere: a frozen dataclass that pickles.

    A field with ``metadata={"decides": False}`` has no part in the result; one with
    ``metadata={"unless": VALUE}`` has none where it has that value.
    """

    @property
    def name(self) -> str:
        """What the folder's name begins with."""
        ...

    def write(self, folder: Path) -> None:
        """Write the result into a folder, which may hold what an interrupted attempt left."""
        ...


class GraphStage(Stage, Protocol):
    """A stage of the training graph: it also says what it costs."""

    def cost(self, rates: Rates) -> StageCost:
        """The cost; estimated from the configuration as far as inputs are only planned."""
        ...


@dataclass(frozen=True)
class Artifact:
    """What a stage wrote.

    Attributes:
        folder: where it is.
        digest: SHA-256 over the checksums of all of its files.
    """

    folder: Path
    digest: str


@dataclass(frozen=True)
class Planned(Artifact):
    """What a stage will write; nothing is there yet."""

    stage: Stage


def planned(stage: Stage, work: Path) -> Planned:
    """The artifact of a stage that was not run."""
    return Planned(folder_of(stage, work), _PLANNED, stage)


def make(stage: Stage, work: Path, log: Log = lambda line: None) -> Artifact:
    """Run a stage, unless its artifact is in the work folder already, undamaged.

    Raises:
        PolymorphError: the disk is full; what was done so far stays.
    """
    found = find(stage, work)
    if found is not None:
        return found
    place = folder_of(stage, work)
    if place.exists():
        log(f"{place} is damaged: it is computed again")
        shutil.rmtree(place)
    scratch = _scratch_of(stage, work)
    with disk_full_as_error(work):
        scratch.mkdir(parents=True, exist_ok=True)
        stage.write(scratch)
        for file in scratch.rglob("*"):
            # What is hidden was being written when an earlier attempt was killed.
            if file.name == CHECKPOINT_FILE or file.name.startswith("."):
                file.unlink()
        sums = {
            file.relative_to(scratch).as_posix(): [file.stat().st_size, file_sha256(file)]
            for file in sorted(scratch.rglob("*"))
            if file.is_file() and file.name != SUMS_FILE
        }
        write_json(scratch / SUMS_FILE, sums)
        scratch.rename(place)
    return Artifact(place, _digest(sums))


def find(stage: Stage, work: Path) -> Artifact | None:
    """The artifact of an earlier run; none where there is nothing or not all of it."""
    place = folder_of(stage, work)
    try:
        sums = json.loads((place / SUMS_FILE).read_text(encoding="utf-8"))
        for name, (size, sha256) in sums.items():
            file = place / name
            if file.stat().st_size != size or file_sha256(file) != sha256:
                return None
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    return Artifact(place, _digest(sums))


def folder_of(stage: Stage, work: Path) -> Path:
    """The folder of a stage's artifact."""
    key = hashlib.sha256(_text(stage).encode()).hexdigest()[:12]
    return work / f"{stage.name}-{key}"


def is_begun(stage: Stage, work: Path) -> bool:
    """Whether an attempt at the stage was broken off."""
    return _scratch_of(stage, work).is_dir()


def _scratch_of(stage: Stage, work: Path) -> Path:
    place = folder_of(stage, work)
    return place.with_name(f".{place.name}.part")


@contextmanager
def sole_use(work: Path) -> Iterator[None]:
    """Keep other runs out of a work folder; the lock ends with the process, however it ends.

    Raises:
        PolymorphError: another run has it.
    """
    work.mkdir(parents=True, exist_ok=True)
    with (work / _LOCK_FILE).open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PolymorphError(
                "a work folder that no other run is in", "one that is in use", where=str(work),
                remedy="wait for that run, or name another folder with --work",
            ) from None  # fmt: skip
        yield


@contextmanager
def sole_attempt(stage: Stage, work: Path) -> Iterator[None]:
    """Wait until no other process, on any machine that has the folder, works on a stage."""
    work.mkdir(parents=True, exist_ok=True)
    place = folder_of(stage, work)
    file = place.with_name(f".{place.name}.lock")
    with file.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
    # Whoever waited for it finds the stage's artifact, and needs no lock.
    file.unlink(missing_ok=True)


@contextmanager
def disk_full_as_error(where: Path) -> Iterator[None]:
    """Report a full disk (or quota, or file size limit) as a mistake that can be mended."""
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        raise cannot_write(where, error) from error
    except SafetensorError as error:
        # It names the cause only in words: "I/O error: No space left on device (os error 28)".
        if not any(f"os error {number}" in str(error) for number in DISK_FULL):
            raise
        raise cannot_write(where, OSError(errno.ENOSPC, str(error))) from error


def _digest(sums: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(sums, sort_keys=True).encode()).hexdigest()


def _text(value: object) -> str:
    """A text that is the same exactly where the value decides the same."""
    if isinstance(value, Artifact):
        return value.digest
    if isinstance(value, BaseModel):
        return value.model_dump_json()
    if is_dataclass(value):
        parts = [
            f"{part.name}={_text(getattr(value, part.name))}"
            for part in fields(value)
            if part.metadata.get("decides", True)
            and getattr(value, part.name) != part.metadata.get("unless", part)
        ]
        return f"{type(value).__name__}({', '.join(parts)})"
    if isinstance(value, tuple):
        return f"({', '.join(_text(part) for part in value)})"
    if value is None or isinstance(value, (str, int, float)):
        return repr(value)
    raise TypeError(f"{type(value).__name__} does not say what it decides")
