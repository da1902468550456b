"""What a DHCP server answered, taken from its message while it comes in.

Reference: RFC 2131, 2 and 4.4.1; RFC 2132. Ours is an answer with our transaction and hardware address, from port 67 to port 68, whose UDP
checksum is right or absent. Options in the fields for file and server name (overload) are not looked for. Latency: the
verdict is in the clock of `ingress.commit`. Area, LIFCL: 115 COMB, 199 FF, 1 EBR.
"""

import enum

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .dhcp_message import (
    BOOTP_AT,
    END,
    LEASE,
    NETMASK,
    OPTIONS_AT,
    PAD,
    ROUTER,
    SERVER,
    TYPE,
    YOUR_ADDRESS_AT,
    DhcpExpectation,
)
from .ipv4_ingress import UDP
from .own_bytes import ROWS
from .ports import IP_ADDRESS, IngressSignature


class _Option(enum.Enum):
    CODE = 0
    LENGTH = 1
    DATA = 2
    OVER = 3


class DhcpAnswer(wiring.Component):
    """`answered` strobes when an answer to our transaction is whole; then `kind` is its type, and the fields hold until the next payload
    begins. A field that it did not have is 0. `own_row` → `own_byte`: of `OwnBytes`."""

    ingress: In(IngressSignature())
    checksum_good: In(1)
    own_row: Out(range(ROWS))
    own_byte: In(8)

    answered: Out(1)
    kind: Out(8)
    address: Out(IP_ADDRESS)
    server: Out(IP_ADDRESS)
    netmask: Out(IP_ADDRESS)
    router: Out(IP_ADDRESS)
    lease_s: Out(32)

    def elaborate(self, _platform):
        m = Module()
        ingress, byte = self.ingress, self.ingress.byte
        m.submodules.expectation = expectation = DhcpExpectation()
        place = Signal(range(OPTIONS_AT + 1))  # 0 between two payloads
        ours, unsummed = Signal(), Signal()
        m.d.comb += [
            expectation.place.eq(place),
            expectation.byte.eq(byte),
            expectation.own_byte.eq(self.own_byte),
            self.own_row.eq(expectation.own_row),
        ]
        with m.If(ingress.commit | ingress.drop):
            m.d.sync += place.eq(0)

        option = Signal(_Option)
        code, left = Signal(8), Signal(8)
        data_place = Signal(3)  # 4 and beyond is of no interest
        fields = {NETMASK: self.netmask, ROUTER: self.router, LEASE: self.lease_s, SERVER: self.server}
        with m.If(ingress.valid):
            with m.If(place != OPTIONS_AT):
                m.d.sync += place.eq(place + 1)
            m.d.sync += ours.eq((ours | ingress.first) & ((place == OPTIONS_AT) | expectation.matches))
            with m.If(place == BOOTP_AT - 2):
                m.d.sync += unsummed.eq(byte == 0)
            with m.If(place == BOOTP_AT - 1):
                m.d.sync += unsummed.eq(unsummed & (byte == 0))
            with m.If(place[2:] == YOUR_ADDRESS_AT // 4):
                m.d.sync += self.address.eq(Cat(byte, self.address)[:IP_ADDRESS])
            with m.If(place == OPTIONS_AT), m.Switch(option):
                with m.Case(_Option.CODE):
                    m.d.sync += [code.eq(byte), data_place.eq(0)]
                    with m.If(byte == END):
                        m.d.sync += option.eq(_Option.OVER)
                    with m.Elif(byte != PAD):
                        m.d.sync += option.eq(_Option.LENGTH)
                with m.Case(_Option.LENGTH):
                    m.d.sync += [left.eq(byte), option.eq(_Option.DATA)]
                    with m.If(byte == 0):
                        m.d.sync += option.eq(_Option.CODE)
                with m.Case(_Option.DATA):
                    m.d.sync += left.eq(left - 1)
                    with m.If(left == 1):
                        m.d.sync += option.eq(_Option.CODE)
                    with m.If(~data_place[2]):
                        m.d.sync += data_place.eq(data_place + 1)
                        with m.Switch(code):
                            for number, field in fields.items():
                                with m.Case(number):
                                    m.d.sync += field.eq(Cat(byte, field)[: len(field)])
                            with m.Case(TYPE):
                                m.d.sync += self.kind.eq(byte)
        # Last, so that it costs nothing: a register's own reset does it.
        with m.If(ingress.first):
            m.d.sync += [field.eq(0) for field in (*fields.values(), self.kind)]
            m.d.sync += option.eq(_Option.CODE)
            with m.If(ingress.protocol != UDP):
                m.d.sync += ours.eq(0)
        m.d.comb += self.answered.eq(
            ingress.commit & ours & (place == OPTIONS_AT) & (option == _Option.OVER) & (unsummed | self.checksum_good)
        )
        return m
