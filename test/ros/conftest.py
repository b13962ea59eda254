"""A ROS graph of its own for this test process, and a node under test in it."""

from __future__ import annotations

import importlib.util
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Before rclpy is imported: no cross-talk with other runs, no log folder in the home, shared memory
# that is large enough for images; and the tests' processes run the sources that the tests do.
os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 100)
os.environ["ROS_LOG_DIR"] = tempfile.mkdtemp(prefix="polymorph_ros_log_")
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])
)
os.environ["FASTDDS_DEFAULT_PROFILES_FILE"] = str(ROOT / "config" / "fastdds_large_images.xml")


def _missing() -> str:
    for module in ("rclpy", "polymorph_ros.msg"):
        if importlib.util.find_spec(module) is None:
            return f"test/ros is skipped: {module} is not installed (no ROS 2 on this machine)"
    return ""


if _missing():
    collect_ignore_glob = ["test_*.py"]


def pytest_report_header() -> list[str]:
    return [_missing()] if _missing() else []


@pytest.fixture(scope="session")
def bundle_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the bundles `tiny` and `other`, which have different vocabularies."""
    from helpers.tiny_bundle import write_tiny_bundle

    root = tmp_path_factory.mktemp("bundles")
    write_tiny_bundle(root / "tiny", on=0.02)
    write_tiny_bundle(
        root / "other", name="other", contexts={"sea": ("boat", "gull"), "port": ("boat", "crane")}
    )
    return root


@pytest.fixture(scope="session", autouse=True)
def _ros() -> Iterator[None]:
    import rclpy

    rclpy.init()
    yield
    rclpy.try_shutdown()


@pytest.fixture
def peer() -> Iterator[object]:
    from helpers.ros_peer import Peer

    peer = Peer()
    yield peer
    peer.close()


@pytest.fixture
def make_node(peer, bundle_root: Path) -> Callable[..., object]:
    """Makes the node under test in this process, on the peer's executor, with the tiny bundle."""
    from rclpy.parameter import Parameter

    from polymorph_ros.ros.node import PolymorphNode

    def make(name: str = "polymorph", *, namespace: str = "", **parameters: object):
        given = {
            "bundle": str(bundle_root / "tiny"),
            "bundle_root": str(bundle_root),
            "device": "cpu",
            "cpu_threads": 1,
            "energy.meter": "estimated",
            # A test that counts messages would count NO_DATA too, on a machine that is slow.
            "no_data_timeout": 60.0,
            **{key.replace("__", "."): value for key, value in parameters.items()},
        }
        node = PolymorphNode(
            name,
            namespace=namespace,
            parameter_overrides=[Parameter(key, value=value) for key, value in given.items()],
        )
        peer.add(node)
        return node

    return make


@pytest.fixture
def active_node(make_node: Callable[..., object]) -> Callable[..., object]:
    """Makes the node under test and takes it to the active state."""
    from rclpy.lifecycle import TransitionCallbackReturn

    def make(name: str = "polymorph", **parameters: object):
        node = make_node(name, **parameters)
        assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
        assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS
        return node

    return make
