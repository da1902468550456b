"""The daemon's loop: node, buffer, broker, again and again, until it is told to stop.

Nothing outside ends it: without the node it uploads, without the broker it stores, without either it waits and says so. What it has to
remember is on disk; what it keeps in memory only saves work.
"""

from __future__ import annotations

import logging
import select
import signal
import socket
import time
from contextlib import suppress
from dataclasses import replace

from thermogen_esf.frames import AlertCode, Severity, site_identity
from thermogen_esf.points import UplinkState
from thermogen_esf.signatures import SigningKey

from . import version
from .alerts import Alerts
from .attestation_trust import AttestationTrust
from .boot import Boot
from .buffer import Buffer, BufferDamagedError, BufferError, BufferFullError
from .buffer.outbox import Outbox
from .clock_source import ClockError, ClockSource
from .cloud_keys import CloudKeys
from .commands import Commands
from .host_link.transport import HostLinkError
from .leaf_collector import LeafCollector
from .monitors import Alarm
from .mqtt_link import MqttLink
from .node import Node
from .node_session import NodeSession, Seen
from .profile import Profile
from .receipts import Receipts
from .scada_settings import ScadaSettings
from .scada_writes import ScadaWrites
from .sealer import SealCollector, Sealer
from .settings import DEFAULT_SCADA
from .site_controller import SiteController
from .site_sensors import SiteSensors
from .site_time import SiteTime
from .uplink import Uplink
from .witness_duty import WitnessDuty

SENSORS_LOST_S = 10.0
SHORTEST_NODE_RETRY_S = 0.2
LONGEST_NODE_RETRY_S = 10.0
_log = logging.getLogger(__name__)

_HOST_LINK_LOST = Alarm(AlertCode.HOST_LINK_FAULT, Severity.CRITICAL, "the node does not answer its host link")
_CLOCK_LOST = Alarm(AlertCode.CLOCK_DEGRADED, Severity.CRITICAL, "no site time to arm the node with")
_SENSORS_LOST = Alarm(AlertCode.FIELD_BUS_FAULT, Severity.CRITICAL, "the burner's controller does not answer; its last values stay")
_BUFFER_FULL = Alarm(AlertCode.BUFFER_FULL, Severity.FATAL, "no room for new frames: the node keeps 21 minutes of them")


