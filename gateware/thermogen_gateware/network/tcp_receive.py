"""Segments as they arrive: header, which connection they belong to, and their data on the way into its buffer.

Reference: RFC 9293 sections 3.1 and 3.10.7.4 (what is acceptable), RFC 5961 (what must not be believed). Everything that the state machine
has to know is worked out while the frame is still on the wire: the connection is found within 17 clocks of the ports, its words are
compared within 6 more. Data is written behind what the connection has already, where nobody looks until the frame is good.
Latency: `arrived` a clock after the frame's `commit`.
"""

from __future__ import annotations

from amaranth.hdl import C, Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .comparison import exceeds
from .ports import PEER, IngressSignature
from .tcp_segment import (
    ADU_BYTES,
    HEADER_BYTES,
    MODBUS_PORT,
    RECEIVE_BYTES,
    TCP,
    TRANSMIT_BYTES,
    Flag,
    Word,
)

SEGMENT = data.StructLayout(
    {
        "peer": PEER,
        "port": 16,
        "local_port": 16,
        "seq": 32,
        "ack": 32,
        "flags": 6,
        "window": 16,
        "limit": 2,
        "length": 11,
        "found": 1,
        "connection": 3,
        "offset_zero": 1,
        "in_window": 1,
        "in_order": 1,
        "complete": 1,
        "taken": 11,
        "rcv_nxt": 32,
        "ack_new": 1,
        "ack_old": 1,
        "ack_all": 1,
        "ack_wrong": 1,
    }
)
"""`limit`: class of the maximum segment size that it names. `length`: bytes of data. `offset_zero`: it begins at RCV.NXT; `in_window`:
after it, and within the window; `in_order`: it brings what follows RCV.NXT, or is empty and just there. `taken`: bytes stored from
RCV.NXT on; `complete`: to its end, and the window has room for a FIN after it. `ack_new`, `ack_old`, `ack_all`: its ACK is beyond
SND.UNA, before it, is SND.NXT; `ack_wrong`: outside what RFC 5961 section 5.2 admits. `rcv_nxt` is the connection's as it was found."""


