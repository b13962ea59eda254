"""What operators do to a node while it works: reloads, parameters, resets, lifecycle cycles."""

from __future__ import annotations

import itertools
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParametersAtomically

from parts.metrics import Results, rounded
from parts.node_watch import NodeWatch
from polymorph_ros.errors import PolymorphError
from polymorph_ros.interfaces import topics
from polymorph_ros.srv import LoadBundle, ResetContext

RELOAD, PARAMETERS, RESET, DEACTIVATE, CLEAN_UP = (
    "reload", "parameters", "reset", "deactivate", "clean up",
)  # fmt: skip
_TURN = (RELOAD, PARAMETERS, RESET, RELOAD, DEACTIVATE, RELOAD, PARAMETERS, RESET, CLEAN_UP)
"""One after the other; reloads are what happens most, for what memory they leave."""

_DEADLINE_S = 60.0

# Live parameters with the values they go through.
_VALUES: tuple[tuple[str, tuple[float | int | bool | str, ...]], ...] = (
    ("max_adapters", (1, 0)),
    ("threshold_shift", (1.0, -1.0, 0.0)),
    ("reuse_s", (0.0, 1.0)),
    ("publish.labels", ("active", "all")),
    ("frame_budget_s", (0.02, 0.0)),
    ("no_data_timeout", (0.5, 1.0)),
    ("detect_unknown_scenes", (False, True)),
)


@dataclass
class Tally:
    """What came of one kind.

    Attributes:
        done: how often it succeeded.
        failed: what the node answered instead, for people.
        seconds: of the slowest one, until its answer.
    """

    done: int = 0
    failed: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Disturbances:
    """Does one after the other to a node, by its services.

    Args:
        watch: follows the node; its own node calls the services.
        bundle: to load again, below the node's ``bundle_root``.
        every_s: seconds between two of them; 0 for none at all.
    """

    def __init__(self, watch: NodeWatch, bundle: str, every_s: float) -> None:
        self._watch, self._bundle, self._every_s = watch, bundle, every_s
        self._next_s = time.monotonic() + every_s
        self._turn = itertools.cycle(_TURN)
        self._settings = itertools.cycle(
            [(name, value) for name, values in _VALUES for value in values]
        )
        self._clients: dict[str, Any] = {}
        self.tallies: dict[str, Tally] = {kind: Tally() for kind in _TURN}

    def due(self) -> str:
        """The kind whose turn it is now; empty if none."""
        if not self._every_s or time.monotonic() < self._next_s:
            return ""
        self._next_s = time.monotonic() + self._every_s
        return next(self._turn)

    def begin(self, kind: str) -> None:
        """Ask for a reload, a parameter or a reset; the answer is counted when it comes."""
        request: Any
        if kind == RELOAD:
            request = LoadBundle.Request(path=self._bundle)
            self._ask(kind, "load_bundle", LoadBundle, request)
        elif kind == RESET:
            self._ask(kind, "reset_context", ResetContext, ResetContext.Request())
        else:
            name, value = next(self._settings)
            request = SetParametersAtomically.Request(parameters=[_parameter(name, value)])
            self._ask(kind, "set_parameters_atomically", SetParametersAtomically, request)

    def change_state(self, kind: str, *transitions: int) -> None:
        """Take the node through transitions, and wait for each.

        Raises:
            PolymorphError: no answer within a minute.
        """
        for transition in transitions:
            request = ChangeState.Request(transition=Transition(id=transition))
            answer = self._ask(kind, "change_state", ChangeState, request)
            try:
                answer.result(_DEADLINE_S)
            except TimeoutError:
                raise PolymorphError(
                    f"an answer to transition {transition}", f"none within {_DEADLINE_S:g} s"
                ) from None

    def results(self) -> Results:
        """Per kind: done, the first failures, and the slowest answer."""
        return {
            kind: {
                "done": tally.done,
                "failed": len(tally.failed),
                "failures": tally.failed[:5],
                "longest_s": rounded(tally.seconds),
            }
            for kind, tally in self.tallies.items()
        }

    def _ask(self, kind: str, service: str, service_type: Any, request: Any) -> Future[None]:
        client = self._clients.get(service)
        if client is None:
            name = f"/{topics.NODE_NAME}/{service}"
            client = self._clients[service] = self._watch.ros.create_client(service_type, name)
            client.wait_for_service(_DEADLINE_S)
        tally, start_s = self.tallies[kind], time.monotonic()
        answered: Future[None] = Future()

        def count(call: Any) -> None:
            fault = _refusal(call.result())
            tally.seconds = max(tally.seconds, time.monotonic() - start_s)
            tally.done += not fault
            if fault:
                tally.failed.append(fault)
            answered.set_result(None)

        client.call_async(request).add_done_callback(count)
        return answered


def _refusal(response: Any) -> str:
    """Why a service did not do what it was asked for; empty if it did."""
    result = getattr(response, "result", response)
    if getattr(result, "successful", getattr(result, "success", False)):
        return ""
    return str(getattr(result, "reason", getattr(result, "message", "a transition FAILED")))


def _parameter(name: str, value: float | int | bool | str) -> Parameter:
    kinds: dict[type, tuple[int, str]] = {
        bool: (ParameterType.PARAMETER_BOOL, "bool_value"),
        int: (ParameterType.PARAMETER_INTEGER, "integer_value"),
        float: (ParameterType.PARAMETER_DOUBLE, "double_value"),
        str: (ParameterType.PARAMETER_STRING, "string_value"),
    }
    number, attribute = kinds[type(value)]
    return Parameter(name=name, value=ParameterValue(type=number, **{attribute: value}))
