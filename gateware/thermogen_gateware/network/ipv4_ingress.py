"""IPv4 headers of received packets, and what is behind them handed on byte by byte.

Reference: RFC 791, 3.1; RFC 1122, 3.2.1 and 3.3.6. Handed on: packets to our address in frames to us, and UDP to 255.255.255.255 in frames
to all (for DHCP). Dropped: a wrong version, length or header checksum; fragments (counted); senders that cannot be one (0/8, 127/8, 224/3
and ourselves). Options are stepped over, the time to live is of no interest to a host. What follows the packet is padding and ends here.
The checksum of the protocol above (RFC 768, 793; ICMP's without the pseudo header) is summed on the way. Latency: bytes pass as they
come; the verdict passes in the same clock. Area, LIFCL: 213 COMB, 90 FF.
"""

import enum

from amaranth.hdl import C, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .ones_complement import FLUSH_BYTES, OnesComplementSum
from .own_bytes import ADDRESS_ROW, ROWS
from .ports import PEER, IngressSignature

ICMP = 1
UDP = 17
SOURCE_AT = 12
DESTINATION_AT = 16
SHORTEST_WORDS = 5
LENGTH_BITS = 11
"""No packet in a frame is longer than 1,500 bytes."""


class _Part(enum.Enum):
    HEADER = 0
    SUM = 1
    PAYLOAD = 2
    REST = 3