class Daemon:
    """One site's daemon. Its parts come ready; it owns their order."""

    def __init__(
        self,
        profile: Profile,
        key: SigningKey,
        cloud_keys: CloudKeys,
        buffer: Buffer,
        node: Node,
        clock: ClockSource,
        sensors: SiteSensors | None,
        link: MqttLink,
        poll_s: float,
        retry_s: float,
        scada: ScadaSettings = DEFAULT_SCADA,
        sealer: Sealer | None = None,
        trust: AttestationTrust | None = None,
    ) -> None:
        """`sealer` is the node's, where it has a key of its own; `trust` is whom this site believes as a witness, where it is one."""
        site = site_identity(profile.site)
        outbox = Outbox(buffer.database)
        self._duty: WitnessDuty | None = None
        if sealer is not None and trust is not None:
            self._duty = WitnessDuty(site, key, sealer, trust, outbox, self._ask, lambda: int(time.time()))
        self._buffer = buffer
        self._node = node
        self._clock = clock
        self._sensors = sensors
        self._link = link
        self._poll_s = poll_s
        self._alerts = Alerts(buffer, site, self._publish_alert)
        self._seals = None if sealer is None else SealCollector(sealer, outbox, site, self._alerts)
        commands = Commands(buffer, site, key, cloud_keys, self._alerts)
        takers = {} if self._duty is None else {"drawing": self._duty.announced, "published": self._duty.published}
        self._uplink = Uplink(link, buffer, Receipts(buffer, site, cloud_keys, self._alerts), commands, retry_s, takers)
        collector = LeafCollector(node, buffer, site, key, self._alerts)
        boot = Boot(node, buffer, clock, collector, profile, site, self._alerts)
        self._controller = SiteController(node, buffer, profile, self._alerts)
        writes = ScadaWrites(node.network, scada, buffer, site, key)
        self._session = NodeSession(
            node, boot, collector, self._controller, self._alerts, self._supplied, self._uplink.publish_live, writes
        )
        self._node_retry_at_s = 0.0
        self._node_retry_s = SHORTEST_NODE_RETRY_S
        self._full = False
        self._stopping = False
        self._woken, self._waker = socket.socketpair()

    def run(self) -> None:
        """Runs until SIGTERM or SIGINT, then closes everything it opened."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        self._link.start()
        if self._sensors is not None:
            self._sensors.start()
        try:
            while not self._stopping:
                if not self.step():
                    select.select([self._woken], [], [], self._poll_s)
        finally:
            self.close()
        _log.info("stopped")

    def step(self) -> bool:
        """Once round; whether the node has more to give at once.

        BufferDamagedError ends the daemon: the next start mends the database, and nothing is stored until then.
        """
        now, more = self._look()
        try:
            self._uplink.step(now)
            for record in self._buffer.database.take_reports():
                text = f"{record.kind} {record.number} is put aside: {record.reason}"
                self._alerts.raise_(Alarm(AlertCode.RECORD_SET_ASIDE, Severity.CRITICAL, text, value=record.number))
        except BufferDamagedError:
            raise
        except BufferError as error:
            _log.error("%s", error)
        if self._sensors is not None:
            self._alerts.lasting(_SENSORS_LOST, self._sensors.lost_s > SENSORS_LOST_S)
        return more

    def close(self) -> None:
        """Lets go of node, clock, sensors, broker and buffer."""
        self._link.stop()
        if self._duty is not None:
            self._duty.close()
        if self._sensors is not None:
            self._sensors.close()
        self._clock.close()
        self._node.close()
        self._buffer.close()
        self._woken.close()
        self._waker.close()

    def _look(self) -> tuple[SiteTime | None, bool]:
        if time.monotonic() < self._node_retry_at_s:
            return None, False
        try:
            seen = self._collect_seals(self._session.look())
            if self._duty is not None:
                self._duty.step()
        except BufferDamagedError:
            raise
        except (HostLinkError, ClockError, BufferError) as error:
            self._session.lost()
            _log.warning("%s; trying again in %.1f s", error, self._node_retry_s)
            self._alerts.lasting(_HOST_LINK_LOST, isinstance(error, HostLinkError))
            self._alerts.lasting(_CLOCK_LOST, isinstance(error, ClockError))
            self._node_retry_at_s = time.monotonic() + self._node_retry_s
            self._node_retry_s = min(2 * self._node_retry_s, LONGEST_NODE_RETRY_S)
            return None, False
        self._node_retry_s = SHORTEST_NODE_RETRY_S
        self._alerts.lasting(_HOST_LINK_LOST, False)
        self._alerts.lasting(_CLOCK_LOST, False)
        if seen.full is not None and not self._full:
            _log.error("%s", seen.full)
        self._full = seen.full is not None
        self._alerts.lasting(_BUFFER_FULL, self._full)
        return seen.time, seen.more

    def _collect_seals(self, seen: Seen) -> Seen:
        if self._seals is None or seen.time is None:
            return seen
        try:
            return replace(seen, more=self._seals.collect() or seen.more)
        except BufferFullError as error:
            return replace(seen, full=error)  # the site is still to be watched; the node keeps its seals for days

    def _supplied(self, time_s: int) -> dict[str, int]:
        depth = self._buffer.depth(time_s)
        return {
            **(self._sensors.values() if self._sensors is not None else {}),
            "site_state": self._controller.state,
            "buffer_frames": depth.frames,
            "buffer_oldest_age": depth.oldest_age_s,
            "buffer_hours_left": depth.hours_left,
            "uplink_state": int(UplinkState.CONNECTED if self._link.connected else UplinkState.DOWN),
            "uplink_reconnects": max(0, self._link.connections - 1) & 0xFF,
            "daemon_version": version.RAW,
        }

    def _publish_alert(self, frame: bytes) -> None:
        self._link.publish("alert", frame, 1)

    def _ask(self, kind: str, message: bytes) -> bool:
        return self._link.publish(kind, message, 1) is not None

    def _stop(self, _number: int, _frame: object) -> None:
        self._stopping = True
        with suppress(OSError):
            self._waker.send(b"\0")
