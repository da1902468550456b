"""What has to hold of the receive buffer over engine and receiver: no application reads past what was received.

One connection is followed through its words in the memory, once beside the engine without its receiver, once beside the receiver alone;
each is given what is proven of the other. What else is given is proven in tcp_receive.py, tcp_send.py (that the connections visited and
worked on are there) and tcp_engine.py (of whose segment and answer they are); that a visit shows no byte but those which were there when
it began or were stored since, in tcp_visit.py.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal

from .mutant import Mutant
from .proof import Property, Task
from .spec import Spec, internal, state
from .tcp_receive import TakenIsStored
from .tcp_states import ANSWERED, ARRIVAL, HANDSHAKE, RECEIVER_SAYS, SENDS, VISIT, WORK, following

CONNECTIONS, FOLLOWED = 2, 1
RECEIVE_BYTES, RECEIVE_BITS = 512, 9
_WORK = (*WORK[2:], "WORK_DONE")
_KEEPS = (*_WORK, *SENDS, "ARM", "TIME", "TIME_NOW", *VISIT[2:], "TICK_TIMER", "TICK_HEARD", "TICK_DECIDE", "TICK_END")
_WITH_SEGMENT = tuple(state for state in following("CHALLENGE", ARRIVAL) if state not in following("TIMER", ARRIVAL))
"""States in which the register of flags is the word in the memory, but for what is none of this property's."""


