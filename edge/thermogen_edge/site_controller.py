"""Watching and steering the site: readings into alerts and state, state into what the node may do."""

from __future__ import annotations

import logging

from thermogen_esf.frames import AlertCode, Severity
from thermogen_esf.points import Fault

from .alerts import Alerts
from .buffer import Buffer, BufferError, CommandLog
from .monitors import Alarm, Watch
from .node import Node, NodeStatus, Trip
from .profile import Profile
from .readings import Readings
from .state_machine import OUTPUTS, StateMachine

_log = logging.getLogger(__name__)


class SiteController:
    """Follows one site. What it asks of the node is written when it changes, and again when the node may have forgotten."""

    def __init__(self, node: Node, buffer: Buffer, profile: Profile, alerts: Alerts) -> None:
        self._node = node
        self._buffer = buffer
        self._commands = CommandLog(buffer.database)
        self._limits = profile.limits
        self._alerts = alerts
        self._machine = StateMachine(buffer.site_state, profile.limits)
        self._stored = self._unstored = self._machine.state
        self._watch = Watch(profile.limits)
        self._written: tuple[bool, int] | None = None

    def forget(self) -> None:
        """The link was lost: what the node holds is unknown."""
        self._written = None

    def power_cycled(self) -> None:
        """The node lost its power."""
        self._machine.power_cycled()
        self._remember()
        self._written = None

    def follow(self, now: Readings) -> None:
        """Takes the readings of a site second."""
        for alarm in self._watch.follow(now):
            self._alerts.raise_(alarm)
        before = self._machine.state
        event = self._machine.follow(now)
        if event is not None:
            _log.info("%s: %s becomes %s", event.value, before.name.lower(), self._machine.state.name.lower())
        self._remember()

    def attend_trip(self, status: NodeStatus) -> None:
        """Says and remembers what is latched, a trip or single channels; ends it where a command has asked for just that; HostLinkError."""
        latched = status.latched_trip or status.latched_channels
        before = self._commands.latched_trip
        if latched != before:
            self._commands.set_latched_trip(latched)
            if status.latched_trip is None and before is not None and before.time_s:
                # Another hand than ours: SCADA's, where it may. The node's power would have shown as a boot; channels have no time.
                self._machine.trip_cleared()
                self._remember()
            elif latched is not None and status.latched_trip is not None:
                text = f"the gateware has switched everything off: {_causes(latched)}"
                self._alerts.raise_(Alarm(AlertCode.TRIP_LATCHED, Severity.FATAL, text, value=latched.cause, threshold=latched.time_s))
        if latched is None or self._commands.take_trip_to_clear() != latched:
            return
        if self._node.clear_trip():
            _log.info("the trip of %d is cleared (%s)", latched.time_s, _causes(latched))
            self._commands.set_latched_trip(None)
            if status.latched_trip is not None:
                self._machine.trip_cleared()
                self._remember()
        else:
            text = f"the trip stays, its cause is not gone: {_causes(latched)}"
            self._alerts.raise_(Alarm(AlertCode.TRIP_CLEAR_FAILED, Severity.CRITICAL, text, value=latched.cause, threshold=latched.time_s))

    def steer(self) -> None:
        """Brings the node to what state and commands ask for; HostLinkError where it does not hear."""
        output, asked = OUTPUTS[self._machine.state], self._commands.setpoints
        limit_ma = self._limits.throttled_current_limit_ma if output.throttled else self._limits.current_limit_ma
        if asked.current_limit_ma is not None:
            limit_ma = min(limit_ma, asked.current_limit_ma)
        wanted = (output.enable and asked.enable, limit_ma)
        if wanted != self._written:
            self._node.set_current_limit(limit_ma)
            self._node.set_enable(wanted[0])
            self._written = wanted

    def _remember(self) -> None:
        """Writes a new state to disk. A disk that refuses must not keep the node from being steered: it is tried again each second."""
        state = self._machine.state
        if state is self._stored:
            return
        try:
            self._buffer.set_site_state(state)
        except BufferError as error:
            if state is not self._unstored:
                _log.error("the state %s could not be stored and is tried again: %s", state.name.lower(), error)
            self._unstored = state
        else:
            self._stored = self._unstored = state

    @property
    def state(self) -> int:
        """The site's state, as its point's raw value."""
        return int(self._machine.state)


def _causes(trip: Trip) -> str:
    return ", ".join(fault.name.lower().replace("_", " ") for fault in Fault if fault & trip.cause and fault.name) or "no cause"
