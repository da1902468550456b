"""The layout of DHCP's messages, as tables in block memory: what a client's message has at each place, and what a server's must have.

Reference: RFC 951, 3; RFC 2131, 2; RFC 2132, 9; RFC 768 (a checksum of 0 is none). All messages of the client have one length and one
layout: an option that does not belong into one is filled with zeros, the pad option. Latency: a byte one clock after its place is known.
Area, LIFCL: 163 COMB, 9 FF, 1 EBR.
"""

import enum

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .ports import IP_ADDRESS, MAC_ADDRESS

CLIENT_PORT = 68
SERVER_PORT = 67
BOOTP_AT = 8
XID_AT = BOOTP_AT + 4
YOUR_ADDRESS_AT = BOOTP_AT + 16
MAC_AT = BOOTP_AT + 28
COOKIE_AT = BOOTP_AT + 236
OPTIONS_AT = COOKIE_AT + 4
MESSAGE_BYTES = BOOTP_AT + 300
COOKIE = bytes((99, 130, 83, 99))

DISCOVER, OFFER, REQUEST, ACK, NAK = 1, 2, 3, 5, 6
NETMASK, ROUTER, REQUESTED, LEASE, TYPE, SERVER, WISHES = 1, 3, 50, 51, 53, 54, 55
PAD, END = 0, 255


class _When(enum.Enum):
    """In which messages a byte is not 0."""

    ALWAYS = 0
    SELECTING = 1
    RENEWING = 2
    NOT_RENEWING = 3


_FIXED, _XID, _MAC, _ADDRESS, _SERVER, _TYPE = 0, 1, 5, 11, 15, 19
"""Where the bytes of each field begin in the row that a place's byte is taken from; the first is the table's own."""
_PLACE = data.StructLayout({"fixed": 8, "column": 5, "when": 2})


def _layout() -> list[dict[str, int]]:
    places = [{"fixed": 0, "column": _FIXED, "when": _When.ALWAYS.value} for _ in range(MESSAGE_BYTES)]

    def put(at: int, values: bytes, when: _When = _When.ALWAYS) -> None:
        for place, value in enumerate(values, at):
            places[place] = {"fixed": value, "column": _FIXED, "when": when.value}

    def refer(at: int, column: int, count: int, when: _When = _When.ALWAYS) -> None:
        for offset in range(count):
            places[at + offset] = {"fixed": 0, "column": column + offset, "when": when.value}

    put(0, bytes((0, CLIENT_PORT, 0, SERVER_PORT, MESSAGE_BYTES >> 8, MESSAGE_BYTES & 0xFF)))
    put(BOOTP_AT, bytes((1, 1, 6)))
    refer(XID_AT, _XID, 4)
    put(BOOTP_AT + 10, bytes((0x80,)), _When.NOT_RENEWING)  # answer to all: we have no address yet
    refer(BOOTP_AT + 12, _ADDRESS, 4, _When.RENEWING)
    refer(MAC_AT, _MAC, 6)
    put(COOKIE_AT, COOKIE)
    put(OPTIONS_AT, bytes((TYPE, 1)))
    refer(OPTIONS_AT + 2, _TYPE, 1)
    put(OPTIONS_AT + 3, bytes((REQUESTED, 4)), _When.SELECTING)
    refer(OPTIONS_AT + 5, _ADDRESS, 4, _When.SELECTING)
    put(OPTIONS_AT + 9, bytes((SERVER, 4)), _When.SELECTING)
    refer(OPTIONS_AT + 11, _SERVER, 4, _When.SELECTING)
    put(OPTIONS_AT + 15, bytes((WISHES, 3, NETMASK, ROUTER, LEASE, END)))
    return places


class DhcpMessage(wiring.Component):
    """`begin` and `take` (strobes) → `byte`, the current one of the message. `renews`: our address is ours already and in the header;
    `selects`: it and the server are named in options, as one answers an offer; neither: a DISCOVER."""

    begin: In(1)
    take: In(1)
    byte: Out(8)
    xid: In(32)
    mac: In(MAC_ADDRESS)
    address: In(IP_ADDRESS)
    server: In(IP_ADDRESS)
    renews: In(1)
    selects: In(1)

    def elaborate(self, _platform):
        m = Module()
        m.submodules.layout = layout = Memory(shape=_PLACE, depth=512, init=_layout())
        read = layout.read_port()
        place = Signal(range(MESSAGE_BYTES + 1))
        here = read.data
        m.d.comb += read.addr.eq(Mux(self.take, place + 1, place))
        m.d.sync += place.eq(Mux(self.begin, 0, read.addr))

        value, shown = Signal(8), Signal()
        kind = Mux(self.renews | self.selects, Const(REQUEST, 8), Const(DISCOVER, 8))
        row = Cat(here.fixed, *map(_reversed, (self.xid, self.mac, self.address, self.server)), kind)
        m.d.comb += value.eq(row.word_select(here.column, 8))
        with m.Switch(here.when):
            for when, condition in zip(_When, (1, self.selects, self.renews, ~self.renews), strict=True):
                with m.Case(when.value):
                    m.d.comb += shown.eq(condition)
        m.d.comb += self.byte.eq(Mux(shown, value, 0))
        return m


def _reversed(field):
    """With the first byte on the wire, the uppermost, lowest."""
    return Cat(field.word_select(place, 8) for place in reversed(range(len(field) // 8)))


_CHECKED_NOT, _CHECKED_FIXED, _CHECKED_XID, _CHECKED_MAC = 0, 1, 2, 6
_EXPECTED = data.StructLayout({"fixed": 8, "column": 4})


def _expectations() -> list[dict[str, int]]:
    fixed = {0: 0, 1: SERVER_PORT, 2: 0, 3: CLIENT_PORT, BOOTP_AT: 2, **dict(enumerate(COOKIE, COOKIE_AT))}
    places = [{"fixed": fixed.get(at, 0), "column": _CHECKED_FIXED if at in fixed else _CHECKED_NOT} for at in range(OPTIONS_AT)]
    for begin, column, count in ((XID_AT, _CHECKED_XID, 4), (MAC_AT, _CHECKED_MAC, 6)):
        for offset in range(count):
            places[begin + offset]["column"] = column + offset
    return places


class DhcpExpectation(wiring.Component):
    """`matches` says whether `byte` is what an answer has at `place`, which has been there for a clock."""

    place: In(range(OPTIONS_AT + 1))
    byte: In(8)
    xid: In(32)
    mac: In(MAC_ADDRESS)
    matches: Out(1)

    def elaborate(self, _platform):
        m = Module()
        m.submodules.expected = expected = Memory(shape=_EXPECTED, depth=256, init=_expectations())
        read = expected.read_port()
        right = Cat(Const(0, 8), read.data.fixed, _reversed(self.xid), _reversed(self.mac)).word_select(read.data.column, 8)
        m.d.comb += [
            read.addr.eq(self.place),
            self.matches.eq((read.data.column == _CHECKED_NOT) | (self.byte == right)),
        ]
        return m
