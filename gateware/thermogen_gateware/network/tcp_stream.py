"""The bytes of a connection as its application sees them, and the way back for its answers."""

from __future__ import annotations

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .tcp_segment import ADU_BYTES


class TcpStreamSignature(wiring.Signature):
    """TCP is the initiator. It visits one connection at a time and shows its bytes from the first that was not finished with.

    `byte` is handed on in a clock with `valid` and `ready`. While `settled` is low, the frame that brought the last of them is still on the
    wire, and nothing may be done that could not be forgotten. `cancel` (strobe) ends a visit: what was handed on since the last answer will
    be shown again, or never. `peer_ip` holds during a visit.

    An answer is written before it is given: with `write`, `word` goes to `offset` of it, or with `single` its upper byte alone; each byte
    once, at any order, since `restart` (strobe). `sure` says that an answer is certain once `settled` is there, that `length` is final at
    most `LENGTH_CLOCKS` later and all written 160 clocks later. `answered` is held until `accepted`, a strobe: the answer of `length`
    bytes is sent, the request's bytes are done with. `close`, held likewise, ends the connection instead.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "valid": Out(1),
                "byte": Out(8),
                "ready": In(1),
                "settled": Out(1),
                "cancel": Out(1),
                "peer_ip": Out(32),
                "restart": In(1),
                "write": In(1),
                "single": In(1),
                "offset": In(range(ADU_BYTES)),
                "word": In(16),
                "sure": In(1),
                "length": In(range(ADU_BYTES + 1)),
                "answered": In(1),
                "close": In(1),
                "accepted": Out(1),
            }
        )


LENGTH_CLOCKS = 88
