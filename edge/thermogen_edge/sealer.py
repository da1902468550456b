"""What the daemon asks of a node that has a key of its own: its newest seal, and a proof for a draw. The key stays in the FPGA.

The gateware seals by itself when an epoch ends; the host can neither ask for a seal nor keep one from being made.
"""

from __future__ import annotations

import logging
from typing import Protocol

from thermogen_esf.evidence.attestation.seal import Seal, SealError

from .buffer.outbox import Outbox

_log = logging.getLogger(__name__)

SEALS = "seals"
"""The topic's last level."""


class Sealer(Protocol):
    """A node's two uses of its key. Raises HostLinkError subclasses where the node does not answer."""

    def newest(self) -> bytes | None:
        """The newest seal, 186 bytes; None where nothing was sealed since power-up."""

    def draw(self, given: bytes) -> bytes | None:
        """The proof over the node's own identity and `given` (day, root, beacon: 68 bytes), 80 bytes.

        None where it cannot be had now: a proof is being made, or the node has no key.
        """


class SealCollector:
    """Keeps each seal until the cloud has receipted it."""

    def __init__(self, sealer: Sealer, outbox: Outbox, site: bytes) -> None:
        self._sealer = sealer
        self._outbox = outbox
        self._site = site
        self._newest: bytes | None = None

    def collect(self) -> None:
        """Stores the node's newest seal where it is new. HostLinkError or BufferError leave it for the next look."""
        data = self._sealer.newest()
        if data is None or data == self._newest:
            return
        try:
            seal = Seal.decode(data)
        except SealError as error:
            _log.error("what the node gives as its newest seal is none: %s", error)
        else:
            if seal.site == self._site:
                self._outbox.store(SEALS, data)
            else:
                _log.error("the node's newest seal is of site %s, this one is %s", seal.site.hex(), self._site.hex())
        self._newest = data
