"""The packages that are installed: versions, what is missing, and what does not go together."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from polymorph_ros import __version__
from polymorph_ros.cli.doctor_checks.finding import Finding, error, ok, warn

MODULES: Mapping[str, str] = {
    "numpy": "numpy",
    "torch": "torch",
    "transformers": "transformers",
    "peft": "peft",
    "safetensors": "safetensors",
    "pydantic": "pydantic",
    "pyyaml": "yaml",
    "typer": "typer",
    "rich": "rich",
    "scikit-learn": "sklearn",
    "scipy": "scipy",
    "opencv-python-headless": "cv2",
    "rosbags": "rosbags",
    "mcap": "mcap",
    "zstandard": "zstandard",
    "nvidia-ml-py": "pynvml",
    "zeus": "zeus",
}
"""Modules by the names under which requirements/library.txt asks for them."""

AT_LEAST: Mapping[str, tuple[int, int]] = {
    "numpy": (1, 26), "torch": (2, 6), "transformers": (5, 20), "peft": (0, 21),
    "safetensors": (0, 8), "pydantic": (2, 7), "typer": (0, 20),
}  # fmt: skip
"""Lowest versions of those that are often older; as requirements/library.txt has them."""

_OPENCV = ("opencv-python-headless", "opencv-python", "opencv-contrib-python")
_FOR_NUMPY_1 = ("humble", "jazzy", "kilted")
_INSTALL = "pip install -r requirements/robot.txt"


def version_findings() -> Iterator[Finding]:
    """What is installed, what is missing or too old, and whether cv_bridge fits NumPy."""
    found = {name: _version(name, module) for name, module in MODULES.items()}
    facts = {
        "polymorph_ros": __version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        **{name: value for name, value in found.items() if value},
    }
    missing = [name for name, value in found.items() if not value]
    old = [
        f"{name} {found[name]}"
        for name, least in AT_LEAST.items()
        if found[name] and _release(found[name]) < least
    ]
    summary = f"polymorph_ros {__version__}, Python {platform.python_version()}"
    if missing:
        yield error("packages", f"{summary}; missing: {', '.join(missing)}", _INSTALL, **facts)
    elif old:
        yield error("packages", f"{summary}; too old: {', '.join(old)}", _INSTALL, **facts)
    else:
        torch, numpy = found["torch"], found["numpy"]
        yield ok("packages", f"{summary}, torch {torch}, numpy {numpy}", **facts)
    yield from _cv_bridge(found)


def _cv_bridge(found: Mapping[str, str]) -> Iterator[Finding]:
    distro = os.environ.get("ROS_DISTRO", "")
    if find_spec("cv_bridge") is None or distro not in _FOR_NUMPY_1:
        return
    numpy, opencv = _release(found["numpy"]), _release(found["opencv-python-headless"])
    if numpy >= (2, 0) or opencv >= (5, 0):
        yield warn(
            "cv_bridge",
            f"cv_bridge of {distro} is built for NumPy 1 and OpenCV 4; here are NumPy "
            f"{found['numpy']} and OpenCV {found['opencv-python-headless']}",
            _INSTALL,
        )


def _version(name: str, module: str) -> str:
    """Its version in three numbers at most, "unknown" where it has none, or nothing."""
    for distribution in _OPENCV if module == "cv2" else (name,):
        try:
            return _short(version(distribution))
        except PackageNotFoundError:
            continue
    return "unknown" if module in sys.modules or find_spec(module) else ""


def _short(text: str) -> str:
    """Four numbers could be taken for an address."""
    return re.sub(r"^(\d+(?:\.\d+){2})\.\d+", r"\1", text)


def _release(text: str) -> tuple[int, int]:
    numbers = re.match(r"(\d+)\.(\d+)", text)
    return (int(numbers[1]), int(numbers[2])) if numbers else (sys.maxsize, 0)