class ReadsWhatWasReceived(Spec):
    """CONSUMED and RCV.NXT follow each other, no further apart than the buffer is long; a visit has what lies between, and no FIN."""

    def build(self, m: Module) -> None:
        from thermogen_gateware.network.tcp import TcpServer
        from thermogen_gateware.network.tcp_handshake import _NEW
        from thermogen_gateware.network.tcp_receive import SEGMENT
        from thermogen_gateware.network.tcp_segment import CONTROL, EVICTED, REPLY, Flag, Word

        core = TcpServer(clocks_per_tick=1000, connections=CONNECTIONS)
        inside = self.around(core)
        receiver, visit = inside.find_subfragment("receiver"), inside.find_subfragment("visit")
        says = {name: internal(receiver, name) for name in RECEIVER_SAYS}
        self.ports += list(says.values())
        inside.subfragments = [entry for entry in inside.subfragments if entry[1] != "receiver"]
        self.free_memory(visit, "buffer")
        for name in ("even", "odd"):
            self.free_memory(inside.find_subfragment("buffer"), name)
        segment = SEGMENT(says["segment"])

        place, control = internal(inside, "place", "sync"), CONTROL(internal(inside, "control", "sync"))
        here, used = place == FOLLOWED, core.used[FOLLOWED]
        makes = here & state(inside, "NEW")
        # The words are whole from when they were made until others are made in their place, though the connection be given up.
        was, whole = Signal(), Signal()
        with m.If(used | makes):
            m.d.sync += was.eq(~makes)
        m.d.comb += whole.eq((used | was) & ~makes)

        # Of the memory the followed connection's words; what is read of all others is free.
        read = inside.find_subfragment("words")._read_ports[0]._data
        self.free_memory(inside, "words")
        looks_at, writes, written_at, new_word = (internal(inside, name) for name in ("address", "writes", "write_address", "write_word"))

        def kept(name: Word) -> Signal:
            own = Signal(32, name=name.name.lower(), reset_less=True)
            at = name | FOLLOWED << 4
            with m.If(writes & (written_at == at)):
                m.d.sync += own.eq(new_word)
            self.given((self.past(looks_at) != at) | (read == self.past(own)))
            return own

        received, consumed = kept(Word.RCV_NXT), kept(Word.CONSUMED)
        flags = CONTROL(kept(Word.CONTROL)[: CONTROL.size])
        arrived, deaf = internal(inside, "arrived", "sync"), internal(inside, "deaf", "sync")[FOLLOWED]
        active, live, connection = (internal(inside, f"visit.{name}") for name in ("active", "live", "connection"))
        visited = active & (connection == FOLLOWED)
        followed = segment.found & (segment.connection == FOLLOWED)
        unread = (received - consumed)[:32]
        ends = (segment.flags & Flag.FIN).any() & segment.complete

        # What is proven of the receiver.
        held = arrived | says["arrived"]
        stays = Cat(segment.found, segment.connection, segment.flags, segment.ack_wrong, segment.in_order, segment.complete, segment.taken)
        reset, touched = self.past(self.domain.rst), internal(inside, "touched", reader=receiver)
        self.given(~self.past(held) | reset | (stays == self.past(stays)))
        self.given(~says["expects"] | segment.found & ~(held | touched | self.past(touched)))
        comes = says["arrived"] & ~arrived & followed
        self.given(segment.connection < CONNECTIONS)
        self.given(~comes | used)
        self.given(~(comes & (unread <= RECEIVE_BYTES)) | (unread + segment.taken + ends <= RECEIVE_BYTES))
        self.given(~(says["arrived"] & segment.found & (segment.taken != 0)) | segment.in_order)
        compared = (segment.rcv_nxt == received) & (says["consumed"] == consumed) & (segment.taken == 0)
        self.given(~(says["expects"] & followed) | (whole & (deaf | compared)))
        plain = (segment.flags & (Flag.FIN | Flag.SYN | Flag.RST | Flag.ACK)) == Flag.ACK
        self.given(~live | (plain & ~segment.ack_wrong))
        self.given(~(live & followed & (unread <= RECEIVE_BYTES)) | (unread + segment.taken <= RECEIVE_BYTES))
        self.given(~live | (segment.taken == (self.past(segment.taken) + self.past(says["store"]))[:11]))
        self.given(~says["arrived"] | ~(arrived | says["store"]))
        # What is proven of the engine.
        self.given(state(inside, *inside.generated["fsm"].encoding))
        self.given(~live | (active & ~arrived & segment.found & (segment.connection == connection)))
        self.given(~state(inside, *ANSWERED) | (active & ~live & (connection == place)))
        self.given(~state(inside, "AWAIT") | ~active | ~live)
        own = arrived & segment.found & (segment.connection == place)
        self.given(~state(inside, *ARRIVAL) | own)
        self.given(~(state(inside, "PREPARED") & arrived) | own)
        self.given(~visited | live | (used & ~makes))
        self.given(~makes | ~visited)
        self.given(~state(inside, "STRAY", "STRAY_ACK", *HANDSHAKE, "EVICT", "EVICTED", "NEW") | arrived)
        self.given(~state(inside, *VISIT) | ((place < CONNECTIONS) & (~here | used)))
        self.given(~used | self.past(used) | self.past(held))
        self.given(~state(inside, *HANDSHAKE) | ((place == REPLY) & (internal(inside, "index", "sync") == 0)))
        self.given(~state(inside, "EVICT", "EVICTED") | (place == EVICTED))
        taken_place = state(inside, "CHOSEN") & internal(inside, "available", "sync") & ~internal(inside, "evicts", "sync")
        self.given(~(taken_place & (internal(inside, "best", "sync") == FOLLOWED)) | ~used)

        # What is proven of the application: nothing is read until an answer that was given is taken over.
        stream = core.stream
        waits = self.past(stream.answered & ~stream.accepted & ~stream.cancel & ~self.domain.rst)
        self.given(~waits | stream.answered)
        self.given(~(stream.answered & stream.ready))
        self.always(~state(inside, *ANSWERED[:-1]) | stream.answered, "takes over an answer that was not given")

        # The words of a connection in use: what was received, what of it was handed on, and whether the last of it is a FIN.
        in_sequence = here & state(inside, "MEASURE", "SMOOTH", "RTT")
        fin = (
            flags.peer_fin
            | (in_sequence & internal(inside, "fin_taken"))
            | (here & state(inside, *following("TIMER", ARRIVAL)) & control.peer_fin)
        )
        data = (unread - fin)[:32]
        self.always(~whole | (unread <= RECEIVE_BYTES), "more was received than there is room for, or more handed on than was received")
        self.always(~whole | ~fin | (unread >= 1), "a FIN is handed on as a byte")
        done = here & state(inside, *following("MEASURE", ARRIVAL))
        fits = (
            unread + Mux(control.peer_fin & here & state(inside, *following("CHALLENGE", ARRIVAL)), 0, segment.taken + ends)
            <= RECEIVE_BYTES
        )
        self.always(~(arrived & whole & followed) | done | fits, "a segment is taken that there is no room for")
        known = flags.peer_fin | flags.closing | (here & state(inside, *following("TIMER", ARRIVAL)) & control.peer_fin)
        known |= here & state(inside, "VISIT_SAVE") & control.closing
        self.always(~whole | ~known | deaf, "what follows the end is read")

        grown = Mux(here & state(inside, "SEQUENCE") & ~fin, segment.taken + ends, 0)
        stays_whole = whole & self.past(whole)
        moved = received == (self.past(received) + self.past(grown))[:32]
        self.always(~stays_whole | moved, "RCV.NXT moves by something else than what was stored, or behind a FIN")
        self.always(~stays_whole | ~self.past(fin) | fin, "a FIN is forgotten")

        # What is promised to the receiver.
        stale, free = internal(inside, "stale", reader=receiver), self.past(held) | reset
        self.always((used == self.past(used)) | self.past(stale) | reset, "the receiver is not told that a connection comes or goes")
        self.always(~held | self.past(held) | says["arrived"], "holds the receiver for no segment")
        self.always(~arrived | self.past(held), "holds the receiver for no segment")
        self.always(~used | held | whole, "words that are not made yet")
        self.always(free | ~self.past(whole) | whole, "makes other words unseen")
        self.always(free | (received == self.past(received)), "changes what the receiver has compared")
        self.always(free | (unread <= self.past(unread)), "takes back what was handed on")
        self.always(free | (consumed == self.past(consumed)) | touched | deaf, "the receiver is not told what was handed on")
        self.always(free | ~self.past(deaf) | deaf, "reads again behind the end")

        # A visit: what its application has been shown since the last answer, and what is left for it, was received.
        behind = Signal()
        with m.If(says["arrived"]):
            m.d.sync += behind.eq(live)
        with m.Elif(~active):
            m.d.sync += behind.eq(0)
        stray = state(inside, "STRAY", "STRAY_ACK", *HANDSHAKE, "EVICT", "EVICTED", "NEW")
        self.always(~(stray & followed) | ~used, "takes a connection's segment for nobody's")
        acceptable = plain & ~segment.ack_wrong & (segment.in_order | (segment.taken == 0))
        self.always(~(behind & arrived) | acceptable, "reads behind a segment that will not be taken")
        left, taken = internal(visit, "left"), internal(visit, "taken")
        self.always(~visited | whole, "visits what was never there")
        told = live | (behind & arrived & followed & ~done)
        coming = Mux(told, segment.taken, 0)
        shown = Mux(here & state(inside, "ANSWERED_UNA"), left, taken + left)
        self.always(~visited | (shown <= data + coming), "a visit has more to read than was received")
        self.always(~(visited & told) | ~fin, "reads behind a FIN")
        read = Mux(here & state(inside, "ANSWERED_UNA"), 0, taken)
        at = internal(visit, "position")
        self.always(~visited | (at == (consumed + read)[:RECEIVE_BITS]), "a visit reads somewhere else")
        self.always(~(visited & internal(visit, "fetched")) | (left != 0), "fetched before it was there")
        self.always(~visited | ~flags.closing, "visits a connection that is closing")
        ended = state(inside, "EXHAUSTED_CONTROL", "CLOSE_CONTROL") | (state(inside, "VISIT_SAVE") & control.closing)
        self.always(~(here & ended) | ~visited, "visits a connection that is closing")
        self.always(~(behind & arrived) | ~state(inside, "AWAIT", *ANSWERED), "answers before the segment is acted on")
        available, starts_live = internal(inside, "available", bits=10), internal(inside, "start_live")
        starts = starts_live | (state(inside, "VISIT_BEGIN") & (available != 0))
        begins = starts & (internal(inside, "start_connection") == FOLLOWED)
        self.always(~begins | (available <= data), "a visit begins with more than was received")
        self.always(~begins | (internal(inside, "start_at") == consumed[:RECEIVE_BITS]), "a visit begins somewhere else")

        # Of the words that the engine has read.
        loaded = whole & here
        same = (control.peer_fin == flags.peer_fin) & (control.closing == flags.closing)
        self.always(~(loaded & state(inside, *_KEEPS, *_WITH_SEGMENT)) | same, "works on another word")
        more = (control.peer_fin | ~flags.peer_fin) & (control.closing == flags.closing)
        self.always(~(loaded & state(inside, *following("TIMER", ARRIVAL))) | more, "works on another word")
        saves = (control.peer_fin == flags.peer_fin) & (control.closing | ~flags.closing)
        self.always(~(loaded & state(inside, "VISIT_SAVE")) | saves, "works on another word")
        to_visit = ~flags.closing & (internal(inside, "ack", "sync") == (received - flags.peer_fin)[:32])
        self.always(~(loaded & state(inside, "VISIT_IP", "VISIT_START", "VISIT_BEGIN")) | to_visit, "reads another word")
        read_from = (internal(inside, "waiting") == data[:10]) & (internal(inside, "begins_at") == consumed[:RECEIVE_BITS])
        self.always(~(loaded & state(inside, "VISIT_BEGIN")) | read_from, "reads another word")

        # A connection that is made anew.
        index, first = internal(inside, "index", "sync"), internal(inside, "ack", "sync")
        self.always(~makes | ((index < len(_NEW)) & ~control.peer_fin & ~control.closing), "makes words that are none")
        for name, value in ((Word.RCV_NXT, received), (Word.CONSUMED, consumed)):
            self.always(~makes | (index <= _NEW.index(name)) | (value == first), "begins with other numbers")
        self.always(~makes | (index <= _NEW.index(Word.CONTROL)) | ~(flags.peer_fin | flags.closing), "begins at its end")
        self.possible(begins & (available == 2) & fin)
        self.possible(begins & starts_live & (available == 1))
        self.possible(visited & live & (left == 1) & (shown == data + 1))
        self.possible(whole & (unread == RECEIVE_BYTES))


