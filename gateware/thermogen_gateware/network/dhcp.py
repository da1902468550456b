"""A DHCP client: an address from the network, renewed in time, and another way out when nobody answers.

Reference: RFC 2131, 4.4 and figure 5. The address is renewed with its server after half of the lease and with any server after seven
eighths, every minute until one answers; options 58 and 59 that would set these times are not asked for. When the cable is plugged in
again, any server is asked at once whether the address still holds. After three questions in vain (28 s) it says so (`silent`), so that a
fixed address can be used, and asks on every 64 s. Left out: DECLINE, RELEASE, INFORM, a choice between offers (the first is
taken), random delays. Latency: seconds. Area, LIFCL: 354 COMB, 451 FF, 2 EBR, all of its parts.
"""

import enum

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .dhcp_answer import DhcpAnswer
from .dhcp_message import ACK, MESSAGE_BYTES, NAK, OFFER, DhcpMessage
from .egress import LayerSignature
from .own_bytes import ROWS
from .ports import IP_ADDRESS, IngressSignature

FIRST_WAIT_S = 4
LONGEST_WAIT_S = 64
REQUEST_TRIES = 3
_XID_POLYNOMIAL = 0xB4BCD35C


class DhcpState(enum.Enum):
    """As in RFC 2131, figure 5."""

    OFF = 0
    SELECTING = 1
    REQUESTING = 2
    BOUND = 3
    RENEWING = 4
    REBINDING = 5


