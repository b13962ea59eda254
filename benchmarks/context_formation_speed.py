"""How long it takes to form contexts of many labels over many frames (synthetic).

Places with forty labels each, a robot that stays in a place for a minute and sees a few of its
labels for seconds: 1,000 labels, 300,000 frames in 1,000 sequences, 8 labels per context, twice as
many contexts as hold all labels once. One core.

    OMP_NUM_THREADS=1 build/venv/bin/python benchmarks/context_formation_speed.py \
        [--labels 200 --frames 60000]
"""

from __future__ import annotations

import argparse
import json
import math
import time

import numpy as np

from polymorph_ros.contexts.cost import expected_adapters, membership
from polymorph_ros.contexts.formation import ContextLimits, form_contexts
from polymorph_ros.contexts.label_sets import label_sets
from polymorph_ros.data.track import Track

PER_CONTEXT = 8


def synthetic_tracks(labels: int, frames: int, sequences: int, seed: int = 0) -> list[Track]:
    """Sequences at 1 Hz; popular labels stand in many places."""
    rng = np.random.default_rng(seed)
    popularity = 1 / np.arange(1, labels + 1) ** 0.8
    popularity /= popularity.sum()
    in_place = min(40, labels)
    places = [rng.choice(labels, in_place, replace=False, p=popularity) for _ in range(100)]
    tracks = []
    for _ in range(sequences):
        truth = np.zeros((frames // sequences, labels), dtype=np.int8)
        frame = 0
        while frame < len(truth):
            if frame == 0 or rng.random() < 0.02:
                place = places[rng.integers(len(places))]
                share = rng.dirichlet(np.full(in_place, 0.5))
            truth[frame : frame + int(rng.geometric(0.1)), rng.choice(place, p=share)] = 1
            frame += int(rng.geometric(0.25))
        tracks.append(Track(truth, np.arange(float(len(truth)))))
    return tracks


def main() -> None:
    """Form contexts once; print what it took as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", type=int, default=1000)
    parser.add_argument("--frames", type=int, default=300_000)
    parser.add_argument("--sequences", type=int, default=1000)
    asked = parser.parse_args()
    tracks = synthetic_tracks(asked.labels, asked.frames, asked.sequences)
    limits = ContextLimits(2 * math.ceil(asked.labels / PER_CONTEXT), PER_CONTEXT)
    wall, cpu = time.perf_counter(), time.process_time()
    contexts = form_contexts(tracks, limits)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    sets = label_sets(tracks)
    metrics = vars(asked) | {
        "label_sets": len(sets.weights),
        "contexts": len(contexts),
        "labels_per_context": PER_CONTEXT,
        "wall_s": round(wall, 1),
        "cpu_s": round(cpu, 1),
        "adapters_per_frame": round(
            expected_adapters(membership(contexts, asked.labels), sets), 4
        ),
    }  # fmt: skip
    print(json.dumps(metrics, indent=1))


if __name__ == "__main__":
    main()
