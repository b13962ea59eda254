"""Library and command line for machines without ROS; pyproject.toml has the metadata.

On a robot, colcon builds CMakeLists.txt instead, which adds messages, node and launch files.
"""

from pathlib import Path

from setuptools import setup

SHARE = Path("share") / "polymorph_ros"


def shared_files(folder: str) -> list[tuple[str, list[str]]]:
    """The files below a folder, installed under the same names as by CMake."""
    by_folder: dict[str, list[str]] = {}
    for path in sorted(Path(folder).rglob("*")):
        if path.is_file():
            by_folder.setdefault(str(SHARE / path.parent), []).append(str(path))
    return list(by_folder.items())


setup(data_files=shared_files("bundles") + shared_files("config") + shared_files("msg"))
