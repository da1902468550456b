"""Answers ICMP echo requests, up to the largest frame that is not fragmented.

Reference: RFC 792; RFC 1122, 3.2.2.6. Two buffers: while one request's answer leaves, the next may come, so that requests of one
length are all answered however close they follow; one that finds both in use is counted. A request with a wrong checksum is no
request. The answer's checksum follows from the request's, as only the type differs (RFC 1624), and is put right on the way in.
Latency: the answer is requested in the clock after the request's commit. Area, LIFCL: 191 COMB, 62 FF, 2 EBR.
"""

from amaranth.hdl import Array, C, Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .egress import LayerSignature
from .ipv4_ingress import ICMP
from .ports import IngressSignature

ECHO_REQUEST = 8
BUFFERS = 2
BUFFER_BYTES = 2048


class IcmpEcho(wiring.Component):
    """`remember` strobes when the peer table is to keep the sender as that of buffer `into`. `egress` sends to that of buffer `out_of`.

    `missed` strobes for a request that finds no buffer.
    """

    ingress: In(IngressSignature())
    checksum_good: In(1)

    remember: Out(1)
    into: Out(range(BUFFERS))
    out_of: Out(range(BUFFERS))
    egress: Out(LayerSignature())
    missed: Out(1)

    def elaborate(self, _platform):
        m = Module()
        ingress = self.ingress
        m.submodules.memory = memory = Memory(shape=8, depth=BUFFERS * BUFFER_BYTES, init=[])
        write, read = memory.write_port(), memory.read_port()
        full = Array(Signal(name=f"full_{buffer}") for buffer in range(BUFFERS))
        length = Array(Signal(11, name=f"length_{buffer}") for buffer in range(BUFFERS))

        # In: what is stored is the answer.
        listening, storing, echo = Signal(), Signal(), Signal()
        place = Signal(range(BUFFER_BYTES))
        upper, carry, repair = Signal(8), Signal(), Signal()
        free = Signal()
        m.d.comb += [
            free.eq(~full[self.into]),
            self.remember.eq(ingress.first & free),
            write.addr.eq(Cat(place, self.into)),
            write.data.eq(ingress.byte),
            write.en.eq(ingress.valid & storing),
        ]
        m.d.sync += repair.eq(0)
        with m.If(repair):
            m.d.comb += [write.addr.eq(Cat(C(2, len(place)), self.into)), write.data.eq(upper), write.en.eq(1)]
        with m.If(ingress.first):
            m.d.comb += [write.addr.eq(Cat(C(0, len(place)), self.into)), write.data.eq(0), write.en.eq(free)]
            m.d.sync += [
                listening.eq((ingress.protocol == ICMP) & (ingress.byte == ECHO_REQUEST) & ingress.length[3:].any()),
                storing.eq(free),
                place.eq(1),
            ]
        with m.Elif(ingress.valid):
            m.d.sync += place.eq(place + 1)
            with m.Switch(place):
                with m.Case(1):
                    m.d.sync += echo.eq(ingress.byte == 0)
                with m.Case(2):
                    m.d.comb += write.data.eq(ingress.byte + ECHO_REQUEST)
                    m.d.sync += Cat(upper, carry).eq(ingress.byte + ECHO_REQUEST)
                with m.Case(3):
                    # The carry's own carry goes round to the byte before, which is there already.
                    m.d.comb += write.data.eq(ingress.byte + carry)
                    m.d.sync += [repair.eq(storing & carry & ingress.byte.all()), upper.eq(upper + 1)]
        with m.If(ingress.commit & listening):
            m.d.comb += self.missed.eq(~storing)
            with m.If(storing & echo & self.checksum_good):
                m.d.sync += [full[self.into].eq(1), length[self.into].eq(ingress.length), self.into.eq(~self.into)]
        with m.If(ingress.commit | ingress.drop):
            m.d.sync += [listening.eq(0), storing.eq(0)]

        # Out.
        sending = Signal()
        sent_place = Signal(range(BUFFER_BYTES))
        m.d.comb += [
            self.egress.request.eq(full[self.out_of] & ~sending),
            self.egress.length.eq(length[self.out_of]),
            self.egress.byte.eq(read.data),
            read.addr.eq(Cat(sent_place, self.out_of)),
        ]
        with m.If(self.egress.grant):
            m.d.sync += sending.eq(1)
        with m.If(self.egress.take):
            m.d.sync += sent_place.eq(sent_place + 1)
            m.d.comb += read.addr.eq(Cat((sent_place + 1)[: len(sent_place)], self.out_of))
        with m.If(self.egress.sent):
            m.d.sync += [sent_place.eq(0), sending.eq(0), full[self.out_of].eq(0), self.out_of.eq(~self.out_of)]
        return m
