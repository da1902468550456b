"""Taking up a node: one that is armed is carried on with, one that lost its power gets a boot of its own.

A boot count is used up on disk before the node hears of it, so that no two boots of a site ever share one, wherever the power fails.
"""

from __future__ import annotations

import logging
import struct

from thermogen_esf.frames import AlertCode, Severity
from thermogen_esf.points import TimeQuality

from .alerts import Alerts
from .buffer import Buffer, BufferError
from .clock_source import ClockError, ClockSource
from .leaf_collector import LeafCollector
from .monitors import Alarm
from .node import Identity, Node, NodeStatus, WrongNodeError
from .profile import Profile
from .site_time import SiteTime

_log = logging.getLogger(__name__)
CHECKPOINT_PERIOD_S = 60
"""Site seconds between two checkpoints of the lifetime totals: what a power failure takes from them at most."""
_SHORT_BITS = 32
"""Of a calibration's hash, that are not in an alert's value."""


class Boot:
    """Arms and recognises the node."""

    def __init__(
        self, node: Node, buffer: Buffer, clock: ClockSource, collector: LeafCollector, profile: Profile, site: bytes, alerts: Alerts
    ) -> None:
        self._node = node
        self._buffer = buffer
        self._clock = clock
        self._collector = collector
        self._profile = profile
        self._site = site
        self._alerts = alerts
        self._checkpoint_at_s = 0
        self._compared = False

    def arm(self) -> None:
        """Begins a new boot. ClockError where there is no time to begin it with, HostLinkError or BufferError otherwise.

        Time is written last: the less lies between the second's beginning and the node's taking it, the better it is.
        """
        self._collector.close_earlier_boots()
        self._now()
        boot_count = self._buffer.begin_boot()
        self._node.introduce(Identity(self._site, boot_count, self._buffer.next_sequence), self._profile, self._buffer.lifetimes)
        time_s = self._now()
        self._node.arm(time_s)
        self._compared = False
        self._alerts.now = SiteTime(time_s, TimeQuality.FREE_RUNNING)
        _log.info("the node is armed: boot %d, first leaf %d", boot_count, self._buffer.next_sequence)
        text = f"the node had lost its power: boot {boot_count}"
        self._alerts.raise_(Alarm(AlertCode.NODE_RESTARTED, Severity.WARNING, text, point="boot_count", value=boot_count))

    def recognise(self, status: NodeStatus) -> bool:
        """Makes sure that an armed node is this site's, WrongNodeError where it is not; False where it does not show yet whose it is."""
        site, boot_count = self._node.identity()
        if not any(site):
            return False  # armed within this site second, by a daemon that was killed
        if site != self._site:
            raise WrongNodeError(f"the node is armed for site {site.hex()}, this daemon serves {self._site.hex()}: power-cycle the node")
        if boot_count != self._buffer.boot_count:
            _log.warning("boot %d was begun with another buffer than this one, whose last is %d", boot_count, self._buffer.boot_count)
            self._buffer.adopt(boot_count, status.leaf_oldest)
        if status.leaf_next < self._buffer.next_sequence:
            raise WrongNodeError(
                f"the node counts leaf {status.leaf_next}, the buffer has leaf {self._buffer.next_sequence - 1}: power-cycle the node"
            )
        self._compared = False
        return True

    def compare_calibration(self) -> None:
        """Says whether the node measures with the profile's calibration, as soon as it shows: once for each boot and profile where it does
        not, and once that it does again. It takes the profile's only when it is armed. HostLinkError or BufferError leave it unsaid."""
        if self._compared:
            return
        loaded, wanted = self._node.calibration_hash(), self._profile.calibration_hash
        if loaded == 0:
            return  # armed within this site second
        differs = loaded != wanted
        told = struct.pack(">IQQ", self._buffer.boot_count, loaded, wanted) if differs else None
        if told != self._buffer.told_calibration:
            text = f"the node measures with calibration {loaded:016x}, the profile's is {wanted:016x}"
            alarm = Alarm(
                AlertCode.OTHER_CALIBRATION,
                Severity.CRITICAL,
                f"{text}: power-cycle the node" if differs else text,
                raised=differs,
                value=loaded >> _SHORT_BITS,
                threshold=wanted >> _SHORT_BITS,
            )
            self._alerts.raise_with([alarm], lambda: self._buffer.set_told_calibration(told))
        self._compared = True

    def checkpoint(self, status: NodeStatus) -> None:
        """Keeps the lifetime totals for the next boot, now and then. A disk that refuses costs a minute of them."""
        if 0 <= status.time_s - self._checkpoint_at_s < CHECKPOINT_PERIOD_S:
            return
        self._checkpoint_at_s = status.time_s
        try:
            self._buffer.set_lifetimes(status.lifetimes)
        except BufferError as error:
            _log.error("the lifetime totals could not be stored: %s", error)

    def _now(self) -> int:
        unix_s = self._clock.fresh()
        if unix_s < self._buffer.last_time_s:
            raise ClockError(
                f"the clock says {unix_s}, less than the last leaf's {self._buffer.last_time_s}: set it right, no second is lived twice"
            )
        return unix_s
