"""The node as its own process: started with parameters on the command line, ended like Ctrl-C."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from polymorph_ros.ros.demo.child import Child

# Images that wait in the middleware when the whole machine stalls. The node's own five last
# would be overwritten uncounted, and here every frame is to be accounted for.
_DEPTH = 30

NODE_MODULE = "polymorph_ros.ros.main"


def start_node(topic: str, log: Path, *, compressed: bool, bundle: Path | None) -> Child:
    """Start the node; it configures and activates by itself.

    Args:
        topic: the image topic.
        log: file for the node's words.
        compressed: whether the topic carries ``CompressedImage``.
        bundle: the bundle's folder; None for the package's default.
    """
    parameters: dict[str, str] = {
        "autostart": "true",
        "image_topics": f"['{topic}']",
        "image_transport": "compressed" if compressed else "raw",
        f"qos_overrides.{topic}.subscription.depth": str(_DEPTH),
    }
    if bundle is not None:
        parameters["bundle"] = f"'{bundle.resolve()}'"
    return Child(NODE_MODULE, ["--ros-args", *_settings(parameters)], log)


def _settings(parameters: Mapping[str, str]) -> list[str]:
    return [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
