"""Pins `polymorph doctor` without a camera: it works where there is no ROS, judges a report on a
graph as a table says, reads shared memory, Fast DDS profile, clock and permissions, and its JSON
names nobody. With real publishers: test/ros/test_doctor_graph.py. Open: a Jetson, chrony itself."""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from polymorph_ros.cli.doctor import report_document
from polymorph_ros.cli.doctor_checks import environment, versions
from polymorph_ros.cli.doctor_checks.finding import Level, ok
from polymorph_ros.cli.doctor_checks.graph import judge
from polymorph_ros.cli.doctor_checks.privacy import Scrubber
from polymorph_ros.cli.doctor_checks.product import device_finding, meter_finding
from polymorph_ros.cli.doctor_checks.time_sync import clock_finding
from polymorph_ros.cli.main import app
from polymorph_ros.interfaces.doctor import Candidate, GraphReport, NodeReport, TopicReport

ROOT = Path(__file__).resolve().parents[2]

GOOD = TopicReport(
    name="/camera/image_raw", type="sensor_msgs/msg/Image", publishers=1,
    qos=("best effort, volatile",), obstacle="", received=150, seconds=5.0,
    picture="640x480 rgb8", largest_bytes=921_700, longest_gap_s=0.04, stamps="advance", age_s=0.01,
)  # fmt: skip
NODE = NodeReport("/polymorph", use_sim_time=False, topics=(GOOD.name,), complaints=())
SILENT = replace(GOOD, received=0, picture="", stamps="too few images", age_s=None)


def graph(*topics: TopicReport, nodes=(NODE,), clocks: int = 0) -> GraphReport:
    return GraphReport("rmw_fastrtps_cpp", clocks, len(topics), tuple(nodes), topics)


@pytest.fixture
def no_ros(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rclpy", None)


def test_without_ros_it_says_so_and_checks_the_rest(no_ros: None) -> None:
    result = CliRunner().invoke(app, ["doctor"])

    assert result.exit_code == 0, result.output
    assert "no ROS here" in result.output
    assert re.search(r"^ok +bundle: \S+, whole", result.output, re.M)
    assert "What to do:\n  1. ROS: on a robot:" in result.output


def test_a_topic_without_ros_is_an_error(no_ros: None) -> None:
    result = CliRunner().invoke(app, ["doctor", "--topic", "/camera", "--json"])

    assert result.exit_code == 1
    cameras = next(f for f in json.loads(result.output)["findings"] if f["subject"] == "cameras")
    assert cameras["level"] == "error"


def test_json_holds_no_name_path_address_or_secret(
    no_ros: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("USER", "ada")
    monkeypatch.setenv("HOSTNAME", "lab-7")
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setenv("ROS_DOMAIN_ID", "12")
    monkeypatch.setenv("ROS_DISTRO", "token=hunter2")
    monkeypatch.setenv("ROS_DISCOVERY_SERVER", "192.168.7.9:11811")
    monkeypatch.setenv("API_KEY", "hunter2")
    bundle = tmp_path / "ada" / "lab-7" / "fe80::1"

    result = CliRunner().invoke(app, ["doctor", "--json", "--bundle", str(bundle)])

    text = result.output
    report = json.loads(text)
    assert report["polymorph_doctor"] == 1
    variables = report["findings"][0]["facts"]["environment"]
    assert variables["ROS_DOMAIN_ID"] == "12"
    assert variables["ROS_DISCOVERY_SERVER"] == "set"
    assert "<user>" in text
    for secret in ("ada", "lab-7", "hunter2", "192.168", "fe80", "/home/", "API_KEY"):
        assert not re.search(rf"\b{re.escape(secret)}\b", text), secret
    assert not re.search(r"\d+\.\d+\.\d+\.\d+", text)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("/home/ada/bundles/x", "~/bundles/x"),
        ("/home/bob/bundles/x", "/home/<user>/bundles/x"),
        ("the host Lab-7.local and /lab_7/image", "the host <host>.local and /<host>/image"),
        ("/ada_cam/image, canada", "/<user>_cam/image, canada"),
        ("10.1.2.3:7400, 2001:db8::7, aa:bb:cc:dd:ee:ff", "<address>:7400, <address>, <address>"),
        ("GPU-2f0c8a7e-11aa-22bb-33cc-445566778899", "GPU-<uuid>"),
        ("torch 2.13.0+cpu at 12:30", "torch 2.13.0+cpu at 12:30"),
    ],
)  # fmt: skip
def test_names_and_addresses_are_replaced(text: str, left: str) -> None:
    assert Scrubber(users=("ada",), hosts=("lab-7",), homes=("/home/ada",))(text) == left