class DhcpClient(wiring.Component):
    """`enable` is the setting, `link` the PHY's. `bound` says that `address`, `netmask` and `gateway` are ours (`netmask` and `gateway` 0
    if the server did not say), for `left_s` more seconds (0 otherwise). `egress` sends to all while
    `to_all`, from nobody while `unnamed`, and otherwise to `server`. `message_row` → `message_byte` and `answer_row` → `answer_byte`: of
    `OwnBytes`, which has `xid`."""

    ingress: In(IngressSignature())
    checksum_good: In(1)
    egress: Out(LayerSignature())
    to_all: Out(1)
    unnamed: Out(1)
    server: Out(IP_ADDRESS)
    unreachable: In(1)

    xid: Out(32, init=1)
    message_row: Out(range(ROWS))
    message_byte: In(8)
    answer_row: Out(range(ROWS))
    answer_byte: In(8)
    enable: In(1)
    link: In(1)
    second: In(1)
    minute: In(1)

    state: Out(DhcpState)
    bound: Out(1)
    left_s: Out(32)
    silent: Out(1)
    address: Out(IP_ADDRESS)
    netmask: Out(IP_ADDRESS)
    gateway: Out(IP_ADDRESS)

    def elaborate(self, _platform):
        m = Module()
        m.submodules.message = message = DhcpMessage()
        m.submodules.answer = answer = DhcpAnswer()
        for name in ("valid", "first", "byte", "commit", "drop", "peer", "protocol", "length"):
            m.d.comb += getattr(answer.ingress, name).eq(getattr(self.ingress, name))
        state = self.state
        xid = self.xid
        wait_s = Signal(range(LONGEST_WAIT_S + 1))
        next_wait_s = Signal(range(LONGEST_WAIT_S + 1))
        tries = Signal(2)
        left_s = self.left_s
        turn_s = Signal(32)  # what is left of the lease when its next state comes
        send, again, start, offered, acknowledged = (Signal() for _ in range(5))
        link_before, rebinds = Signal(), Signal()
        m.d.sync += link_before.eq(self.link)
        holds = Signal()  # the lease's states
        m.d.comb += [
            holds.eq((state == DhcpState.BOUND) | (state == DhcpState.RENEWING) | (state == DhcpState.REBINDING)),
            self.bound.eq(holds),
            self.to_all.eq(state != DhcpState.RENEWING),
            self.unnamed.eq(~holds),
            answer.checksum_good.eq(self.checksum_good),
            message.own_byte.eq(self.message_byte),
            self.message_row.eq(message.own_row),
            answer.own_byte.eq(self.answer_byte),
            self.answer_row.eq(answer.own_row),
            message.renews.eq(holds),
            message.selects.eq(state == DhcpState.REQUESTING),
            self.egress.length.eq(MESSAGE_BYTES),
            self.egress.byte.eq(message.byte),
        ]

        # A transaction is told from others by where a sequence stands when it begins.
        with m.If((state == DhcpState.OFF) | (state == DhcpState.BOUND)):
            m.d.sync += xid.eq(Cat(xid[1:], 0) ^ Mux(xid[0], _XID_POLYNOMIAL, 0))

        # The lease: half of it, an eighth, nothing.
        due = Signal()
        m.d.comb += due.eq(holds & (left_s == turn_s))
        with m.If(self.second & (wait_s != 0)):
            m.d.sync += wait_s.eq(wait_s - 1)

        with m.Switch(state):
            with m.Case(DhcpState.OFF):
                m.d.comb += start.eq(self.enable & self.link)
            with m.Case(DhcpState.SELECTING, DhcpState.REQUESTING):
                with m.If(self.second & (wait_s == 1)):
                    m.d.comb += send.eq(1)
                    m.d.sync += tries.eq(tries + (tries != 3))
                    with m.If((state == DhcpState.SELECTING) & (tries == 2)):
                        m.d.sync += self.silent.eq(1)
                    with m.If((state == DhcpState.REQUESTING) & (tries == REQUEST_TRIES)):
                        m.d.comb += start.eq(1)
                with m.If(self.link & ~link_before):
                    m.d.comb += start.eq(1)
            with m.Case(DhcpState.BOUND), m.If(due):
                m.d.sync += [state.eq(DhcpState.RENEWING), turn_s.eq(turn_s >> 2)]
                m.d.comb += send.eq(1)
            with m.Case(DhcpState.RENEWING):
                m.d.comb += send.eq(self.minute | (self.second & again))
                with m.If(due):
                    m.d.comb += rebinds.eq(1)
            with m.Case(DhcpState.REBINDING):
                m.d.comb += [send.eq(self.minute), start.eq(due)]
        with m.If(holds & self.link & ~link_before):
            m.d.comb += rebinds.eq(1)
        with m.If(rebinds):
            m.d.sync += [state.eq(DhcpState.REBINDING), turn_s.eq(0)]
            m.d.comb += send.eq(1)

        # What the server says. A host has no address of 0/8, 127/8, or from 224 on (RFC 1122, 3.2.1.3).
        network = answer.address[24:]
        usable = (network != 0) & (network != 127) & ~network[5:].all()
        asked = (state == DhcpState.REQUESTING) | (state == DhcpState.RENEWING) | (state == DhcpState.REBINDING)
        with m.If(answer.answered):
            m.d.comb += [
                offered.eq((state == DhcpState.SELECTING) & (answer.kind == OFFER) & (answer.server != 0) & usable),
                acknowledged.eq(asked & (answer.kind == ACK) & (answer.lease_s != 0) & usable),
            ]
            with m.If(asked & (answer.kind == NAK)):
                m.d.comb += start.eq(1)
        with m.If(offered | acknowledged):
            m.d.sync += self.address.eq(answer.address)
            with m.If(answer.server != 0):
                m.d.sync += self.server.eq(answer.server)
        with m.If(offered):
            m.d.sync += state.eq(DhcpState.REQUESTING)
        with m.If(acknowledged):
            m.d.sync += [
                state.eq(DhcpState.BOUND),
                self.silent.eq(0),
                self.netmask.eq(answer.netmask),
                self.gateway.eq(answer.router),
                turn_s.eq(answer.lease_s >> 1),
                left_s.eq(answer.lease_s),
                wait_s.eq(0),
                self.egress.request.eq(0),
            ]
        with m.Elif(self.second & holds):
            m.d.sync += left_s.eq(left_s - 1)

        with m.If(self.egress.grant | self.unreachable):
            m.d.sync += [self.egress.request.eq(0), again.eq(self.unreachable)]
        with m.If(send):
            m.d.sync += [self.egress.request.eq(1), again.eq(0), wait_s.eq(next_wait_s)]
            with m.If(next_wait_s != LONGEST_WAIT_S):
                m.d.sync += next_wait_s.eq(next_wait_s << 1)
        with m.If(start):
            m.d.sync += state.eq(DhcpState.SELECTING)
        with m.If(start | offered):
            m.d.sync += [
                tries.eq(0),
                wait_s.eq(FIRST_WAIT_S),
                next_wait_s.eq(2 * FIRST_WAIT_S),
                self.egress.request.eq(1),
            ]
        with m.If(~self.enable):
            m.d.sync += [state.eq(DhcpState.OFF), self.silent.eq(0), self.egress.request.eq(0), again.eq(0)]
        with m.If(start | ~self.enable):
            m.d.sync += left_s.eq(0)

        m.d.comb += [message.begin.eq(self.egress.grant), message.take.eq(self.egress.take)]
        return m
