"""What has to hold of the receive buffer as it is written: what the engine is told was taken was stored, and nothing else was.

Of the IP layer the contract of `IngressSignature` is given. What is read of the connections' words may be anything.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Fragment, Module, Mux, Signal, Value

from .mutant import Mutant
from .proof import Property, Task
from .spec import Spec, internal, state

CONNECTIONS, FOLLOWED = 2, 1
RECEIVE_BYTES, RECEIVE_BITS = 512, 9
MOST_SENT = 1025
"""What the send buffer holds, and a FIN."""
MOST_PAYLOAD = 1480
"""Bytes of an IP payload in an Ethernet frame."""
BYTE_CLOCKS, GAP_CLOCKS = 4, 16
"""From a byte to the next, and from a verdict to the next payload; gap, preamble and headers take more than ten times as long."""


class TakenIsStored(Spec):
    """The n-th byte that is stored of a segment follows RCV.NXT by n and lies there, where nobody has still to read another."""

    def build(self, m: Module) -> None:
        from thermogen_gateware.network.tcp_receive import TcpReceiver
        from thermogen_gateware.network.tcp_segment import TCP

        self.receiver = receiver = TcpReceiver(CONNECTIONS)
        self.inside = inside = self.around(receiver)
        ingress, segment = receiver.ingress, receiver.segment
        begins = ingress.valid & ingress.first & (ingress.protocol == TCP) & ~receiver.held

        # The IP layer: a byte in four clocks, as many bytes as it says, then one verdict and, for a gap and headers, nothing.
        payload, since, under_way = Signal(11), Signal(range(BYTE_CLOCKS), init=BYTE_CLOCKS - 1), Signal()
        quiet = Signal(range(GAP_CLOCKS + 1), init=GAP_CLOCKS)
        verdict = ingress.commit | ingress.drop
        with m.If(ingress.valid):
            m.d.sync += [payload.eq(Mux(ingress.first, 1, payload + 1)), under_way.eq(1)]
        with m.If(verdict):
            m.d.sync += [under_way.eq(0), quiet.eq(0)]
        with m.Elif(quiet != GAP_CLOCKS):
            m.d.sync += quiet.eq(quiet + 1)
        with m.If(ingress.valid):
            m.d.sync += since.eq(0)
        with m.Elif(since != BYTE_CLOCKS - 1):
            m.d.sync += since.eq(since + 1)
        self.given(~ingress.valid | ((ingress.first != under_way) & ~verdict))
        self.given(~ingress.valid | Mux(ingress.first, quiet == GAP_CLOCKS, since == BYTE_CLOCKS - 1))
        self.given(~verdict | under_way)
        self.given(~ingress.valid | ingress.first | (payload < MOST_PAYLOAD))
        length = Signal(16)
        with m.If(ingress.valid & ingress.first):
            m.d.sync += length.eq(ingress.length)
        self.given(~under_way | (ingress.length == length))
        self.given(~ingress.commit | (payload == ingress.length))

        # Counted from outside: bytes that were stored of this segment.
        stored, age = Signal(11), Signal(4)
        with m.If(begins):
            m.d.sync += stored.eq(0)
        with m.Elif(receiver.store):
            m.d.sync += stored.eq(stored + 1)

        at, header_bytes, known, busy = (internal(inside, name) for name in ("at", "header_bytes", "known", "busy"))
        in_data, malformed = internal(inside, "in_data"), internal(inside, "malformed")
        offset, free, ahead = (internal(inside, name) for name in ("_offset", "_free", "_ahead"))
        with m.If(ingress.valid & busy & (at == 7)):
            m.d.sync += age.eq(0)
        with m.Elif(age != 15):
            m.d.sync += age.eq(age + 1)
        index = (at - header_bytes)[:11]
        distance = (segment.seq - segment.rcv_nxt)[:32]
        near = ~distance[16:].any() | distance[16:].all()
        first = Mux(near, distance[:17], Mux(distance[31], 0x10000, 0xFFFF))
        unread = (segment.rcv_nxt - receiver.consumed)[:32]

        self.always(segment.taken == stored, "another number of bytes is told than was stored")
        self._finds(inside, age, since, quiet, busy, at)
        looks = state(inside, "RCV_NXT", "CONSUMED", "SND_UNA", "ACK", "SND_NXT", "SND_END", "COMPARE")
        self.always(~segment.found | known | looks, "found, and not compared")

        # Where the header ends, and the segment.
        in_options = internal(inside, "in_options")
        self.always(~busy | (under_way & (at == payload) & (at >= 1)), "counts other bytes")
        self.always(~in_data | ((at >= header_bytes) & (at >= 20) & ~in_options), "data before the end of the header")
        self.always(~in_options | (at >= 20), "options in the header")
        read = (at >= 14) & ~malformed
        self.always(~busy | read | malformed, "believed before its header is in")
        self.always(
            ~(busy & read) | ((header_bytes >= 20) & (header_bytes <= length) & (segment.length == (length - header_bytes)[:11])),
            "another length",
        )
        begun = (in_data == (at >= header_bytes)) & (in_options == (at < header_bytes))
        self.always(~(busy & read & (at >= 20)) | begun, "another beginning of the data")

        # The words that were compared, and where the byte that comes next lies against them.
        placed = known | state(inside, "ACK", "SND_NXT", "SND_END", "COMPARE")
        apart = internal(inside, "apart")
        self.always(~state(inside, "SND_UNA") | (apart == distance), "a byte is taken for another")
        self.always(~placed | (offset == (first + Mux(in_data, index, 0))[:17]), "a byte is taken for another")
        self.always(~placed | (ahead == (~distance[31] & distance.any())), "a gap is not seen")
        self.always(~placed | (free == (RECEIVE_BYTES - unread[:10])[:10]), "the window has another size")
        taken = Mux(ahead | offset[16], 0, Mux(offset[:16] < free, offset[:16], free))
        self.always(~known | (segment.taken == taken), "another number of bytes is taken")
        self.always(known | (stored == 0), "stored before anybody knew where")

        store = receiver.store
        self.always(~store | (ingress.valid & (receiver.store_byte == ingress.byte)), "stores what did not come")
        self.always(~store | ((segment.seq + index)[:32] == (segment.rcv_nxt + stored)[:32]), "stores a byte in another's place")
        place = Cat((segment.rcv_nxt + stored)[:RECEIVE_BITS], segment.connection)
        self.always(~store | (receiver.store_address == place), "stores somewhere else")
        self.always(~store | (unread > RECEIVE_BYTES) | (unread + stored < RECEIVE_BYTES), "stores where a byte is that was not read")
        ends = receiver.arrived & segment.found & segment.complete & ~ahead
        self.always(~(receiver.arrived & segment.found) | known, "found, and not compared")
        self.always(~ends | ((segment.seq + segment.length)[:32] == (segment.rcv_nxt + stored)[:32]), "said to be complete, and is not")
        self.possible(store & (stored == 1))
        self.possible(ends & (stored == 2))

    def _finds(self, inside: Fragment, age: Value, since: Value, quiet: Value, busy: Value, at: Value) -> None:
        """The connection is found, and its words are compared, before the header ends."""
        known = internal(inside, "known")
        self.always(state(inside, *inside.generated["fsm"].encoding), "in no state at all")
        scan = 2 * CONNECTIONS + 1
        most = {"SCAN": scan, "RCV_NXT": scan + 1, "CONSUMED": scan + 2, "SND_UNA": scan + 3}
        for name, clocks in most.items():
            self.always(~state(inside, name) | (age <= clocks), "looks for too long")
        place = internal(inside, "place")
        self.always(~state(inside, "SCAN") | (place == age), "looks at places that are none")
        self.always(~(busy & (at < 8)) | (state(inside, "WAIT") & (place == 0)), "looks too early")
        early = (at >= 8) & ((at << 2) + Mux(busy, since, 0) <= age + 32)
        self.always(~state(inside, *most) | (early & (busy | (quiet <= age))), "looks for too long")
        waits = ((at >= 8) & (at < 12)) | ((at == 12) & (since == 0) & busy)
        self.always(~state(inside, "ACK") | waits, "compares before the number is there")
        for clocks, name in enumerate(("SND_NXT", "SND_END", "COMPARE")):
            in_time = Mux(busy, since == clocks + 1, quiet <= clocks)
            self.always(~state(inside, name) | ((at == 12) & in_time), "compares for too long")
        self.always(~known | (state(inside, "LIVE", "WAIT") & (at >= 12)), "knows too early")


class OnlyWhatWasSentIsAcknowledged(TakenIsStored):
    """What the engine is told of a segment's acknowledgement, and of the connection that a visit would be of, is right when it is told.

    Given of the engine: it holds the receiver from a segment's arrival until it is done with it, and changes SND.UNA or takes a place only
    then; SND.NXT never goes back, and is no further from SND.UNA than the buffer is long. What gives a place away, or takes it, is
    `stale`; what moves the answers' end is `touched` a clock later.
    """

    def build(self, m: Module) -> None:
        from thermogen_gateware.network.tcp_segment import ADU_BYTES, TRANSMIT_BYTES, Word

        super().build(m)
        receiver, inside, segment = self.receiver, self.inside, self.receiver.segment
        una, nxt, end = (Signal(32, name=f"kept_{name}") for name in ("una", "nxt", "end"))
        self.ports += [una, nxt, end]
        used, fixed = receiver.used[FOLLOWED], ~self.past(receiver.held)
        self.given((used == self.past(used)) | self.past(receiver.stale) | self.past(self.domain.rst))
        self.given(~used | self.past(used) | self.past(receiver.held))
        stays = ~fixed | ~used | ~self.past(used)
        self.given(stays | ((una == self.past(una)) & ((nxt - self.past(nxt))[:32] <= MOST_SENT)))
        self.given(~used | ((nxt - una)[:32] <= MOST_SENT))
        grown = fixed & (end != self.past(end))
        self.given(~self.past(grown) | receiver.touched | self.past(self.domain.rst) | self.past(self.domain.rst, 2))
        self.given(~receiver.held | self.past(receiver.held) | receiver.arrived)
        for name, value in ((Word.SND_UNA, una), (Word.SND_NXT, nxt), (Word.SND_END, end)):
            self.given((self.past(receiver.address) != (name | FOLLOWED << 4)) | (receiver.word == self.past(value)))

        busy, poisoned = internal(inside, "busy"), internal(inside, "poisoned")
        self.always(~busy | ~receiver.held, "looks at a segment while the last one is held")
        self.always(~receiver.expects | ~receiver.held, "expects a segment's answer while the last one is held")
        holds = receiver.held | receiver.arrived
        self.always(~holds | state(inside, "WAIT", "LIVE"), "compares the words of a segment that was handed over")
        stays = Cat(segment.found, segment.connection, segment.ack, segment.ack_new, segment.ack_wrong)
        self.always(~self.past(holds) | self.past(self.domain.rst) | (stays == self.past(stays)), "changes what was handed over")
        followed = segment.found & (segment.connection == FOLLOWED)
        self.always(segment.connection < CONNECTIONS, "a connection that is none")
        trusted = busy & followed & used
        self.always(~((busy & followed & ~poisoned) | (receiver.arrived & followed)) | used, "a connection that is not there")
        told, sent = (segment.ack - una)[:32], (nxt - una)[:32]
        compared = state(inside, "COMPARE") | internal(inside, "known")
        asked, apart = trusted & state(inside, "SND_END"), internal(inside, "apart")
        self.always(~asked | (apart == told), "compares another number")
        was_sent = (segment.ack - apart - una)[:32]
        self.always(~(trusted & state(inside, "COMPARE")) | (was_sent <= sent), "compares another number")
        self.always(~(trusted & compared) | (segment.ack_new == (~told[31] & told.any())), "takes an acknowledgement for another")
        believed = segment.ack_new & ~segment.ack_wrong
        new = (told != 0) & (told <= sent)
        self.always(~(trusted & internal(inside, "known") & believed) | new, "believes what was not sent")
        self.always(~(receiver.arrived & followed & believed) | new, "believes what was not sent")
        own_una, own_room, touched = (internal(inside, name) for name in ("una", "room", "touched"))
        self.always(~(trusted & (compared | state(inside, "SND_END"))) | (own_una == una[:11]), "compares another number")
        room = (end[:11] - una[:11])[:11] <= TRANSMIT_BYTES - ADU_BYTES
        told_where = (receiver.end == end[:11]) & (own_room == room)
        moved = touched | receiver.touched | grown
        self.always(~(trusted & internal(inside, "known")) | moved | told_where, "another place for the answer")
        expected = receiver.expects & followed & used & ~grown
        self.always(~expected | (room & (receiver.end == end[:11])), "expects an answer that there is no room for")
        self.possible(receiver.arrived & followed & believed)
        self.possible(expected)


PROPERTIES = (
    Property(
        name="receive_buffer_written",
        core="network/tcp_receive",
        says="What the engine is told was taken of a segment, and acknowledges, was stored: the n-th byte stored is the one that follows "
        "RCV.NXT by n, lies at that position, and nobody has still to read another there. Of a segment that is said to be complete, "
        "the last byte is among them.",
        parameters=f"{CONNECTIONS} connections, any words; given a byte in {BYTE_CLOCKS} clocks, at most {MOST_PAYLOAD} and as many as the "
        f"header says, then one verdict and {GAP_CLOCKS} clocks of nothing",
        spec=TakenIsStored,
        mutant=Mutant(
            "bytes beyond the window are stored",
            "network.tcp_receive",
            "~offset[16] & (offset[:16] < free)),\n            self.store.eq(writes)",
            "~offset[16]),\n            self.store.eq(writes)",
        ),
        depth=2,
        reach=4,
        anywhere=frozenset({Task.COVER, Task.REFUTE}),
    ),
    Property(
        name="tcp_only_what_was_sent",
        core="network/tcp_receive",
        says="An acknowledgement that the engine is told of, and not told to be wrong, is of something that was sent and not acknowledged "
        "before; the segment's connection is there when it is told.",
        parameters=f"{CONNECTIONS} connections; given what `receive_buffer_written` is, and of the engine what "
        "`tcp_sends_what_was_written` and `tcp_reads_what_was_received` say: it changes what was compared only while it holds the "
        "receiver, SND.NXT forwards only",
        spec=OnlyWhatWasSentIsAcknowledged,
        mutant=Mutant(
            "what was not sent is acknowledged",
            "network.tcp_receive",
            "with m.If(~apart[31] & apart.any()):\n                    m.d.sync += segment.ack_wrong.eq(1)",
            "with m.If(0):\n                    m.d.sync += segment.ack_wrong.eq(1)",
        ),
        depth=2,
        reach=4,
        anywhere=frozenset({Task.COVER, Task.REFUTE}),
    ),
)