class TcpReceiver(wiring.Component):
    """`arrived` strobes with `segment`, which holds until the ports of the next segment are in.

    `expects` strobes in the middle of a segment whose data can be looked at on its way in: for connection, RCV.NXT and CONSUMED see
    `segment` and `consumed`, the next answer goes to `end`; `simple` says that nothing else is under way on the connection and its peer
    takes any answer at once. `stored` strobes for each byte; `dropped` when the segment is bad after all, for its checksum's sake too
    (`checksum_good`, with the frame's `commit`). While `stale` the connections are changing, and nothing is believed that was found;
    after `touched` (strobe) a visit would begin at the wrong place, after `sent` (strobe) the connection's SND.NXT is another. A segment
    that begins while the last one is `held` is not looked at: on the wire none can.
    """

    def __init__(self, connections: int = 8):
        self._connections = connections
        super().__init__(
            {
                "ingress": In(IngressSignature()),
                "checksum_good": In(1),
                "used": In(connections),
                "held": In(1),
                "stale": In(1),
                "touched": In(1),
                "sent": In(1),
                "address": Out(8),
                "word": In(32),
                "store": Out(1),
                "store_address": Out(12),
                "store_byte": Out(8),
                "arrived": Out(1),
                "dropped": Out(1),
                "segment": Out(SEGMENT),
                "expects": Out(1),
                "simple": Out(1),
                "consumed": Out(32),
                "end": Out(11),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        ingress, segment = self.ingress, self.segment

        self._offset, self._free, self._ahead = Signal(17), Signal(10), Signal()
        # Where in the segment the byte is that comes now.
        busy, poisoned = Signal(), Signal()
        at, here = Signal(11), Signal(11)
        header, header_bytes = Signal(24), Signal(6)
        recent = Cat(ingress.byte, header)
        begins, takes = Signal(), Signal()
        m.d.comb += [
            begins.eq(ingress.valid & ingress.first & (ingress.protocol == TCP) & ~self.held),
            takes.eq(begins | (ingress.valid & ~ingress.first & busy)),
            here.eq(Mux(ingress.first, 0, at)),
        ]
        # Whether the next byte is one of the options, or of the data.
        malformed, in_options, in_data = Signal(), Signal(), Signal()
        after = Signal(11)
        m.d.comb += after.eq(here + 1)
        with m.If(takes):
            m.d.sync += [at.eq(after), header.eq(recent[:24])]
            with m.If((after == HEADER_BYTES) | in_options):
                m.d.sync += [in_options.eq(after != header_bytes), in_data.eq(after == header_bytes)]
            data_bytes = ingress.length - header_bytes
            with m.Switch(here):
                with m.Case(3):
                    m.d.sync += [segment.port.eq(recent[16:]), segment.local_port.eq(recent[:16])]
                with m.Case(7):
                    m.d.sync += segment.seq.eq(recent)
                with m.Case(11):
                    m.d.sync += segment.ack.eq(recent)
                with m.Case(12):
                    m.d.sync += header_bytes.eq(Cat(0, 0, ingress.byte[4:]))
                with m.Case(13):
                    m.d.sync += [
                        segment.flags.eq(ingress.byte),
                        segment.length.eq(data_bytes),
                        malformed.eq(~exceeds(header_bytes, HEADER_BYTES - 1) | data_bytes[-1]),
                    ]
                with m.Case(15):
                    m.d.sync += segment.window.eq(recent[:16])
        with m.If(begins):
            m.d.sync += [
                busy.eq(1),
                poisoned.eq(0),
                malformed.eq(1),
                in_options.eq(0),
                in_data.eq(0),
                segment.peer.eq(ingress.peer),
                segment.limit.eq(3),
            ]
        with m.If(self.stale):
            m.d.sync += poisoned.eq(1)

        self._read_options(m, takes, in_options)

        verdict = Signal()
        m.d.comb += verdict.eq(busy & (ingress.commit | ingress.drop))
        m.d.sync += [self.arrived.eq(0), self.dropped.eq(0)]
        with m.If(verdict):
            m.d.sync += busy.eq(0)
            with m.If(ingress.commit & self.checksum_good & ~malformed & ~poisoned & ~self.stale):
                m.d.sync += self.arrived.eq(1)
            with m.Else():
                m.d.sync += self.dropped.eq(1)

        known = self._find(m, takes & (here == 7), at, begins, busy & (in_data | in_options))
        self._take_data(m, takes, begins, in_data, known)
        return m

    def _read_options(self, m: Module, takes: Signal, in_options: Signal) -> None:
        """The maximum segment size; all other options are passed over."""
        ingress, segment = self.ingress, self.segment
        kind, left, upper = Signal(8), Signal(8), Signal(8)
        # 1: a kind is next, 0: the list has ended, another: that option's length or data.
        with m.If(takes & ~in_options):
            m.d.sync += [kind.eq(1), left.eq(0)]
        with m.Elif(takes):
            with m.If(left != 0):
                m.d.sync += [left.eq(left - 1), upper.eq(ingress.byte)]
                with m.If(left == 1):
                    m.d.sync += kind.eq(1)
                    with m.If(kind == 2):
                        size = Cat(ingress.byte, upper)
                        m.d.sync += segment.limit.eq(Mux(exceeds(size, 535), 3, Mux(exceeds(size, 255), 2, exceeds(size, 127))))
            with m.Elif(kind > 1):
                m.d.sync += left.eq(ingress.byte - 2)
                with m.If((kind == 2) & (ingress.byte != 4)):
                    m.d.sync += kind.eq(3)
                with m.If(ingress.byte <= 2):
                    m.d.sync += [left.eq(0), kind.eq(ingress.byte == 2)]
            with m.Elif(kind == 1):
                m.d.sync += kind.eq(ingress.byte)

    def _find(self, m: Module, starts, at: Signal, begins: Signal, beyond) -> Signal:
        """Look for the connection and compare its words; the signal returned is high when `segment` is complete but for its data."""
        segment = self.segment
        place = Signal(range(2 * self._connections + 2))
        asked_place = Signal.like(place)
        ip_matches = Signal()
        known = Signal()
        left, right, difference = Signal(32), Signal(32), Signal(32)
        # What was found a clock before: a word of the RAM and a sum fill a clock.
        apart = Signal(32)
        m.d.comb += [left.eq(segment.seq), right.eq(self.word), difference.eq(left - right)]
        m.d.sync += [asked_place.eq(place), apart.eq(difference)]
        una, nxt = Signal(11), Signal(11)
        drained, room, touched = Signal(), Signal(), Signal()
        equal, moved = Signal(), Signal()
        ours = Signal(8)

        def look(word: Word) -> None:
            m.d.comb += ours.eq(Cat(C(word, 4), segment.connection))

        def anew() -> None:
            with m.If(begins):
                m.next = "WAIT"

        m.d.comb += self.address.eq(ours)
        with m.If(begins):
            m.d.sync += [known.eq(0), touched.eq(0), place.eq(0), segment.found.eq(0), segment.offset_zero.eq(0), segment.ack_new.eq(0)]
        with m.Elif(self.touched):
            m.d.sync += touched.eq(1)
        with m.If(self.sent):
            m.d.sync += moved.eq(1)
        # What is sent while the segment comes in, it cannot acknowledge.
        m.d.comb += segment.ack_all.eq(equal & ~moved & ~self.sent)
        with m.FSM():
            with m.State("WAIT"), m.If(starts):
                m.next = "SCAN"
            with m.State("SCAN"):
                m.d.comb += ours.eq(Cat(Mux(place[0], C(Word.PORT, 4), C(Word.IP, 4)), place[1:]))
                m.d.sync += place.eq(place + 1)
                with m.If(~asked_place[0]):
                    m.d.sync += ip_matches.eq(self.word == segment.peer.ip)
                with m.If(place == 2 * self._connections + 1):
                    m.next = "WAIT"
                used = self.used.bit_select(asked_place[1:4], 1)
                with m.If(asked_place[0] & ip_matches & used & (self.word[:16] == segment.port) & (segment.local_port == MODBUS_PORT)):
                    m.d.sync += [segment.found.eq(1), segment.connection.eq(asked_place[1:4])]
                    m.next = "RCV_NXT"
                anew()
            with m.State("RCV_NXT"):
                look(Word.RCV_NXT)
                m.next = "CONSUMED"
                anew()
            with m.State("CONSUMED"):
                look(Word.CONSUMED)
                m.d.sync += segment.rcv_nxt.eq(self.word)
                m.next = "SND_UNA"
                anew()
            with m.State("SND_UNA"):
                look(Word.SND_UNA)
                m.d.comb += left.eq(segment.rcv_nxt)
                near = ~apart[16:].any() | apart[16:].all()
                m.d.sync += [
                    segment.offset_zero.eq(~apart.any()),
                    self._ahead.eq(~apart[31] & apart.any()),
                    self._offset.eq(Mux(near, apart[:17], Cat((~apart[31]).replicate(16), apart[31]))),
                    self.consumed.eq(self.word),
                    self._free.eq(RECEIVE_BYTES - difference[:10]),
                ]
                m.next = "ACK"
                anew()
            with m.State("ACK"):
                look(Word.SND_UNA)
                with m.If(exceeds(at, 11)):
                    m.next = "SND_NXT"
                anew()
            with m.State("SND_NXT"):
                look(Word.SND_NXT)
                m.d.comb += left.eq(segment.ack)
                m.d.sync += [
                    una.eq(self.word),
                    moved.eq(self.sent),
                ]
                m.next = "SND_END"
                anew()
            with m.State("SND_END"):
                look(Word.SND_END)
                m.d.comb += left.eq(segment.ack)
                m.d.sync += [
                    nxt.eq(self.word),
                    segment.ack_new.eq(~apart[31] & apart.any()),
                    segment.ack_old.eq(apart[31]),
                    segment.ack_wrong.eq(apart[31] & ~apart[16:].all()),
                ]
                m.next = "COMPARE"
                anew()
            with m.State("COMPARE"):
                with m.If(~apart[31] & apart.any()):
                    m.d.sync += segment.ack_wrong.eq(1)
                m.d.sync += [
                    equal.eq(~apart.any()),
                    self.end.eq(self.word),
                    drained.eq(self.word[:11] == nxt),
                    room.eq((self.word[:11] - una)[:11] <= TRANSMIT_BYTES - ADU_BYTES),
                    known.eq(1),
                ]
                m.next = "LIVE"
                anew()
            with m.State("LIVE"):
                with m.If(beyond):
                    plain = (segment.flags & ~Flag.PSH) == Flag.ACK
                    m.d.comb += self.expects.eq(
                        plain
                        & segment.offset_zero
                        & ~segment.ack_wrong
                        & room
                        & (segment.length != 0)
                        & ~touched
                        & ~self.touched
                        & ~self.stale
                    )
                    m.next = "WAIT"
                anew()
        m.d.comb += self.simple.eq(segment.ack_all & drained & exceeds(segment.window, ADU_BYTES - 1))
        return known

    def _take_data(self, m: Module, takes: Signal, begins: Signal, in_data: Signal, known: Signal) -> None:
        """Write what lies between RCV.NXT and the window's end."""
        ingress, segment = self.ingress, self.segment
        offset, free = self._offset, self._free
        data, writes = Signal(), Signal()
        m.d.comb += [
            data.eq(known & takes & in_data & ~begins),
            writes.eq(data & ~self._ahead & ~offset[16] & (offset[:16] < free)),
            self.store.eq(writes),
            self.store_byte.eq(ingress.byte),
            self.store_address.eq(Cat((segment.rcv_nxt[:9] + segment.taken)[:9], segment.connection)),
            segment.complete.eq((offset == segment.taken) & (offset[:10] != free)),
            segment.in_window.eq(self._ahead & ~offset[16] & (offset[:16] < free)),
        ]
        with m.If(begins):
            m.d.sync += segment.taken.eq(0)
        with m.If(data):
            m.d.sync += offset.eq(offset + 1)
            with m.If(writes):
                m.d.sync += segment.taken.eq(segment.taken + 1)
        # After the last byte `offset` is where the segment ends: beyond RCV.NXT there is something new, just at it a FIN may be.
        fin = (segment.flags & Flag.FIN).any()
        empty = (segment.length == 0) & ~fin
        m.d.comb += segment.in_order.eq(Mux(empty, segment.offset_zero, ~self._ahead & ~offset[16] & (offset[:16].any() | fin)))
