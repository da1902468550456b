"""What the daemon asks of a node that has a key of its own: its seals, and a proof for a draw. The key stays in the FPGA.

The gateware seals by itself when an epoch ends; the host can neither ask for a seal nor keep one from being made. The node keeps the last
255, until its power goes: a daemon that comes back takes what was made without it, and says what it cannot have any more. Where the node
lost its power and sealed again before anybody looked, it says only that seals may be lost.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from thermogen_esf.evidence.attestation.seal import NO_PREVIOUS, Seal, SealError
from thermogen_esf.frames import AlertCode, Severity
from thermogen_esf.hostlink_seal import KeptSeal

from .alerts import Alerts
from .buffer.outbox import Outbox, SealProgress
from .monitors import Alarm

SEALS_AT_ONCE = 32
"""Seals in one look and one transaction: a daemon that was away for days catches up without missing a heartbeat."""


class Sealer(Protocol):
    """A node's two uses of its key. Raises HostLinkError subclasses where the node does not answer."""

    def seals_after(self, taken: KeptSeal | None, count: int) -> list[KeptSeal]:
        """The first `count` of the seals that the node keeps and made after `taken`, oldest first; from its oldest on where it does not
        keep `taken`."""

    def earlier_boots(self) -> tuple[int, int] | None:
        """The boot of the node's key, and the last epoch that was sealed before it, as long as it has sealed none; None afterwards, or
        without a key."""

    def draw(self, given: bytes) -> bytes | None:
        """The proof over the node's own identity and `given` (day, root, beacon: 68 bytes), 80 bytes.

        None where it cannot be had now: a proof is being made, or the node has no key.
        """


class SealCollector:
    """Keeps each seal until the cloud has receipted it. How far it came, and what it told of, is on disk, with the seals."""

    def __init__(self, sealer: Sealer, outbox: Outbox, site: bytes, alerts: Alerts) -> None:
        self._sealer = sealer
        self._outbox = outbox
        self._site = site
        self._alerts = alerts

    def collect(self) -> bool:
        """Stores the next seals, in one transaction with the alerts of those that are lost; whether the node may have more.

        HostLinkError or BufferError leave everything as it is on disk, and unsaid.
        """
        progress = self._outbox.seal_progress
        read = self._sealer.seals_after(progress.taken, SEALS_AT_ONCE)
        earlier = None if read or progress.last is None else self._sealer.earlier_boots()
        if read or (earlier is not None and earlier[0] != progress.looked_back_in):
            taking = _Taking(self._site, progress)
            for kept in read:
                taking.take(kept)
            if earlier is not None:
                taking.look_back(*earlier)
            self._alerts.raise_with(taking.alarms, lambda: self._outbox.store_seals(taking.seals, taking.progress))
        return len(read) == SEALS_AT_ONCE


class _Taking:
    """Seals as they are taken one after the other: which are to be kept, what is to be told, and how far they are known then."""

    def __init__(self, site: bytes, progress: SealProgress) -> None:
        self.seals: list[bytes] = []
        self.alarms: list[Alarm] = []
        self.progress = progress
        self._site = site
        self._before = _decoded(progress.last)

    def take(self, kept: KeptSeal) -> None:
        self.progress = replace(self.progress, taken=kept)
        try:
            seal = _of_site(self._site, kept.data)
        except SealError as error:
            known = max(self.progress.told_lost_up_to or 0, self._before.epoch if self._before else 0)
            self._lost(known + 1, f"a seal after epoch {known} is lost: {error}")
            return
        if self._before is not None and seal.epoch > self._before.epoch:  # else they are taken once more, from the node's oldest on
            self._compare(self._before, seal)
        self.seals.append(kept.data)
        self._before = seal
        self.progress = replace(self.progress, last=kept.data)

    def look_back(self, boot_count: int, last_epoch: int) -> None:
        """What was sealed up to the last power-off and did not come here is gone with the node's power."""
        if self._before is not None and last_epoch > self._before.epoch:
            which = f"of epochs {self._before.epoch + 1} to {last_epoch}"
            self._lost(last_epoch, f"seals are lost {which}: they went with the node's power")
        self.progress = replace(self.progress, looked_back_in=boot_count)

    def _compare(self, before: Seal, seal: Seal) -> None:
        between = f"between epochs {before.epoch} and {seal.epoch}"
        if seal.previous not in (NO_PREVIOUS, before.link):
            self._lost(seal.epoch - 1, f"seals are lost {between}: the node keeps them no more")
        elif seal.previous == NO_PREVIOUS and seal.boot_count != self.progress.looked_back_in and seal.epoch > before.epoch + 1:
            self._lost(seal.epoch - 1, f"seals may be lost {between}: the node began anew unseen", Severity.WARNING)

    def _lost(self, up_to: int, text: str, severity: Severity = Severity.CRITICAL) -> None:
        told = self.progress.told_lost_up_to
        if told is None or up_to > told:
            self.alarms.append(Alarm(AlertCode.SEALS_LOST, severity, text, value=up_to))
            self.progress = replace(self.progress, told_lost_up_to=up_to)


def _of_site(site: bytes, data: bytes) -> Seal:
    seal = Seal.decode(data)
    if seal.site != site:
        raise SealError(f"it is of site {seal.site.hex()}, this one is {site.hex()}")
    return seal


def _decoded(data: bytes | None) -> Seal | None:
    try:
        return None if data is None else Seal.decode(data)
    except SealError:
        return None