def test_what_a_camera_says_of_itself_is_scrubbed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "ada")

    document = report_document([ok("topic /ada/image", "ada", qos=["ada"], inner={"x": "ada"})])

    assert "ada" not in json.dumps(document)


@pytest.mark.parametrize(
    ("report", "subject", "level", "words"),
    [
        (graph(GOOD), "topic", Level.OK, "640x480 rgb8, 30.0 Hz"),
        (graph(replace(GOOD, lost=50)), "topic", Level.WARN, "25% lost"),
        (graph(replace(GOOD, longest_gap_s=2.5)), "topic", Level.WARN, "2.5 s without"),
        (graph(replace(GOOD, publishers=2)), "topic", Level.WARN, "2 publishers on one topic"),
        (graph(replace(GOOD, stamps="are zero")), "topic", Level.WARN, "stamps are zero"),
        (graph(replace(GOOD, stamps="stand still")), "topic", Level.WARN, "stamps stand still"),
        (graph(replace(GOOD, stamps="go back")), "topic", Level.WARN, "stamps go back"),
        (graph(replace(GOOD, age_s=-10.0)), "topic", Level.WARN, "10.00 s in the future"),
        (graph(replace(GOOD, age_s=9.5e7)), "topic", Level.WARN, "s old when they arrive"),
        (graph(SILENT), "topic", Level.ERROR, "no image in 5.0 s"),
        (graph(replace(SILENT, obstacle="no publisher on /x")), "topic", Level.ERROR, "no publ"),
        (graph(SILENT, nodes=()), "topic", Level.WARN, "no image in 5.0 s"),
        (graph(nodes=()), "cameras", Level.WARN, "no image topic"),
        (graph(GOOD, nodes=()), "node", Level.OK, "no node polymorph"),
        (
            graph(GOOD, nodes=[replace(NODE, use_sim_time=True)]),
            "node", Level.ERROR, "nothing publishes /clock",
        ),
        (graph(GOOD, clocks=1), "node", Level.WARN, "use_sim_time is false"),
        (
            graph(GOOD, nodes=[replace(NODE, complaints=("model: cannot configure",))]),
            "node", Level.WARN, "cannot configure",
        ),
    ],
)  # fmt: skip
def test_each_situation_has_its_finding(
    report: GraphReport, subject: str, level: Level, words: str
) -> None:
    found = [f for f in judge(report, asked=False) if f.subject.startswith(subject)]

    match = [f for f in found if words in f.found]
    assert [f.level for f in match] == [level], found
    assert (level is Level.OK) == (match[0].remedy == "")


def test_loss_of_large_images_names_the_profile_and_its_side() -> None:
    found = list(judge(graph(replace(GOOD, lost=50)), asked=False))

    assert any("fastdds_large_images.xml" in f.remedy and "camera" in f.remedy for f in found)


def test_a_silent_topic_names_those_that_send_before_those_that_exist() -> None:
    others = (
        Candidate("/cam/image/compressed", "sensor_msgs/msg/CompressedImage", 29.9),
        Candidate("/cam/depth", "sensor_msgs/msg/Image", 0.0),
    )

    found = list(judge(graph(replace(SILENT, candidates=others)), asked=True))[-1]

    assert "these send images: /cam/image/compressed (CompressedImage, 29.9 Hz)" in found.remedy
    assert "/cam/depth" not in found.remedy


def test_a_report_survives_its_way_as_json() -> None:
    report = graph(replace(GOOD, candidates=(Candidate("/a", "b", 1.0),)))

    assert GraphReport.from_json(report.to_json()) == report


