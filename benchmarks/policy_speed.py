"""Benchmark of the policy alone: seconds per frame of belief and cover, and memory over frames.

    build/venv/bin/python benchmarks/policy_speed.py [--labels 1000] [--adapters 200] \
        [--frames 5000]

Contexts and scores are synthetic: what counts is the size of the arrays and how many labels are in
play. One thread. The result is a JSON file; docs/belief.md says what came out.
"""

from __future__ import annotations

import gc
import os
import time
from pathlib import Path
from typing import Annotated

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when NumPy is loaded

import numpy as np
import typer

from parts.machine import machine_facts, machine_name, resident_mib
from parts.metrics import Results
from polymorph_ros.contexts.cost import membership
from polymorph_ros.contexts.statistics import Dynamics
from polymorph_ros.files import write_json
from polymorph_ros.runtime.knowledge import Knowledge
from polymorph_ros.runtime.pairs import make_pairs
from polymorph_ros.runtime.policy import Policy
from polymorph_ros.runtime.thresholds import Thresholds

_HERE = Path(__file__).resolve().parent
_DRAWN = 500  # frames that are drawn beforehand and played in turn
_WARM = 200
_SCENE_FRAMES = 20  # a scene of three contexts lasts so long


def main(
    labels: Annotated[int, typer.Option(min=1)] = 1000,
    adapters: Annotated[int, typer.Option(min=1)] = 200,
    frames: Annotated[int, typer.Option(min=100, help="Frames that are timed.")] = 5000,
    endure: Annotated[int, typer.Option(min=0, help="Frames of the memory test.")] = 0,
    hz: Annotated[float, typer.Option(help="Frames per second.")] = 10.0,
    json: Annotated[Path | None, typer.Option(help="Where the metrics go.")] = None,
) -> None:
    """Time the three steps of the policy; with --endure look for growth."""
    rng = np.random.default_rng(0)
    known = _knowledge(labels, adapters, rng)
    drawn = _frames(known, rng)
    policy = Policy(known)
    _play(policy, drawn, 0, _WARM, hz)
    seconds, counts = _play(policy, drawn, _WARM, frames, hz)
    stages = dict(
        zip(
            ("update_from_scout", "select", "update_from_adapters"),
            np.median(seconds, axis=0) * 1e3,
            strict=True,
        )
    )
    total = seconds.sum(axis=1) * 1e3
    metrics: Results = {
        "benchmark": "policy",
        "machine": machine_facts(),
        "labels": labels,
        "adapters": adapters,
        "frames": frames,
        "adapters_per_frame": float(counts.mean()),
        "median_ms": float(np.median(total)),
        "p95_ms": float(np.percentile(total, 95)),
        "min_ms": float(total.min()),
        "median_ms_of_stages": {name: float(value) for name, value in stages.items()},
    }
    if endure:
        metrics["memory"] = _endure(policy, drawn, _WARM + frames, endure, hz)
    write_json(json or _HERE / "results" / f"policy-speed-{machine_name()}.json", metrics)
    typer.echo(f"median {np.median(total):.3f} ms, {counts.mean():.2f} adapters per frame")


def _knowledge(labels: int, adapters: int, rng: np.random.Generator) -> Knowledge:
    """Contexts of eight labels (five of 1,000 / 200, and three that others have too)."""
    own = np.array_split(np.arange(labels), adapters)
    contexts = tuple(
        tuple(sorted({*part.tolist(), *rng.integers(0, labels, 8 - min(8, len(part))).tolist()}))
        for part in own
    )
    prior = np.full(labels, 0.01)
    rates = Dynamics(prior, np.full(labels, 0.002), np.full(labels, 0.2))
    present = Dynamics(np.full(adapters, 0.03), np.full(adapters, 0.005), np.full(adapters, 0.15))
    return Knowledge(
        labels=tuple(f"label {number}" for number in range(labels)),
        context_names=tuple(f"context {number}" for number in range(adapters)),
        contexts=contexts,
        members=membership(contexts, labels),
        pairs=make_pairs(contexts, prior, present.prior),
        label_dynamics=rates,
        context_dynamics=present,
        costs=np.ones(adapters),
        thresholds=Thresholds(*(np.full(labels, value) for value in (0.4, 0.2, 0.08))),
    )


ScoredFrame = tuple[np.ndarray, np.ndarray, list[np.ndarray]]


def _frames(known: Knowledge, rng: np.random.Generator) -> list[ScoredFrame]:
    """Scores of frames that show three contexts at a time with half of their labels."""
    drawn = []
    for number in range(_DRAWN):
        if number % _SCENE_FRAMES == 0:
            there = rng.permutation(len(known.contexts))[:3]
            present = np.zeros(len(known.labels), dtype=np.bool_)
            for context in there.tolist():
                present[rng.permutation(known.contexts[context])[:4]] = True
        label_scores = np.where(present, 0.6, 0.004) * rng.uniform(0.3, 1.5, len(present))
        context_scores = rng.uniform(0.005, 0.03, len(known.contexts))
        context_scores[there] = 0.85
        answers = np.where(present, 0.9, 0.05)
        by_context = [answers[list(group)].astype(np.float32) for group in known.contexts]
        scores = label_scores.astype(np.float32), context_scores.astype(np.float32)
        drawn.append((*scores, by_context))
    return drawn


def _play(
    policy: Policy, drawn: list[ScoredFrame], first: int, count: int, hz: float
) -> tuple[np.ndarray, np.ndarray]:
    """Seconds of the three stages of each frame, (frames, 3), and how many adapters ran."""
    seconds, counts = np.zeros((count, 3)), np.zeros(count)
    for row in range(count):
        label_scores, context_scores, answers = drawn[(first + row) % len(drawn)]
        start = time.perf_counter()
        policy.update_from_scout(round((first + row) * 1e9 / hz), label_scores, context_scores)
        seen = time.perf_counter()
        cover = policy.select()
        chosen = time.perf_counter()
        policy.update_from_adapters(
            cover.adapters, [answers[adapter] for adapter in cover.adapters]
        )
        seconds[row] = seen - start, chosen - seen, time.perf_counter() - chosen
        counts[row] = len(cover.adapters)
    return seconds, counts


def _endure(policy: Policy, drawn: list[ScoredFrame], first: int, count: int, hz: float) -> Results:
    """Resident memory before and after many frames, in ten parts."""
    gc.collect()
    resident = [resident_mib(os.getpid())]
    for part in range(10):
        _play(policy, drawn, first + part * (count // 10), count // 10, hz)
        gc.collect()
        resident.append(resident_mib(os.getpid()))
    return {"frames": count, "resident_mib": resident, "grown_mib": resident[-1] - resident[1]}


if __name__ == "__main__":
    typer.run(main)
