"""The bytes in front of what a layer sends: Ethernet and IPv4 header, or a whole ARP packet; and the IPv4 header's checksum.

Reference: RFC 894; RFC 791, 3.1; RFC 826; RFC 6864 (a packet that must not be fragmented needs no identification of its own; it has one
all the same). A header is a sequence of fields, each a run through a row of bytes: our addresses, the peer's, constants, and what changes.
The IPv4 header is walked through once for its sum while the preamble goes out, and a second time to be sent. Latency: the first
byte is there 24 clocks after `begin`, each other in the clock after `take`. Area, LIFCL: 315 COMB, 43 FF.
"""

import enum

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .ethernet_ingress import TYPE_ARP, TYPE_IPV4
from .ones_complement import FLUSH_BYTES, OnesComplementSum
from .ports import IP_ADDRESS, MAC_ADDRESS, PEER

IPV4_BYTES = 20
TIME_TO_LIVE = 64
DO_NOT_FRAGMENT = 0x40


class _Row(enum.Enum):
    OWN = 0
    """Hardware address at 9 to 4, IP address at 3 to 0."""
    PEER = 1
    FIXED = 2
    VARIABLE = 3


_FIXED = (
    *(TYPE_IPV4 >> 8, TYPE_IPV4 & 0xFF, 0x45, 0),
    *(DO_NOT_FRAGMENT, 0, TIME_TO_LIVE),
    *(TYPE_ARP >> 8, TYPE_ARP & 0xFF, 0, 1, TYPE_IPV4 >> 8, TYPE_IPV4 & 0xFF, 6, 4, 0),
)
"""From place 15 down to 0."""
_ETHERNET = ((_Row.PEER, 9, 4), (_Row.OWN, 9, 4))
_IPV4 = (
    *_ETHERNET,
    (_Row.FIXED, 15, 12),
    (_Row.VARIABLE, 7, 4),  # length, identification
    (_Row.FIXED, 11, 9),
    (_Row.VARIABLE, 3, 1),  # protocol, checksum
    (_Row.OWN, 3, 0),
    (_Row.PEER, 3, 0),
)
_ARP = (*_ETHERNET, (_Row.FIXED, 8, 0), (_Row.VARIABLE, 0, 0), (_Row.OWN, 9, 0), (_Row.PEER, 9, 0))
"""Row, first and last place of each field. The operation is the one thing that varies."""
_LENGTH_FIELD, _LENGTH_BYTES = 3, 2
_SUM_FROM = (2, 13)
"""Field and place of an IPv4 header's first byte."""


class EgressHeader(wiring.Component):
    """`begin` (strobe) starts the sum for a new frame; what is sent holds from the clock after it on. `take` asks for the next `byte`,
    from 24 clocks after `begin` on; `last` goes with the last one.

    `length_open`: the length may still change; it is added to the sum when its place comes, and the checksum has it long before its own.
    `arp` sends an ARP packet: an answer, or a question if `asks`. `unnamed` sends from 0.0.0.0. `length` is that of the IPv4 payload.
    """

    begin: In(1)
    take: In(1)
    byte: Out(8)
    last: Out(1)
    length_open: Out(1)

    mac: In(MAC_ADDRESS)
    address: In(IP_ADDRESS)
    peer: In(PEER)
    arp: In(1)
    asks: In(1)
    unnamed: In(1)
    protocol: In(8)
    length: In(11)

    def elaborate(self, _platform):
        m = Module()
        m.submodules.sum = total = OnesComplementSum()
        field, place = Signal(range(len(_IPV4))), Signal(4)
        walking, flush = Signal(), Signal(range(_LENGTH_BYTES + FLUSH_BYTES + 1))

        row, end, next_start, final = Signal(_Row), Signal(4), Signal(4), Signal()
        with m.Switch(Cat(field, self.arp)):
            for arp, fields in ((0, _IPV4), (1, _ARP)):
                for number, (kind, _, last_place) in enumerate(fields):
                    with m.Case(arp << len(field) | number):
                        m.d.comb += [row.eq(kind), end.eq(last_place), final.eq(number == len(fields) - 1)]
                        m.d.comb += next_start.eq(fields[(number + 1) % len(fields)][1])
        with m.If(self.take | walking):
            m.d.sync += place.eq(place - 1)
            with m.If(place == end):
                m.d.sync += [field.eq(field + 1), place.eq(next_start)]
        m.d.comb += [self.last.eq(final & (place == end)), total.clear.eq(self.begin), total.add.eq(walking | (flush != 0))]
        with m.If(walking):
            m.d.comb += total.byte.eq(self.byte)
            with m.If(self.last | self.arp):
                m.d.sync += [walking.eq(0), flush.eq(FLUSH_BYTES), field.eq(0), place.eq(_ETHERNET[0][1])]
        identification, packet_bytes = Signal(16), Signal(16)
        m.d.comb += self.length_open.eq(~self.arp & (field < _LENGTH_FIELD))
        with m.If(self.take & self.length_open & (field == _LENGTH_FIELD - 1) & (place == end)):
            m.d.sync += flush.eq(_LENGTH_BYTES + FLUSH_BYTES)
        with m.Elif(flush != 0):
            m.d.sync += flush.eq(flush - 1)
        with m.Switch(flush):
            for behind in range(_LENGTH_BYTES):
                with m.Case(FLUSH_BYTES + 1 + behind):
                    m.d.comb += total.byte.eq(packet_bytes.word_select(behind, 8))
        with m.If(self.begin):
            m.d.sync += [walking.eq(1), field.eq(_SUM_FROM[0]), place.eq(_SUM_FROM[1]), identification.eq(identification + 1)]

        operation = Signal(8)
        m.d.comb += packet_bytes.eq(self.length + IPV4_BYTES)
        # Checksum and length are 0 while the header is summed; an even number of bytes was.
        checksum = Mux(walking, Const(0, 16), ~Cat(total.other_half, total.next_half))
        m.d.comb += operation.eq(Mux(self.asks, 1, 2))
        variable = Cat(operation, checksum, self.protocol, identification, Mux(walking, 0, packet_bytes))
        of_ip = place < IP_ADDRESS // 8
        own, peer = Signal(8), Signal(8)
        m.d.comb += [
            own.eq(Cat(self.address, self.mac).word_select(place, 8)),
            peer.eq(Cat(self.peer.ip, self.peer.mac).word_select(place, 8)),
        ]
        with m.Switch(row):
            with m.Case(_Row.OWN):
                m.d.comb += self.byte.eq(Mux(self.unnamed & of_ip, 0, own))
            with m.Case(_Row.PEER):
                # A question asks for the address that it would else name.
                m.d.comb += self.byte.eq(Mux(self.asks & (field != 0) & ~of_ip, 0, peer))
            with m.Case(_Row.FIXED):
                m.d.comb += self.byte.eq(Cat(Const(byte, 8) for byte in reversed(_FIXED)).word_select(place, 8))
            with m.Case(_Row.VARIABLE):
                m.d.comb += self.byte.eq(variable.word_select(place[:3], 8))
        return m