class UnreadIsCompared(TakenIsStored):
    """What the engine is told of a segment's data, and what a visit that reads behind it begins with, is so when it is told.

    Given of the engine: it holds the receiver from a segment's arrival until it is done with it, changes RCV.NXT or takes a place only
    then, and says when one comes or goes (`stale`). What was handed on is never taken back; that it moves is told (`touched`), unless
    nobody reads any more (`deaf`). `whole` is that the words were made, for a connection that is there or was the last to be there.
    """

    def build(self, m: Module) -> None:
        from thermogen_gateware.network.tcp_segment import TCP, Flag, Word

        super().build(m)
        receiver, inside, segment, ingress = self.receiver, self.inside, self.receiver.segment, self.receiver.ingress
        received, consumed = Signal(32, name="received"), Signal(32, name="handed_on")
        whole, deaf = Signal(name="whole"), Signal(name="deaf")
        self.ports += [received, consumed, whole, deaf]
        used, unread = receiver.used[FOLLOWED], (received - consumed)[:32]
        reset = self.past(self.domain.rst)
        free = self.past(receiver.held) | reset
        self.given((used == self.past(used)) | self.past(receiver.stale) | reset)
        self.given(~used | self.past(used) | self.past(receiver.held))
        self.given(~receiver.held | self.past(receiver.held) | receiver.arrived)
        self.given(~used | receiver.held | whole)
        self.given(free | ~self.past(whole) | whole)
        self.given(free | ((received == self.past(received)) & (unread <= self.past(unread))))
        self.given(free | (consumed == self.past(consumed)) | receiver.touched | deaf)
        self.given(free | ~self.past(deaf) | deaf)
        self.given(~whole | (unread <= RECEIVE_BYTES))
        for name, value in ((Word.RCV_NXT, received), (Word.CONSUMED, consumed)):
            self.given((self.past(receiver.address) != (name | FOLLOWED << 4)) | (receiver.word == self.past(value)))

        busy, known, touched = (internal(inside, name) for name in ("busy", "known", "touched"))
        followed = segment.found & (segment.connection == FOLLOWED)
        holds = receiver.held | receiver.arrived
        self.always(~busy | ~receiver.held, "looks at a segment while the last one is held")
        self.always(~receiver.arrived | ~receiver.store, "stores what comes after the end")
        self.always(~receiver.arrived | ~self.past(receiver.held), "hands a segment over while the last one is held")
        self.always(~holds | state(inside, "WAIT", "LIVE"), "compares the words of a segment that was handed over")
        self.always(segment.connection < CONNECTIONS, "a connection that is none")
        fixed = (segment.found, segment.connection, segment.flags, segment.ack_wrong, segment.in_order, segment.complete, segment.taken)
        stays = Cat(*fixed)
        self.always(~self.past(holds) | reset | (stays == self.past(stays)), "changes what was handed over")
        looks = state(inside, "RCV_NXT", "CONSUMED", "SND_UNA", "ACK", "SND_NXT", "SND_END", "COMPARE")
        self.always(~looks | segment.found, "compares the words of no connection")
        self.always(~state(inside, "LIVE") | (known & segment.found & (segment.taken == 0)), "stored before it was looked at")

        # What was compared, and how much room that leaves.
        compares = ("ACK", "SND_NXT", "SND_END", "COMPARE")
        trusted = (busy | receiver.arrived | receiver.dropped) & followed
        self.always(~(trusted | (receiver.expects & followed)) | whole, "believes words that are not made yet")
        placed = trusted & (known | state(inside, "SND_UNA", *compares))
        self.always(~placed | (segment.rcv_nxt == received), "compares another number")
        at_first = (segment.rcv_nxt - receiver.consumed)[:32]
        roomy = trusted & (known | state(inside, *compares))
        self.always(~roomy | ((unread <= at_first) & (at_first <= RECEIVE_BYTES)), "finds more room than there is")
        moved = touched | receiver.touched | deaf
        self.always(~roomy | moved | (receiver.consumed == consumed), "compares another number")
        self.always(~(trusted & known) | (unread + segment.taken <= RECEIVE_BYTES), "takes what there is no room for")
        ends = (segment.flags & Flag.FIN).any() & segment.complete
        arrives = receiver.arrived & followed
        self.always(~arrives | (unread + segment.taken + ends <= RECEIVE_BYTES), "takes a FIN that there is no room for")
        self.always(~(receiver.arrived & segment.found & (segment.taken != 0)) | segment.in_order, "stores what is not to be taken")

        # What is told of a segment whose data is looked at on its way in.
        told = Signal()
        with m.If(ingress.valid & ingress.first & (ingress.protocol == TCP) & ~receiver.held):
            m.d.sync += told.eq(0)
        with m.Elif(receiver.expects):
            m.d.sync += told.eq(1)
        expects = receiver.expects
        self.always(~expects | (segment.found & ~holds & ~receiver.touched & ~self.past(receiver.touched)), "expects what was not compared")
        compared = (segment.rcv_nxt == received) & (receiver.consumed == consumed) & (segment.taken == 0)
        self.always(~(expects & followed & ~deaf) | compared, "a visit would begin somewhere else")
        plain = (segment.flags & (Flag.FIN | Flag.SYN | Flag.RST | Flag.ACK)) == Flag.ACK
        self.always(~(told | expects) | (known & segment.found & plain & ~segment.ack_wrong), "expects what may not be believed")
        grown = self.past(segment.taken) + self.past(receiver.store)
        self.always(~told | (segment.taken == grown[:11]), "takes another number of bytes than it stores")
        self.always(~told | (state(inside, "WAIT") & (~busy | (internal(inside, "at") >= 20))), "compares again")
        self.possible(arrives & told & (segment.taken == 2))
        self.possible(arrives & ends)


