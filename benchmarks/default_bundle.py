"""What the default bundle is worth: drawn scenes, real groceries, unknown places, milliseconds.

    build/venv/bin/python examples/groceries.py
    build/venv/bin/python examples/camvid_davis.py
    build/venv/bin/python benchmarks/default_bundle.py [BUNDLE] [--json PATH]

The engine runs as in the node, a frame at a time on one thread. Each photo stands by itself. The
pixels of photos are real, shelves and scenes are synthetic.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from json import dumps
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray

from parts.camvid_davis import TEST_TABLES
from parts.clips import Clip, labelled_clips, synthetic_clips
from parts.examples import ROOT
from parts.machine import machine_facts
from parts.metrics import Results, rounded
from parts.unknown_scene_detection import distances
from polymorph_ros.bundle.reader import Bundle, default_bundle, read_bundle
from polymorph_ros.cli.main import run
from polymorph_ros.evaluation.metrics import mean_average_precision
from polymorph_ros.files import write_json
from polymorph_ros.runtime.engine import Engine
from polymorph_ros.runtime.result import FrameResult
from polymorph_ros.training.stages.bundle import engine_of

_GROCERIES = ROOT / "build/groceries"
_SEED = 7
_EVERY = 5  # each so many-th frame of CamVid and DAVIS


def main(
    bundle: Annotated[Path | None, typer.Argument(help="Else the one of the package.")] = None,
    groceries: Annotated[Path, typer.Option(help="Where the tables are.")] = _GROCERIES,
    count: Annotated[int, typer.Option(min=1, help="Drawn scenes, 50 frames each.")] = 60,
    json: Annotated[Path | None, typer.Option(help="Where the results go.")] = None,
) -> None:
    """Measure a bundle on all of them."""
    torch.set_num_threads(1)
    opened = read_bundle(bundle or default_bundle())
    engine = engine_of(opened, "cpu")
    names = engine.model.labels
    drawn = list(synthetic_clips(names, count, _SEED))
    results: Results = {
        "benchmark": "default_bundle",
        "bundle": opened.manifest.name,
        "mib": rounded(_size(opened) / (1 << 20)),
        "drawn": _accuracy(engine, drawn),
    }
    known = list(drawn)
    for name in ("photos", "shelves"):
        clips = list(labelled_clips(groceries / f"{name}_test.csv", names))
        results[name] = _accuracy(engine, clips)
        known += clips if name == "photos" else []
    results["unknown_scenes"] = _unknown(engine, known, opened)
    results["machine"] = machine_facts()
    if json is not None:
        write_json(json, results)
    typer.echo(dumps(results, indent=1))


def _accuracy(engine: Engine, clips: Sequence[Clip]) -> Results:
    """Mean AP, CPU time, and the share of frames with one label whose best score is that label's.

    Best of the labels that are judged somewhere in the clips and present somewhere.
    """
    start = time.process_time()
    found = [result for clip in clips for result in _results(engine, clip)]
    seconds = time.process_time() - start
    scores = np.stack([result.score_array for result in found])
    truth = np.concatenate([clip.truth for clip in clips])
    return {
        "frames": len(found),
        "mean_ap": rounded(mean_average_precision(scores, truth)),
        "top_1": rounded(_top_1(scores, truth)),
        "adapters_per_frame": rounded(float(np.mean([len(r.cover.adapters) for r in found]))),
        "cpu_ms": rounded(1e3 * seconds / len(found)),
    }


def _results(engine: Engine, clip: Clip) -> Sequence[FrameResult]:
    engine.reset()
    return [engine.step(frame) for frame in clip.frames]


def _top_1(scores: NDArray[np.float64], truth: NDArray[np.int8]) -> float:
    shown = (truth == 1).any(axis=0)
    single = (truth == 1).sum(axis=1) == 1
    best = np.where(shown, scores, -1.0)[single].argmax(axis=1)
    return float((truth[single][np.arange(len(best)), best] == 1).mean())


def _unknown(engine: Engine, known: Sequence[Clip], bundle: Bundle) -> Results:
    """Shares called unknown: of known frames by the bundle's threshold, and at 1 % of them."""
    entry = bundle.manifest.unknown_scene
    assert entry is not None, "the default bundle detects unknown scenes"
    base = np.concatenate(distances(engine.model, known))
    limit = float(np.quantile(base, 0.99))
    results: Results = {"false_alarms": rounded(float((base > entry.threshold).mean()))}
    for table in TEST_TABLES:
        clips = [
            Clip(clip.frames[::_EVERY], clip.truth[::_EVERY]) for clip in labelled_clips(table)
        ]
        found = np.concatenate(distances(engine.model, clips))
        results[table.stem] = rounded(float((found > entry.threshold).mean()))
        results[f"{table.stem}_at_1_percent"] = rounded(float((found > limit).mean()))
    return results


def _size(bundle: Bundle) -> int:
    return sum(file.stat().st_size for file in bundle.path.rglob("*") if file.is_file())


if __name__ == "__main__":
    run(main)
