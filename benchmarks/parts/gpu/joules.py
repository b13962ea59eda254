"""Joules per frame by NVML's total energy counter, of several ways, interleaved.

The counter is renewed only now and then: a block lasts from one renewal to another, and the load
runs across both. Blocks of different ways follow each other in random order.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from statistics import fmean, median

import torch

from parts.gpu.bench import Bench
from parts.gpu.composition import TAIL_BLOCKS, TINY
from parts.gpu.nvml import clocks, total_joules
from parts.metrics import Results, rounded
from polymorph_ros.energy.counter import CounterMeter, WrappingCounter
from polymorph_ros.energy.meter import Meter, open_meter
from polymorph_ros.energy.nvml import ERROR, POLL_S, RENEWAL_S
from polymorph_ros.energy.reading import EnergySource
from polymorph_ros.errors import PolymorphError
from polymorph_ros.evaluation.composition.synthetic import size_of
from polymorph_ros.evaluation.composition.ways import Ways

Frame = Callable[[], object]
_SOME, _ALL = 4, 16  # active adapters, and all there are
_LEAD_S = 0.3  # of load before a block
_LIMIT_S = 3.0  # in which the counter must move
_PACED_HZ = 30.0


def measure(bench: Bench) -> None:
    """The counter's renewal, idle power, and joules per frame."""
    meter = _open_meter(bench)
    results = bench.results
    results["meter"] = {"source": meter.source.value, "scope": meter.scope, "note": meter.note}
    with torch.inference_mode():
        frames = _frames(bench)
        idle_s = 0.3 if bench.quick else 3.0
        results["idle_w"] = [rounded(_idle_watts(meter, idle_s))]
        results["idle_clocks"] = clocks() if bench.on_gpu else {}
        some = frames["composed"]
        results["renewal_s"] = _renewal(meter, some, bench, 0.3 if bench.quick else 2.0)
        bench.save()
        _measure_blocks(meter, frames, bench)
        results["idle_w"].append(rounded(_idle_watts(meter, idle_s)))
    meter.close()
    for name, row in results["rows"].items():
        bench.say(f"joules per frame, {name}: {row['mj']} mJ ({row['watts']} W, {row['blocks']} "
                  f"blocks), above idle {row['mj_above_idle']} mJ")  # fmt: skip
    bench.say(f"idle {results['idle_w']} W, counter renewed every {results['renewal_s']} s")


def _open_meter(bench: Bench) -> Meter:
    """The product's meter; without its library zeus the same counter, asked directly."""
    if not bench.on_gpu:
        return open_meter("estimated")
    try:
        return open_meter("nvml", device="cuda")
    except PolymorphError as error:
        counter = WrappingCounter(total_joules())
        scope = f"whole GPU 0, asked without zeus: {error}"
        return CounterMeter(EnergySource.NVML, scope, RENEWAL_S, [counter], ERROR)


def _frames(bench: Bench) -> dict[str, Frame]:
    """One frame by each way; those named ``paced`` at 30 Hz."""
    small, large = (TINY, TINY) if bench.quick else (size_of("ViT-S"), size_of("ViT-B"))
    half = torch.bfloat16
    ways = Ways(small, TAIL_BLOCKS, _ALL, _SOME, bench.device, dtype=half)
    larger = Ways(large, TAIL_BLOCKS, 1, 0, bench.device, dtype=half)
    found: dict[str, Frame] = {
        "composed": ways.fastest("composed", _SOME),
        "all_adapters": ways.fastest("composed", _ALL),
        "one_lora": ways.fastest("composed", 1),
        "separate_models": ways.fastest("separate_models", _SOME),
        "larger_backbone": larger.fastest("composed", 1),
        "bare": ways.fastest("bare", 1),
        "peft_one_by_one": ways.fastest("peft_sequential", _SOME),
    }
    paced = {name: found[name] for name in ("composed", "all_adapters", "separate_models")}
    return found | {f"paced_{name}": _Paced(run) for name, run in paced.items()}


