"""ROS's environment, as far as it can be read without ROS."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

from polymorph_ros.cli.doctor_checks.finding import Finding, error, ok, warn

SHARED_MEMORY = Path("/dev/shm")
_LEAST_SHARED_MEMORY = 256 << 20
"""Docker's default of 64 MiB is too small for a camera, its profile of 32 MiB and a few nodes."""

_SEGMENT_LEFTOVERS = ("fastrtps_*", "fastdds_*", "sem.fastrtps_*", "sem.fastdds_*")
_LARGE_IMAGE_BYTES = 512 * 1024  # Fast DDS's default segment
_MOST_DOMAIN = 232
_PROFILES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")

# Of these the value is reported where it has this form; it can hold no secret then.
_SHOWN: Mapping[str, str] = {
    "ROS_DISTRO": r"[a-z]{1,20}",
    "ROS_DOMAIN_ID": r"\d{1,3}",
    "ROS_AUTOMATIC_DISCOVERY_RANGE": r"[A-Z_]{1,20}",
    "ROS_LOCALHOST_ONLY": r"[01]",
    "RMW_IMPLEMENTATION": r"rmw_[a-z_]{1,30}",
    "FASTDDS_BUILTIN_TRANSPORTS": r"[A-Za-z0-9_]{1,20}(\?[A-Za-z0-9_=&]{1,60})?",
    "ROS_SECURITY_ENABLE": r"true|false",
    "ROS_SECURITY_STRATEGY": r"Enforce|Permissive",
    "CUDA_VISIBLE_DEVICES": r"[\d,]{1,20}",
    "OMP_NUM_THREADS": r"\d{1,4}",
}
# Of these only whether they are set.
_NAMED = (
    *_PROFILES, "CYCLONEDDS_URI", "ROS_DISCOVERY_SERVER", "ROS_STATIC_PEERS",
    "ROS_SECURITY_KEYSTORE", "ROS_LOG_DIR", "ZENOH_ROUTER_CONFIG_URI", "ZENOH_SESSION_CONFIG_URI",
)  # fmt: skip


def environment_facts() -> dict[str, str]:
    """Variables that matter to ROS; values only of those on a list, and only of the usual form."""
    facts = {}
    for name, form in _SHOWN.items():
        value = os.environ.get(name)
        if value:
            facts[name] = value if re.fullmatch(form, value) else "set, to something unusual"
    facts |= {name: "set" for name in _NAMED if os.environ.get(name)}
    return facts


def has_ros() -> bool:
    """Whether rclpy can be found."""
    return find_spec("rclpy") is not None


def ros_finding() -> Finding:
    """Is ROS here, which one, and were this package's messages built for it?"""
    facts = environment_facts()
    if not has_ros():
        return warn(
            "ROS", "no ROS here (rclpy is not found)",
            "on a robot: `. /opt/ros/DISTRO/setup.bash`, then the workspace's setup; a machine "
            "for training needs none",
            environment=facts,
        )  # fmt: skip
    distro = facts.get("ROS_DISTRO", "no ROS_DISTRO: not sourced, or from Python wheels")
    if find_spec("polymorph_ros.msg") is None:
        return error(
            "ROS", f"rclpy is there ({distro}), but not this package's messages",
            "build the package with colcon and source the workspace (docs/install.md)",
            environment=facts,
        )  # fmt: skip
    return ok("ROS", distro, environment=facts)


def domain_finding() -> Finding:
    """The domain and how far discovery reaches."""
    text = os.environ.get("ROS_DOMAIN_ID", "").strip() or "0"
    if not text.isdigit() or int(text) > _MOST_DOMAIN:
        return error(
            "domain", "ROS_DOMAIN_ID is not a number from 0 to 232",
            "set ROS_DOMAIN_ID to the camera's",
        )  # fmt: skip
    if os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "").upper() == "OFF":
        return error(
            "domain", f"domain {text}, but ROS_AUTOMATIC_DISCOVERY_RANGE is OFF: nothing is found",
            "unset it, or set LOCALHOST or SUBNET",
        )  # fmt: skip
    reach = os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "")
    local = os.environ.get("ROS_LOCALHOST_ONLY") == "1" or reach.upper() == "LOCALHOST"
    limit = "this machine only" if local else "the network too"
    return ok("domain", f"domain {text}, {limit}")


def shared_memory_finding(folder: Path = SHARED_MEMORY) -> Finding:
    """Is the shared memory large enough for images, and may this user use it?"""
    try:
        stat = os.statvfs(folder)
    except OSError:
        return warn(
            "shared memory", f"there is no {folder}: every image goes through the network stack",
            "mount a tmpfs there",
        )  # fmt: skip
    size, free = stat.f_frsize * stat.f_blocks, stat.f_frsize * stat.f_bavail
    facts = {"size_mib": size >> 20, "free_mib": free >> 20}
    found = f"{size >> 20} MiB, {free >> 20} MiB free"
    if not os.access(folder, os.W_OK):
        return error(
            "shared memory", f"{folder} cannot be written by this user",
            "give the user the right to write there (mode 1777)", **facts,
        )  # fmt: skip
    foreign = sum(
        not os.access(file, os.R_OK | os.W_OK)
        for pattern in _SEGMENT_LEFTOVERS
        for file in folder.glob(pattern)
    )
    if foreign:
        return warn(
            "shared memory", f"{found}; {foreign} segments of Fast DDS belong to another user",
            "start camera and node as the same user, or no image comes by shared memory",
            **facts, segments_of_others=foreign,
        )  # fmt: skip
    if size < _LEAST_SHARED_MEMORY:
        return warn(
            "shared memory", f"{found}: little for images",
            "give the container more: `docker run --shm-size=512m` (compose: shm_size)", **facts,
        )  # fmt: skip
    return ok("shared memory", found, **facts)


def profile_finding() -> Finding:
    """Which Fast DDS profile is in use, and is its shared-memory segment large enough?"""
    name = next((name for name in _PROFILES if os.environ.get(name)), "")
    if not name:
        return ok("Fast DDS profile", "none is set here")
    try:
        segment = _segment_bytes(Path(os.environ[name]).read_bytes())
    except OSError:
        return error(
            "Fast DDS profile", f"{name} names a file that cannot be read",
            "set it to share/polymorph_ros/config/fastdds_large_images.xml",
        )  # fmt: skip
    except (ElementTree.ParseError, ValueError):
        return error(
            "Fast DDS profile", f"{name} names a file that is no valid profile",
            "set it to share/polymorph_ros/config/fastdds_large_images.xml",
        )  # fmt: skip
    if not segment:
        return ok("Fast DDS profile", "set; it leaves the shared-memory segment as it is (512 KB)")
    found = f"set, with a shared-memory segment of {segment / (1 << 20):g} MiB"
    if segment <= _LARGE_IMAGE_BYTES:
        return warn(
            "Fast DDS profile", found, "raise segment_size above the size of an image",
            segment_bytes=segment,
        )  # fmt: skip
    return ok("Fast DDS profile", found, segment_bytes=segment)


def _segment_bytes(xml: bytes) -> int:
    """The largest shared-memory segment that a profile asks for; 0 for none."""
    sizes = [
        int(str(element.text))
        for element in ElementTree.fromstring(xml).iter()
        if element.tag.rpartition("}")[2] == "segment_size"
    ]
    return max(sizes, default=0)


CHECKS: Mapping[str, Callable[[], Finding]] = {
    "ROS": ros_finding,
    "domain": domain_finding,
    "shared memory": shared_memory_finding,
    "Fast DDS profile": profile_finding,
}
