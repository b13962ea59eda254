"""The way in by `pip install .`: library and command line for machines without ROS.

Pins: what the wheel holds and what it leaves out; that no room but ros/ needs ROS; that the wheel's
library writes our messages from the definitions beside it and loads the default bundle; and that
the library of the wheel and messages of another prefix are one package.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

MAX_WHEEL_BYTES = 20 * 2**20  # the default bundle has at most 16 MB

WRITE_OUR_MESSAGES = """
from polymorph_ros.interfaces.bag_messages import message_types
from polymorph_ros.interfaces.topics import PACKAGE

print(*sorted(name for name in message_types().types if name.startswith(PACKAGE)))
"""

IMPORT_ALL_BUT_ROS = """
import importlib, pkgutil, sys

for name in ("rclpy", "std_msgs", "builtin_interfaces", "ament_index_python"):
    sys.modules[name] = None  # now an import of it raises
import polymorph_ros

polymorph_ros.__path__ = sys.argv[1:]  # without the messages, if another prefix has them
rooms = [found.name for found in pkgutil.iter_modules(sys.argv[1:]) if found.name != "ros"]
for room in rooms:
    package = importlib.import_module(f"polymorph_ros.{room}")
    inside = getattr(package, "__path__", [])
    for found in pkgutil.walk_packages(inside, f"{package.__name__}."):
        importlib.import_module(found.name)
print(*rooms)
"""


@pytest.fixture(scope="module")
def wheel(run, source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip_offline = ["--no-deps", "--no-build-isolation", "--quiet"]
    run([sys.executable, "-m", "pip", "wheel", *pip_offline, "-w", str(folder), "."], cwd=source)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(run, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of its own that holds the wheel's content and nothing else."""
    target = tmp_path_factory.mktemp("site")
    pip_install = [sys.executable, "-m", "pip", "install", "--no-deps", "--quiet"]
    run([*pip_install, "--target", str(target), str(wheel)], cwd=target)
    return target


def test_wheel_is_complete_and_small(wheel: Path, source: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())

    library = {str(path.relative_to(source)) for path in (source / "polymorph_ros").rglob("*.py")}
    shared = {
        f"polymorph_ros-0.1.0.data/data/share/polymorph_ros/{path.relative_to(source)}"
        # the definitions of our messages: a recording made without ROS holds them
        for folder in ("bundles", "config", "msg")
        for path in (source / folder).rglob("*")
        if path.is_file()
    }
    metadata = {name for name in held if ".dist-info/" in name}
    page = (source / "polymorph_ros" / "annotation" / "page").iterdir()
    data = {str(path.relative_to(source)) for path in page}
    data |= {"polymorph_ros/py.typed", "polymorph_ros/evaluation/report/page.html"}
    assert held - metadata == library | shared | data
    assert wheel.stat().st_size <= MAX_WHEEL_BYTES


def test_wheel_names_the_command_and_its_needs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        info = "polymorph_ros-0.1.0.dist-info"
        commands = archive.read(f"{info}/entry_points.txt").decode()
        needs = archive.read(f"{info}/METADATA").decode()

    assert "polymorph = polymorph_ros.cli.main:main" in commands
    assert "Requires-Dist: torch>=" in needs
    assert "License-Expression: Apache-2.0" in needs
    assert "Requires-Dist: ros-" not in needs


def test_no_room_but_ros_needs_ros(run, installed: Path, tmp_path: Path) -> None:
    printed = run(
        [sys.executable, "-c", IMPORT_ALL_BUT_ROS, str(installed / "polymorph_ros")],
        cwd=tmp_path,
        env=on_path(installed),
    )

    assert {"cli", "runtime", "model", "training"} <= set(printed.split())


def test_the_wheel_brings_the_definitions_of_our_messages(
    run, installed: Path, source: Path, tmp_path: Path
) -> None:
    printed = run(
        [sys.executable, "-c", WRITE_OUR_MESSAGES],
        cwd=tmp_path,
        env={**on_path(installed), "AMENT_PREFIX_PATH": str(installed)},
    )

    defined = {f"polymorph_ros/msg/{path.stem}" for path in (source / "msg").glob("*.msg")}
    assert set(printed.split()) == defined


def test_the_wheel_brings_the_default_bundle(run, installed: Path, tmp_path: Path) -> None:
    program = (
        "import polymorph_ros as pm\n"
        "from polymorph_ros.bundle.reader import default_bundle\n"
        "print(default_bundle(), 'person' in pm.load(meter='none').labels)\n"
    )

    printed = run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**on_path(installed), "AMENT_PREFIX_PATH": str(installed)},
    )

    folder, known = printed.split()
    assert Path(folder).is_relative_to(installed)
    assert known == "True"


def test_library_and_messages_of_two_prefixes_are_one_package(
    run, installed: Path, tmp_path: Path, messages_prefix: Path
) -> None:
    program = (
        "import polymorph_ros.errors, polymorph_ros.msg\n"
        "print(polymorph_ros.errors.__file__, polymorph_ros.msg.__file__)\n"
    )

    printed = run([sys.executable, "-c", program], cwd=tmp_path, env=on_path(installed))

    library, messages = map(Path, printed.split())
    assert library.is_relative_to(installed)
    assert messages.is_relative_to(messages_prefix)


def on_path(folder: Path) -> dict[str, str]:
    return {"PYTHONPATH": str(folder)}