class Ipv4Ingress(wiring.Component):
    """`packet` strobes with each `byte` behind an Ethernet header of IPv4; `start`, `end` and `good` are the receiver's. `checksum_good`
    and `to_all` (to the broadcast address) are right with `ingress.commit`. `addressed` says that we have an address. `header_error` and
    `fragment` strobe with the end of a frame whose FCS is right. `own_row` → `own_byte`: of `OwnBytes`."""

    start: In(1)
    packet: In(1)
    byte: In(8)
    broadcast: In(1)
    end: In(1)
    good: In(1)
    sender: In(PEER)
    shift_ip: Out(1)
    own_row: Out(range(ROWS))
    own_byte: In(8)
    addressed: In(1)

    ingress: Out(IngressSignature())
    checksum_good: Out(1)
    to_all: Out(1)
    header_error: Out(1)
    fragment: Out(1)

    def elaborate(self, _platform):
        m = Module()
        ingress = self.ingress
        m.submodules.header_sum = header_sum = OnesComplementSum()
        m.submodules.payload_sum = payload_sum = OnesComplementSum()

        place = Signal(6)
        last_place = Signal(6)
        length = Signal(LENGTH_BITS + 1)  # of the whole packet, then of what is behind its header, then of what is still to come
        flush = Signal(range(FLUSH_BYTES + 1))
        regular, whole, to_us, host, own_sender = Signal(), Signal(), Signal(), Signal(), Signal()
        accepted, handed_on = Signal(), Signal()
        m.d.comb += [
            self.own_row.eq(ADDRESS_ROW + place[:2]),
            header_sum.byte.eq(Mux(flush == 0, self.byte, 0)),
            payload_sum.byte.eq(Mux(flush == 0, self.byte, 0)),
            self.checksum_good.eq(payload_sum.summed),
            ingress.byte.eq(self.byte),
            ingress.peer.eq(self.sender),
            accepted.eq(
                regular
                & whole
                & host
                & ~own_sender
                & header_sum.summed
                & Mux(self.broadcast, self.to_all & (ingress.protocol == UDP), to_us & self.addressed)
            ),
        ]
        wrong_header, fragmented = Signal(), Signal()
        part = Signal(_Part)
        with m.If(flush != 0):
            m.d.sync += flush.eq(flush - 1)
        with m.Switch(part):
            with m.Case(_Part.HEADER), m.If(self.packet):
                m.d.comb += header_sum.add.eq(1)
                m.d.sync += place.eq(place + 1)
                with m.Switch(place):
                    with m.Case(0):
                        m.d.sync += [
                            regular.eq((self.byte[4:] == 4) & (self.byte[:4] >= SHORTEST_WORDS)),
                            last_place.eq(Cat(C(0b11, 2), (self.byte[:4] - 1)[:4])),
                        ]
                    with m.Case(2):
                        m.d.sync += [length[8:].eq(self.byte), regular.eq(regular & ~self.byte[LENGTH_BITS - 8 :].any())]
                    with m.Case(3):
                        m.d.sync += length[:8].eq(self.byte)
                    with m.Case(6):
                        m.d.sync += [whole.eq(~self.byte[:6].any()), length.eq(length - last_place - 1)]
                    with m.Case(7):
                        m.d.sync += [whole.eq(whole & (self.byte == 0)), regular.eq(regular & ~length[LENGTH_BITS])]
                    # Zero, protocol, and length are in TCP's and UDP's pseudo header too.
                    with m.Case(8):
                        m.d.comb += [payload_sum.byte.eq(0), payload_sum.add.eq(1)]
                    with m.Case(9):
                        m.d.comb += payload_sum.add.eq(1)
                        m.d.sync += ingress.protocol.eq(self.byte)
                    with m.Case(10):
                        m.d.comb += [payload_sum.byte.eq(length[8:]), payload_sum.add.eq(1)]
                    with m.Case(11):
                        m.d.comb += [payload_sum.byte.eq(length[:8]), payload_sum.add.eq(1)]
                with m.If(place[2:] == SOURCE_AT // 4):
                    m.d.comb += [self.shift_ip.eq(1), payload_sum.add.eq(1)]
                    m.d.sync += own_sender.eq(own_sender & (self.byte == self.own_byte))
                    with m.If(place[:2] == 0):
                        m.d.sync += host.eq((self.byte != 0) & (self.byte != 127) & (self.byte < 224))
                with m.If(place[2:] == DESTINATION_AT // 4):
                    m.d.comb += payload_sum.add.eq(1)
                    m.d.sync += [to_us.eq(to_us & (self.byte == self.own_byte)), self.to_all.eq(self.to_all & (self.byte == 0xFF))]
                # A header said to be shorter than it has to be ends where it has to.
                with m.If((place >= DESTINATION_AT + 3) & ((place == last_place) | ~regular)):
                    m.d.sync += [part.eq(_Part.SUM), flush.eq(FLUSH_BYTES)]
            with m.Case(_Part.SUM):
                m.d.comb += header_sum.add.eq(flush != 0)
                with m.If(flush == 0):
                    m.d.comb += payload_sum.clear.eq(ingress.protocol == ICMP)
                    m.d.sync += [
                        ingress.length.eq(length),
                        wrong_header.eq(~regular | ~header_sum.summed),
                        fragmented.eq(~whole),
                        part.eq(Mux(accepted & (length != 0), _Part.PAYLOAD, _Part.REST)),
                    ]
            with m.Case(_Part.PAYLOAD):
                m.d.comb += payload_sum.add.eq((self.packet & (length != 0)) | (flush != 0))
                with m.If(self.packet & (length != 0)):
                    m.d.comb += [ingress.valid.eq(1), ingress.first.eq(~handed_on)]
                    m.d.sync += [length.eq(length - 1), handed_on.eq(1)]
                    with m.If(length == 1):
                        m.d.sync += flush.eq(FLUSH_BYTES)
                with m.If(self.end):
                    m.d.comb += [
                        ingress.commit.eq(handed_on & self.good & (length == 0)),
                        ingress.drop.eq(handed_on & ~ingress.commit),
                    ]
        with m.If(self.end):
            m.d.comb += [
                self.header_error.eq(self.good & (wrong_header | ((part == _Part.PAYLOAD) & (length != 0)))),
                self.fragment.eq(self.good & ~wrong_header & fragmented),
            ]
            m.d.sync += part.eq(_Part.REST)
        with m.If(self.start):
            m.d.comb += [header_sum.clear.eq(1), payload_sum.clear.eq(1)]
            m.d.sync += [
                part.eq(_Part.HEADER),
                place.eq(0),
                flush.eq(0),
                to_us.eq(1),
                self.to_all.eq(1),
                own_sender.eq(1),
                handed_on.eq(0),
                wrong_header.eq(0),
                fragmented.eq(0),
            ]
        return m
