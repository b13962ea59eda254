"""Label the pictures of a folder, a video or a recording, without ROS.

    python examples/label_images.py SOURCE [--bundle FOLDER]

SOURCE is a folder of pictures, a video, or a rosbag2 recording; no labels are needed.
"""

from __future__ import annotations

import argparse

import polymorph_ros as pm


def main() -> None:
    """Print each picture's active labels, its adapters and its joules."""
    parser = argparse.ArgumentParser(description="Label pictures, without ROS.")
    parser.add_argument("source", help="a folder of pictures, a video, or a rosbag2 recording")
    parser.add_argument("--bundle", help="a bundle's folder; the default bundle if none is given")
    options = parser.parse_args()

    labeller = pm.load(options.bundle)
    for result in labeller.stream(options.source):
        labels = ", ".join(f"{name} {result.scores[name]:.2f}" for name in result.active)
        print(
            f"{result.camera} {result.stamp_s:.3f} s: {labels or 'nothing'} | "
            f"adapters: {', '.join(result.adapters) or 'none'} | "
            f"{result.joules:.3f} J ({result.energy.source.value})"
        )


if __name__ == "__main__":
    main()
