"""Pins that the configurations for Foxglove, RViz and diagnostic_aggregator name topics, fields and
statuses that the node has. That the programs themselves like them is left open: none of them is
installed here."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from diagnostic_msgs.msg import DiagnosticArray

import polymorph_ros.msg
from helpers.ros_peer import Peer
from polymorph_ros.interfaces import topics

CONFIG = Path(__file__).resolve().parents[2] / "config"
LAYOUT = json.loads((CONFIG / "foxglove_layout.json").read_text())
TOPICS = {topic.under(): topic for topic in (*topics.RESULTS, topics.DEBUG_IMAGE)}


def strings(tree: Any) -> list[str]:
    """All texts in a tree."""
    if isinstance(tree, dict):
        return [text for value in tree.values() for text in strings(value)]
    if isinstance(tree, list):
        return [text for value in tree for text in strings(value)]
    return [tree] if isinstance(tree, str) else []


PATHS = sorted({text for text in strings(LAYOUT["configById"]) if text.startswith("/polymorph/")})


@pytest.mark.parametrize("path", PATHS)
def test_each_path_of_the_foxglove_layout_is_a_field_of_the_topics_message(path: str) -> None:
    topic, _, fields = path.partition(".")

    assert topic in TOPICS
    if fields:
        message = getattr(polymorph_ros.msg, TOPICS[topic].type_name)
        assert re.split(r"[.\\[]", fields)[0] in message.get_fields_and_field_types()


def test_the_foxglove_layout_places_each_panel_once() -> None:
    placed = [text for text in strings(LAYOUT["layout"]) if "!" in text]

    assert sorted(placed) == sorted(LAYOUT["configById"])


def test_rviz_shows_the_debug_image() -> None:
    document = yaml.safe_load((CONFIG / "polymorph.rviz").read_text())

    (display,) = document["Visualization Manager"]["Displays"]
    assert display["Topic"]["Value"] == topics.DEBUG_IMAGE.under()


def test_the_aggregator_has_one_place_for_each_status(peer: Peer, make_node) -> None:
    tree = yaml.safe_load((CONFIG / "diagnostic_aggregator.yaml").read_text())
    analyzers = tree["analyzers"]["ros__parameters"]["polymorph"]["analyzers"]
    node = make_node()
    node.trigger_configure()
    reports = peer.listen(DiagnosticArray, "/diagnostics")
    peer.wait_for(lambda: any(len(report.status) >= 5 for report in reports), "all statuses")

    for status in reports[-1].status:
        places = [
            name
            for name, analyzer in analyzers.items()
            if status.name in analyzer.get("expected", [])
            or any(map(status.name.startswith, analyzer.get("find_and_remove_prefix", [])))
        ]
        assert len(places) == 1, status.name
