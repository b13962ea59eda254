"""A training configuration that is over in seconds: few tiny scenes, a tiny backbone."""

from __future__ import annotations

QUICK = {
    "name": "quick",
    "seed": 3,
    "threads": 1,
    "mean_ap_floor": 0.1,
    "synthetic": {
        "train_sequences": 6,
        "validation_sequences": 2,
        "test_sequences": 2,
        "frames": 6,
        "hz": 1.0,
        "evaluation_frames": 6,
        "evaluation_hz": 2.0,
        "width": 64,
        "height": 48,
    },
    "backbone": {
        "hidden_size": 16,
        "layers": 3,
        "heads": 2,
        "patch_size": 8,
        "image_size": 32,
        "epochs": 1,
        "batch_size": 8,
    },
    "contexts": {"count": 6, "labels_per_context": 8, "compare": False},
    "scout": {"epochs": 1, "batch_size": 8},
    "adapters": {"epochs": 1, "batch_size": 8, "rank": 2},
}
