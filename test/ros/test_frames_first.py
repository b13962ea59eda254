"""Pins what lets frames go on while a bundle loads: threads, and what the interpreter is told."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from polymorph_ros.bundle.reader import default_bundle
from polymorph_ros.ros.threads import TaskThread

_LOOK = """
import inspect, os, sys
from pathlib import Path
from polymorph_ros.ros import main
main._let_frames_go_first()
assert sys.getswitchinterval() < 0.001, sys.getswitchinterval()
assert os.environ["HF_DEACTIVATE_ASYNC_LOAD"] == "1"
import polymorph_ros.ros.services as services
from polymorph_ros.ros.loader import Loader, wait_for
loader = Loader()
for _ in range(2):
    wait_for(loader.start(Path(sys.argv[1]), "cpu", "float32", 1, lambda: False), lambda: False)
assert os.path.realpath(services.__file__) in inspect.modulesbyfile
print("looked")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere niceness is the whole process's")
def test_a_thread_gives_way_alone() -> None:
    thread = TaskThread("patient", niceness=7)

    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    assert thread.run(niceness).result(10.0) == max(7, niceness())
    assert niceness() == os.nice(0), "the thread that started it goes on as before"
    thread.end(5.0)


def test_a_process_that_loaded_a_bundle_knows_the_files_that_log_lines_come_from() -> None:
    looked = subprocess.run(
        [sys.executable, "-c", _LOOK, str(default_bundle())],
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert looked.stdout.strip() == "looked", looked.stderr
