"""Reliable register access over an unreliable transport: every answer is checked, and what was damaged is asked again.

A repeated WRITE writes the same words once more, so all writes are of levels, not of pulses.
"""

from __future__ import annotations

from collections.abc import Sequence

from thermogen_esf.hostlink import Status
from thermogen_esf.hostlink_codec import DamagedError, RefusedError, Request, build_transaction, parse_response, words

from .transport import HostLinkError, Transport

ATTEMPTS = 4
_PASSING = frozenset((Status.BAD_CRC, Status.BUSY))
"""Answers that may be another one the next time."""


class HostLinkNoiseError(HostLinkError):
    """Every attempt failed on the way: wiring, clock rate, or another program on the bus."""


class HostLinkRefusedError(HostLinkError):
    """The node understood the request and refused it."""


class HostLinkClient:
    """READ, WRITE and LEAF with CRC check and retries; raises HostLinkError subclasses only."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._tag = 0

    def read(self, address: int, count: int) -> tuple[int, ...]:
        """`count` 16-bit words from word `address` on, of one instant where they are of the image."""
        return words(self._ask(Request.read(self._next_tag(), address, count)))

    def write(self, address: int, content: Sequence[int]) -> None:
        """Writes 1 to 64 words from word `address` on."""
        self._ask(Request.write(self._next_tag(), address, content))

    def leaf(self, sequence: int) -> bytes:
        """The 506 bytes in the slot of leaf `sequence`."""
        return self._ask(Request.leaf(self._next_tag(), sequence))

    def close(self) -> None:
        """Lets go of the transport."""
        self._transport.close()

    def _next_tag(self) -> int:
        self._tag = (self._tag + 1) & 0xFF
        return self._tag

    def _ask(self, request: Request) -> bytes:
        transaction = build_transaction(request)
        reason = ""
        for _ in range(ATTEMPTS):
            try:
                return parse_response(request, self._transport.exchange(transaction))
            except DamagedError as error:
                reason = str(error)
            except RefusedError as error:
                if error.status not in _PASSING:
                    raise HostLinkRefusedError(f"{error}: does the gateware belong to this daemon?") from error
                reason = str(error)
        raise HostLinkNoiseError(f"{ATTEMPTS} attempts failed: {reason}; check the wiring, and that nothing else uses the bus")