PROPERTIES = (
    Property(
        name="tcp_unread_fits",
        core="network/tcp_receive",
        says="What the engine is told was taken of a segment, a FIN included, fits into what the buffer has left. Where a visit may begin "
        "while a segment still comes in, CONSUMED and RCV.NXT are what the engine is told, and each byte that is stored from then on is "
        "one of those that are taken of the segment.",
        parameters=f"{CONNECTIONS} connections; given what `receive_buffer_written` is, and of the engine what "
        "`tcp_reads_what_was_received` and, of who is there, `tcp_sends_what_was_written` say",
        spec=UnreadIsCompared,
        mutant=Mutant(
            "a FIN is taken without room for it",
            "network.tcp_receive",
            "(offset == segment.taken) & (offset[:10] != free)",
            "offset == segment.taken",
        ),
        depth=2,
        reach=4,
        anywhere=frozenset({Task.COVER, Task.REFUTE}),
        long=True,
    ),
    Property(
        name="tcp_reads_what_was_received",
        core="network/tcp",
        says="What an application has read since its last answer, and what is left for it to read, lies from CONSUMED on and before "
        "RCV.NXT, without a FIN; of a segment that still comes in also what is stored, which is taken, or the visit cancelled. RCV.NXT "
        "moves by what was stored and a FIN, behind which nothing follows. CONSUMED never passes it, and they are never further apart "
        "than the buffer's 512 bytes.",
        parameters=f"{CONNECTIONS} connections, any segments and answers; given what `tcp_unread_fits` and `tcp_only_what_was_sent` say of "
        "what the receiver tells, `tcp_engine_no_dead_end` and `tcp_sends_what_was_written` of whose it is, `modbus_answers_fit` of the "
        "application",
        spec=ReadsWhatWasReceived,
        mutant=Mutant(
            "a FIN is read as a byte",
            "network.tcp_application",
            "with m.If(control.peer_fin):",
            "with m.If(0):",
        ),
        depth=2,
        reach=4,
        anywhere=frozenset({Task.COVER, Task.REFUTE}),
        long=True,
    ),
)
