"""How long teacher and student take on this machine, and what of it fits into the time."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from polymorph_ros.distillation.config import DistillConfig
from polymorph_ros.distillation.lessons import Asker
from polymorph_ros.distillation.losses import Comparison
from polymorph_ros.distillation.student import Student
from polymorph_ros.errors import PolymorphError
from polymorph_ros.files import free_bytes, write_json

_TEACHER_SHARE = 0.4  # of the time, at most, where views are stored
_FEW = 4  # pictures that the teacher is timed with
_TAKEN = 3  # the shortest of so many
_GREY = "a grey picture"


@dataclass(frozen=True)
class DistillPlan:
    """What a run does.

    Attributes:
        pictures: how many there are.
        views: stored views of each; 0: new ones in every step.
        steps: gradient steps.
        teacher_frame_s, step_s: measured just now; a step's time is without the teacher's.
        stored_bytes: of views and answers on the disk.
        parameters: of the student.
        seconds: of teacher and student, estimated.
    """

    pictures: int
    views: int
    steps: int
    teacher_frame_s: float
    step_s: float
    stored_bytes: int
    parameters: int
    seconds: float


def plan_of(
    config: DistillConfig,
    student: Student,
    asker: Asker,
    pictures: int,
    minutes: float | None,
    work: Path,
) -> DistillPlan:
    """Time a few steps, and decide on views and steps.

    Storing pays where steps use each view more than once: then the teacher has less to do.

    Args:
        pictures: how many there are.
        minutes: for teacher and student; None: as many steps as the configuration says.
        work: on the disk that the answers go to.

    Raises:
        PolymorphError: the time is too short for one step.
    """
    side = max(asker.teacher.preprocessing.size, asker.student.size)
    some = np.full((config.batch_size, side, side, 3), 128, np.uint8)
    names = [_GREY] * len(some)
    teacher_s = _shortest(lambda: asker.lesson(some[:_FEW], names)) / _FEW
    answers = asker.lesson(some[:_FEW], names).answers
    step_s = _shortest(_step_of(config, student, asker, some))
    row_bytes = 3 * asker.student.size**2 + 2 * sum(v[0].numel() for v in answers.values())
    views, steps = config.views.count, config.steps
    if minutes is not None:
        most = _TEACHER_SHARE * 60 * minutes / (teacher_s * pictures)
        views = max(1, min(views, int(most)))
        steps = int((60 * minutes - views * pictures * teacher_s) / step_s)
    live_s = step_s + config.batch_size * teacher_s
    if not _stores(config, views, steps, pictures, row_bytes, work):
        views, steps = 0, steps if minutes is None else int(60 * minutes / live_s)
    if steps < 1:
        raise PolymorphError(
            "time for a step", f"{minutes} minutes; the teacher takes {teacher_s:.2f} s for a "
            f"picture, a step {step_s:.2f} s", where="--minutes",
            remedy="give more, or lower batch_size or teacher.image_size",
        )  # fmt: skip
    rows = views * pictures
    return DistillPlan(
        pictures=pictures,
        views=views,
        steps=steps,
        teacher_frame_s=teacher_s,
        step_s=step_s,
        stored_bytes=rows * row_bytes,
        parameters=sum(weight.numel() for weight in student.model.parameters()),
        seconds=rows * teacher_s + steps * (step_s if views else live_s),
    )


def stored_plan(
    key: str, minutes: float, work: Path, make: Callable[[], DistillPlan]
) -> DistillPlan:
    """The plan of an earlier attempt, so that a run that continues takes as many steps.

    Args:
        key: what decides how long it takes, but for the machine.
        minutes: it is given.
        work: where the plan is.
        make: the plan, where there is none yet.
    """
    name = hashlib.sha256(f"{key} {minutes}".encode()).hexdigest()[:12]
    file = work / f"plan-{name}.json"
    if file.is_file():
        return DistillPlan(**json.loads(file.read_text(encoding="utf-8")))
    plan = make()
    write_json(file, asdict(plan))
    return plan


def _stores(
    config: DistillConfig, views: int, steps: int, pictures: int, row_bytes: int, work: Path
) -> bool:
    if config.views.cache != "auto":
        return config.views.cache == "always"
    rows = views * pictures
    return rows < steps * config.batch_size and rows * row_bytes < free_bytes(work)


def _step_of(
    config: DistillConfig, student: Student, asker: Asker, some: np.ndarray
) -> Callable[[], None]:
    """A training step on grey pictures, of a student that is thrown away."""
    pixels, answers = asker.lesson(some[:2], [_GREY] * 2)
    full = {
        kind: values[:1].expand(len(some), *values.shape[1:]) for kind, values in answers.items()
    }
    comparison = Comparison(config.losses, student.sizes, answers).to(pixels.device)
    batch = pixels[:1].expand(len(some), *pixels.shape[1:]).contiguous()
    trained = student.train()
    optimizer = torch.optim.AdamW([*trained.parameters(), *comparison.parameters()], lr=0.0)

    def step() -> None:
        loss = torch.stack(list(comparison(trained(batch), full).values())).sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        loss.item()

    return step


def _shortest(run: Callable[[], object]) -> float:
    """Seconds of the shortest of a few runs after one that warms up."""
    run()
    times = []
    for _ in range(_TAKEN):
        start_s = time.perf_counter()
        run()
        times.append(time.perf_counter() - start_s)
    return min(times)
