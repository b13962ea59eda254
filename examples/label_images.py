"""Label images from files with the engine alone, without ROS.

    python examples/label_images.py BUNDLE IMAGE…

The images are taken as one camera's, a second apart.
"""

from __future__ import annotations

import sys
from pathlib import Path

from polymorph_ros.bundle import read_bundle
from polymorph_ros.data.frame import Frame
from polymorph_ros.data.pixels import image_from_jpeg
from polymorph_ros.energy.ledger import EnergyLedger
from polymorph_ros.energy.meter import open_meter
from polymorph_ros.model.polymorph import PolymorphModel
from polymorph_ros.model.threads import use_threads
from polymorph_ros.runtime.engine import Engine


def main(bundle_folder: str, *images: str) -> None:
    """Print each image's active labels, its adapters and its joules."""
    bundle = read_bundle(bundle_folder)
    model = PolymorphModel.from_bundle(bundle)
    use_threads(0, model.run_trunk_once)
    ledger = EnergyLedger(open_meter())
    engine = Engine(model, bundle.manifest, ledger)
    for second, name in enumerate(images):
        picture = image_from_jpeg(Path(name).read_bytes(), Path(name).suffix[1:])
        result = engine.step(Frame(picture, second * 1_000_000_000))
        labels = ", ".join(f"{name} {result.scores[name]:.2f}" for name in result.active)
        adapters = ", ".join(result.adapters)
        joules = f"{result.energy.joules:.3f} J ({result.energy.source.value})"
        print(f"{name}: {labels or 'nothing'} | adapters: {adapters or 'none'} | {joules}")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
