"""Answers until they are acknowledged: a ring of 1,024 bytes for each connection, read and written two bytes at a time from any byte on.

Even and odd bytes lie in memories of their own, so that a pair may begin at either. Latency: a clock. Area, LIFCL: 4 EBR.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .tcp_segment import TRANSMIT_BYTES

POSITION_BITS = (TRANSMIT_BYTES - 1).bit_length()


class TcpTransmitBuffer(wiring.Component):
    """With `write` the two bytes of `word` go to `write_at` and the byte after it, with `single` the upper alone. `word_read` is the pair
    at `read_at` a clock before; its upper byte comes first."""

    def __init__(self, connections: int = 8):
        self._connections = connections
        bits = POSITION_BITS + (connections - 1).bit_length()
        super().__init__(
            {
                "write": In(1),
                "single": In(1),
                "write_at": In(bits),
                "word": In(16),
                "read_at": In(bits),
                "word_read": Out(16),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        reads, writes = [], []
        for odd in (0, 1):
            memory = Memory(shape=8, depth=self._connections * TRANSMIT_BYTES // 2, init=[])
            m.submodules[("even", "odd")[odd]] = memory
            read, write = memory.read_port(), memory.write_port()
            reads.append(read)
            writes.append(write)
            for at, port in ((self.read_at, read), (self.write_at, write)):
                position = at[:POSITION_BITS]
                pair = (position + (0 if odd else 1))[1:POSITION_BITS]
                m.d.comb += port.addr.eq(Cat(pair, at[POSITION_BITS:]))
            # The first byte of the pair is in this memory if the position's parity says so.
            first = self.write_at[0] == odd
            m.d.comb += [
                write.data.eq(Mux(first, self.word[8:], self.word[:8])),
                write.en.eq(self.write & (first | ~self.single)),
            ]
        begins_odd = Signal()
        m.d.sync += begins_odd.eq(self.read_at[0])
        even, odd = reads[0].data, reads[1].data
        m.d.comb += self.word_read.eq(Mux(begins_odd, Cat(even, odd), Cat(odd, even)))
        return m
