"""Pins the way from the executor to the worker: the freshest frame wins, every frame is in one
counters, cameras take turns, the rate is bounded, and jobs run between two frames."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polymorph_ros.ros.inbox import Inbox
from polymorph_ros.ros.worker import Worker

DEADLINE_S = 10.0


def test_the_freshest_item_of_a_key_is_taken() -> None:
    inbox: Inbox[int] = Inbox()

    replaced = [inbox.put("front", item) for item in (1, 2, 3)]

    assert replaced == [False, True, True]
    assert inbox.take(0.0) == ("front", 3)
    assert inbox.take(0.0) is None


def test_the_longest_waiting_camera_goes_first_even_if_its_frame_was_replaced() -> None:
    inbox: Inbox[int] = Inbox()
    inbox.put("slow", 1)
    inbox.put("fast", 2)
    inbox.put("slow", 3)

    assert [inbox.take(0.0), inbox.take(0.0)] == [("slow", 3), ("fast", 2)]


@given(st.lists(st.one_of(st.sampled_from(["a", "b", "c"]), st.none()), max_size=60))
def test_every_item_is_taken_replaced_or_left(actions: list[str | None]) -> None:
    inbox: Inbox[int] = Inbox()
    put = taken = replaced = 0
    for number, key in enumerate(actions):
        if key is None:
            taken += inbox.take(0.0) is not None
        else:
            put += 1
            replaced += inbox.put(key, number)

    assert put == taken + replaced + len(inbox.clear())
    assert inbox.take(0.0) is None


@given(st.integers(1, 5), st.integers(1, 30))
def test_no_camera_waits_longer_than_one_round(cameras: int, rounds: int) -> None:
    inbox: Inbox[int] = Inbox()
    names = [f"camera{index}" for index in range(cameras)]
    for name in names:
        inbox.put(name, 0)
    order = []
    for number in range(rounds):
        taken = inbox.take(0.0)
        assert taken is not None
        order.append(taken[0])
        inbox.put(taken[0], number)  # every camera is always ready again
    for start in range(len(order) - cameras + 1):
        assert set(order[start : start + cameras]) == set(names)


def test_the_rate_limit_holds_back_only_the_camera_that_was_just_answered() -> None:
    inbox: Inbox[int] = Inbox()
    inbox.limit_rate(0.001)
    inbox.put("front", 1)
    assert inbox.take(0.0) == ("front", 1)
    inbox.put("front", 2)
    inbox.put("rear", 3)

    assert inbox.take(0.0) == ("rear", 3)
    assert inbox.take(0.0) is None

    inbox.limit_rate(0.0)
    assert inbox.take(0.0) == ("front", 2)


def test_an_item_held_back_by_the_rate_is_handed_out_when_it_is_due() -> None:
    inbox: Inbox[int] = Inbox()
    inbox.limit_rate(20.0)
    inbox.put("front", 1)
    start = time.monotonic()
    inbox.take(0.0)
    inbox.put("front", 2)

    assert inbox.take(DEADLINE_S) == ("front", 2)
    assert time.monotonic() - start >= 0.049


def test_jobs_run_between_frames_in_order_and_give_their_answer() -> None:
    inbox: Inbox[int] = Inbox()
    at_work, go_on = threading.Event(), threading.Event()
    trace: list[str] = []

    def handle(_key: str, item: int) -> None:
        trace.append(f"frame {item} begins")
        at_work.set()
        assert go_on.wait(DEADLINE_S)
        trace.append(f"frame {item} ends")

    worker = Worker(inbox, handle)
    worker.start()
    inbox.put("front", 1)
    assert at_work.wait(DEADLINE_S)
    jobs = [worker.between_frames(lambda n=n: trace.append(f"job {n}")) for n in (1, 2)]
    go_on.set()
    for job in jobs:
        job.result(DEADLINE_S)
    worker.stop()

    assert trace == ["frame 1 begins", "frame 1 ends", "job 1", "job 2"]


def test_a_job_that_fails_tells_its_caller_and_the_worker_goes_on() -> None:
    handled = threading.Event()
    inbox: Inbox[int] = Inbox()
    worker = Worker(inbox, lambda _key, _item: handled.set())
    worker.start()

    with pytest.raises(ZeroDivisionError):
        worker.between_frames(lambda: 1 // 0).result(DEADLINE_S)
    inbox.put("front", 1)

    assert handled.wait(DEADLINE_S)
    worker.stop()


def test_jobs_that_wait_when_the_worker_stops_are_still_run() -> None:
    worker: Worker[int] = Worker(Inbox(), lambda _key, _item: None)
    waiting = worker.between_frames(lambda: "done")  # the thread was never started

    worker.stop()

    assert waiting.result(0.0) == "done"
