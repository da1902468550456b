"""The bytes in front of what a layer sends: Ethernet and IPv4 header, or a whole ARP packet; and the IPv4 header's checksum.

Reference: RFC 894; RFC 791, 3.1; RFC 826; RFC 6864 (a packet that must not be fragmented needs no identification of its own; it has one
all the same). The header is walked through once for its sum while the preamble goes out, and a second time to be sent. Latency:
a byte is there in the clock in which its place is. Area, LIFCL: 260 COMB, 55 FF.
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .ethernet_ingress import HEADER_BYTES, TYPE_ARP, TYPE_IPV4
from .ones_complement import OnesComplementSum
from .ports import IP_ADDRESS, MAC_ADDRESS, PEER

IPV4_BYTES = 20
ARP_BYTES = 28
TIME_TO_LIVE = 64
DO_NOT_FRAGMENT = 0x40
CHECKSUM_AT = HEADER_BYTES + 10


def _bytes(value, count):
    return [value.word_select(count - 1 - at, 8) for at in range(count)]


class EgressHeader(wiring.Component):
    """`begin` (strobe) starts the sum for a new frame; what is sent holds from the clock after it on. `place` → `byte`; from 24 clocks
    after `begin` on, until then the sum is made. `arp` sends an ARP packet: an answer, or a question if `asks`. `unnamed` sends from
    0.0.0.0. `length` is that of the IPv4 payload."""

    begin: In(1)
    place: In(range(HEADER_BYTES + ARP_BYTES))
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
        walk = Signal(range(HEADER_BYTES + IPV4_BYTES + 1), init=HEADER_BYTES + IPV4_BYTES)
        walking = Signal()
        here = Signal(range(HEADER_BYTES + ARP_BYTES))
        identification = Signal(16)
        own, target = Signal(IP_ADDRESS), Signal(MAC_ADDRESS)
        packet_bytes = Signal(16)
        m.d.comb += [
            walking.eq(walk != HEADER_BYTES + IPV4_BYTES),
            here.eq(Mux(walking, walk, self.place)),
            total.clear.eq(self.begin),
            total.add.eq(walking),
            total.byte.eq(self.byte),
            own.eq(Mux(self.unnamed, 0, self.address)),
            target.eq(Mux(self.asks, 0, self.peer.mac)),
            packet_bytes.eq(self.length + IPV4_BYTES),
        ]
        with m.If(self.begin):
            m.d.sync += [walk.eq(HEADER_BYTES), identification.eq(identification + 1)]
        with m.Elif(walking):
            m.d.sync += walk.eq(walk + 1)

        # The checksum is 0 while it is summed.
        checksum = Mux(walking, 0, ~total.sum)
        ethernet = [*_bytes(self.peer.mac, 6), *_bytes(self.mac, 6), TYPE_IPV4 >> 8, Mux(self.arp, TYPE_ARP & 0xFF, TYPE_IPV4 & 0xFF)]
        ipv4 = [
            0x45,
            0,
            *_bytes(packet_bytes, 2),
            *_bytes(identification, 2),
            DO_NOT_FRAGMENT,
            0,
            TIME_TO_LIVE,
            self.protocol,
            *_bytes(checksum, 2),
            *_bytes(own, 4),
            *_bytes(self.peer.ip, 4),
        ]
        arp = [
            0,
            1,
            8,
            0,
            6,
            4,
            0,
            Mux(self.asks, 1, 2),
            *_bytes(self.mac, 6),
            *_bytes(own, 4),
            *_bytes(target, 6),
            *_bytes(self.peer.ip, 4),
        ]
        with m.Switch(here):
            for at, value in enumerate(ethernet):
                with m.Case(at):
                    m.d.comb += self.byte.eq(value)
            for at, value in enumerate(arp, HEADER_BYTES):
                of_ipv4 = ipv4[at - HEADER_BYTES] if at < HEADER_BYTES + IPV4_BYTES else 0
                with m.Case(at):
                    m.d.comb += self.byte.eq(Mux(self.arp, value, of_ipv4))
        return m
