"""The bytes in front of what a layer sends: Ethernet and IPv4 header, or a whole ARP packet; and the IPv4 header's checksum.

Reference: RFC 894; RFC 791, 3.1; RFC 826; RFC 6864 (a packet that must not be fragmented needs no identification of its own; it has one
all the same). A table in block memory says what each byte is: a constant, one of our addresses', of the peer's, or of what changes.
The IPv4 header is walked through once for its sum while the preamble goes out, and a second time to be sent. Latency: the first
byte is there 24 clocks after `begin`, each other two clocks after the one in which `take` is. Area, LIFCL: 194 COMB, 54 FF, 1 EBR.
"""

from functools import reduce
from operator import or_

from amaranth.hdl import C, Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .ethernet_ingress import TYPE_ARP, TYPE_IPV4
from .ones_complement import FLUSH_BYTES, OnesComplementSum
from .own_bytes import ADDRESS_ROW, MAC_ROW, ROWS
from .ports import IP_ADDRESS, MAC_ADDRESS, PEER

IPV4_BYTES = 20
TIME_TO_LIVE = 64
DO_NOT_FRAGMENT = 0x40


_CHECKSUM, _PROTOCOL, _IDENTIFICATION, _LENGTH, _OPERATION = 0, 2, 3, 5, 7
"""Where the bytes of what varies begin, the uppermost of each first."""
_SUM_FROM, _LENGTH_AT, _IPV4_END, _ARP_END = 14, 16, 34, 42
"""Places in a frame; the IPv4 header is summed from its first byte."""
_LENGTH_BYTES = 2
_PEER_BYTES = PEER.size // 8
_PLACE = data.StructLayout(
    {"fixed": 8, "peer": _PEER_BYTES, "varying": 8, "row": range(ROWS), "own": 1, "unless_unnamed": 1, "unless_asks": 1, "last": 1}
)
"""A byte of the table's own, or that of the peer (one-hot, its hardware address first) or of what varies (one-hot), or with `own` one of
`OwnBytes`. It is 0 in a packet of somebody `unnamed`, or in a question."""


def _layout() -> list[dict[str, int]]:
    nothing = dict.fromkeys(_PLACE.members, 0)

    def fixed(*values: int) -> list[dict[str, int]]:
        return [{**nothing, "fixed": value} for value in values]

    def own(row: int, count: int, **marks: int) -> list[dict[str, int]]:
        return [{**nothing, "row": row + place, "own": 1, **marks} for place in range(count)]

    def peer(first: int, count: int, **marks: int) -> list[dict[str, int]]:
        return [{**nothing, "peer": 1 << first + place, **marks} for place in range(count)]

    def varying(first: int, count: int) -> list[dict[str, int]]:
        return [{**nothing, "varying": 1 << first + place} for place in range(count)]

    mac, ip = MAC_ADDRESS // 8, IP_ADDRESS // 8
    ethernet = [*peer(0, mac), *own(MAC_ROW, mac)]
    packet = [
        *fixed(TYPE_IPV4 >> 8, TYPE_IPV4 & 0xFF, 0x45, 0),
        *varying(_LENGTH, 2),
        *varying(_IDENTIFICATION, 2),
        *fixed(DO_NOT_FRAGMENT, 0, TIME_TO_LIVE),
        *varying(_PROTOCOL, 1),
        *varying(_CHECKSUM, 2),
        *own(ADDRESS_ROW, ip, unless_unnamed=1),
        *peer(mac, ip),
    ]
    arp = [
        *fixed(TYPE_ARP >> 8, TYPE_ARP & 0xFF, 0, 1, TYPE_IPV4 >> 8, TYPE_IPV4 & 0xFF, mac, ip, 0),
        *varying(_OPERATION, 1),
        *own(MAC_ROW, mac),
        *own(ADDRESS_ROW, ip),
        *peer(0, mac, unless_asks=1),  # a question asks for the address that it would else name
        *peer(mac, ip),
    ]
    halves = []
    for body in (packet, arp):
        places = [*ethernet, *body]
        places[-1] = {**places[-1], "last": 1}
        halves += [*places, *(nothing for _ in range(_PLACES - len(places)))]
    return halves


