"""Pins `benchmarks/context_formation.py`: rows of all methods on synthetic traces, the same for
each, and contexts that are never worse than the best of the others; or one line why not.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import context_formation
import numpy as np
import pytest

from helpers.command import invoke
from parts.context_study.groupings import louvain_groups, spectral_groups
from parts.traces import read_trace
from polymorph_ros.contexts.formation import ContextLimits
from polymorph_ros.contexts.label_sets import label_sets
from polymorph_ros.errors import PolymorphError

FIELDS = {"trace", "method", "adapters_per_frame", "contexts", "slots", "seconds"}


def write_trace(file: Path, sequences: int = 24, seed: int = 0) -> Path:
    """Rooms with five things each, and a person who is everywhere."""
    rng = np.random.default_rng(seed)
    lines = []
    for sequence in range(sequences):
        room = [f"thing {sequence % 6}.{number}" for number in range(5)]
        frames = [
            [*rng.permutation(room)[: rng.integers(1, 4)].tolist()] + ["person"] * (frame % 2)
            for frame in range(30)
        ]
        lines.append(json.dumps({"seq": f"s{sequence}", "fps": 1, "frames": frames}))
    file.write_bytes(gzip.compress("\n".join(lines).encode()))
    return file


def test_all_methods_have_the_same_places_and_ours_is_not_worse(tmp_path: Path) -> None:
    traces = [write_trace(tmp_path / f"{seed}.jsonl.gz", seed=seed) for seed in (0, 1)]
    out = tmp_path / "rows.json"

    result = invoke(
        context_formation.main, *traces, "--json", out, "--slack", 1.5, "--labels-per-context", 6
    )

    assert result.exit_code == 0, result.output
    rows = json.loads(out.read_text())
    assert len(rows) == 8
    assert all(row.keys() >= FIELDS for row in rows)
    for trace in ("0", "1"):
        of = {row["method"]: row for row in rows if row["trace"] == trace}
        assert of.keys() == {"polymorph", "random", "spectral", "louvain"}
        assert {row["contexts"] for row in of.values()} == {9}
        assert {of[method]["slots"] for method in ("random", "spectral", "louvain")} == {54}
        assert of["polymorph"]["slots"] <= 54
        ours = of["polymorph"]["adapters_per_frame"]
        assert 1.0 <= ours <= min(row["adapters_per_frame"] for row in of.values()) + 1e-9
        assert of["random"]["adapters_per_frame"] > 1.2


def test_too_few_sequences_are_one_line(tmp_path: Path) -> None:
    trace = write_trace(tmp_path / "short.jsonl.gz", sequences=1)

    result = invoke(context_formation.main, trace)

    assert isinstance(result.exception, PolymorphError)
    assert "labels in both halves" in str(result.exception)


def test_too_little_room_is_one_line(tmp_path: Path) -> None:
    trace = write_trace(tmp_path / "rooms.jsonl.gz")

    result = invoke(context_formation.main, trace, "--contexts", 2)

    assert isinstance(result.exception, PolymorphError)
    assert "room for 31 labels" in str(result.exception)


@pytest.mark.parametrize("method", ["spectral", "louvain"])
def test_baselines_place_every_label_within_the_limits(tmp_path: Path, method: str) -> None:
    trace = read_trace(write_trace(tmp_path / "rooms.jsonl.gz"))
    way = {"spectral": spectral_groups, "louvain": louvain_groups}[method]
    limits = ContextLimits(8, 4)

    members = way(label_sets(trace.tracks), limits, 0)

    assert members.any(axis=0).all()
    assert (members.sum(axis=1) == 4).all()
