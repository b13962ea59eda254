"""Pins that a node which loads bundles again and again, and labels meanwhile, does not grow."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from helpers.ros_peer import Peer
from helpers.ros_process import NodeProcess
from polymorph_ros.bundle.reader import default_bundle
from polymorph_ros.msg import LabelArray
from polymorph_ros.srv import LoadBundle

WARM, RELOADS = 3, 15
GROWTH_MIB = 12  # without what keeps it small: 27 and more


def resident_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc on this system")
def test_reloads_while_labelling_leave_memory_as_it_is(peer: Peer) -> None:
    given = {"autostart": True, "device": "cpu", "cpu_threads": 1, "energy.meter": "estimated"}
    with NodeProcess(parameters=given) as process:
        process.wait_for_words("active: images of")
        heard = peer.listen(LabelArray, "polymorph/labels")
        with peer.camera(peer.images("image"), 480, 640):
            peer.wait_for(lambda: heard, "an answer")
            memory = []
            for _ in range(RELOADS):
                answer = peer.call(LoadBundle, "polymorph/load_bundle", path=default_bundle().name)
                assert answer.success, answer.message
                seen = len(heard)
                peer.wait_for(lambda seen=seen: len(heard) > seen + 3, "answers of the new bundle")
                memory.append(resident_mib(process.pid))
        process.send(signal.SIGINT)
        assert process.end() == 0

    assert memory[-1] - memory[WARM] < GROWTH_MIB, [round(mib) for mib in memory]
