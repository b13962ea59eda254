"""Answers as a rosbag2 recording: the node's topics, each message at its image's stamp."""

from __future__ import annotations

import math
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from rosbags.rosbag2 import StoragePlugin, Writer

from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.evaluation import messages
from polymorph_ros.evaluation.frame_log import Cost
from polymorph_ros.runtime.result import FrameResult

# Version of metadata.yaml: 9 writes QoS in a way that ROS 2 Humble cannot read.
_BAG_VERSION: Literal[8] = 8
_TOPICS = {
    "/polymorph/labels": "LabelArray",
    "/polymorph/label_events": "LabelEvent",
    "/polymorph/context": "ContextState",
    "/polymorph/energy": "EnergyReport",
    "/polymorph/label_info": "LabelInfo",
}


class ResultBag:
    """Writes one sequence's answers as MCAP; the folder appears whole, at the end of the context.

    Args:
        path: the folder to make; one that is there is replaced.
        bundle: what answers.
        source: where the joules come from.
    """

    def __init__(self, path: Path, bundle: Bundle, source: str) -> None:
        self._path = path
        self._bundle = bundle
        self._source = source
        self._total = Cost(0.0, 0.0, 0.0, 0.0)
        self._frames = 0

    def __enter__(self) -> ResultBag:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # the files inside bear the folder's name, so the unfinished folder has it too, elsewhere
        self._workshop = Path(
            tempfile.mkdtemp(prefix=f".{self._path.name}-", dir=self._path.parent)
        )
        self._writer = Writer(
            self._workshop / self._path.name,
            version=_BAG_VERSION,
            storage_plugin=StoragePlugin.MCAP,
        )
        self._writer.open()
        self._links = {
            topic: self._writer.add_connection(
                topic, f"{messages.PACKAGE}/{kind}", typestore=messages.message_types()
            )
            for topic, kind in _TOPICS.items()
        }
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.close()
        if kind is None:
            shutil.rmtree(self._path, ignore_errors=True)
            (self._workshop / self._path.name).rename(self._path)
        shutil.rmtree(self._workshop)

    def add(self, result: FrameResult, cost: Cost) -> None:
        """Add the answer to the next frame."""
        if self._frames == 0:
            info = messages.label_info(self._bundle, result.stamp_ns)
            self._write("/polymorph/label_info", info, result.stamp_ns)
        self._frames += 1
        self._total = Cost(
            self._total.seconds + cost.seconds,
            math.fsum((self._total.joules, cost.joules)),
            self._total.cpu_seconds + cost.cpu_seconds,
            self._total.gpu_seconds + cost.gpu_seconds,
        )
        stamp_ns = result.stamp_ns
        self._write("/polymorph/labels", messages.label_array(result), stamp_ns)
        for event in messages.label_events(result):
            self._write("/polymorph/label_events", event, stamp_ns)
        context = messages.context_state(result)
        self._write("/polymorph/context", context, stamp_ns)
        energy = messages.energy_report(result, cost, self._total, self._frames, self._source)
        self._write("/polymorph/energy", energy, stamp_ns)

    def _write(self, topic: str, message: Any, stamp_ns: int) -> None:
        raw = messages.message_types().serialize_cdr(
            message, f"{messages.PACKAGE}/{_TOPICS[topic]}"
        )
        self._writer.write(self._links[topic], stamp_ns, raw)
