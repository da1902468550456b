"""The Address Resolution Protocol: answers for our address, asks for others, and keeps what it was told for a while.

Reference: RFC 826; RFC 1122, 2.3.2; RFC 5227, 1.1 and 3. Only answers to what was asked are learnt, so that nobody can fill the table from
outside; an entry lasts four minutes. Another host that says it has our address is counted. At most one question a second is asked; one
about ourselves announces a new address. Latency: an answer is requested as the question's frame ends. Area, LIFCL: 178 COMB, 71 FF.
"""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .own_bytes import ADDRESS_ROW, ROWS
from .peer_table import ANSWERED, KNOWN_PEERS, PEERS
from .ports import IP_ADDRESS, PEER

REQUEST = 1
REPLY = 2
MINUTES_KEPT = 4
FIXED = bytes.fromhex("000108000604")
"""Ethernet addresses of six bytes for IPv4 addresses of four."""
OPERATION_AT = 7
SENDER_MAC_AT = 8
SENDER_IP_AT = 14
TARGET_IP_AT = 24
PACKET_BYTES = 28


class Arp(wiring.Component):
    """`packet` strobes with each `byte` behind an Ethernet header of ARP; `start`, `end` and `good` are the receiver's. `addressed` says
    that `address` is ours, `announce` (strobe) that it is new. `second` and `minute` strobe.

    `write` puts `sender` into the peer table at `place`. `answer` asks for the transmitter with peer ANSWERED, `ask` for the question
    where `target` is; each until its `granted`. `wanted` (strobe) says that `wanted_ip` is looked for in vain. `known` says which of the
    table's first entries are to be believed. `own_row` → `own_byte`: of `OwnBytes`.
    """

    start: In(1)
    packet: In(1)
    byte: In(8)
    end: In(1)
    good: In(1)
    sender: In(PEER)
    shift_mac: Out(1)
    shift_ip: Out(1)

    address: In(IP_ADDRESS)
    own_row: Out(range(ROWS))
    own_byte: In(8)
    addressed: In(1)
    announce: In(1)
    second: In(1)
    minute: In(1)

    write: Out(1)
    place: Out(range(PEERS))
    known: Out(KNOWN_PEERS)

    answer: Out(1)
    answer_granted: In(1)
    ask: Out(1)
    ask_granted: In(1)
    target: Out(IP_ADDRESS)
    wanted: In(1)
    wanted_ip: In(IP_ADDRESS)
    conflict: Out(1)

    def elaborate(self, _platform):
        m = Module()
        at = Signal(range(PACKET_BYTES + 1))
        regular, reply, to_us, from_us, from_host, probe, from_target = (Signal() for _ in range(7))
        m.d.comb += [self.shift_mac.eq(0), self.shift_ip.eq(0)]
        fixed = Signal(8)
        # The sender's address begins in the middle of four bytes, the target's at the first.
        of_target = at[2:] == TARGET_IP_AT // 4
        m.d.comb += self.own_row.eq(ADDRESS_ROW + Cat(at[0], at[1] ^ ~of_target))
        with m.Switch(at):
            for where, value in enumerate(FIXED):
                with m.Case(where):
                    m.d.comb += fixed.eq(value)
        with m.If(self.packet & (at != PACKET_BYTES)):
            m.d.sync += at.eq(at + 1)
            with m.If(at < OPERATION_AT):
                m.d.sync += regular.eq(regular & (self.byte == fixed))
            with m.Elif(at == OPERATION_AT):
                m.d.sync += [reply.eq(self.byte == REPLY), regular.eq(regular & ((self.byte == REQUEST) | (self.byte == REPLY)))]
            with m.Elif(at < SENDER_IP_AT):
                m.d.comb += self.shift_mac.eq(1)
                with m.If(at == SENDER_MAC_AT):
                    m.d.sync += from_host.eq(~self.byte[0])
            with m.Elif(at < SENDER_IP_AT + 4):
                m.d.comb += self.shift_ip.eq(1)
                m.d.sync += [from_us.eq(from_us & (self.byte == self.own_byte)), probe.eq(probe & (self.byte == 0))]
            with m.Elif(at >= TARGET_IP_AT):
                m.d.sync += to_us.eq(to_us & (self.byte == self.own_byte))
        with m.If(self.start):
            m.d.sync += [at.eq(0), regular.eq(1), to_us.eq(1), from_us.eq(1), probe.eq(1)]

        # What was asked for, and whether the question may be repeated.
        awaited, asked_lately = Signal(), Signal()
        with m.If(self.second):
            m.d.sync += asked_lately.eq(0)
        with m.If(self.ask_granted):
            m.d.sync += [self.ask.eq(0), asked_lately.eq(1)]
        with m.If(self.announce):
            m.d.sync += [self.target.eq(self.address), self.ask.eq(1), awaited.eq(0)]
        with m.Elif(self.wanted & ~self.ask & ~asked_lately):
            m.d.sync += [self.target.eq(self.wanted_ip), self.ask.eq(1), awaited.eq(1)]

        oldest, learns = Signal(KNOWN_PEERS, init=1), Signal()
        for entry in range(KNOWN_PEERS):
            kept = Signal(MINUTES_KEPT, name=f"kept_{entry}")
            learnt = learns & oldest[entry]
            with m.If(learnt | self.minute):
                m.d.sync += kept.eq(Cat(kept[1:], 0) | learnt.replicate(MINUTES_KEPT))
            with m.If(self.announce):
                # What was learnt with another address may be of another network.
                m.d.sync += kept.eq(0)
            # A clock later: by then what is read of the table is what was written.
            m.d.sync += self.known[entry].eq(kept[0])

        with m.If(self.answer_granted):
            m.d.sync += self.answer.eq(0)
        m.d.comb += [from_target.eq(self.sender.ip == self.target), self.place.eq(Cat(oldest[1] | oldest[3], oldest[2] | oldest[3]))]
        with m.If(self.end & self.good & (at == PACKET_BYTES) & regular & from_host & self.addressed):
            with m.If(from_us):
                m.d.comb += self.conflict.eq(1)
            with m.Elif(to_us & ~reply), m.If(~self.answer):
                m.d.comb += [self.write.eq(1), self.place.eq(ANSWERED)]
                m.d.sync += self.answer.eq(1)
            with m.Elif(to_us & awaited & ~self.ask & from_target & ~probe):
                m.d.comb += [self.write.eq(1), learns.eq(1)]
                m.d.sync += [awaited.eq(0), oldest.eq(oldest.rotate_left(1))]
        return m
