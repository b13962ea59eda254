"""Make a backbone's folder of EfficientNet-Lite0's weights, for ``backbone: {folder: ...}``.

    python examples/efficientnet_lite0.py [FOLDER] [--weights efficientnet_lite0.safetensors]

FOLDER (build/efficientnet_lite0) gets config.json and model.safetensors. The weights are an
ImageNet classifier's (Apache-2.0), by the names that PyTorch's ports of EfficientNet have.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from polymorph_ros.model.efficientnet_lite import EfficientNetLiteConfig

FOLDER = Path("build/efficientnet_lite0")
WEIGHTS = Path(__file__).parents[2] / "shared/models/efficientnet_lite0.safetensors"


def main(folder: Path = FOLDER, weights: Path = WEIGHTS) -> None:
    """Write the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    EfficientNetLiteConfig().save_pretrained(folder)
    shutil.copyfile(weights, folder / "model.safetensors")
    print(f"{folder}: EfficientNet-Lite0")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER)
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    given = parser.parse_args()
    if not given.weights.is_file():
        sys.exit(f"expected weights, found none at {given.weights}")
    main(given.folder, given.weights)
