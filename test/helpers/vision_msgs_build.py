"""`vision_msgs` for the tests, built where it is not installed: no wheel of it exists.

The definitions here are a stand-in with the same wire format: the names, types and order of the
fields of `Classification`, `ObjectHypothesis`, `LabelInfo` and `VisionClass`, and nothing else of
the package. The real package is used where it is installed. The stand-in is built by the real
rosidl generators, as this project's own messages are.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]

_FILES = {
    "msg/ObjectHypothesis.msg": "string class_id\nfloat64 score\n",
    "msg/Classification.msg": "std_msgs/Header header\nObjectHypothesis[] results\n",
    "msg/VisionClass.msg": "uint16 class_id\nstring class_name\n",
    "msg/LabelInfo.msg": "std_msgs/Header header\nVisionClass[] class_map\nfloat32 threshold\n",
    "package.xml": """\
<package format="3">
  <name>vision_msgs</name>
  <version>0.0.0</version>
  <description>A stand-in for tests</description>
  <maintainer email="nobody@example.org">nobody</maintainer>
  <license>Apache-2.0</license>
  <buildtool_depend>rosidl_default_generators</buildtool_depend>
  <depend>std_msgs</depend>
  <member_of_group>rosidl_interface_packages</member_of_group>
  <export><build_type>ament_cmake</build_type></export>
</package>
""",
    "CMakeLists.txt": """\
cmake_minimum_required(VERSION 3.20)
project(vision_msgs LANGUAGES C CXX)
set(CMAKE_CXX_STANDARD 17)
find_package(ament_cmake REQUIRED)
find_package(rosidl_default_generators REQUIRED)
find_package(std_msgs REQUIRED)
include(${ROS_WHEELS})
rosidl_generate_interfaces(vision_msgs
  msg/Classification.msg msg/ObjectHypothesis.msg msg/VisionClass.msg msg/LabelInfo.msg
  DEPENDENCIES std_msgs)
ament_package()
""",
}


def vision_msgs(folder: Path) -> ModuleType:
    """The module `vision_msgs.msg`, built into `folder` first where it is not installed.

    Skips the test where neither is possible.
    """
    if importlib.util.find_spec("vision_msgs") is None:
        if importlib.util.find_spec("rosidl_generator_py") is None or not shutil.which("cmake"):
            pytest.skip("vision_msgs is not installed, nor what builds a stand-in for it")
        _load(_build(folder))
    return importlib.import_module("vision_msgs.msg")


def _build(folder: Path) -> Path:
    """The prefix into which the stand-in was installed."""
    source, prefix = folder / "source", folder / "prefix"
    for name, text in _FILES.items():
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    _run(
        "cmake", "-S", source, "-B", folder / "build", f"-DCMAKE_INSTALL_PREFIX={prefix}",
        f"-DROS_WHEELS={ROOT / 'cmake' / 'ros_wheels.cmake'}", "-DBUILD_TESTING=OFF",
        "-DCMAKE_BUILD_TYPE=None", f"-DPython3_EXECUTABLE={sys.executable}",
        *(["-G", "Ninja"] if shutil.which("ninja") else []),
    )  # fmt: skip
    _run("cmake", "--build", folder / "build", "--target", "install")
    return prefix


def _run(*command: object) -> None:
    done = subprocess.run(
        [str(part) for part in command], text=True, capture_output=True, timeout=600, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"


def _load(prefix: Path) -> None:
    """Makes this process find the package.

    rclpy opens its libraries by name alone. The loader reads its search path only when a process
    starts, but it knows a library that is already there by its name.
    """
    waiting = sorted((prefix / "lib").glob("lib*.so"))
    while waiting:
        left = []
        for library in waiting:
            try:
                ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
            except OSError as error:  # it needs one of the others first
                left.append((library, error))
        if len(left) == len(waiting):
            raise left[0][1]
        waiting = [library for library, _ in left]
    (packages,) = prefix.glob("l*/python3*/*-packages")
    sys.path.append(str(packages))
    importlib.invalidate_caches()
