"""Answers to requests that rclpy's own services cannot read, instead of none at all."""

from __future__ import annotations

from functools import partial
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from rclpy.node import Node

from polymorph_ros.ros.faults import one_line
from polymorph_ros.ros.spinning import OnFault


def answer_malformed_parameters(node: Node, on_fault: OnFault) -> None:
    """Let a node refuse parameters of an unknown type, with the reason.

    rclpy raises instead, and whoever asked would wait for ever.

    Args:
        node: the node, with its parameter services.
        on_fault: takes what was raised, too.
    """
    for service in node.services:
        if service.srv_type in (SetParameters, SetParametersAtomically):
            service.callback = partial(_answer, service, service.callback, on_fault)


def _answer(service: Any, callback: Any, on_fault: OnFault, request: Any, response: Any) -> Any:
    try:
        return callback(request, response)
    except Exception as error:
        on_fault(error, service)
        refused = SetParametersResult(successful=False, reason=one_line(error))
    if service.srv_type is SetParametersAtomically:
        response.result = refused
    else:
        unanswered = len(request.parameters) - len(response.results)
        response.results = [*response.results, *([refused] * unanswered)]
    return response
