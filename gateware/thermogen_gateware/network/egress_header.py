"""The bytes in front of what a layer sends: Ethernet and IPv4 header, or a whole ARP packet; and the IPv4 header's checksum.

Reference: RFC 894; RFC 791, 3.1; RFC 826; RFC 6864 (a packet that must not be fragmented needs no identification of its own; it has one
all the same). Our addresses and the peer's are two rows of ten bytes; each place of a header is a byte of one of them, a constant, or
one of the few that change. The IPv4 header is walked through once for its sum while the preamble goes out, and a second time to be
sent. Latency: a byte is there in the clock in which its place is. Area, LIFCL: 280 COMB, 40 FF.
"""

import enum

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .ethernet_ingress import HEADER_BYTES, TYPE_ARP, TYPE_IPV4
from .ones_complement import FLUSH_BYTES, OnesComplementSum
from .ports import IP_ADDRESS, MAC_ADDRESS, PEER

IPV4_BYTES = 20
ARP_BYTES = 28
TIME_TO_LIVE = 64
DO_NOT_FRAGMENT = 0x40


class _Row(enum.Enum):
    FIXED = 0
    OWN = 1
    PEER = 2
    VARIABLE = 3


_ETHERNET = [(_Row.PEER, at) for at in range(6)] + [(_Row.OWN, at) for at in range(6)]
_IPV4 = [
    *_ETHERNET,
    *((_Row.FIXED, byte) for byte in (TYPE_IPV4 >> 8, TYPE_IPV4 & 0xFF, 0x45, 0)),
    *((_Row.VARIABLE, number) for number in range(4)),  # length, identification
    *((_Row.FIXED, byte) for byte in (DO_NOT_FRAGMENT, 0, TIME_TO_LIVE)),
    *((_Row.VARIABLE, number) for number in range(4, 7)),  # protocol, checksum
    *((_Row.OWN, at) for at in range(6, 10)),
    *((_Row.PEER, at) for at in range(6, 10)),
]
_ARP = [
    *_ETHERNET,
    *((_Row.FIXED, byte) for byte in (TYPE_ARP >> 8, TYPE_ARP & 0xFF, 0, 1, 8, 0, 6, 4, 0)),
    (_Row.VARIABLE, 7),  # operation
    *((_Row.OWN, at) for at in range(10)),
    *((_Row.PEER, at) for at in range(10)),
]


class EgressHeader(wiring.Component):
    """`begin` (strobe) starts the sum for a new frame; what is sent holds from the clock after it on. `place` → `byte`, from 24 clocks
    after `begin` on; until then the sum is made, but for the length, which is added within four clocks of `settle` (strobe). `arp` sends
    an ARP packet: an answer, or a question if `asks`. `unnamed` sends from 0.0.0.0. `length` is that of the IPv4 payload."""

    begin: In(1)
    settle: In(1)
    place: In(range(len(_ARP)))
    byte: Out(8)

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
        last = len(_IPV4) + FLUSH_BYTES
        walk = Signal(range(last + 1), init=last)
        walking = Signal()
        here = Signal(range(len(_ARP)))
        late = Signal(range(3 + FLUSH_BYTES))
        identification = Signal(16)
        packet_bytes = Signal(11)
        m.d.comb += [
            walking.eq(walk != last),
            here.eq(Mux(walking, walk, self.place)),
            total.clear.eq(self.begin),
            total.add.eq(walking | (late != 0)),
            packet_bytes.eq(self.length + IPV4_BYTES),
        ]
        with m.If(walk < len(_IPV4)):
            m.d.comb += total.byte.eq(self.byte)
        with m.If(self.settle):
            m.d.sync += late.eq(2 + FLUSH_BYTES)
        with m.Elif(late != 0):
            m.d.sync += late.eq(late - 1)
        with m.If(late == 2 + FLUSH_BYTES):
            m.d.comb += total.byte.eq(packet_bytes[8:])
        with m.If(late == 1 + FLUSH_BYTES):
            m.d.comb += total.byte.eq(packet_bytes[:8])
        with m.If(self.begin):
            m.d.sync += [walk.eq(HEADER_BYTES), identification.eq(identification + 1)]
        with m.Elif(walking):
            m.d.sync += walk.eq(walk + 1)

        row, column, fixed = Signal(_Row), Signal(4), Signal(8)
        for header, chosen in ((_IPV4, ~self.arp), (_ARP, self.arp)):
            with m.If(chosen), m.Switch(here):
                for at, (kind, value) in enumerate(header):
                    with m.Case(at):
                        m.d.comb += row.eq(kind)
                        m.d.comb += (fixed if kind is _Row.FIXED else column).eq(value)

        def in_order(*fields):
            return [field.word_select(len(field) // 8 - 1 - at, 8) for field in fields for at in range(len(field) // 8)]

        own, peer, variable = Signal(8), Signal(8), Signal(8)
        variables = [
            Mux(walking, 0, packet_bytes[8:]),
            Mux(walking, 0, packet_bytes[:8]),
            identification[8:],
            identification[:8],
            self.protocol,
            # An even number of bytes was added.
            Mux(walking, 0, ~total.next_half),
            Mux(walking, 0, ~total.other_half),
            Mux(self.asks, 1, 2),
        ]
        rows = ((own, in_order(self.mac, self.address)), (peer, in_order(self.peer.mac, self.peer.ip)), (variable, variables))
        for chosen, values in rows:
            with m.Switch(column):
                for at, value in enumerate(values):
                    with m.Case(at):
                        m.d.comb += chosen.eq(value)
        of_ip = column >= 6
        # A question asks for the address that it would else name.
        masked = self.asks & self.arp & (here >= HEADER_BYTES) & ~of_ip
        with m.Switch(row):
            with m.Case(_Row.FIXED):
                m.d.comb += self.byte.eq(fixed)
            with m.Case(_Row.OWN):
                m.d.comb += self.byte.eq(Mux(self.unnamed & of_ip, 0, own))
            with m.Case(_Row.PEER):
                m.d.comb += self.byte.eq(Mux(masked, 0, peer))
            with m.Case(_Row.VARIABLE):
                m.d.comb += self.byte.eq(variable)
        return m
