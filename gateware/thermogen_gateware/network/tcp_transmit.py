"""One segment on its way out: its header is put together and summed word by word, its data comes from the transmit buffer.

Reference: RFC 9293 section 3.1. `claim` asks for the transmitter before the segment is known: the 160 clocks in which preamble, Ethernet
and IP header go out are enough to make it. Latency: from `go` to `request` 3 clocks and one for each two bytes that have not been summed.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .ports import EgressSignature
from .tcp_buffer import POSITION_BITS
from .tcp_segment import HEADER_BYTES, TCP
from .word_sum import WordSum

CHECKSUM_PLACE = 8
UNUSED_PLACE = 15
"""A word put here counts in the checksum only: those of the pseudo header."""


class TcpTransmitter(wiring.Component):
    """While `idle`: `begin` (strobe) starts a header, `put` adds `word` at `place` of it (without `put` the word is 0), `put_ip`,
    `put_mac_low` and `put_mac_high` take `peer_word`. `go` sends it with `length` bytes of data from `data_at` on, whose sum is `data_sum`
    if it is `summed`; `long`: the header has an option of four bytes. After `claim` the length is `claimed_length` until `go`.
    """

    def __init__(self, connections: int = 8):
        bits = POSITION_BITS + (connections - 1).bit_length()
        super().__init__(
            {
                "egress": Out(EgressSignature()),
                "idle": Out(1),
                "begin": In(1),
                "put": In(1),
                "place": In(4),
                "word": In(16),
                "put_ip": In(1),
                "put_mac_low": In(1),
                "put_mac_high": In(1),
                "peer_word": In(32),
                "claim": In(1),
                "claimed_length": In(9),
                "go": In(1),
                "long": In(1),
                "length": In(11),
                "data_at": In(bits),
                "summed": In(1),
                "data_sum": In(16),
                "read_at": Out(bits),
                "word_read": In(16),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        egress = self.egress
        m.submodules.header = header = Memory(shape=16, depth=16, init=[])
        store, fetch = header.write_port(), header.read_port(domain="comb")
        m.submodules.sum = total = WordSum()
        with m.If(self.put_ip):
            m.d.sync += egress.peer.ip.eq(self.peer_word)
        with m.If(self.put_mac_low):
            m.d.sync += egress.peer.mac[:32].eq(self.peer_word)
        with m.If(self.put_mac_high):
            m.d.sync += egress.peer.mac[32:].eq(self.peer_word)

        made, granted = Signal(), Signal()
        length, header_bytes = Signal(11), Signal(5)
        left = Signal(11)
        position, origin = Signal(POSITION_BITS), Signal(POSITION_BITS)
        connection = Signal(len(self.read_at) - POSITION_BITS)
        index = Signal(5)
        m.d.comb += [
            egress.protocol.eq(TCP),
            egress.length.eq(Mux(made, length + header_bytes, self.claimed_length + HEADER_BYTES)),
            self.read_at.eq(Cat(position, connection)),
            store.addr.eq(self.place),
            store.data.eq(self.word),
            store.en.eq(self.put),
            total.clear.eq(self.begin),
            total.word.eq(self.word),
            total.add.eq(self.put),
            fetch.addr.eq(index[1:]),
        ]
        with m.If(egress.grant):
            m.d.sync += [egress.request.eq(0), granted.eq(1)]
        with m.If(index != header_bytes):
            m.d.comb += egress.byte.eq(Mux(index[0], fetch.data[:8], fetch.data[8:]))
        with m.Else():
            m.d.comb += egress.byte.eq(self.word_read[8:])
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.idle.eq(~egress.request & ~granted)
                m.d.sync += index.eq(0)
                with m.If(self.claim):
                    m.d.sync += egress.request.eq(1)
                with m.If(self.go):
                    m.d.sync += [
                        made.eq(1),
                        length.eq(self.length),
                        left.eq(Mux(self.summed, 0, self.length)),
                        header_bytes.eq(Mux(self.long, HEADER_BYTES + 4, HEADER_BYTES)),
                        Cat(position, connection).eq(self.data_at),
                        origin.eq(self.data_at[:POSITION_BITS]),
                    ]
                    with m.If(self.summed):
                        m.d.comb += [total.word.eq(self.data_sum), total.add.eq(1)]
                    m.next = "SUM"
            with m.State("SUM"):
                with m.If(left != 0):
                    m.d.sync += position.eq(position + 2)
                    m.next = "ADD"
                with m.Else():
                    m.d.comb += total.add.eq(1)
                    m.next = "FINISH"
            with m.State("ADD"):
                # A pair is added as the next is fetched.
                m.d.comb += [total.add.eq(1), total.word.eq(Cat(Mux(left == 1, 0, self.word_read[:8]), self.word_read[8:]))]
                m.d.sync += left.eq(left - 2)
                with m.If(left <= 2):
                    m.next = "REWIND"
                with m.Else():
                    m.d.sync += position.eq(position + 2)
            with m.State("REWIND"):
                m.d.comb += total.add.eq(1)
                m.d.sync += position.eq(origin)
                m.next = "FINISH"
            with m.State("FINISH"):
                m.d.comb += [store.addr.eq(CHECKSUM_PLACE), store.data.eq(~total.value), store.en.eq(1)]
                with m.If(~granted & ~egress.grant):
                    m.d.sync += egress.request.eq(1)
                m.next = "SEND"
            with m.State("SEND"):
                with m.If(egress.take):
                    with m.If(index != header_bytes):
                        m.d.sync += index.eq(index + 1)
                    with m.Else():
                        m.d.sync += position.eq(position + 1)
                with m.If(egress.sent):
                    m.d.sync += [made.eq(0), granted.eq(0)]
                    m.next = "IDLE"
        return m
