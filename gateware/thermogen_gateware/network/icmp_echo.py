"""Answers ICMP echo requests, up to the largest frame that is not fragmented.

Reference: RFC 792; RFC 1122, 3.2.2.6. One request is answered at a time: one that comes while another's answer waits or leaves is not, and
is counted. A request with a wrong checksum is no request. The answer's checksum follows from the request's, as only the type differs
(RFC 1624). Latency: the answer is requested with the request's commit. Area, LIFCL: 75 COMB, 50 FF, 1 EBR.
"""

from amaranth.hdl import C, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .egress import LayerSignature
from .ipv4_ingress import ICMP
from .ports import IngressSignature

ECHO_REQUEST = 8
HEADER_BYTES = 8
LONGEST_BYTES = 1480


class IcmpEcho(wiring.Component):
    """`remember` strobes when the peer table is to keep the sender as ECHOED, to which `egress` sends. `missed` strobes for a request that
    finds another one in the way."""

    ingress: In(IngressSignature())
    checksum_good: In(1)

    remember: Out(1)
    egress: Out(LayerSignature())
    missed: Out(1)

    def elaborate(self, _platform):
        m = Module()
        ingress = self.ingress
        m.submodules.memory = memory = Memory(shape=8, depth=2048, init=[])
        write, read = memory.write_port(), memory.read_port()

        busy, listening, echo = Signal(), Signal(), Signal()
        place = Signal(11)
        checksum = Signal(16)
        lifted = Signal(17)
        here = Signal(11)
        m.d.comb += [
            here.eq(Mux(ingress.first, 0, place)),
            write.addr.eq(here),
            write.data.eq(ingress.byte),
            write.en.eq(ingress.valid & ~busy),
            lifted.eq(checksum + (ECHO_REQUEST << 8)),
            self.remember.eq(ingress.first & ~busy),
        ]
        with m.If(ingress.first):
            m.d.sync += listening.eq((ingress.protocol == ICMP) & (ingress.byte == ECHO_REQUEST) & (ingress.length >= HEADER_BYTES))
        with m.If(ingress.valid & ~busy):
            m.d.sync += place.eq(here + 1)
            with m.If(here == 1):
                m.d.sync += echo.eq(ingress.byte == 0)
            with m.If(here == 2):
                m.d.sync += checksum[8:].eq(ingress.byte)
            with m.If(here == 3):
                m.d.sync += checksum[:8].eq(ingress.byte)
        with m.If(ingress.commit & listening):
            m.d.sync += listening.eq(0)
            m.d.comb += self.missed.eq(busy)
            with m.If(~busy & echo & self.checksum_good & (ingress.length <= LONGEST_BYTES)):
                m.d.sync += [busy.eq(1), self.egress.request.eq(1), self.egress.length.eq(ingress.length), place.eq(0)]
                m.d.sync += checksum.eq(lifted[:16] + lifted[16])

        with m.If(self.egress.grant):
            m.d.sync += self.egress.request.eq(0)
        with m.If(busy & self.egress.take):
            m.d.sync += place.eq(place + 1)
        with m.If(self.egress.sent):
            m.d.sync += busy.eq(0)
        m.d.comb += read.addr.eq(place + self.egress.take)
        with m.Switch(place):
            with m.Case(0, 1):
                m.d.comb += self.egress.byte.eq(C(0, 8))
            with m.Case(2):
                m.d.comb += self.egress.byte.eq(checksum[8:])
            with m.Case(3):
                m.d.comb += self.egress.byte.eq(checksum[:8])
            with m.Default():
                m.d.comb += self.egress.byte.eq(read.data)
        return m