@pytest.mark.parametrize(
    ("variables", "level", "words"),
    [
        ({}, Level.OK, "domain 0, the network too"),
        ({"ROS_DOMAIN_ID": "42", "ROS_LOCALHOST_ONLY": "1"}, Level.OK, "42, this machine only"),
        ({"ROS_DOMAIN_ID": "forty"}, Level.ERROR, "not a number"),
        ({"ROS_DOMAIN_ID": "233"}, Level.ERROR, "0 to 232"),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "OFF"}, Level.ERROR, "nothing is found"),
    ],
)
def test_the_domain(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], level: Level, words: str
) -> None:
    for name in ("ROS_DOMAIN_ID", "ROS_LOCALHOST_ONLY", "ROS_AUTOMATIC_DISCOVERY_RANGE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    finding = environment.domain_finding()

    assert (finding.level, words in finding.found) == (level, True), finding


def test_shared_memory_is_measured_and_a_missing_one_is_noticed(tmp_path: Path) -> None:
    here = environment.shared_memory_finding(tmp_path)
    missing = environment.shared_memory_finding(tmp_path / "none")

    size = os.statvfs(tmp_path).f_blocks * os.statvfs(tmp_path).f_frsize
    assert here.facts["size_mib"] == size >> 20
    assert missing.level is Level.WARN


SEGMENT = "<dds><x><segment_size>{}</segment_size></x></dds>"


@pytest.mark.parametrize(
    ("content", "level", "words"),
    [
        (None, Level.OK, "none is set"),
        ((ROOT / "config/fastdds_large_images.xml").read_text(), Level.OK, "segment of 32 MiB"),
        (SEGMENT.format(524288), Level.WARN, "0.5 MiB"),
        ("<dds/>", Level.OK, "512 KB"),
        ("<dds>", Level.ERROR, "no valid profile"),
        ("", Level.ERROR, "no valid profile"),
        ("missing", Level.ERROR, "cannot be read"),
    ],
)
def test_the_fast_dds_profile(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None, level: Level, words: str
) -> None:
    file = tmp_path / "profile.xml"
    for name in ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"):
        monkeypatch.delenv(name, raising=False)
    if content is not None:
        monkeypatch.setenv("FASTDDS_DEFAULT_PROFILES_FILE", str(file))
    if content not in (None, "missing"):
        file.write_text(str(content))

    finding = environment.profile_finding()

    assert (finding.level, words in finding.found) == (level, True), finding


CHRONY = """\
Reference ID    : C0A80709 (192.168.7.9)
System time     : 0.000012345 seconds fast of NTP time
Leap status     : {}
"""


@pytest.mark.parametrize(
    ("program", "output", "level", "words"),
    [
        ("chronyc", CHRONY.format("Normal"), Level.OK, "chrony, 0.012 ms fast"),
        ("chronyc", CHRONY.format("Not synchronised"), Level.WARN, "not synchronised"),
        ("timedatectl", "yes\n", Level.OK, "synchronised (systemd)"),
        ("timedatectl", "no\n", Level.WARN, "not synchronised"),
    ],
)
def test_the_clock_is_read_as_chrony_and_systemd_write_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    program: str, output: str, level: Level, words: str,
) -> None:  # fmt: skip
    script = tmp_path / program
    script.write_text(f"#!/bin/sh\n/bin/cat <<'END'\n{output}END\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    finding = clock_finding()

    assert (finding.level, words in finding.found) == (level, True), finding
    assert "192.168" not in str(finding)


def test_a_clock_that_nobody_speaks_of_is_no_fault(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert clock_finding().level is Level.OK


def test_versions_are_those_that_the_requirements_ask_for() -> None:
    lines = (ROOT / "requirements" / "library.txt").read_text().splitlines()
    asked = dict(
        re.match(r"([\w-]+)(?:>=(\d+\.\d+))?", line).groups()  # type: ignore[union-attr]
        for line in lines
        if line[:1].isalpha()
    )

    assert set(versions.MODULES) == set(asked)
    for name, (major, minor) in versions.AT_LEAST.items():
        assert asked[name] == f"{major}.{minor}", name


def test_all_packages_are_here() -> None:
    (packages,) = (f for f in versions.version_findings() if f.subject == "packages")

    assert packages.level is Level.OK
    assert {"polymorph_ros", "python", "torch", "numpy"} <= set(packages.facts)


def test_a_device_that_is_not_there_is_an_error() -> None:
    assert device_finding("cpu").level is Level.OK
    assert device_finding("cuda:99").level is Level.ERROR


def test_a_meter_that_is_not_there_is_an_error_and_the_estimate_is_none() -> None:
    assert meter_finding("raspberry_pi", "cpu").level is Level.ERROR
    assert meter_finding("estimated", "cpu").level is Level.OK
