"""Offline replay: every frame of every sequence through every method, side by side.

Methods take turns block by block (some frames of one sequence), in an order that moves on with
each block, so that a machine's drift hits all alike. A block is long enough that caches are warm
for most of it. Its joules and CPU seconds are read around it and shared out to its frames by
their seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from polymorph_ros.bundle.reader import Bundle
from polymorph_ros.data.dataset import Fault
from polymorph_ros.energy.estimated import process_cpu_seconds
from polymorph_ros.energy.meter import Meter
from polymorph_ros.evaluation.frame_log import Cost, FrameLogBuilder, write_frame_log
from polymorph_ros.evaluation.gpu_clock import GpuClock
from polymorph_ros.evaluation.join import JoinedData, JoinedSequence, LabelledFrame
from polymorph_ros.evaluation.methods.method import Labelled, Method
from polymorph_ros.evaluation.result_bag import result_bag
from polymorph_ros.evaluation.run_folder import RunFolder
from polymorph_ros.progress import progress_bar

BLOCK = 32
RECORDED = "polymorph"  # the method whose answers are written as a recording


@dataclass(frozen=True)
class Bench:
    """What measures: the meter of joules, and the GPU's clock."""

    meter: Meter
    gpu: GpuClock


def replay(
    methods: Sequence[Method],
    data: JoinedData,
    bundle: Bundle,
    bench: Bench,
    folder: RunFolder,
    say: Callable[[str], None],
) -> None:
    """Run all methods over all sequences that an earlier run did not finish.

    What is finished stays, sequence by sequence. Interrupted in the middle of one, the frames
    so far go into a partial file; the next run replays that sequence from its start.

    Args:
        methods: run side by side.
        data: what they label.
        bundle: named in the recordings.
        bench: what measures them.
        folder: where the results go; claimed before.
        say: takes a line on what could not be read.
    """
    run = _Replay(methods, data.labels, bundle, bench, folder, say)
    with progress_bar() as bars:
        task = bars.add_task("replay", total=len(data), note="")
        for number, sequence in enumerate(data.sequences):
            bars.update(task, note=sequence.name)
            if run.is_finished(number, sequence):
                bars.update(task, advance=len(sequence))
            else:
                run.sequence(number, sequence, lambda frames: bars.update(task, advance=frames))


def warm(methods: Sequence[Method], data: JoinedData) -> None:
    """Run the first readable picture through each method, so that no first frame is timed."""
    for sequence in data.sequences:
        for one in sequence.frames():
            for method in methods:
                method.reset()
                method.label(one.frame, one.truth)
            return


@dataclass(frozen=True)
class _Replay:
    """Methods side by side, and where their answers go."""

    methods: Sequence[Method]
    labels: tuple[str, ...]
    bundle: Bundle
    bench: Bench
    folder: RunFolder
    say: Callable[[str], None]

    def is_finished(self, number: int, sequence: JoinedSequence) -> bool:
        files = [self.folder.frames(one.name, number, sequence.name) for one in self.methods]
        return all(file.is_file() for file in files)

    def sequence(
        self, number: int, sequence: JoinedSequence, advance: Callable[[int], None]
    ) -> None:
        """Replay one sequence; broken off, its frames so far go into partial files."""
        logs = {one.name: FrameLogBuilder(sequence.name, self.labels) for one in self.methods}
        for method in self.methods:
            method.reset()
        complete = False
        try:
            self._blocks(number, sequence, logs, advance)
            complete = True
        finally:
            for name, log in logs.items():
                partial = self.folder.frames(name, number, sequence.name, partial=True)
                if complete:
                    write_frame_log(log.build(), self.folder.frames(name, number, sequence.name))
                    partial.unlink(missing_ok=True)
                else:
                    write_frame_log(log.build(), partial)

    def _blocks(
        self,
        number: int,
        sequence: JoinedSequence,
        logs: dict[str, FrameLogBuilder],
        advance: Callable[[int], None],
    ) -> None:
        with ExitStack() as stack:
            bag = None
            if RECORDED in logs:
                path = self.folder.bag(number, sequence.name)
                source = self.bench.meter.source.value
                bag = stack.enter_context(result_bag(path, self.bundle, source))
            for turn, block in enumerate(_blocks(sequence.frames(self._left_out))):
                first = turn % len(self.methods)
                for method in (*self.methods[first:], *self.methods[:first]):
                    said, costs = run_block(method, block, self.bench)
                    for labelled, one, cost in zip(block, said, costs, strict=True):
                        stamp_ns = labelled.frame.stamp_ns
                        logs[method.name].add(labelled.index, stamp_ns, labelled.truth, one, cost)
                        if bag is not None and method.name == RECORDED and one.result is not None:
                            bag.add(one.result, cost, labelled.frame.frame_id)
                advance(len(block))

    def _left_out(self, fault: Fault) -> None:
        self.say(f"left out: {fault.where}: {fault.reason}")


def run_block(
    method: Method, block: Sequence[LabelledFrame], bench: Bench
) -> tuple[list[Labelled], list[Cost]]:
    """Some frames through one method, with what each cost."""
    said, seconds, gpu_seconds = [], [], []
    joules, cpu = bench.meter.read(), process_cpu_seconds()
    for labelled in block:
        start, gpu_before = time.perf_counter(), bench.gpu.seconds
        bench.gpu.start()
        said.append(method.label(labelled.frame, labelled.truth))
        bench.gpu.stop()
        seconds.append(time.perf_counter() - start)
        gpu_seconds.append(bench.gpu.seconds - gpu_before)
    cpu = process_cpu_seconds() - cpu
    joules = bench.meter.read() - joules
    share = [one / sum(seconds) for one in seconds]
    costs = [
        Cost(one, joules * part, cpu * part, gpu)
        for one, part, gpu in zip(seconds, share, gpu_seconds, strict=True)
    ]
    return said, costs


def _blocks(frames: Iterable[LabelledFrame]) -> Iterator[list[LabelledFrame]]:
    block: list[LabelledFrame] = []
    for frame in frames:
        block.append(frame)
        if len(block) == BLOCK:
            yield block
            block = []
    if block:
        yield block
