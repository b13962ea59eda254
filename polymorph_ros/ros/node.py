"""The managed node `polymorph`: its callbacks in the order of its life."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.logging import LoggingSeverity
from rclpy.parameter import Parameter

from polymorph_ros.bundle.reader import default_bundle
from polymorph_ros.errors import PolymorphError
from polymorph_ros.ros import diagnostics, qos
from polymorph_ros.ros.capture import CaptureCounters
from polymorph_ros.ros.faults import CallbackFaults, one_line
from polymorph_ros.ros.loader import Loader, wait_for
from polymorph_ros.ros.malformed import answer_malformed_parameters
from polymorph_ros.ros.parameters import NodeParameters
from polymorph_ros.ros.services import Services
from polymorph_ros.ros.session import Session
from polymorph_ros.ros.settings import NodeSettings
from polymorph_ros.ros.transitions import Transitions
from polymorph_ros.runtime.loading import LoadedBundle

_DIAGNOSTICS_PERIOD_S = 1.0
_PATIENCE_S = 2.0  # for a transition that is under way when the node ends


class PolymorphNode(LifecycleNode):
    """Labels the images of one or several cameras; see docs/node.md for its interface.

    Unconfigured, it has parameters, services and diagnostics only. Configured, it holds a
    warm model and all topics. Active, it answers images.

    Args:
        kwargs: of ``rclpy.lifecycle.LifecycleNode``, such as `namespace` or `context`.
    """

    def __init__(self, node_name: str = "polymorph", **kwargs: Any) -> None:
        super().__init__(node_name, **kwargs)
        self.callback_faults = CallbackFaults(self)
        self._reported_faults = 0
        self._lock = threading.Lock()  # between the threads of transitions and of the executor
        self._session: Session | None = None
        self._reporters: list[diagnostics.CameraReporter] = []
        self._fault = ""
        self._ending = False
        self._node_parameters = NodeParameters(self)
        self._settings: NodeSettings | None = None
        self.add_on_set_parameters_callback(self._on_set_parameters)
        answer_malformed_parameters(self, self.callback_faults.note)
        self._transitions = Transitions(self)
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
        self._transitions.run(self._start)

    def _start(self) -> None:
        if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    # ---- transitions

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Check the parameters, load the bundle and warm it."""
        return self._change("configure", self._configure)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Open the gates."""
        return self._change("activate", self._activate)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Close the gates; the weights stay."""
        return self._change("deactivate", self._deactivate)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the memory."""
        return self._change("clean up", self._clean_up)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End from any state."""
        return self._change("shut down", self._shut_down)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Back to unconfigured, with nothing left behind."""
        return self._change("recover", self._clean_up)

    def _change(self, what: str, action: Callable[[], str]) -> TransitionCallbackReturn:
        """Run a transition: one line in the log, of what was done or why it FAILED."""
        try:
            done = action()
        except Exception as error:
            if self._is_ending():
                # what rclpy logs as errors from here on is the end that was asked for
                self.get_logger().set_level(LoggingSeverity.FATAL)
                return TransitionCallbackReturn.FAILURE
            self._fault = f"cannot {what}: {one_line(error)}"
            self.get_logger().error(self._fault)
            return TransitionCallbackReturn.FAILURE
        self._fault = ""
        self.get_logger().info(done)
        return TransitionCallbackReturn.SUCCESS

    def _configure(self) -> str:
        start = time.monotonic()
        with self._lock:
            self._settings = settings = self._node_parameters.settings()
        try:
            loaded = self._load(settings)
            session = Session(self, settings, loaded)
            self._take(session)
        finally:
            self._settings = None
        self._reporters = [diagnostics.CameraReporter(it) for it in session.monitors.values()]
        manifest = loaded.bundle.manifest
        return (
            f"{manifest.name}: {len(manifest.labels)} labels in {len(manifest.contexts)} contexts "
            f"on {session.device} with {loaded.cpu_threads} CPU thread(s), "
            f"ready after {time.monotonic() - start:.1f} s"
        )

    def _take(self, session: Session) -> None:
        """Own a new session, with the live parameters that were set while it was made."""
        try:
            with self._lock:
                if self._settings is not None:
                    session.apply(self._settings)
                self._session = session
        except PolymorphError:
            session.end()
            raise

    def _load(self, settings: NodeSettings) -> LoadedBundle:
        path = settings.bundle or default_bundle()
        self.get_logger().info(f"loading {path}")
        loading = self._loader.start(
            path, settings.device, settings.backend, settings.cpu_threads, self._is_ending
        )
        return wait_for(loading, self._is_ending)

    def _activate(self) -> str:
        self._configured().open()
        return f"active: images of {', '.join(self._configured().cameras)} are answered"

    def _deactivate(self) -> str:
        self._configured().close()
        return "inactive: images are ignored, the bundle stays loaded"

    def _clean_up(self) -> str:
        self._end_session()
        return "unconfigured: topics and memory are given back"

    def _shut_down(self) -> str:
        self._end_session()
        return "shut down: this node does nothing any more"

    def _is_ending(self) -> bool:
        return self._ending or not self.context.ok()

    def _configured(self) -> Session:
        if self._session is None:
            raise PolymorphError("a configured node", "an unconfigured one")
        return self._session

    def _end_session(self) -> None:
        with self._lock:
            session, self._session = self._session, None
        self._reporters = []
        if session is not None:
            session.end()

    # ---- while it lives

    def _on_set_parameters(self, changes: Sequence[Parameter]) -> SetParametersResult:
        """Accept all changes together or none, with the reason."""
        with self._lock:
            session = self._session
            configured = session is not None or self._settings is not None
            try:
                settings = self._node_parameters.proposed(changes, configured=configured)
                if session is not None:
                    session.apply(settings)
                elif configured:
                    self._settings = settings
            except PolymorphError as error:
                return SetParametersResult(successful=False, reason=str(error))
            return SetParametersResult(successful=True)

    def _report(self) -> None:
        session = self._session
        faults, before = self.callback_faults.count, self._reported_faults
        self._reported_faults = faults
        state = self._state_machine.current_state[1]
        statuses = [diagnostics.node_status(state, self.callback_faults, faults - before)]
        statuses += [reporter.report() for reporter in self._reporters]
        statuses.append(
            diagnostics.model_status(
                state,
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
        capture = session.capture if session else None
        statuses.append(
            diagnostics.capture_status(
                capture.settings.folder if capture else None,
                capture.counters if capture else CaptureCounters(),
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
        self._ending = True
        self._transitions.end(_PATIENCE_S)
        self._end_session()
        self._loader.end()
        super().destroy_node()
        # rclpy leaves this to the collector of cycles, too late at a process's end: the DDS
        # participant would live on with it, and its shared memory stay on the machine.
        self._state_machine.destroy_when_not_in_use()
