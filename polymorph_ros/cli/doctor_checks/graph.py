"""What the report on the ROS graph means."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from polymorph_ros.cli.doctor_checks.finding import Finding, error, ok, warn
from polymorph_ros.errors import PolymorphError
from polymorph_ros.interfaces.doctor import (
    CANDIDATE_S,
    PATIENCE_S,
    SEARCH_S,
    GraphReport,
    NodeReport,
    Stamps,
    TopicReport,
    doctor_command,
)

_START_S = 60.0  # for importing from a slow disk, beside the listening
_LARGE_IMAGE_BYTES = 512 * 1024
_LONGEST_GAP_S = 1.0  # the node's no_data_timeout at its default
_CLOCKS_DIFFER_S = 1.0
_AHEAD_S = 0.05
_PROFILE = (
    "start the camera (not the node) with FASTDDS_DEFAULT_PROFILES_FILE="
    "<share>/polymorph_ros/config/fastdds_large_images.xml"
)


def read_graph(topics: Sequence[str], seconds: float) -> GraphReport:
    """Start the program of ``interfaces.doctor`` and wait for its report.

    Raises:
        PolymorphError: it failed, or did not end in time.
    """
    patience_s = seconds + SEARCH_S + CANDIDATE_S + 2 * PATIENCE_S + _START_S
    try:
        done = subprocess.run(
            doctor_command(topics, seconds), capture_output=True, text=True, timeout=patience_s,
            check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise PolymorphError(
            f"a look at the ROS graph within {patience_s:g} s", "none", where="ROS graph",
            remedy="is the middleware waiting for a router or a discovery server?",
        ) from None  # fmt: skip
    lines = done.stdout.splitlines()
    if done.returncode != 0 or not lines:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise PolymorphError(
            "a working rclpy", last, where="ROS graph",
            remedy="check RMW_IMPLEMENTATION and ROS_LOG_DIR, and that the workspace is sourced",
        )  # fmt: skip
    return GraphReport.from_json(lines[-1])


def graph_findings(topics: Sequence[str], seconds: float) -> Iterator[Finding]:
    """Listen, and say what is right and wrong with middleware, nodes, topics and clocks.

    Args:
        topics: image topics that were asked for; none for those of running nodes, else all.
        seconds: how long to listen.
    """
    try:
        report = read_graph(topics, seconds)
    except PolymorphError as fault:
        yield error("ROS graph", fault.found, fault.remedy)
        return
    yield from judge(report, asked=bool(topics))


def judge(report: GraphReport, *, asked: bool) -> Iterator[Finding]:
    """The findings of a report.

    Args:
        report: of the program.
        asked: whether topics were named, so that one without images is an error.
    """
    yield ok("middleware", report.rmw)
    for node in report.nodes:
        yield _node(node, report.clock_publishers)
    if not report.nodes:
        yield ok("node", "no node polymorph runs here")
    if not report.topics:
        yield warn(
            "cameras", "no image topic has a publisher",
            "start the camera's driver; check its ROS_DOMAIN_ID; or name the topic (--topic)",
        )  # fmt: skip
    expected = asked or bool(report.nodes)
    for topic in report.topics:
        yield from _topic(topic, report, expected)


def _node(node: NodeReport, clocks: int) -> Finding:
    subject = f"node {node.name}"
    facts = asdict(node)
    if node.use_sim_time and not clocks:
        return error(
            subject, "use_sim_time is set, but nothing publishes /clock",
            "play the bag with --clock, or set use_sim_time: false", **facts,
        )  # fmt: skip
    if node.complaints:
        return warn(
            subject, "; ".join(node.complaints), "docs/troubleshooting.md has each of these",
            **facts,
        )  # fmt: skip
    if clocks and node.use_sim_time is False:
        return warn(
            subject, "/clock is published, but use_sim_time is false",
            "set use_sim_time: true if the images come from a bag or a simulator", **facts,
        )  # fmt: skip
    return ok(subject, "its diagnostics say OK", **facts)


def _topic(topic: TopicReport, report: GraphReport, expected: bool) -> Iterator[Finding]:
    subject = f"topic {topic.name}"
    facts = {**asdict(topic), "rate_hz": round(topic.rate_hz, 2)}
    if not topic.received:
        yield _silence(subject, topic, facts, expected)
        return
    found = f"{topic.picture}, {topic.rate_hz:.1f} Hz, {topic.publishers} publisher(s)"
    if topic.lost:
        share = topic.lost / (topic.lost + topic.received)
        yield warn(subject, f"{found}; {share:.0%} lost on the way", _loss(topic, report), **facts)
    elif topic.longest_gap_s > _LONGEST_GAP_S:
        yield warn(
            subject, f"{found}; once {topic.longest_gap_s:.1f} s without an image",
            "check the camera and its link; no_data_timeout is 1 s at its default", **facts,
        )  # fmt: skip
    else:
        yield ok(subject, found, **facts)
    if topic.publishers > 1:
        yield warn(
            subject, f"{topic.publishers} publishers on one topic: images of several are mixed",
            "give each camera a topic of its own",
        )  # fmt: skip
    yield from _stamps(subject, topic, report)


def _silence(subject: str, topic: TopicReport, facts: dict[str, object], expected: bool) -> Finding:
    found = topic.obstacle or f"no image in {topic.seconds:.1f} s, though a publisher matches"
    sending = [other for other in topic.candidates if other.rate_hz]
    others = [
        f"{other.name} ({other.type.rpartition('/')[2]}, {other.rate_hz:g} Hz)"
        for other in sending or topic.candidates
    ]
    if others:
        word = "these send images" if sending else "these exist"
        remedy = f"{word}: {', '.join(others)}; set image_topics, and image_transport to the type"
    else:
        remedy = "start the camera's driver, and check its ROS_DOMAIN_ID and its name"
    kind = error if expected else warn
    return kind(subject, found, remedy, **facts)


def _loss(topic: TopicReport, report: GraphReport) -> str:
    if topic.largest_bytes > _LARGE_IMAGE_BYTES and "fastrtps" in report.rmw:
        return _PROFILE
    return "check the link to the camera; over a network use compressed images"


def _stamps(subject: str, topic: TopicReport, report: GraphReport) -> Iterator[Finding]:
    if topic.stamps in (Stamps.ZERO.value, Stamps.STAND_STILL.value, Stamps.GO_BACK.value):
        yield warn(
            subject, f"header stamps {topic.stamps} while images arrive",
            "correct the driver: latency and belief over time rest on stamps",
        )  # fmt: skip
        return
    if topic.age_s is None or report.clock_publishers:
        return
    if topic.age_s < -_AHEAD_S:
        yield warn(
            subject, f"images are stamped {-topic.age_s:.2f} s in the future",
            "synchronise the clock of the camera's computer with this one (chrony, PTP)",
        )  # fmt: skip
    elif topic.age_s > _CLOCKS_DIFFER_S:
        yield warn(
            subject, f"images are {topic.age_s:.2f} s old when they arrive",
            "synchronise the clocks; of a bag: play it with --clock and set use_sim_time",
        )  # fmt: skip
