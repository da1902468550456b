"""The layout of DHCP's messages, as tables in block memory: what a client's message has at each place, and what a server's must have.

Reference: RFC 951, 3; RFC 2131, 2; RFC 2132, 9; RFC 768 (a checksum of 0 is none). All messages of the client have one length and one
layout: an option that does not belong into one is filled with zeros, the pad option. Latency: a byte two clocks after its place is known.
Area, LIFCL: 35 COMB, 9 FF, 1 EBR.
"""

import enum

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .own_bytes import MAC_ROW, OFFERED_ROW, ROWS, SERVER_ROW, XID_ROW

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


_PLACE = data.StructLayout({"fixed": 8, "row": range(ROWS), "own": 1, "type": 1, "when": 2})
"""A byte of the table's own, or with `own` one of `OwnBytes`; `type` marks the one that differs in a DISCOVER."""


def _layout() -> list[dict[str, int]]:
    nothing = {"fixed": 0, "row": 0, "own": 0, "type": 0, "when": _When.ALWAYS.value}
    places = [dict(nothing) for _ in range(MESSAGE_BYTES)]

    def put(at: int, values: bytes, when: _When = _When.ALWAYS) -> None:
        for place, value in enumerate(values, at):
            places[place].update({"fixed": value, "when": when.value})

    def refer(at: int, row: int, count: int, when: _When = _When.ALWAYS) -> None:
        for offset in range(count):
            places[at + offset].update({"row": row + offset, "own": 1, "when": when.value})

    put(0, bytes((0, CLIENT_PORT, 0, SERVER_PORT, MESSAGE_BYTES >> 8, MESSAGE_BYTES & 0xFF)))
    put(BOOTP_AT, bytes((1, 1, 6)))
    refer(XID_AT, XID_ROW, 4)
    put(BOOTP_AT + 10, bytes((0x80,)), _When.NOT_RENEWING)  # answer to all: we have no address yet
    refer(BOOTP_AT + 12, OFFERED_ROW, 4, _When.RENEWING)
    refer(MAC_AT, MAC_ROW, 6)
    put(COOKIE_AT, COOKIE)
    put(OPTIONS_AT, bytes((TYPE, 1, DISCOVER)))
    places[OPTIONS_AT + 2]["type"] = 1
    put(OPTIONS_AT + 3, bytes((REQUESTED, 4)), _When.SELECTING)
    refer(OPTIONS_AT + 5, OFFERED_ROW, 4, _When.SELECTING)
    put(OPTIONS_AT + 9, bytes((SERVER, 4)), _When.SELECTING)
    refer(OPTIONS_AT + 11, SERVER_ROW, 4, _When.SELECTING)
    put(OPTIONS_AT + 15, bytes((WISHES, 3, NETMASK, ROUTER, LEASE, END)))
    return places


class DhcpMessage(wiring.Component):
    """`begin` and `take` (strobes) → `byte`, the current one of the message. `renews`: our address is ours already and in the header;
    `selects`: it and the server are named in options, as one answers an offer; neither: a DISCOVER. `own_row` → `own_byte`: of
    `OwnBytes`."""

    begin: In(1)
    take: In(1)
    byte: Out(8)
    renews: In(1)
    selects: In(1)
    own_row: Out(range(ROWS))
    own_byte: In(8)

    def elaborate(self, _platform):
        m = Module()
        m.submodules.layout = layout = Memory(shape=_PLACE, depth=512, init=_layout())
        read = layout.read_port()
        place = Signal(range(MESSAGE_BYTES + 1))
        here = read.data
        m.d.comb += [read.addr.eq(Mux(self.take, place + 1, place)), self.own_row.eq(here.row)]
        m.d.sync += place.eq(Mux(self.begin, 0, read.addr))

        shown = Signal()
        with m.Switch(here.when):
            for when, condition in zip(_When, (1, self.selects, self.renews, ~self.renews), strict=True):
                with m.Case(when.value):
                    m.d.comb += shown.eq(condition)
        m.d.comb += self.byte.eq(Mux(shown, Mux(here.own, self.own_byte, here.fixed), 0))
        with m.If(here.type & (self.renews | self.selects)):
            m.d.comb += self.byte.eq(REQUEST)
        return m


_EXPECTED = data.StructLayout({"fixed": 8, "row": range(ROWS), "own": 1, "checked": 1})


def _expectations() -> list[dict[str, int]]:
    fixed = {0: 0, 1: SERVER_PORT, 2: 0, 3: CLIENT_PORT, BOOTP_AT: 2, **dict(enumerate(COOKIE, COOKIE_AT))}
    places = [{"fixed": fixed.get(at, 0), "row": 0, "own": 0, "checked": int(at in fixed)} for at in range(OPTIONS_AT)]
    for begin, row, count in ((XID_AT, XID_ROW, 4), (MAC_AT, MAC_ROW, 6)):
        for offset in range(count):
            places[begin + offset].update({"row": row + offset, "own": 1, "checked": 1})
    return places


class DhcpExpectation(wiring.Component):
    """`matches` says whether `byte` is what an answer has at `place`, which has been there for two clocks. `own_row` → `own_byte`: of
    `OwnBytes`."""

    place: In(range(OPTIONS_AT + 1))
    byte: In(8)
    own_row: Out(range(ROWS))
    own_byte: In(8)
    matches: Out(1)

    def elaborate(self, _platform):
        m = Module()
        m.submodules.expected = expected = Memory(shape=_EXPECTED, depth=256, init=_expectations())
        read = expected.read_port()
        m.d.comb += [
            read.addr.eq(self.place),
            self.own_row.eq(read.data.row),
            self.matches.eq(~read.data.checked | (self.byte == Mux(read.data.own, self.own_byte, read.data.fixed))),
        ]
        return m
