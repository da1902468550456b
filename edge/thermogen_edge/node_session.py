"""One look at the node: take it up, empty it, follow the site, tell it what only the daemon knows."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from thermogen_esf.frames import FrameError, Telemetry, encode
from thermogen_esf.hostlink import NodeFlag

from .alerts import Alerts
from .boot import Boot
from .buffer import BufferFullError
from .leaf_collector import LeafCollector
from .node import Node, NodeStatus
from .readings import Readings
from .scada_writes import ScadaWrites
from .site_controller import SiteController
from .site_time import SiteTime

SUPPLY_PERIOD_S = 5
"""Site seconds between two writes of the host-supplied points: twice in a leaf's period."""
HEARTBEAT_PERIOD_S = 1.0
"""Wall time; the gateware goes on by itself after 5 s without one."""
LIVE_AGE_S = 60
"""A leaf older than this, in site time, is history and not shown as the newest."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look brought: site time if the node has one, whether more leaves wait, and why leaves could not be stored, if so."""

    time: SiteTime | None
    more: bool = False
    full: BufferFullError | None = None


class NodeSession:
    """Looks at one node. `supplied` gives the host-supplied points, raw; `publish_live` takes the newest frame for display."""

    def __init__(
        self,
        node: Node,
        boot: Boot,
        collector: LeafCollector,
        controller: SiteController,
        alerts: Alerts,
        supplied: Callable[[int], dict[str, int]],
        publish_live: Callable[[bytes], None],
        scada: ScadaWrites | None = None,
    ) -> None:
        self._node = node
        self._boot = boot
        self._collector = collector
        self._controller = controller
        self._alerts = alerts
        self._supplied = supplied
        self._publish_live = publish_live
        self._scada = scada
        self._recognised = False
        self._followed_at_s = -1
        self._supplied_at_s = -SUPPLY_PERIOD_S
        self._beats = 0
        self._beat_at_s = 0.0
        self._host_points: dict[str, int] = {}

    def lost(self) -> None:
        """The link broke: what is known of the node may no longer be so."""
        self._recognised = False
        self._followed_at_s = -1
        self._supplied_at_s = -SUPPLY_PERIOD_S
        self._controller.forget()
        if self._scada is not None:
            self._scada.forget()

    def look(self) -> Seen:
        """Once round. HostLinkError, ClockError or BufferError where it did not work."""
        status = self._node.status()
        if not status.armed:
            if self._scada is not None:
                self._scada.configure(status)  # without a clock there is no boot, but there is MODBUS
            self._controller.power_cycled()
            self._boot.arm()
            self.lost()
            self._recognised = True  # its image will show who it is from the next site second on
            status = self._node.status()
        if not self._recognised:
            self._recognised = self._boot.recognise(status)
            if not self._recognised:
                return Seen(None)
        self._beat()
        now = SiteTime.of(status)
        if now is not None:
            self._alerts.now = now
        self._controller.attend_trip(status)
        self._follow(status)
        self._boot.checkpoint(status)
        if self._scada is not None:
            self._scada.configure(status)
        full = None
        more = False
        try:
            self._boot.compare_calibration()
            collected = self._collector.collect(status)
            more = collected.more
            self._show(collected.newest, status.time_s)
            # What is measured comes first: whatever SCADA writes may not keep it from being stored.
            if self._scada is not None and now is not None:
                self._scada.attend(status, now)
        except BufferFullError as error:
            full = error  # the site is still to be watched; the node keeps its leaves and events for a while
        return Seen(now, more, full)

    def _follow(self, status: NodeStatus) -> None:
        if status.time_s != self._followed_at_s:
            self._followed_at_s = status.time_s
            measured = self._node.readings()
            self._controller.follow(Readings(status.time_s, {**self._host_points, **measured}, NodeFlag.TRIPPED in status.flags))
        self._controller.steer()
        if not 0 <= status.time_s - self._supplied_at_s < SUPPLY_PERIOD_S:
            self._supplied_at_s = status.time_s
            self._host_points = self._supplied(status.time_s)
            self._node.supply(self._host_points)

    def _beat(self) -> None:
        if time.monotonic() - self._beat_at_s >= HEARTBEAT_PERIOD_S:
            self._beat_at_s = time.monotonic()
            self._beats += 1
            self._node.heartbeat(self._beats)

    def _show(self, leaf: bytes | None, now_s: int) -> None:
        if leaf is None:
            return
        try:
            newest = Telemetry(leaf)
        except FrameError:
            return  # stored as the gateware hashed it; nothing to show
        if now_s - newest.header.time <= LIVE_AGE_S:
            self._publish_live(encode(newest.as_live()))
