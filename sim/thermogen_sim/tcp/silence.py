"""How long a node says nothing of what it has sent and its peer has not acknowledged, by the frames to it and from it.

A server that keeps RFC 6298's timer sends something again when the timer expires, so no silence is longer than the longest timeout.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from .client import MODBUS_PORT
from .packets import IPV4_AT
from .segment import Flag, Segment
from .station import segment_of


@dataclass
class _Connection:
    """The first number that was not acknowledged, the one after the last that was sent, and the clock of the last progress with them."""

    una: int
    end: int
    since: int


class Silence:
    """A `Watch` of `weather.py`. `now` is the node's clock; `longest` is in its clocks, as are the silences that have not ended.

    An acknowledgement counts that the node may not have believed, and data of any number: a silence is never thought longer than it is.
    """

    def __init__(self, now: Callable[[], int]):
        self._now = now
        self._connections: dict[tuple[int, int], _Connection] = {}
        self._ended = 0

    @property
    def longest(self) -> int:
        """Of all connections, until now."""
        return max(self._ended, *map(self._lasts, list(self._connections.values())), 0)

    def __call__(self, frame: bytes, inwards: bool) -> None:
        """Look at a frame that went to the node, or came from it."""
        with suppress(ValueError, struct.error):  # spoiled on its way in: the node does not believe it either
            found = segment_of(frame)
            if found is None:
                return
            destination, segment = found
            source = int.from_bytes(frame[IPV4_AT + 12 : IPV4_AT + 16])
            if inwards and segment.destination == MODBUS_PORT:
                self._heard((source, segment.source), segment)
            elif not inwards and segment.source == MODBUS_PORT:
                self._said((destination, segment.destination), segment)

    def _heard(self, peer: tuple[int, int], segment: Segment) -> None:
        connection = self._connections.get(peer)
        if connection is None:
            return
        if segment.flags & Flag.RST:
            self._forget(peer)
        elif segment.flags & Flag.ACK and 0 < _after(segment.ack, connection.una) <= _after(connection.end, connection.una):
            self._progress(connection)
            connection.una = segment.ack

    def _said(self, peer: tuple[int, int], segment: Segment) -> None:
        if segment.flags & (Flag.RST | Flag.SYN):
            self._forget(peer)
        elif segment.end != segment.seq:
            connection = self._connections.setdefault(peer, _Connection(segment.seq, segment.seq, 0))
            self._progress(connection)
            if _after(segment.end, connection.una) > _after(connection.end, connection.una):
                connection.end = segment.end

    def _progress(self, connection: _Connection) -> None:
        self._ended = max(self._ended, self._lasts(connection))
        connection.since = self._now()

    def _lasts(self, connection: _Connection) -> int:
        return self._now() - connection.since if connection.una != connection.end else 0

    def _forget(self, peer: tuple[int, int]) -> None:
        if connection := self._connections.pop(peer, None):
            self._progress(connection)


def _after(number: int, other: int) -> int:
    """How far a sequence number lies behind another; negative in front of it."""
    distance = (number - other) % 2**32
    return distance - 2**32 if distance >> 31 else distance
