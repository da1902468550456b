"""A TCP server for MODBUS: eight connections, their words in block RAM, their bytes in rings.

Reference: RFC 9293, RFC 6298, RFC 5961, RFC 4987; docs/network.md has what is left out. Segments are taken apart while they come in
(tcp_receive.py), acted on by one state machine (tcp_engine.py) and put together while their headers go out (tcp_transmit.py).
"""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .ports import EgressSignature, IngressSignature
from .tcp_buffer import TcpTransmitBuffer
from .tcp_datapath import TcpDatapath, TcpTiming
from .tcp_engine import add_engine
from .tcp_handshake import MOST_PREFERRED
from .tcp_receive import TcpReceiver
from .tcp_segment import PLACES
from .tcp_stream import TcpStreamSignature
from .tcp_transmit import TcpTransmitter
from .tcp_visit import TcpVisit

CONNECTIONS = 8
TICKS_PER_SECOND = 100


class TcpServer(wiring.Component):
    """Between the IP layer and an application on `stream`.

    `checksum_good` is right with `ingress.commit`. `clocks_per_tick` is what all times are counted in: with 500,000 a tick is a hundredth
    of a second. `isn_key` is secret and hardly ever changes. `preferred` are the addresses of clients that never
    give way (0: none). `used` shows the connections; `accepted`, `refused` and `retransmitted` are strobes for each that was.
    """

    def __init__(self, clocks_per_tick: int, keep_alive_s: float = 30, connections: int = CONNECTIONS):
        self._clocks_per_tick = clocks_per_tick
        self._timing = TcpTiming(TICKS_PER_SECOND, keep_alive_s)
        self._connections = connections
        super().__init__(
            {
                "ingress": In(IngressSignature()),
                "checksum_good": In(1),
                "egress": Out(EgressSignature()),
                "stream": Out(TcpStreamSignature()),
                "own_ip": In(32),
                "isn_key": In(64),
                "preferred": In(data.ArrayLayout(32, MOST_PREFERRED)),
                "used": Out(connections),
                "accepted": Out(1),
                "refused": Out(1),
                "retransmitted": Out(1),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        connections = self._connections
        m.submodules.receiver = receiver = TcpReceiver(connections)
        m.submodules.visit = visit = TcpVisit(connections)
        m.submodules.transmitter = transmitter = TcpTransmitter(connections)
        m.submodules.buffer = buffer = TcpTransmitBuffer(connections)
        m.submodules.words = words = Memory(shape=32, depth=16 * PLACES, init=[])
        own, seen, written = words.read_port(), words.read_port(), words.write_port()
        wiring.connect(m, wiring.flipped(self.ingress), receiver.ingress)
        wiring.connect(m, wiring.flipped(self.egress), transmitter.egress)
        wiring.connect(m, wiring.flipped(self.stream), visit.stream)

        d = TcpDatapath(m, connections, self._timing, receiver, visit, transmitter)
        m.d.comb += [
            own.addr.eq(d.address),
            d.word.eq(own.data),
            seen.addr.eq(receiver.address),
            receiver.word.eq(seen.data),
            written.addr.eq(d.write_address),
            written.data.eq(d.write_word),
            written.en.eq(d.writes),
            receiver.checksum_good.eq(self.checksum_good),
            d.own_ip.eq(self.own_ip),
            d.cookie.key.eq(self.isn_key),
            self.used.eq(d.used),
            self.accepted.eq(d.accepted),
            self.refused.eq(d.refused),
            self.retransmitted.eq(d.retransmitted),
            visit.store.eq(receiver.store),
            visit.store_address.eq(receiver.store_address),
            visit.store_byte.eq(receiver.store_byte),
            buffer.write.eq(visit.write),
            buffer.single.eq(visit.single),
            buffer.write_at.eq(visit.write_at),
            buffer.word.eq(visit.word),
            buffer.read_at.eq(transmitter.read_at),
            transmitter.word_read.eq(buffer.word_read),
        ]
        clocks, tick = Signal(range(self._clocks_per_tick)), Signal()
        m.d.sync += [clocks.eq(clocks + 1), tick.eq(0)]
        with m.If(clocks == self._clocks_per_tick - 1):
            m.d.sync += [clocks.eq(0), tick.eq(1)]
        add_engine(m, d, tick, self.preferred)
        return m
