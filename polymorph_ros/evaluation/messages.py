"""The node's messages without ROS: their definitions, and an engine's result as each of them."""

from __future__ import annotations

import math
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from polymorph_ros.arrays import NS_PER_S
from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.errors import PolymorphError
from polymorph_ros.evaluation.frame_log import Cost
from polymorph_ros.runtime.result import FrameResult

PACKAGE = "polymorph_ros/msg"


@cache
def message_types() -> Typestore:
    """ROS 2's common types and this package's own.

    Raises:
        PolymorphError: the package's ``msg`` folder is not where it is installed.
    """
    types = get_typestore(Stores.ROS2_HUMBLE)
    for file in sorted(_definitions().glob("*.msg")):
        types.register(get_types_from_msg(file.read_text("utf-8"), f"{PACKAGE}/{file.stem}"))
    return types


def _definitions() -> Path:
    source = Path(__file__).resolve().parents[2]
    prefixes = [*os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep), sys.prefix]
    shares = [Path(prefix) / "share" / "polymorph_ros" for prefix in prefixes if prefix]
    for folder in (source, *shares):
        if (folder / "msg" / "LabelArray.msg").is_file():
            return folder / "msg"
    raise PolymorphError(
        "the package's message definitions", "none in " + ", ".join(map(str, shares)),
        remedy="install the package again",
    )  # fmt: skip


def label_array(result: FrameResult) -> Any:
    """``LabelArray`` of one frame."""
    active = frozenset(result.active_indices)
    kind = message_types().types[f"{PACKAGE}/Label"]
    return message_types().types[f"{PACKAGE}/LabelArray"](
        header=_header(result.stamp_ns),
        camera=result.camera,
        state=int(result.state),
        reason=result.reason,
        novelty=result.unknown_scene.novelty,
        trust=result.unknown_scene.trust,
        labels=[
            kind(
                name=name,
                id=index,
                score=float(result.score_array[index]),
                active=index in active,
                source=int(result.sources[index]),
                age=float(result.ages_s[index]),
            )
            for index, name in enumerate(result.vocabulary)
        ],
    )


def label_events(result: FrameResult) -> list[Any]:
    """A ``LabelEvent`` for each label that appeared or vanished."""
    return [
        message_types().types[f"{PACKAGE}/LabelEvent"](
            header=_header(result.stamp_ns),
            camera=result.camera,
            kind=int(change.kind),
            name=change.name,
            id=change.index,
            score=change.score,
            first_stamp=_time(change.first_stamp_ns),
        )
        for change in result.changes
    ]


def context_state(result: FrameResult) -> Any:
    """``ContextState`` of one frame."""
    cover = result.cover
    return message_types().types[f"{PACKAGE}/ContextState"](
        header=_header(result.stamp_ns),
        camera=result.camera,
        adapters=list(result.adapters),
        adapter_ids=np.array(cover.adapters, np.uint32),
        changed=cover.changed,
        reason=cover.reason,
        uncovered=list(result.uncovered),
    )


def energy_report(result: FrameResult, cost: Cost, total: Cost, frames: int, source: str) -> Any:
    """``EnergyReport`` of one frame, with the joules that the evaluation measured."""
    watts = total.joules / total.seconds if total.seconds > 0 else math.nan
    return message_types().types[f"{PACKAGE}/EnergyReport"](
        header=_header(result.stamp_ns),
        camera=result.camera,
        source=source,
        joules=cost.joules,
        mean_watts=watts,
        total_joules=total.joules,
        frames=frames,
        adapters_run=len(result.cover.adapters),
        stages=list(result.stage_seconds),
        stage_seconds=np.array(list(result.stage_seconds.values()), np.float32),
    )


def label_info(bundle: Bundle, stamp_ns: int) -> Any:
    """``LabelInfo`` of a bundle."""
    manifest = bundle.manifest
    kind = message_types().types[f"{PACKAGE}/ContextInfo"]
    return message_types().types[f"{PACKAGE}/LabelInfo"](
        header=_header(stamp_ns),
        bundle=manifest.name,
        checksum=bundle.checksum,
        labels=[label.name for label in manifest.labels],
        on_thresholds=np.array([label.on for label in manifest.labels], np.float32),
        off_thresholds=np.array([label.off for label in manifest.labels], np.float32),
        contexts=[
            kind(name=context.name, labels=list(context.labels)) for context in manifest.contexts
        ],
    )


def _header(stamp_ns: int) -> Any:
    kind = message_types().types["std_msgs/msg/Header"]
    return kind(stamp=_time(stamp_ns), frame_id="")


def _time(stamp_ns: int) -> Any:
    kind = message_types().types["builtin_interfaces/msg/Time"]
    return kind(sec=stamp_ns // NS_PER_S, nanosec=stamp_ns % NS_PER_S)
