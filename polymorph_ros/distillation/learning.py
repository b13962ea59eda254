"""Stage: the student learns."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from polymorph_ros.arrays import Indices
from polymorph_ros.distillation.config import StudentConfig
from polymorph_ros.distillation.lessons import AnswersStage, Lessons, LiveLessons, StoredLessons
from polymorph_ros.distillation.losses import Comparison
from polymorph_ros.distillation.pictures import load_pictures
from polymorph_ros.distillation.student import Student, new_student
from polymorph_ros.files import write_json
from polymorph_ros.training.artifacts import CHECKPOINT_FILE, Artifact
from polymorph_ros.training.loop import ON_CPU, Schedule, fit, set_up_torch

STUDENT_FOLDER = "student"
LOSSES_FILE = "losses.json"
_BATCH = 32


@dataclass(frozen=True)
class StudentStage:
    """A student, taught by stored answers, or by a teacher that answers in every step.

    Attributes:
        content: what decides the weights that it starts from.
        lessons: how answers are asked for, and with it the pictures, teacher and losses.
        answers: those that are stored; None: they are asked for in every step.
        config: where the student's first weights are, or its measures.
    """

    content: str
    lessons: AnswersStage
    answers: Artifact | None
    schedule: Schedule
    config: StudentConfig = field(metadata={"decides": False})
    device: str = field(default="cpu", metadata=ON_CPU)
    name: ClassVar[str] = "student"

    def write(self, folder: Path) -> None:
        """Train, and save the checkpoint and the losses that are left."""
        seed = self.schedule.seed
        set_up_torch(self.lessons.threads, self.device)
        student = new_student(self.config, seed).to(self.device)
        lessons = self._lessons()
        sample = lessons.sample()
        torch.manual_seed(seed)
        comparison = Comparison(self.lessons.losses, student.sizes, sample.answers).to(self.device)
        student.train()

        def loss_of(batch: Indices, rng: np.random.Generator) -> Tensor:
            lesson = lessons.batch(batch, rng)
            losses = comparison(student(lesson.pixels), lesson.answers)
            return torch.stack(list(losses.values())).sum()

        fit(
            "student",
            [*student.parameters(), *comparison.parameters()],
            loss_of,
            np.arange(len(load_pictures(self.lessons.pictures))),
            self.schedule,
            folder / CHECKPOINT_FILE,
            student.buffers(),
        )
        student.eval().cpu().save(folder / STUDENT_FOLDER)
        write_json(folder / LOSSES_FILE, _losses(student.to(self.device), comparison, lessons))

    def _lessons(self) -> Lessons:
        if self.answers is None:
            return LiveLessons(self.lessons.pictures, self.lessons.asker(), self.lessons.views)
        count = len(load_pictures(self.lessons.pictures))
        return StoredLessons(self.answers, count, self.lessons.student, self.device)


def _losses(student: Student, comparison: Comparison, lessons: Lessons) -> dict[str, float]:
    """Each weighted loss on pictures as they are."""
    pixels, answers = lessons.sample()
    sums: dict[str, float] = {}
    with torch.inference_mode():
        for first in range(0, len(pixels), _BATCH):
            part = slice(first, first + _BATCH)
            found = student(pixels[part])
            losses = comparison(found, {kind: values[part] for kind, values in answers.items()})
            for kind, loss in losses.items():
                sums[kind] = sums.get(kind, 0.0) + float(loss) * len(pixels[part])
    return {kind: round(total / len(pixels), 5) for kind, total in sums.items()}
