"""Where the package's own files are: message definitions, configuration, bundles."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from polymorph_ros.errors import PolymorphError


def share_folder(name: str) -> Path:
    """A folder of the package's share, installed by CMake or pip, or in its source.

    Args:
        name: "msg", "config" or "bundles".

    Raises:
        PolymorphError: there is no such folder.
    """
    prefixes = [*os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep), sys.prefix]
    shares = [Path(prefix) / "share" / "polymorph_ros" for prefix in prefixes if prefix]
    source = Path(__file__).resolve().parents[2]
    for share in (*shares, source):
        if (share / name).is_dir():
            return share / name
    raise PolymorphError(
        f"the package's folder {name}",
        "none in " + ", ".join(map(str, shares)),
        remedy="install the package again",
    )
