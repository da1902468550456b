"""What has to hold of the send buffer as a segment is read from it: no byte goes out, or into the checksum, that is not the segment's.

Of the IP layer the contract of `EgressSignature` is given: it takes as many bytes as it was told, none before the segment is made, which
`tcp_engine_no_dead_end` says is in time. Of the engine it is given that it uses the transmitter only while it is idle.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal

from .mutant import Mutant
from .proof import Property, Task
from .spec import Spec, internal, state

CONNECTIONS = 2
POSITION_BITS = 10
HEADER_BYTES, OPTION_BYTES = 20, 4
MOST_BYTES = 1024
"""Of data in a segment: what the buffer holds. `tcp_sends_what_was_written` has that the engine asks for no more."""


class OnlyTheSegmentsBytes(Spec):
    """The n-th byte of data lies n behind where the engine said that the segment begins, and n is less than its length."""

    def build(self, m: Module) -> None:
        from thermogen_gateware.network.tcp_transmit import TcpTransmitter

        transmitter = TcpTransmitter(CONNECTIONS)
        inside = self.around(transmitter)
        egress = transmitter.egress
        begun, adds, sends = state(inside, "IDLE"), state(inside, "ADD"), state(inside, "SEND")
        self.given(~transmitter.go | (transmitter.length <= MOST_BYTES))

        # What the engine asked for, and how many bytes the IP layer has taken since.
        length, header, start, pairs, taken = Signal(11), Signal(5), Signal.like(transmitter.data_at), Signal(11), Signal(12)
        with m.If(begun & transmitter.go):
            m.d.sync += [length.eq(transmitter.length), start.eq(transmitter.data_at), pairs.eq(0), taken.eq(0)]
            m.d.sync += header.eq(Mux(transmitter.long, HEADER_BYTES + OPTION_BYTES, HEADER_BYTES))
        with m.If(egress.take):
            m.d.sync += taken.eq(taken + 1)
        with m.If(adds):
            m.d.sync += pairs.eq(pairs + 1)
        total = length + header
        self.given(~egress.take | (sends & ~self.past(egress.take) & (taken < total)))
        self.given(egress.sent == (egress.take & (taken == total - 1)))

        def at(number):
            return Cat((start[:POSITION_BITS] + number)[:POSITION_BITS], start[POSITION_BITS:])

        read = self.past(transmitter.read_at)
        added = internal(inside, "word")
        index, left, position = (internal(inside, name) for name in ("index", "left", "position"))
        self.always(state(inside, *inside.generated["fsm"].encoding), "in no state at all")
        self.always(begun | (internal(inside, "made") & (internal(inside, "length") == length)), "sends another length")
        sizes = (length <= MOST_BYTES) & ((header == HEADER_BYTES) | (header == HEADER_BYTES + OPTION_BYTES))
        self.always(begun | (sizes & (internal(inside, "header_bytes") == header)), "sends another header")
        self.always(begun | (transmitter.read_at[POSITION_BITS:] == start[POSITION_BITS:]), "reads another connection's")
        self.always(begun | (internal(inside, "origin") == start[:POSITION_BITS]), "has forgotten where it begins")
        self.always(begun | sends | (taken == 0), "takes before it is made")
        self.always(begun | sends | (index == 0), "begins behind its beginning")
        self.always(~sends | (taken < total), "sends for ever")
        self.always(~sends | (index == Mux(taken < header, taken, header)), "counts other bytes")
        self.always(~sends | (position == at(Mux(taken < header, 0, taken - header))[:POSITION_BITS]), "reads somewhere else")
        self.always(begun | sends | (egress.length == total), "says another length")
        self.always(~state(inside, "FINISH") | (position == start[:POSITION_BITS]), "begins behind its beginning")

        # Into the sum: pairs from the start on, of an odd last one the first byte alone.
        summed = (pairs << 1)[:11]
        self.always(~adds | ((left == (length - summed)[:11]) & (summed < length)), "sums what is not the segment's")
        self.always(~state(inside, "SUM") | (((left == 0) | (left == length)) & (pairs == 0)), "sums what is not the segment's")
        self.always(~state(inside, "SUM") | (position == start[:POSITION_BITS]), "sums somewhere else")
        self.always(~adds | (position == at(summed + 2)[:POSITION_BITS]), "sums somewhere else")
        self.always(~adds | (read == at(summed)), "sums somewhere else")
        word, odd = transmitter.word_read, left == 1
        self.always(~adds | (added == Cat(Mux(odd, 0, word[:8]), word[8:])), "sums another word")
        self.possible(sends & egress.sent & (length == 1))
        data = egress.take & (taken >= header)
        self.always(~data | ((taken - header)[:12] < length), "a byte behind the segment's last goes out")
        self.always(~data | (read == at(taken - header)), "a byte goes out that lies somewhere else")
        self.always(~data | (egress.byte == transmitter.word_read[8:]), "another byte goes out")


PROPERTIES = (
    Property(
        name="send_buffer_read",
        core="network/tcp_transmit",
        says="No byte goes out, or into the checksum, but those of the segment's length from where the engine says that it begins.",
        parameters=f"{CONNECTIONS} connections; given that as many bytes are taken as it says, none before it is made",
        spec=OnlyTheSegmentsBytes,
        mutant=Mutant(
            "a segment goes out from behind what was summed",
            "network.tcp_transmit",
            "m.d.sync += position.eq(origin)",
            "m.d.sync += position.eq(position)",
        ),
        depth=2,
        reach=4,
        anywhere=frozenset({Task.COVER, Task.REFUTE}),
    ),
)
