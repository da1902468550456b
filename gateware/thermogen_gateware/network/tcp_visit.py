"""The receive buffer as the application reads it, and the place where its answer is written.

A visit may begin while a segment's data is still coming in: then the application reads behind it, and its answer is ready when the
frame is found good. Latency: a byte every two clocks; a byte is there two clocks after it is stored. Area, LIFCL: 2 EBR.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .tcp_buffer import POSITION_BITS
from .tcp_segment import ADU_BYTES, RECEIVE_BYTES
from .tcp_stream import TcpStreamSignature
from .word_sum import WordSum

ANSWER_BITS = ADU_BYTES.bit_length()
_RECEIVE_BITS = (RECEIVE_BYTES - 1).bit_length()


class TcpVisit(wiring.Component):
    """`start` (strobe) opens a visit of `connection`: `available` bytes from position `consumed` on are there, with `live` those that
    `store` strobes for join them; answers go to position `end` and following. It is `active` until `stop`, or until a `live` one's
    segment is `dropped`; with `arrived` it is live no more. `exhausted`: the application waits for a byte that is not there. `taken`:
    bytes handed on since the last answer. `accept` (strobe) takes the application's answer over; `answer_sum` is the sum of the last
    one's bytes, `answer_length` its length, or that of the first before it is accepted.
    """

    def __init__(self, connections: int = 8):
        self._connections = connections
        bits = (connections - 1).bit_length()
        super().__init__(
            {
                "stream": Out(TcpStreamSignature()),
                "store": In(1),
                "store_address": In(_RECEIVE_BITS + bits),
                "store_byte": In(8),
                "arrived": In(1),
                "dropped": In(1),
                "start": In(1),
                "start_connection": In(bits),
                "start_live": In(1),
                "start_at": In(_RECEIVE_BITS),
                "start_end": In(POSITION_BITS),
                "available": In(_RECEIVE_BITS + 1),
                "peer_ip": In(32),
                "stop": In(1),
                "accept": In(1),
                "active": Out(1),
                "live": Out(1),
                "connection": Out(bits),
                "answered_some": Out(1),
                "exhausted": Out(1),
                "taken": Out(_RECEIVE_BITS + 1),
                "answer_length": Out(ANSWER_BITS),
                "answer_sum": Out(16),
                "write": Out(1),
                "single": Out(1),
                "write_at": Out(POSITION_BITS + bits),
                "word": Out(16),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        stream = self.stream
        m.submodules.buffer = buffer = Memory(shape=8, depth=self._connections * RECEIVE_BYTES, init=[])
        store, fetch = buffer.write_port(), buffer.read_port()
        m.submodules.sum = total = WordSum()
        position, left = Signal(_RECEIVE_BITS), Signal(_RECEIVE_BITS + 1)
        end = Signal(POSITION_BITS)
        fetched = Signal()
        length = Signal(ANSWER_BITS)
        hands_on = stream.valid & stream.ready
        m.d.comb += [
            store.addr.eq(self.store_address),
            store.data.eq(self.store_byte),
            store.en.eq(self.store),
            fetch.addr.eq(Cat(position, self.connection)),
            stream.byte.eq(fetch.data),
            stream.valid.eq(fetched & self.active & ~self.stop),
            stream.settled.eq(self.active & ~self.live),
            stream.accepted.eq(self.accept),
            stream.cancel.eq(self.active & (self.stop | (self.live & self.dropped))),
            self.exhausted.eq(self.active & ~self.live & (left == 0) & ~fetched & stream.ready),
        ]
        m.d.sync += [fetched.eq(self.active & (left != 0) & ~hands_on & ~self.stop), left.eq(left + (self.live & self.store) - hands_on)]
        with m.If(hands_on):
            m.d.sync += [position.eq(position + 1), self.taken.eq(self.taken + 1)]
        with m.If(self.live & self.arrived):
            m.d.sync += self.live.eq(0)
        with m.If(~self.answered_some):
            m.d.comb += self.answer_length.eq(stream.length)
        with m.Else():
            m.d.comb += self.answer_length.eq(length)
        with m.If(self.accept):
            m.d.sync += [
                length.eq(stream.length),
                self.answer_sum.eq(total.value),
                self.taken.eq(0),
                end.eq(end + stream.length),
                self.answered_some.eq(1),
            ]
        with m.If(stream.cancel):
            m.d.sync += [self.active.eq(0), self.live.eq(0), fetched.eq(0)]
        with m.If(self.start):
            m.d.sync += [
                self.active.eq(1),
                self.live.eq(self.start_live),
                self.connection.eq(self.start_connection),
                stream.peer_ip.eq(self.peer_ip),
                position.eq(self.start_at),
                left.eq(self.available + (self.start_live & self.store)),
                end.eq(self.start_end),
                self.taken.eq(0),
                self.answered_some.eq(0),
                fetched.eq(0),
            ]

        m.d.comb += [
            self.write.eq(stream.write),
            self.single.eq(stream.single),
            self.word.eq(stream.word),
            self.write_at.eq(Cat((end + stream.offset)[:POSITION_BITS], self.connection)),
            total.clear.eq(stream.restart),
            # Zeros between what is written, for the last carry's sake.
            total.add.eq(1),
        ]
        upper, lower = Mux(stream.write, stream.word[8:], 0), Mux(stream.write & ~stream.single, stream.word[:8], 0)
        m.d.comb += total.word.eq(Mux(stream.offset[0], Cat(upper, lower), Cat(lower, upper)))
        return m
