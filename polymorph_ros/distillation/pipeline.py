"""From a configuration to a student."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from polymorph_ros.data.dataset import Fault
from polymorph_ros.distillation.config import DistillConfig, FolderStudentConfig, StudentConfig
from polymorph_ros.distillation.learning import LOSSES_FILE, STUDENT_FOLDER, StudentStage
from polymorph_ros.distillation.lessons import AnswersStage, Asker
from polymorph_ros.distillation.open_teacher import content_of, name_of, open_teacher
from polymorph_ros.distillation.pictures import (
    PicturesStage,
    faults_of,
    load_pictures,
    pictures_stage,
)
from polymorph_ros.distillation.plan import DistillPlan, plan_of, stored_plan
from polymorph_ros.distillation.student import Student, new_student
from polymorph_ros.errors import PolymorphError
from polymorph_ros.files import new_folder, write_json
from polymorph_ros.model.gpu import choose_device
from polymorph_ros.training.artifacts import Artifact, Log, disk_full_as_error, make, sole_use
from polymorph_ros.training.loop import Schedule, set_up_torch
from polymorph_ros.training.stages.backbone import content_of_checkpoint

REPORT_FILE = "distillation.json"


@dataclass(frozen=True)
class Distilled:
    """What came of a run.

    Attributes:
        plan: what was done.
        losses: what is left of each, weighted, on pictures as they are.
        left_out: pictures that could not be read, and why.
    """

    plan: DistillPlan
    losses: dict[str, float]
    left_out: tuple[Fault, ...]


def distil(
    config: DistillConfig, out: Path, work: Path, minutes: float | None, log: Log
) -> Distilled:
    """Teach a student and write it.

    Args:
        config: who teaches whom, on what.
        out: the student's folder, which ``backbone: {folder: …}`` of a training configuration
            takes; an earlier student there is replaced at the end.
        work: where pictures and answers are stored; a run that was stopped continues from them.
        minutes: for teacher and student, about; None: as many steps as the configuration says.
        log: takes a line on what was done.

    Raises:
        PolymorphError: teacher, student or recordings cannot be used, or the disk is full.
    """
    if out.exists() and not (out / REPORT_FILE).is_file():
        raise PolymorphError(
            "a student or nothing in the place to write to", "something else", where=str(out)
        )
    with sole_use(work), disk_full_as_error(work):
        parts = _Parts.of(config)
        pictures = make(parts.decoding, work, log)
        planned = partial(_plan, parts, len(load_pictures(pictures)), minutes, work)
        plan = planned() if minutes is None else stored_plan(parts.key, minutes, work, planned)
        log(f"{plan.pictures} pictures, {plan.steps} steps, about {plan.seconds / 60:.1f} minutes")
        lessons = parts.lessons(pictures, plan)
        answers = make(lessons, work, log) if plan.views else None
        learned = make(parts.learning(lessons, answers, plan), work, log)
        losses: dict[str, float] = json.loads(
            (learned.folder / LOSSES_FILE).read_text(encoding="utf-8")
        )
        left_out = tuple(faults_of(pictures))
        with new_folder(out, replace=True) as folder:
            shutil.copytree(learned.folder / STUDENT_FOLDER, folder, dirs_exist_ok=True)
            write_json(folder / REPORT_FILE, _report(config, plan, losses, len(left_out)))
    return Distilled(plan, losses, left_out)


def plan_distillation(config: DistillConfig, work: Path, minutes: float | None) -> DistillPlan:
    """What a run would do; nothing is written, and no picture is decoded.

    Raises:
        PolymorphError: as the run itself would, where that can be seen from what there is.
    """
    parts = _Parts.of(config)
    count = sum(
        -(-sum(1 for _ in source.recording.moments()) // source.every)
        for source in parts.decoding.sources
    )
    return _plan(parts, count, minutes, work)


@dataclass(frozen=True)
class _Parts:
    """What a run needs, loaded and checked before anything long begins."""

    config: DistillConfig
    student: Student
    asker: Asker
    decoding: PicturesStage
    start: str
    teacher: str
    device: str

    @classmethod
    def of(cls, config: DistillConfig) -> _Parts:
        device = str(choose_device(config.device))
        set_up_torch(config.threads, device)
        start, content = _start_of(config.student), content_of(config.teacher)
        student = new_student(config.student, config.seed).to(device)
        teacher = open_teacher(config.teacher, config.threads, device)
        where = name_of(config.teacher)
        asker = Asker(teacher, config.losses, student.preprocessing, student.grid, where, device)
        side = max(teacher.preprocessing.size, student.preprocessing.size)
        decoding = pictures_stage(config.recordings, side)
        return cls(config, student, asker, decoding, start, content, device)

    @property
    def key(self) -> str:
        """What decides how long it takes, but for the machine."""
        return (
            f"{self.config.model_dump_json()} {self.decoding.content} {self.start} {self.teacher}"
        )

    def lessons(self, pictures: Artifact, plan: DistillPlan) -> AnswersStage:
        """The stage that asks the teacher."""
        config = self.config
        return AnswersStage(
            pictures,
            self.teacher,
            config.views.model_copy(update={"count": plan.views}) if plan.views else config.views,
            config.losses,
            self.student.preprocessing,
            self.student.grid,
            config.seed,
            config.threads,
            config.teacher,
            self.device,
        )

    def learning(
        self, lessons: AnswersStage, answers: Artifact | None, plan: DistillPlan
    ) -> StudentStage:
        """The stage that teaches the student."""
        config = self.config
        schedule = Schedule(
            epochs=0,
            batch_size=config.batch_size,
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            seed=config.seed,
            least_steps=plan.steps,
        )
        return StudentStage(self.start, lessons, answers, schedule, config.student, self.device)


def _plan(parts: _Parts, count: int, minutes: float | None, work: Path) -> DistillPlan:
    return plan_of(parts.config, parts.student, parts.asker, count, minutes, work)


def _start_of(config: StudentConfig) -> str:
    """What decides the weights that a student starts from, beside the seed."""
    if isinstance(config, FolderStudentConfig):
        return f"{content_of_checkpoint(config.folder)} {config.image_size}"
    return config.model_dump_json()


def _report(
    config: DistillConfig, plan: DistillPlan, losses: dict[str, float], left_out: int
) -> dict[str, object]:
    """What a reader of the folder wants to know of where the student comes from."""
    settings = config.model_dump(mode="json", exclude_defaults=True)
    return {"settings": settings, **asdict(plan), "losses": losses, "left_out": left_out}
