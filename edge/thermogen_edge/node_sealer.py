"""The node's sealer by its registers (`thermogen_esf.hostlink_seal`). A node that does not say NodeFlag.SEALS has no seals and no draws."""

from __future__ import annotations

import struct
from collections.abc import Callable

from thermogen_esf.hostlink import NodeFlag
from thermogen_esf.hostlink_seal import (
    DRAW,
    DRAW_REQUEST,
    SEAL_STATUS,
    SEAL_STATUS_BASE,
    SEAL_STATUS_WORDS,
    CustodyState,
    KeptSeal,
    ProofState,
    ring_slot,
)
from thermogen_esf.vrf import PROOF_BYTES
from thermogen_esf.vrf_inputs import DRAW_BYTES, DRAW_FIELDS, DRAW_PREFIX

from .host_link.client import HostLinkClient, HostLinkRefusedError

_GIVEN_AT = len(DRAW_PREFIX) + DRAW_FIELDS["site"]
"""Where what the host gave begins in a draw's input."""
_COUNT_MODULUS = 1 << 16


class NodeSealer:
    """Seals and draws of one node; raises HostLinkError subclasses only. `flags` gives the node's."""

    def __init__(self, link: HostLinkClient, flags: Callable[[], NodeFlag]) -> None:
        self._link = link
        self._flags = flags
        self._asked: bytes | None = None
        self._settled: tuple[int, int, KeptSeal | None] | None = None

    def seals_after(self, taken: KeptSeal | None, count: int) -> list[KeptSeal]:
        """The first `count` of the seals that the node keeps and made after `taken`, oldest first; from its oldest on where it does not
        keep `taken`.

        Empty, too, where the node was powered off or overwrote one of them meanwhile: ask again.
        """
        if NodeFlag.SEALS not in self._flags():
            return []
        before = self._status()
        made = before["boot_count"], before["seals"]
        if (*made, taken) == self._settled:
            return []
        first = before["seals"] - self._made_after(taken, before)
        numbers = range(first, before["seals"])
        seals = [KeptSeal(number % _COUNT_MODULUS, self._bytes(ring_slot(number))) for number in numbers[:count]]
        after = self._status()
        if after["boot_count"] != before["boot_count"] or (after["seals"] - first) % _COUNT_MODULUS > after["seals_kept"]:
            return []
        if len(seals) == len(numbers):
            self._settled = (*made, seals[-1] if seals else taken)
        return seals

    def earlier_boots(self) -> tuple[int, int] | None:
        """The part's boot count, and the last epoch that it noted as sealed, as long as this boot has sealed none; None afterwards, or
        without a key."""
        if NodeFlag.SEALS not in self._flags():
            return None
        status = self._status()
        ready = status["custody_state"] == CustodyState.READY and status["proof_state"] != ProofState.SEALING
        return (status["boot_count"], status["last_epoch"]) if ready and status["seals"] == 0 else None

    def draw(self, given: bytes) -> bytes | None:
        """The proof for `given`, 80 bytes, once the node has made it: None at first, and while it is busy or has no key."""
        if NodeFlag.SEALS not in self._flags():
            return None
        status = self._status()
        if status["custody_state"] != CustodyState.READY or status["proof_state"] != ProofState.IDLE:
            return None
        if self._asked == given and status["draws"]:
            data = self._bytes(DRAW)
            if data[_GIVEN_AT:DRAW_BYTES] == given and self._status()["draws"] == status["draws"]:
                return data[DRAW_BYTES : DRAW_BYTES + PROOF_BYTES]
        try:
            self._link.write(DRAW_REQUEST[0], struct.unpack(f">{DRAW_REQUEST[1]}H", given))
        except HostLinkRefusedError:
            return None  # an epoch ended in between
        self._asked = given
        return None

    def _made_after(self, taken: KeptSeal | None, status: dict[str, int]) -> int:
        if taken is not None:
            behind = (status["seals"] - taken.number - 1) % _COUNT_MODULUS
            # Another boot, or another node, counts alike: only the bytes show that it is this seal.
            if behind < status["seals_kept"] and self._bytes(ring_slot(taken.number)) == taken.data:
                return behind
        return status["seals_kept"]

    def _status(self) -> dict[str, int]:
        words = self._link.read(SEAL_STATUS_BASE, SEAL_STATUS_WORDS)
        values = {}
        for name, (address, size) in SEAL_STATUS.items():
            start = address - SEAL_STATUS_BASE
            values[name] = int.from_bytes(struct.pack(f">{size}H", *words[start : start + size]), "big")
        return values

    def _bytes(self, registers: tuple[int, int]) -> bytes:
        address, size = registers
        return struct.pack(f">{size}H", *self._link.read(address, size))
