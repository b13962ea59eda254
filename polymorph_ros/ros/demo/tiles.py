"""Which answered frames the contact sheet of a run shows, and what it says of them."""

from __future__ import annotations

import numpy as np

from polymorph_ros.data.bags import read_bag_frames
from polymorph_ros.data.frame import Frame
from polymorph_ros.ros.demo.sheet import Tile, judge
from polymorph_ros.ros.demo.summary import Summary, Truth
from polymorph_ros.ros.harness.listener import Answer
from polymorph_ros.ros.harness.recording import Recording
from polymorph_ros.ros.harness.run import RunOutput

_TILES = 16


def select_tiles(recording: Recording, run: RunOutput, truth: Truth) -> list[Tile]:
    """Answered frames of a run, evenly spaced; at least one must have been answered."""
    answers = [run.node.answers[stamp] for stamp in sorted(run.node.answers)]
    answers = [answer for answer in answers if answer.stamp_ns in run.recorded_ns]
    places = np.linspace(0, len(answers) - 1, min(_TILES, len(answers))).round().astype(int)
    selected = {run.recorded_ns[answers[place].stamp_ns]: answers[place] for place in places}
    first_ns = min(run.recorded_ns.values())
    tiles = []
    for frame in read_bag_frames(recording.path, recording.topic):
        answer = selected.pop(frame.stamp_ns, None)
        if answer is not None:
            adapters = run.node.adapters.get(answer.stamp_ns, ())
            at_s = (frame.stamp_ns - first_ns) * 1e-9
            tiles.append(_tile(frame, answer, adapters, at_s, truth))
    return tiles


def subtitle(summary: Summary) -> str:
    """The run in one line."""
    parts = [f"{summary.answered} of {summary.published} frames answered"]
    if summary.mean_ap is not None:
        parts.append(f"mean AP {summary.mean_ap:.3f}")
    if summary.latency_p50_s is not None:
        parts.append(f"median latency {summary.latency_p50_s * 1e3:.0f} ms")
    if summary.adapters_per_frame is not None:
        parts.append(f"{summary.adapters_per_frame:.1f} adapters per frame")
    if summary.joules_per_frame is not None:
        parts.append(f"{summary.joules_per_frame:.2f} J per frame ({summary.energy_source})")
    return ", ".join(parts)


def _tile(
    frame: Frame, answer: Answer, adapters: tuple[str, ...], at_s: float, truth: Truth
) -> Tile:
    names = ", ".join(adapters) or "no adapter"
    return Tile(
        image=frame.image,
        caption=f"{at_s:.1f} s   {answer.latency_s * 1e3:.0f} ms   {names}",
        chips=judge(answer.scores, answer.active, truth.get(frame.stamp_ns)),
    )
