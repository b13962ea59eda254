"""Draw a label's belief over a real trace beside the truth: docs/images/belief.png.

    build/venv/bin/python benchmarks/belief_picture.py ../shared/data/traces/epic55_….jsonl.gz

The trace's label sets are real, the scores simulated (see docs/belief.md). The sequence is held
out, and the label the one of those in it that comes and goes most often.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import matplotlib as mpl
import numpy as np
import typer

from parts.policy_study.policies import Polymorph
from parts.policy_study.simulated_scores import Quality, Simulator
from parts.policy_study.study import learn, split_sequences, weights_for
from parts.traces import read_trace

mpl.use("agg")
import matplotlib.pyplot as plt

_PICTURE = Path(__file__).resolve().parents[1] / "docs/images/belief.png"
_FRAMES = 240


def main(trace: Path, out: Annotated[Path, typer.Option()] = _PICTURE) -> None:
    """Simulate one held-out sequence and draw its busiest label."""
    read = read_trace(trace)
    split = split_sequences(read.tracks, seed=0, frames=3000)
    known = learn(read.vocabulary.names, split.learning, labels_per_context=8)
    known = replace(known, weights=weights_for(Quality()))
    track = max(split.held_out, key=lambda track: np.abs(np.diff(track.truth, axis=0)).sum())
    label = int(np.abs(np.diff(track.truth[:_FRAMES], axis=0)).sum(axis=0).argmax())
    scores = Simulator(known, Quality()).simulate(track, 0)
    policy = Polymorph(known)
    belief, ran = [], []
    for frame, stamp_s in enumerate(track.stamps_s[:_FRAMES]):
        policy.update_from_scout(
            round(float(stamp_s) * 1e9),
            scores.label_scores[frame],
            scores.context_scores[frame],
        )
        chosen = policy.select().adapters
        policy.update_from_adapters(chosen, [scores.answers[adapter][frame] for adapter in chosen])
        belief.append(float(policy.label_belief[label]))
        ran.append(bool(known.members[list(chosen), label].any()))
    seconds = track.stamps_s[: len(belief)]
    figure, axes = plt.subplots(figsize=(9, 2.6), dpi=90)
    present = track.truth[: len(belief), label] == 1
    axes.fill_between(seconds, 0, present, step="post", color="#cfe3cf", label="there (truth)")
    axes.plot(
        seconds, scores.label_scores[: len(belief), label], ".", color="#999999", ms=3,
        label="scout's score",
    )  # fmt: skip
    axes.step(seconds, belief, where="post", color="#1f4e79", lw=1.2, label="belief")
    axes.fill_between(
        seconds, -0.07, -0.03, where=ran, step="post", color="#c46a1b", label="its adapter runs"
    )
    axes.set(
        xlabel="seconds", ylim=(-0.09, 1.3), xlim=(seconds[0], seconds[-1]),
        title=f"{read.name}, {track.name}: {read.vocabulary.names[label]} (simulated scores)",
    )  # fmt: skip
    axes.legend(loc="upper right", fontsize=7, ncol=4, framealpha=0.9)
    figure.tight_layout()
    out.parent.mkdir(exist_ok=True)
    figure.savefig(out)
    typer.echo(str(out))


if __name__ == "__main__":
    typer.run(main)
