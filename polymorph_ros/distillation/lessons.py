"""Pictures with the teacher's answers: stored once, or asked for in every step."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from polymorph_ros.arrays import Indices
from polymorph_ros.bundle.manifest import Preprocessing
from polymorph_ros.distillation.answers import PATCHES, Answers, Teacher, check_finite, on_grid
from polymorph_ros.distillation.config import LossesConfig, TeacherConfig, ViewsConfig
from polymorph_ros.distillation.losses import wanted
from polymorph_ros.distillation.open_teacher import name_of, open_teacher
from polymorph_ros.distillation.pictures import load_pictures, names_of
from polymorph_ros.distillation.views import stored_views, view_of
from polymorph_ros.errors import PolymorphError
from polymorph_ros.model.preprocess import Preprocessor
from polymorph_ros.progress import progress_bar
from polymorph_ros.training.artifacts import Artifact
from polymorph_ros.training.loop import ON_CPU, set_up_torch
from polymorph_ros.training.rows import Row, RowWriter

_BATCH = 16
_SAMPLE = 256  # views of which mean and deviation of answers are taken
_PIXELS = "pixels"
_LARGEST = float(np.finfo(np.float16).max)


class Lesson(NamedTuple):
    """A batch: the student's pixels, float32 (B, 3, S, S), and answers; patches (B, N, D)."""

    pixels: Tensor
    answers: Answers


class Lessons(Protocol):
    """Where batches come from."""

    def batch(self, frames: Indices, rng: np.random.Generator) -> Lesson:
        """A view of each of these pictures."""
        ...

    def sample(self) -> Lesson:
        """Some pictures as they are."""
        ...


@dataclass(frozen=True)
class Asker:
    """Has a teacher answer to views of pictures, fitted to a student.

    Attributes:
        teacher: who answers, and where it is.
        losses: what is not wanted is left out.
        student: how pictures become the student's input.
        grid: patches in a row of the student.
        where: the teacher's name, for errors.
    """

    teacher: Teacher
    losses: LossesConfig
    student: Preprocessing
    grid: int
    where: str
    device: str

    def lesson(self, views: NDArray[np.uint8], names: list[str]) -> Lesson:
        """Pixels and answers of views, uint8 RGB (B, side, side, 3).

        Raises:
            PolymorphError: an answer is not finite, or none is wanted.
        """
        pixels = Preprocessor(self.teacher.preprocessing, self.device).batch(views)
        answers = dict(wanted(self.losses, self.teacher(pixels)))
        if not answers:
            raise PolymorphError(
                "a loss with a weight, of something that the teacher has", "none", where="losses"
            )
        check_finite(answers, names, f"teacher {self.where}")
        if PATCHES in answers:
            answers[PATCHES] = on_grid(answers[PATCHES], self.grid)
        return Lesson(Preprocessor(self.student, self.device).batch(views), answers)


@dataclass(frozen=True)
class AnswersStage:
    """Views of all pictures, shrunk to the student's size, with the teacher's answers.

    Attributes:
        content: what decides the teacher's answers.
        grid: patches in a row of the student.
        teacher: where it is.
    """

    pictures: Artifact
    content: str
    views: ViewsConfig
    losses: LossesConfig
    student: Preprocessing
    grid: int
    seed: int
    threads: int
    teacher: TeacherConfig = field(metadata={"decides": False})
    device: str = field(default="cpu", metadata=ON_CPU)
    name: ClassVar[str] = "answers"

    def write(self, folder: Path) -> None:
        """Ask, after the batches that an earlier attempt asked for."""
        set_up_torch(self.threads, self.device)
        pictures, names = load_pictures(self.pictures), names_of(self.pictures)
        asker = self.asker()
        shrink = Preprocessor(self.student, "cpu").shrunk
        side, total = self.student.size, self.views.count * len(pictures)
        first = asker.lesson(pictures[:1], names)
        rows = {kind: Row(np.float16, tuple(v.shape[1:])) for kind, v in first.answers.items()}
        rows[_PIXELS] = Row(np.uint8, (side, side, 3))
        with RowWriter(folder, rows, whole=_BATCH) as writer, progress_bar() as bars:
            task = bars.add_task("teacher", total=total, completed=writer.rows, note="")
            for start in range(writer.rows, total, _BATCH):
                numbers = np.arange(start, min(start + _BATCH, total))
                views = stored_views(pictures, numbers, self.views, self.seed)
                lesson = asker.lesson(views, [names[n % len(names)] for n in numbers])
                halves = {
                    kind: values.clamp(-_LARGEST, _LARGEST).half().cpu().numpy()
                    for kind, values in lesson.answers.items()
                }
                writer.append(pixels=np.stack([shrink(view) for view in views]), **halves)
                bars.update(task, advance=len(numbers))

    def asker(self) -> Asker:
        """The teacher, loaded."""
        return Asker(
            open_teacher(self.teacher, self.threads, self.device),
            self.losses, self.student, self.grid, name_of(self.teacher), self.device,
        )  # fmt: skip


class StoredLessons:
    """Lessons of an ``AnswersStage``, mapped from the disk."""

    def __init__(self, answers: Artifact, count: int, student: Preprocessing, device: str) -> None:
        self._count = count
        self._preprocessor = Preprocessor(student, device)
        files = {file.stem: file for file in sorted(answers.folder.glob("*.npy"))}
        self._arrays = {kind: np.load(file, mmap_mode="r") for kind, file in files.items()}
        self._pixels = self._arrays.pop(_PIXELS)

    def batch(self, frames: Indices, rng: np.random.Generator) -> Lesson:
        views = len(self._pixels) // self._count
        return self._rows(rng.integers(views, size=len(frames)) * self._count + frames)

    def sample(self) -> Lesson:
        return self._rows(_spread(self._count))

    def _rows(self, rows: Indices) -> Lesson:
        answers = {
            kind: torch.from_numpy(values[rows].astype(np.float32)).to(self._preprocessor.device)
            for kind, values in self._arrays.items()
        }
        return Lesson(self._preprocessor.batch(self._pixels[rows]), answers)


class LiveLessons:
    """New views in every step, and a teacher that answers to each."""

    def __init__(self, pictures: Artifact, asker: Asker, views: ViewsConfig) -> None:
        self._pictures, self._names = load_pictures(pictures), names_of(pictures)
        self._asker, self._views = asker, views

    def batch(self, frames: Indices, rng: np.random.Generator) -> Lesson:
        views = [view_of(self._pictures, frame, self._views, rng) for frame in frames.tolist()]
        return self._asker.lesson(np.stack(views), [self._names[frame] for frame in frames])

    def sample(self) -> Lesson:
        frames = _spread(len(self._pictures))
        lessons = [
            self._asker.lesson(self._pictures[part], [self._names[frame] for frame in part])
            for part in np.array_split(frames, -(-len(frames) // _BATCH))
        ]
        kinds = lessons[0].answers
        answers = {kind: torch.cat([lesson.answers[kind] for lesson in lessons]) for kind in kinds}
        return Lesson(torch.cat([lesson.pixels for lesson in lessons]), answers)


def _spread(count: int) -> Indices:
    """Some pictures from all over."""
    return np.unique(np.linspace(0, count - 1, min(count, _SAMPLE)).astype(np.int64))
