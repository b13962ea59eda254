"""Pins that a result bag is what the running node publishes: topics, types, every field.

The same frames go to the node through DDS and to an engine whose results are written as a bag.
Left open: values of measured time and energy and the incarnation, which differ from run to run,
and the stamp of LabelInfo, which is the node's own time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from rclpy.qos import DurabilityPolicy, QoSProfile
from rosbags.highlevel import AnyReader

from helpers.ros_peer import Peer, picture
from polymorph_ros import msg
from polymorph_ros.bundle.reader import read_bundle
from polymorph_ros.data.frame import Frame
from polymorph_ros.energy.ledger import EnergyLedger
from polymorph_ros.energy.meter import open_meter
from polymorph_ros.evaluation.frame_log import Cost
from polymorph_ros.evaluation.methods.engine_method import AS_THE_NODE
from polymorph_ros.evaluation.result_bag import result_bag
from polymorph_ros.interfaces import topics
from polymorph_ros.interfaces.bag_messages import message_types
from polymorph_ros.interfaces.topics import Topic
from polymorph_ros.model.polymorph import PolymorphModel
from polymorph_ros.ros.harness.images import image_message
from polymorph_ros.runtime.engine import Engine

FRAME_ID = "front_optical"
STAMPS_NS = [5_000_000_007 + number * 250_000_000 for number in range(6)]
OF_THE_NODE = {"joules_error", "joules_above_idle", "idle_watts"}  # NaN in a bag
MEASURED = {"joules", "mean_watts", "total_joules", "stage_seconds"} | OF_THE_NODE
OF_THIS_RUN = {"incarnation"}

Messages = dict[str, list[Any]]


def frames() -> list[Frame]:
    return [
        Frame(picture(seed), stamp_ns, frame_id=FRAME_ID) for seed, stamp_ns in enumerate(STAMPS_NS)
    ]


@pytest.fixture
def published(peer: Peer, active_node) -> Messages:
    """What the node publishes about the frames, by topic."""
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    active_node(cpu_threads=1)
    received = {
        topic.under(): peer.listen(
            getattr(msg, topic.type_name), topic.under(), latched if topic.latched else 50
        )
        for topic in topics.RESULTS
    }
    images = peer.images("image")
    for number, frame in enumerate(frames(), start=1):
        images.publish(image_message(frame.image, stamp_ns=frame.stamp_ns, frame_id=frame.frame_id))
        peer.wait_for(
            lambda number=number: len(received[topics.ENERGY.under()]) == number, "an answer"
        )
    return received


@pytest.fixture
def recorded(bundle_root: Path, tmp_path: Path) -> Iterator[AnyReader]:
    """A result bag of the same frames."""
    bundle = read_bundle(bundle_root / "tiny")
    torch.set_num_threads(1)
    model = PolymorphModel.from_bundle(bundle, "cpu")
    ledger = EnergyLedger(open_meter("estimated"))
    engine = Engine(model, bundle.manifest, ledger, AS_THE_NODE)
    with result_bag(tmp_path / "bag", bundle, "uncalibrated_estimate") as bag:
        for frame in frames():
            bag.add(engine.step(frame), Cost(0.01, 0.02, 0.01, math.nan), frame.frame_id)
    ledger.close()
    with AnyReader([tmp_path / "bag"], default_typestore=message_types()) as reader:
        yield reader


def messages_of(reader: AnyReader) -> Messages:
    found: Messages = {topic.under(): [] for topic in topics.RESULTS}
    for link, _, raw in reader.messages():
        found[link.topic].append(reader.deserialize(raw, link.msgtype))
    return found


def differences(ours: Any, theirs: Any, where: str = "") -> list[str]:
    """Fields in which a message of rclpy and one of rosbags differ."""
    if hasattr(ours, "get_fields_and_field_types"):
        names = list(ours.get_fields_and_field_types())
        if names != [name for name, _ in message_types().fielddefs[theirs.__msgtype__][1]]:
            return [f"{where}: fields {names}"]
        return [
            difference
            for name in names
            if name not in MEASURED | OF_THIS_RUN
            for difference in differences(
                getattr(ours, name), getattr(theirs, name), f"{where}.{name}"
            )
        ]
    if isinstance(ours, str | bool):
        return [] if ours == theirs else [f"{where}: {ours!r}, {theirs!r}"]
    if isinstance(ours, int | float):
        return [] if ours == pytest.approx(theirs, abs=1e-6, nan_ok=True) else [where]
    if len(ours) != len(theirs):
        return [f"{where}: {len(ours)} and {len(theirs)} entries"]
    pairs = enumerate(zip(ours, theirs, strict=True))
    return [found for place, pair in pairs for found in differences(*pair, f"{where}[{place}]")]


def test_the_bag_has_the_nodes_topics_with_their_types(
    peer: Peer, published: Messages, recorded: AnyReader
) -> None:
    own = dict(peer.node.get_publisher_names_and_types_by_node("polymorph", "/"))
    ours = {
        topic: kinds
        for topic, kinds in own.items()
        if topic.startswith("/polymorph/") and kinds[0].startswith(topics.PACKAGE)
    }

    assert ours == {link.topic: [link.msgtype] for link in recorded.connections}
    assert set(ours) == {topic.under() for topic in topics.RESULTS}


def test_every_field_of_the_bag_is_what_the_node_publishes(
    peer: Peer, published: Messages, recorded: AnyReader
) -> None:
    written = messages_of(recorded)
    # DDS keeps the order within a topic only: the last event may come after the last report
    peer.wait_for(
        lambda: all(len(published[topic]) >= len(written[topic]) for topic in written),
        "as many messages as in the bag",
    )

    assert all(published.values()), "a topic without a message compares nothing"
    info, written_info = topics.LABEL_INFO.under(), written[topics.LABEL_INFO.under()]
    published[info][0].header.stamp.sec = written_info[0].header.stamp.sec
    published[info][0].header.stamp.nanosec = written_info[0].header.stamp.nanosec
    found = [
        difference
        for topic, ours in published.items()
        for difference in differences(ours, written[topic], topic)
    ]
    assert found == []


def test_measured_values_are_of_the_same_kind(published: Messages, recorded: AnyReader) -> None:
    ours = published[topics.ENERGY.under()][-1]
    theirs = messages_of(recorded)[topics.ENERGY.under()][-1]

    assert len(ours.stage_seconds) == len(theirs.stage_seconds) == len(ours.stages)
    for name in OF_THE_NODE:
        assert getattr(ours, name) >= 0 and math.isnan(getattr(theirs, name))
    for name in MEASURED - OF_THE_NODE - {"stage_seconds"}:
        assert type(getattr(ours, name)) is type(getattr(theirs, name)) is float
        assert getattr(ours, name) > 0 and getattr(theirs, name) > 0


@pytest.mark.parametrize("topic", topics.RESULTS, ids=lambda topic: topic.name)
def test_definitions_for_bags_are_those_that_the_messages_were_built_from(topic: Topic) -> None:
    built = getattr(msg, topic.type_name).get_fields_and_field_types()

    assert list(built) == [name for name, _ in message_types().fielddefs[topic.type][1]]
