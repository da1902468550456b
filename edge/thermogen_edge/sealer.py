"""What the daemon asks of a node that has a key of its own: its seals, and a proof for a draw. The key stays in the FPGA.

The gateware seals by itself when an epoch ends; the host can neither ask for a seal nor keep one from being made. The node keeps the last
255, until its power goes: a daemon that comes back takes what was made without it, and says what it cannot have any more.
"""

from __future__ import annotations

import logging
from typing import Protocol

from thermogen_esf.evidence.attestation.seal import NO_PREVIOUS, Seal, SealError
from thermogen_esf.frames import AlertCode, Severity

from .alerts import Alerts
from .buffer.outbox import Outbox
from .monitors import Alarm

_log = logging.getLogger(__name__)


class Sealer(Protocol):
    """A node's two uses of its key. Raises HostLinkError subclasses where the node does not answer."""

    def seals_after(self, known: bytes | None) -> list[bytes]:
        """The seals that the node keeps and made after `known`, oldest first, 186 bytes each; all where `known` is not among them."""

    def last_epoch(self) -> int | None:
        """The last epoch that was sealed in an earlier boot, as long as this one has sealed none; None afterwards, or without a key."""

    def draw(self, given: bytes) -> bytes | None:
        """The proof over the node's own identity and `given` (day, root, beacon: 68 bytes), 80 bytes.

        None where it cannot be had now: a proof is being made, or the node has no key.
        """


class SealCollector:
    """Keeps each seal until the cloud has receipted it. Which was the last it took is on disk, with the seals."""

    def __init__(self, sealer: Sealer, outbox: Outbox, site: bytes, alerts: Alerts) -> None:
        self._sealer = sealer
        self._outbox = outbox
        self._site = site
        self._alerts = alerts
        self._told_lost_up_to: int | None = None

    def collect(self) -> None:
        """Stores the seals that were made since the last that was stored. HostLinkError or BufferError leave the rest for the next look."""
        for data in self._sealer.seals_after(self._outbox.last_seal):
            self._store(data)
        self._look_back()

    def _store(self, data: bytes) -> None:
        before = _decoded(self._outbox.last_seal)
        try:
            seal = Seal.decode(data)
        except SealError as error:
            _log.error("what the node gives as a seal is none: %s", error)
            self._outbox.pass_over_seal(data)
            return
        if seal.site != self._site:
            _log.error("the node's seal of epoch %d is of site %s, this one is %s", seal.epoch, seal.site.hex(), self._site.hex())
            self._outbox.pass_over_seal(data)
            return
        if before is not None and seal.previous not in (NO_PREVIOUS, before.link):
            self._lost(f"between epochs {before.epoch} and {seal.epoch}: the node overwrote them before they were read", seal.epoch - 1)
        self._outbox.store_seal(data)

    def _look_back(self) -> None:
        """What was sealed up to the last power-off and did not come here is gone with the node's power."""
        known, noted = _decoded(self._outbox.last_seal), self._sealer.last_epoch()
        if known is not None and noted is not None and noted > known.epoch and noted != self._told_lost_up_to:
            self._told_lost_up_to = noted
            self._lost(f"of epochs {known.epoch + 1} to {noted}: they went with the node's power", noted)

    def _lost(self, which: str, epoch: int) -> None:
        self._alerts.raise_(Alarm(AlertCode.SEALS_LOST, Severity.CRITICAL, f"seals are lost {which}", value=epoch))


def _decoded(data: bytes | None) -> Seal | None:
    try:
        return None if data is None else Seal.decode(data)
    except SealError:
        return None
