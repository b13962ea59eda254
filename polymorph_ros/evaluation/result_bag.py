"""Answers as a rosbag2 recording: the node's topics, each message at its image's stamp."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from rosbags.rosbag2 import StoragePlugin, Writer

from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.evaluation.frame_log import Cost
from polymorph_ros.files import new_folder
from polymorph_ros.interfaces import topics
from polymorph_ros.interfaces.bag_messages import message_types, serialise
from polymorph_ros.interfaces.stamps import stamp_fields
from polymorph_ros.interfaces.topics import Topic
from polymorph_ros.runtime import message_fields
from polymorph_ros.runtime.label_events import LabelEvents
from polymorph_ros.runtime.result import FrameResult

# Version of metadata.yaml: 9 writes QoS in a way that ROS 2 Humble cannot read.
_BAG_VERSION: Literal[8] = 8


@contextmanager
def result_bag(path: Path, bundle: Bundle, source: str) -> Iterator[ResultBag]:
    """Write one sequence's answers as MCAP; the folder appears whole at the end, or not at all.

    Args:
        path: the folder to write; one that exists is replaced.
        bundle: what answers.
        source: where the joules come from.
    """
    with new_folder(path, replace=True) as unfinished:
        unfinished.rmdir()  # rosbags creates it
        storage = StoragePlugin.MCAP
        with Writer(unfinished, version=_BAG_VERSION, storage_plugin=storage) as writer:
            yield ResultBag(writer, bundle, source)


class ResultBag:
    """The topics of the node's results in a bag, under the names of a node ``/polymorph``."""

    def __init__(self, writer: Writer, bundle: Bundle, source: str) -> None:
        self._writer = writer
        self._bundle = bundle
        self._source = source
        self._total = Cost(0.0, 0.0, 0.0, 0.0)
        self._frames = 0
        self._events = LabelEvents()
        self._connections = {
            topic: writer.add_connection(topic.under(), topic.type, typestore=message_types())
            for topic in topics.RESULTS
        }

    def add(self, result: FrameResult, cost: Cost, frame_id: str = "") -> None:
        """Add the answer to the next frame.

        Args:
            result: the engine's.
            cost: what the frame cost, as the evaluation measured it.
            frame_id: of the image's header.
        """
        if self._frames == 0:
            info = message_fields.label_info(self._bundle)
            self._write(topics.LABEL_INFO, info, result.stamp_ns, "")
        self._frames += 1
        self._total = Cost(
            self._total.seconds + cost.seconds,
            math.fsum((self._total.joules, cost.joules)),
            self._total.cpu_seconds + cost.cpu_seconds,
            self._total.gpu_seconds + cost.gpu_seconds,
        )
        for topic, fields in self._messages(result, cost):
            self._write(topic, fields, result.stamp_ns, frame_id)

    def _messages(
        self, result: FrameResult, cost: Cost
    ) -> Iterator[tuple[Topic, Mapping[str, Any]]]:
        """The messages about one frame in the node's order, without their headers."""
        yield topics.LABELS, message_fields.whole_label_array(result)
        for event in self._events.of(result):
            yield topics.EVENTS, event
        yield topics.CONTEXT, message_fields.context_state(result)
        total = self._total
        measured = {
            "source": self._source,
            "joules": cost.joules,
            "mean_watts": total.joules / total.seconds if total.seconds > 0 else math.nan,
            "total_joules": total.joules,
            "joules_error": math.nan,  # the report has it, for all frames together
            "joules_above_idle": math.nan,
            "idle_watts": math.nan,
            "frames": self._frames,
        }
        yield topics.ENERGY, {**message_fields.energy_report(result), **measured}

    def _write(self, topic: Topic, fields: Mapping[str, Any], stamp_ns: int, frame_id: str) -> None:
        header = {"stamp": stamp_fields(stamp_ns), "frame_id": frame_id}
        raw = serialise(topic.type, {"header": header, **fields})
        self._writer.write(self._connections[topic], stamp_ns, raw)
