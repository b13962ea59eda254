"""The managed node `polymorph`: its callbacks in the order of its life."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter

from polymorph_ros.bundle.reader import default_bundle
from polymorph_ros.errors import PolymorphError
from polymorph_ros.ros import diagnostics, qos
from polymorph_ros.ros.capture import CaptureCounters
from polymorph_ros.ros.faults import one_line
from polymorph_ros.ros.loader import LoadCancelled, Loader, wait_for
from polymorph_ros.ros.parameters import NodeParameters
from polymorph_ros.ros.services import Services
from polymorph_ros.ros.session import Session

_DIAGNOSTICS_PERIOD_S = 1.0


class PolymorphNode(LifecycleNode):
    """Labels the images of one or several cameras; see docs/node.md for its interface.

    Unconfigured, it has parameters, services and diagnostics only. Configured, it holds a
    warm model and all topics. Active, it answers images.

    Args:
        kwargs: of ``rclpy.lifecycle.LifecycleNode``, such as `namespace` or `context`.
    """

    def __init__(self, node_name: str = "polymorph", **kwargs: Any) -> None:
        super().__init__(node_name, **kwargs)
        self._session: Session | None = None
        self._reporters: list[diagnostics.CameraReporter] = []
        self._fault = ""
        self._life_state = "unconfigured"
        self._node_parameters = NodeParameters(self)
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self._loader = Loader()
        self._node_services = Services(self, self._loader, lambda: self._session)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", qos.RESULTS)
        self._report_timer = self.create_timer(_DIAGNOSTICS_PERIOD_S, self._report, clock=steady)
        self._start_timer = self.create_timer(0.001, self._autostart, clock=steady)

    # ---- birth

    def _autostart(self) -> None:
        """Runs once, as soon as the node is spun."""
        self._start_timer.cancel()
        if not self.get_parameter("autostart").value:
            return
        if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    # ---- transitions

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Check the parameters, load the bundle and warm it."""
        return self._change("configure", "inactive", self._configure)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Open the gates."""
        return self._change("activate", "active", lambda: self._configured().open())

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Close the gates; the weights stay."""
        return self._change("deactivate", "inactive", lambda: self._configured().close())

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the memory."""
        return self._change("clean up", "unconfigured", self._end_session)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End from any state."""
        return self._change("shut down", "finalized", self._end_session)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Back to unconfigured, with nothing left behind."""
        return self._change("recover", "unconfigured", self._end_session)

    def _change(
        self, what: str, state: str, action: Callable[[], None]
    ) -> TransitionCallbackReturn:
        """Run a transition; a fault in it is one clear line and FAILURE."""
        try:
            action()
        except LoadCancelled:
            return TransitionCallbackReturn.FAILURE
        except Exception as error:
            self._fault = f"cannot {what}: {one_line(error)}"
            if self.context.ok():
                self.get_logger().error(self._fault)
            return TransitionCallbackReturn.FAILURE
        self._fault = ""
        self._life_state = state
        return TransitionCallbackReturn.SUCCESS

    def _configure(self) -> None:
        start = time.monotonic()
        settings = self._node_parameters.settings()
        path = settings.bundle or default_bundle()
        self.get_logger().info(f"loading {path}")
        loading = self._loader.start(
            path, settings.device, settings.backend, settings.cpu_threads, self._is_ending
        )
        loaded = wait_for(loading, self._is_ending)
        self._session = Session(self, settings, loaded)
        self._reporters = [
            diagnostics.CameraReporter(camera) for camera in self._session.cameras.values()
        ]
        manifest = loaded.bundle.manifest
        self.get_logger().info(
            f"{manifest.name}: {len(manifest.labels)} labels in {len(manifest.contexts)} contexts "
            f"on {self._session.device} with {loaded.cpu_threads} CPU thread(s), "
            f"ready after {time.monotonic() - start:.1f} s"
        )

    def _is_ending(self) -> bool:
        return not self.context.ok()

    def _configured(self) -> Session:
        if self._session is None:
            raise PolymorphError("a configured node", "an unconfigured one")
        return self._session

    def _end_session(self) -> None:
        session, self._session = self._session, None
        self._reporters = []
        if session is not None:
            session.end()

    # ---- while it lives

    def _on_set_parameters(self, changes: Sequence[Parameter]) -> SetParametersResult:
        """Accept all changes together or none, with the reason."""
        try:
            settings = self._node_parameters.proposed(changes, configured=self._session is not None)
            if self._session is not None:
                self._session.apply(settings)
        except PolymorphError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _report(self) -> None:
        session = self._session
        statuses = [reporter.report() for reporter in self._reporters]
        statuses.append(
            diagnostics.model_status(
                self._life_state,
                session.bundle if session else None,
                session.device if session else "",
                self.get_parameter("device").value,
                self._fault,
            )
        )
        statuses.append(
            diagnostics.energy_status(
                session.ledger.summary() if session else None,
                self.get_parameter("energy.battery_wh").value,
            )
        )
        name = self.get_fully_qualified_name()
        for status in statuses:
            status.name = f"{name}: {status.name}"
        message = DiagnosticArray(status=statuses)
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)

    # ---- end

    def destroy_node(self) -> None:
        """Stop the worker, then end as every node does; a bundle being loaded is left behind."""
        self._end_session()
        self._loader.end()
        super().destroy_node()
        # rclpy leaves this to the collector of cycles, too late at a process's end: the DDS
        # participant would live on with it, and its shared memory stay on the machine.
        self._state_machine.destroy_when_not_in_use()
