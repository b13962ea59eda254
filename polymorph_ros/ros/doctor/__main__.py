"""The program of ``interfaces.doctor``: look at the graph for some seconds and report."""

from __future__ import annotations

import signal
import sys
from typing import Annotated

import typer

from polymorph_ros.errors import PolymorphError
from polymorph_ros.interfaces.doctor import GraphReport


def doctor(
    topics: Annotated[list[str] | None, typer.Argument(help="Image topics; else all.")] = None,
    seconds: Annotated[float, typer.Option(help="How long to listen.")] = 5.0,
) -> None:
    """Report nodes and image topics as JSON."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        report = _look(topics or [], seconds)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except PolymorphError as error:
        _fail(str(error))
    except Exception as error:  # rclpy raises many kinds: a log folder, a missing middleware
        _fail(" ".join(str(error).split()) or type(error).__name__)
    print(report.to_json())


def _look(topics: list[str], seconds: float) -> GraphReport:
    # Imported here: a middleware that is not installed raises only now.
    import rclpy
    from rclpy.signals import SignalHandlerOptions

    from polymorph_ros.ros.doctor.graph import look

    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    try:
        return look(topics, seconds)
    finally:
        rclpy.try_shutdown()


def _fail(reason: str) -> None:
    print(reason, file=sys.stderr)
    raise typer.Exit(1) from None


if __name__ == "__main__":
    typer.run(doctor)