_PLACES = 64


class EgressHeader(wiring.Component):
    """`begin` (strobe) starts the sum for a new frame; what is sent holds from the clock after it on. `take` asks for the next `byte`,
    from 24 clocks after `begin` on; `last` goes with the last one.

    `length_open`: the length may still change; it is added to the sum when its place comes, and the checksum has it long before its own.
    `arp` sends an ARP packet: an answer, or a question if `asks`. `unnamed` sends from 0.0.0.0. `length` is that of the IPv4 payload.
    `own_row` → `own_byte`: of `OwnBytes`.
    """

    begin: In(1)
    take: In(1)
    byte: Out(8)
    last: Out(1)
    length_open: Out(1)

    own_row: Out(range(ROWS))
    own_byte: In(8)
    peer: In(PEER)
    arp: In(1)
    asks: In(1)
    unnamed: In(1)
    protocol: In(8)
    length: In(11)

    def elaborate(self, _platform):
        m = Module()
        m.submodules.sum = total = OnesComplementSum()
        m.submodules.layout = layout = Memory(shape=_PLACE, depth=2 * _PLACES, init=_layout())
        read = layout.read_port()
        here = read.data
        place = Signal(range(_PLACES))
        # What is at a place is known in the next clock, its byte there in the one after.
        walking, walked, summed = Signal(), Signal(), Signal()
        flush = Signal(range(_LENGTH_BYTES + FLUSH_BYTES + 1))
        m.d.comb += [
            read.addr.eq(Cat(place, self.arp)),
            self.own_row.eq(here.row),
            self.last.eq(here.last),
            self.length_open.eq(~self.arp & (place < _LENGTH_AT)),
            total.clear.eq(self.begin),
            total.add.eq(summed | (flush != 0)),
        ]
        m.d.sync += [walked.eq(walking), summed.eq(walked)]
        with m.If(self.take | walking):
            m.d.sync += place.eq(place + 1)
        with m.If(walking & (place == _IPV4_END - 1)):
            m.d.sync += [walking.eq(0), place.eq(0)]
        identification, packet_bytes = Signal(16), Signal(16)
        with m.If(self.take & self.length_open & (place == _LENGTH_AT - 1)):
            m.d.sync += flush.eq(_LENGTH_BYTES + FLUSH_BYTES)
        with m.Elif(flush != 0):
            m.d.sync += flush.eq(flush - 1)
        with m.If(summed):
            m.d.comb += total.byte.eq(self.byte)
        with m.Switch(flush):
            for behind in range(_LENGTH_BYTES):
                with m.Case(FLUSH_BYTES + 1 + behind):
                    m.d.comb += total.byte.eq(packet_bytes.word_select(behind, 8))
        with m.If(self.begin):
            m.d.sync += [walking.eq(1), place.eq(_SUM_FROM), identification.eq(identification + 1)]

        m.d.comb += packet_bytes.eq(self.length + IPV4_BYTES)
        checksum = ~Cat(total.other_half, total.next_half)
        # Checksum and length are 0 while the header is summed; an even number of bytes was.
        varying = [
            *(Mux(walked, 0, half) for half in (checksum[8:], checksum[:8])),
            self.protocol,
            *(identification[8:], identification[:8]),
            *(Mux(walked, 0, half) for half in (packet_bytes[8:], packet_bytes[:8])),
            Mux(self.asks, C(1, 8), C(2, 8)),
        ]
        peer = [field.word_select(at, 8) for field in (self.peer.mac, self.peer.ip) for at in reversed(range(len(field) // 8))]
        chosen = zip((*here.peer, *here.varying), (*peer, *varying), strict=True)
        other, own = Signal(8), Signal()
        m.d.sync += [other.eq(here.fixed | reduce(or_, (Mux(select, value, 0) for select, value in chosen))), own.eq(here.own)]
        with m.If((here.unless_unnamed & self.unnamed) | (here.unless_asks & self.asks)):
            m.d.sync += [other.eq(0), own.eq(0)]
        m.d.comb += self.byte.eq(other | Mux(own, self.own_byte, 0))
        return m
