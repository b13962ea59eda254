"""Pins the choice of CPU threads: what is asked for is used, what is found is never too many.

Open: whether the choice is the best one; it is measured on the machine, where load disturbs it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest
import torch

from polymorph_ros.model.threads import use_threads


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("wanted", [1, 2, 3])
def test_a_number_that_is_asked_for_is_used_and_nothing_is_timed(wanted: int) -> None:
    assert use_threads(wanted, lambda: pytest.fail("timed")) == wanted
    assert torch.get_num_threads() == wanted


def test_work_that_no_thread_can_share_gets_one() -> None:
    never = threading.Event()

    # Waiting takes the same time with any number of threads.
    assert use_threads(0, lambda: never.wait(0.02)) == 1
    assert torch.get_num_threads() == 1


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core: nothing to choose")
def test_work_that_threads_share_gets_more() -> None:
    never = threading.Event()

    # As work that splits without loss, by the clock.
    found = use_threads(0, lambda: never.wait(0.1 / torch.get_num_threads()))

    assert 2 <= found <= len(os.sched_getaffinity(0))
    assert torch.get_num_threads() == found
