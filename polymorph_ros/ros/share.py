"""Where the package's own files are: configuration, bundles."""

from __future__ import annotations

from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory


def share_folder(name: str) -> Path:
    """A folder of the package's share, installed or in its source.

    Args:
        name: "config", "bundles", …
    """
    try:
        installed = Path(get_package_share_directory("polymorph_ros")) / name
        if installed.is_dir():
            return installed
    except (PackageNotFoundError, OSError):  # OSError: AMENT_PREFIX_PATH is not set
        pass
    return Path(__file__).resolve().parents[2] / name