class _Paced:
    """A frame at most every 1/30 s, as a camera's."""

    def __init__(self, run: Frame) -> None:
        self._run, self._due_s = run, 0.0

    def __call__(self) -> None:
        now = time.monotonic()
        time.sleep(max(0.0, self._due_s - now))
        self._due_s = max(now, self._due_s) + 1.0 / _PACED_HZ
        self._run()


def _measure_blocks(meter: Meter, frames: dict[str, Frame], bench: Bench) -> None:
    rounds = 1 if bench.quick else 2
    # a block has a lead, half a renewal on average at either end, and itself
    block_s = max(0.1, 0.8 * bench.left_s() / (rounds * len(frames)) - _LEAD_S - RENEWAL_S - POLL_S)
    block_s = min(0.2 if bench.quick else 4.0, block_s)
    blocks: dict[str, list[tuple[float, float, int]]] = {name: [] for name in frames}
    order, chance = list(frames), random.Random(0)
    for _ in range(rounds):
        chance.shuffle(order)
        for name in order:
            blocks[name].append(_block(meter, frames[name], bench, block_s))
            bench.results["rows"] = {
                each: _row(found, bench.results["idle_w"][0])
                for each, found in blocks.items()
                if found
            }
            bench.save()
    bench.results["block_s"] = rounded(block_s)


def _block(meter: Meter, frame: Frame, bench: Bench, seconds: float) -> tuple[float, float, int]:
    """Joules, seconds and frames from one renewal of the counter to another."""
    lead_s = time.monotonic() + (0.02 if bench.quick else _LEAD_S)
    while time.monotonic() < lead_s:
        _run(frame, bench)
    _, first_j = _to_renewal(meter, partial(_run, frame, bench))
    start, frames = time.monotonic(), 0
    while time.monotonic() - start < seconds:
        _run(frame, bench)
        frames += 1
    more, last_j = _to_renewal(meter, partial(_run, frame, bench))
    return last_j - first_j, time.monotonic() - start, frames + more


def _run(frame: Frame, bench: Bench) -> None:
    frame()
    bench.wait()


def _to_renewal(meter: Meter, run: Frame) -> tuple[int, float]:
    """Runs until the counter moves; returns how often, and the new reading."""
    before, end, count = meter.read(), time.monotonic() + _LIMIT_S, 0
    while time.monotonic() < end:
        run()
        count += 1
        now = meter.read()
        if now != before:
            return count, now
    raise RuntimeError(f"the energy counter did not move in {_LIMIT_S} s of load")


def _idle_watts(meter: Meter, seconds: float) -> float:
    """Mean power while nothing runs; a counter that stands still then shows 0 watts."""
    before, start = meter.read(), time.monotonic()
    time.sleep(seconds)
    return (meter.read() - before) / (time.monotonic() - start)


def _renewal(meter: Meter, frame: Frame, bench: Bench, seconds: float) -> Results:
    """Seconds between two renewals under load; the GPU is asked as often as it answers."""
    times, last, end = [], meter.read(), time.monotonic() + seconds
    asked = 0
    frame()
    while time.monotonic() < end:
        if asked % 8 == 0:
            frame()  # not waited for: the host asks on
        now = meter.read()
        asked += 1
        if now != last:
            times.append(time.monotonic())
            last = now
    bench.wait()
    gaps = [b - a for a, b in pairwise(times)]
    if not gaps:
        return {"renewals": len(times), "asked": asked}
    found = {"median": median(gaps), "shortest": min(gaps), "longest": max(gaps)}
    asking = {"one_question_s": seconds / asked}
    return {name: round(value, 5) for name, value in (found | asking).items()}


def _row(blocks: list[tuple[float, float, int]], idle_w: float) -> Results:
    joules = [joules / frames for joules, _, frames in blocks]
    above = [(j - idle_w * seconds) / frames for j, seconds, frames in blocks]
    return {
        "mj": rounded(1e3 * fmean(joules)),
        "mj_above_idle": rounded(1e3 * fmean(above)),
        "mj_of_blocks": [rounded(1e3 * each) for each in joules],
        "watts": rounded(sum(j for j, _, _ in blocks) / sum(s for _, s, _ in blocks)),
        "hz": rounded(sum(n for _, _, n in blocks) / sum(s for _, s, _ in blocks)),
        "blocks": len(blocks),
    }
