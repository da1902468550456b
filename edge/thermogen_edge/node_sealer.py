"""The node's sealer by its registers (`thermogen_esf.hostlink_seal`). A node that does not say NodeFlag.SEALS has no seals and no draws."""

from __future__ import annotations

import struct
from collections.abc import Callable

from thermogen_esf.evidence.attestation.seal import ENCODED_BYTES
from thermogen_esf.hostlink import NodeFlag
from thermogen_esf.hostlink_seal import DRAW, DRAW_REQUEST, SEAL, SEAL_STATUS, SEAL_STATUS_BASE, SEAL_STATUS_WORDS, CustodyState, ProofState
from thermogen_esf.vrf import PROOF_BYTES
from thermogen_esf.vrf_inputs import DRAW_BYTES, DRAW_FIELDS, DRAW_PREFIX

from .host_link.client import HostLinkClient, HostLinkRefusedError

_GIVEN_AT = len(DRAW_PREFIX) + DRAW_FIELDS["site"]
"""Where what the host gave begins in a draw's input."""


class NodeSealer:
    """Seals and draws of one node; raises HostLinkError subclasses only. `flags` gives the node's."""

    def __init__(self, link: HostLinkClient, flags: Callable[[], NodeFlag]) -> None:
        self._link = link
        self._flags = flags
        self._asked: bytes | None = None

    def newest(self) -> bytes | None:
        """The newest seal, 186 bytes; None where there is none, or another is just being made."""
        if NodeFlag.SEALS not in self._flags():
            return None
        before = self._status()
        if before["seals"] == 0 or before["proof_state"] == ProofState.SEALING:
            return None
        data = self._bytes(SEAL)[:ENCODED_BYTES]
        after = self._status()
        return data if after["proof_state"] != ProofState.SEALING and after["seals"] == before["seals"] else None

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
