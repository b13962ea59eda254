"""The sheet of a run: some of its answered frames, with what was seen and what was there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from polymorph_ros.data.bags import read_bag_frames
from polymorph_ros.data.frame import Frame
from polymorph_ros.ros.demo.listener import Answer
from polymorph_ros.ros.demo.recording import Recording
from polymorph_ros.ros.demo.run import Played
from polymorph_ros.ros.demo.sheet import Tile, draw_sheet, judge
from polymorph_ros.ros.demo.summary import Summary, Truth

_TILES = 16


def draw_run(
    recording: Recording, played: Played, truth: Truth, summary: Summary
) -> NDArray[np.uint8]:
    """The contact sheet of a run with at least one answer, uint8 RGB."""
    answers = [played.heard.answers[stamp] for stamp in sorted(played.heard.answers)]
    answers = [answer for answer in answers if answer.stamp_ns in played.recorded_ns]
    places = np.linspace(0, len(answers) - 1, min(_TILES, len(answers))).round().astype(int)
    chosen = {played.recorded_ns[answers[place].stamp_ns]: answers[place] for place in places}
    first_ns = min(played.recorded_ns.values())
    tiles = []
    for frame in read_bag_frames(recording.path, recording.topic):
        answer = chosen.pop(frame.stamp_ns, None)
        if answer is not None:
            tiles.append(_tile(frame, answer, played, truth, first_ns))
    return draw_sheet(tiles, f"{summary.bundle} on {recording.material}", _subtitle(summary))


def _tile(
    frame: Frame,
    answer: Answer,
    played: Played,
    truth: Truth,
    first_ns: int,
) -> Tile:
    adapters = ", ".join(played.heard.adapters.get(answer.stamp_ns, ())) or "no adapter"
    at_s = (frame.stamp_ns - first_ns) * 1e-9
    return Tile(
        image=frame.image,
        caption=f"{at_s:.1f} s   {answer.latency_s * 1e3:.0f} ms   {adapters}",
        chips=judge(answer.scores, answer.active, truth.get(frame.stamp_ns)),
    )


def _subtitle(summary: Summary) -> str:
    words = [f"{summary.answered} of {summary.published} frames answered"]
    if summary.mean_ap is not None:
        words.append(f"mean AP {summary.mean_ap:.3f}")
    if summary.latency_p50_s is not None:
        words.append(f"latency p50 {summary.latency_p50_s * 1e3:.0f} ms")
    if summary.adapters_per_frame is not None:
        words.append(f"{summary.adapters_per_frame:.1f} adapters per frame")
    if summary.joules_per_frame is not None:
        words.append(f"{summary.joules_per_frame:.2f} J per frame ({summary.energy_source})")
    return ", ".join(words)
