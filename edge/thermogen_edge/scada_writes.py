"""SCADA's side of the node, as the daemon sees to it: the network's settings, and what was written, stored, signed and uploaded.

An event is acknowledged to the node only when it is on disk. What changed something is signed at once, unless much has been signed lately;
heartbeats alone wait until enough of them have come together: a signature is 300 times as long as an event. Where the frames without a
receipt have come to their share of the buffer, events stay in the node, which refuses writes as busy when it is full of them.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence

from thermogen_esf.describing import ip_text
from thermogen_esf.frames import Header, Writes, encode, sign_frame
from thermogen_esf.hostlink import NodeFlag
from thermogen_esf.scada import EVENT_RING, WRITABLE_BY_ADDRESS, WriteEvent, WriteKind, event_of
from thermogen_esf.signatures import SigningKey

from .buffer import Buffer
from .buffer.write_log import WriteLog, WritesDraft
from .node import NodeStatus
from .node_network import NodeNetwork
from .scada_settings import ScadaSettings
from .site_time import SiteTime

MOST_HEARTBEATS_WAITING = 64
"""Events of nothing but heartbeats that wait for a signature: about an hour of them."""
FRAMES_AT_ONCE, FRAMES_PERIOD_S = 8, 480
"""So many frames are signed in so many site seconds; beyond that events wait until a frame is full of them."""
BUFFER_SHARE = 8
"""One part in so many of the buffer may be frames of writes."""
_log = logging.getLogger(__name__)


class ScadaWrites:
    """Sets the node's network once a session, and takes its events."""

    def __init__(self, network: NodeNetwork, settings: ScadaSettings, buffer: Buffer, site: bytes, key: SigningKey) -> None:
        self._network = network
        self._registers = settings.registers(site)
        self._buffer = buffer
        self._writes = WriteLog(buffer.database)
        self._site = site
        self._key = key
        self._set = False
        self._signed_at_s: deque[int] = deque(maxlen=FRAMES_AT_ONCE)

    def forget(self) -> None:
        """The link was lost: what the node holds is unknown."""
        self._set = False

    def configure(self, status: NodeStatus) -> None:
        """Sets the node's network where it is not known to be so, whatever the time. HostLinkError where it did not work."""
        if NodeFlag.NETWORK not in status.flags or self._set:
            return
        written = self._network.set(self._registers)
        if written:
            _log.info("set the node's network: %s", ", ".join(sorted(set(written))))
        self._set = True

    def attend(self, status: NodeStatus, now: SiteTime) -> None:
        """Once a look. HostLinkError or BufferError where it did not work."""
        if NodeFlag.NETWORK not in status.flags:
            return
        network = self._network.status()
        if network.events_next != network.events_oldest and self._has_room():
            events = self._network.events(network.events_oldest, network.events_next)
            self._writes.store(self._buffer.boot_count, network.events_oldest, events)
            self._network.acknowledge(network.events_next)
            for event in events:
                _tell(event)
        if self._are_due(self._writes.waiting(), now.unix_s):
            while self._writes.seal(lambda draft: self._frame(draft, now)):
                self._signed_at_s.append(now.unix_s)

    def _has_room(self) -> bool:
        return self._writes.frame_bytes() < self._buffer.limit_bytes // BUFFER_SHARE

    def _are_due(self, waiting: Sequence[WriteEvent], now_s: int) -> bool:
        if len(waiting) >= EVENT_RING:
            return True
        if len(self._signed_at_s) == FRAMES_AT_ONCE and 0 <= now_s - self._signed_at_s[0] < FRAMES_PERIOD_S:
            return False
        return len(waiting) >= MOST_HEARTBEATS_WAITING or any(event.kind is not WriteKind.HEARTBEATS for event in waiting)

    def _frame(self, draft: WritesDraft, now: SiteTime) -> bytes:
        header = Header(self._site, draft.number, now.unix_s, now.quality)
        return encode(sign_frame(Writes(header, draft.boot_count, draft.first_event, draft.events), self._key))


def _tell(data: bytes) -> None:
    try:
        event = event_of(data)
    except ValueError:
        return  # the log puts it aside
    if event.kind is WriteKind.WRITE:
        written = WRITABLE_BY_ADDRESS.get(event.address)
        _log.info("SCADA at %s: %s %d to %d", ip_text(event.ip), written.identifier if written else event.address, event.old, event.new)
    elif event.kind is WriteKind.EXPIRED:
        _log.info("SCADA's override by %s has ended by itself", ip_text(event.ip))
