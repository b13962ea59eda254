"""Pins who may talk to the labelling server: the token on every address, its own name and origin,
no file but its own.

Left open: TLS, which a page for one machine does not have.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from helpers.label_page import LabelServer, label_server
from helpers.recordings import write_bag
from polymorph_ros.annotation.security import Access

ADDRESSES = (
    "/",
    "/page/main.js",
    "/api/state",
    "/api/progress",
    "/api/order",
    "/api/look/0/0",
    "/api/proposals/0",
    "/api/picture/0/0",
    "/api/thumbnail/0/0",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelServer]:
    root = tmp_path_factory.mktemp("access")
    bag = write_bag(root / "bag", [0.0, 0.1, 0.2])
    with label_server(bag, "--labels", root / "labels.csv", "--no-suggest") as started:
        yield started


@pytest.mark.parametrize("address", ADDRESSES)
def test_every_address_needs_the_token(server: LabelServer, address: str) -> None:
    refused, content, _ = server.ask(address)
    wrong, _, _ = server.ask(address, {"x-polymorph-token": "x" * 32})
    right, _, headers = server.ask(address, {"x-polymorph-token": server.token})

    assert (refused, wrong, right) == (403, 403, 200)
    assert b"bag" not in content
    assert "default-src 'none'" in headers["content-security-policy"]


def test_changes_and_training_need_the_token(server: LabelServer) -> None:
    for address in ("/api/change", "/api/train"):
        assert server.ask(address, said={"version": 0, "action": "undo"})[0] == 403


def test_the_first_visit_leaves_a_cookie_that_scripts_cannot_read(server: LabelServer) -> None:
    status, _, headers = server.ask(f"/?token={server.token}")
    cookie = headers["set-cookie"].split(";")[0]

    assert status == 200
    assert "HttpOnly" in headers["set-cookie"]
    assert "SameSite=Strict" in headers["set-cookie"]
    assert server.ask("/api/state", {"cookie": cookie})[0] == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1:1", ""])
def test_another_name_is_refused(server: LabelServer, host: str) -> None:
    headers = {"x-polymorph-token": server.token, "host": host.format(port=server.port)}

    assert server.ask("/api/state", headers)[0] in (400, 403)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_another_origin_is_refused(server: LabelServer, headers: dict[str, str]) -> None:
    own = {"x-polymorph-token": server.token}

    status, _, _ = server.ask("/api/change", {**own, **headers}, {"action": "undo"})

    assert status == 403


@pytest.mark.parametrize(
    "address",
    [
        "/page/..%2f..%2fserver.py",
        "/page/../server.py",
        "/page/%2e%2e%2fserver.py",
        "/api/picture/0/99",
        "/api/picture/9/0",
        "/api/picture/-1/0",
        "/api/thumbnail/0/..%2f..",
        "/api/picture/0/0/../../../etc/passwd",
        "/api/proposals/9",
    ],
)
def test_nothing_outside_is_given(server: LabelServer, address: str) -> None:
    status, content, _ = server.ask(address, {"x-polymorph-token": server.token})

    assert status in (400, 404)
    assert b"import" not in content
    assert b"root:" not in content


@pytest.mark.parametrize(
    "said",
    [
        [],
        {"action": "paint"},
        {"action": "fly"},
        {"action": "set", "clip": 0, "frame": 0, "label": 0, "state": "present"},
        {"action": "set", "clip": 0, "frame": True, "label": 0, "state": "present"},
        {"action": "accept", "clip": 0, "frame": 0, "present": "all", "unknown": [], "judged": []},
        {"action": "accept", "clip": 0, "frame": 0, "present": [-1], "unknown": [], "judged": []},
        {"action": "add_label", "name": ["cup"]},
        {"action": "add_label", "name": "c" * 101},
        {"action": "add_label", "name": " \u200b "},
    ],
)
def test_a_senseless_change_is_refused_in_one_line(server: LabelServer, said: object) -> None:
    before = server.state()
    full = {"version": before["version"], **said} if isinstance(said, dict) else said

    status, content, _ = server.ask("/api/change", {"x-polymorph-token": server.token}, full)

    assert status == 400
    assert b"Traceback" not in content
    assert server.state()["version"] == before["version"]


def test_the_token_differs_each_time() -> None:
    tokens = {Access("127.0.0.1", 80).token for _ in range(20)}

    assert len(tokens) == 20
    assert min(map(len, tokens)) >= 32


@pytest.mark.parametrize(
    ("host", "name", "own"),
    [
        ("127.0.0.1", "localhost:80", True),
        ("127.0.0.1", "192.168.0.7:80", False),
        ("0.0.0.0", "192.168.0.7:80", True),
        ("0.0.0.0", "[fe80::1]:80", True),
        ("0.0.0.0", "evil.example:80", False),
        ("robot.local", "robot.local:80", True),
        ("127.0.0.1", "127.0.0.1:99999999", False),
    ],
)
def test_which_names_are_its_own(host: str, name: str, own: bool) -> None:
    assert Access(host, 80).is_own_name(name) is own
