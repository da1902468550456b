"""What has to hold of the send buffer as the engine uses it: a segment has nothing in it that no answer put there.

One connection is followed through its words in the memory. The receiver is taken out of the core; what it is given to say of a segment is
proven of it in tcp_receive.py. What is given of the application's answers is proven in modbus_server.py, and that the engine takes them
over for the connection that they are of in tcp_engine.py.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal

from .mutant import Mutant
from .proof import Property, Task
from .spec import Spec, internal, state
from .tcp_states import ANSWERED, ARRIVAL, HANDSHAKE, PREPARE, RECEIVER_SAYS, SENDS, SENT, VISIT, WORK, following

CONNECTIONS, FOLLOWED = 2, 1


class SendsWhatWasWritten(Spec):
    """SND.UNA, SND.NXT and the answers' end follow each other, no further apart than the buffer is long; what is sent lies between."""

    def build(self, m: Module) -> None:
        from thermogen_gateware.network.tcp import TcpServer
        from thermogen_gateware.network.tcp_handshake import _NEW
        from thermogen_gateware.network.tcp_receive import SEGMENT
        from thermogen_gateware.network.tcp_segment import ADU_BYTES, CONTROL, EVICTED, REPLY, TRANSMIT_BYTES, Word

        core = TcpServer(clocks_per_tick=1000, connections=CONNECTIONS)
        inside = self.around(core)
        receiver, visit_inside = inside.find_subfragment("receiver"), inside.find_subfragment("visit")
        says = {name: internal(receiver, name) for name in RECEIVER_SAYS}
        self.ports += list(says.values())
        inside.subfragments = [entry for entry in inside.subfragments if entry[1] != "receiver"]
        self.free_memory(visit_inside, "buffer")
        for name in ("even", "odd"):
            self.free_memory(inside.find_subfragment("buffer"), name)
        segment = SEGMENT(says["segment"])
        stream = core.stream

        place, control = internal(inside, "place", "sync"), CONTROL(internal(inside, "control", "sync"))
        here = place == FOLLOWED
        makes = here & state(inside, "NEW")
        used = core.used[FOLLOWED] & ~makes

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

        una, nxt, end = kept(Word.SND_UNA), kept(Word.SND_NXT), kept(Word.SND_END)
        flags = CONTROL(kept(Word.CONTROL)[: CONTROL.size])
        arrived = internal(inside, "arrived", "sync")
        active, live, connection = (internal(inside, f"visit.{name}") for name in ("active", "live", "connection"))
        visited = active & (connection == FOLLOWED)
        # What the others say.
        held = arrived | says["arrived"]
        stays = (segment.found, segment.connection, segment.ack, segment.ack_new, segment.ack_wrong)
        self.given(~self.past(held) | self.past(self.domain.rst) | (Cat(*stays) == self.past(Cat(*stays))))
        self.given(~(says["arrived"] & arrived) & (segment.connection < CONNECTIONS))
        told, sent = (segment.ack - una)[:32], (nxt - una)[:32]
        believed = segment.found & (segment.connection == FOLLOWED) & segment.ack_new & ~segment.ack_wrong
        new = (told != 0) & (told <= sent)
        self.given(~(says["arrived"] & used & believed) | new)
        unacknowledged = (end - una)[:32]
        room = (end[:11] - una[:11])[:11] <= TRANSMIT_BYTES - ADU_BYTES
        self.given(~says["expects"] | ~held)
        self.given(~(says["arrived"] & segment.found & (segment.connection == FOLLOWED)) | core.used[FOLLOWED])
        self.given(~live | (~arrived & segment.found & (segment.connection == connection)))
        expected = says["expects"] & ~active & used & (segment.connection == FOLLOWED)
        self.given(~expected | (room & (says["end"] == end[:11])))
        self.given(~stream.answered | (stream.length <= ADU_BYTES))
        waits = self.past(stream.answered & ~stream.accepted & ~stream.cancel)
        self.given(~waits | (stream.answered & (stream.length == self.past(stream.length))))
        self.given(~stream.write | (stream.offset + ~stream.single < ADU_BYTES))
        self.given(~state(inside, *ANSWERED) | (active & (connection == place) & ~stream.write))
        self.given(~state(inside, *ANSWERED[:-1]) | stream.answered)

        self.given(~(state(inside, "PREPARED") & arrived) | (segment.found & (segment.connection == place)))

        # The words of a connection in use: what was written, what of it was sent, and what of that was acknowledged.
        self.always(state(inside, *inside.generated["fsm"].encoding), "in no state at all")
        fin = flags.fin_sent | (here & control.fin_sent & state(inside, *SENT))
        written = (unacknowledged + fin)[:32]
        fits = (written <= TRANSMIT_BYTES + 1) & ((unacknowledged + 1)[:32] <= TRANSMIT_BYTES + 1)
        self.always(~used | fits, "more waits for its acknowledgement than there is room for")
        self.always(~used | (sent <= written), "more was sent than was written")
        free = (unacknowledged + 1)[:32] <= TRANSMIT_BYTES - ADU_BYTES + 1
        longer = here & state(inside, "ANSWERED_CONSUMED", "ANSWERED_UNA", "ANSWERED_ROOM")
        self.always(~(used & visited) | longer | free, "a visit without room for an answer")
        ends_at = internal(visit_inside, "end")
        grows = Mux(here & state(inside, "ANSWERED_CONSUMED", "ANSWERED_UNA"), stream.length, 0)
        self.always(~(used & visited) | ((ends_at + grows)[:10] == end[:10]), "an answer is written somewhere else")
        reaches = (unacknowledged + stream.offset + ~stream.single + 1)[:32]
        self.always(~(used & visited & stream.write) | (reaches <= TRANSMIT_BYTES), "an answer is written over one that waits")

        # What is promised to the receiver.
        fixed, there = ~self.past(held), core.used[FOLLOWED] & self.past(core.used[FOLLOWED])
        kept_so = (una == self.past(una)) & ((nxt - self.past(nxt))[:32] <= TRANSMIT_BYTES + 1)
        self.always(~(fixed & there) | kept_so, "changes what the receiver has compared")
        self.always(~core.used[FOLLOWED] | self.past(core.used[FOLLOWED]) | self.past(held), "takes a place unseen")
        grown = fixed & (end != self.past(end))
        touched = state(inside, "ANSWERED_UNA") | self.past(self.domain.rst) | self.past(self.domain.rst, 2)
        self.always(~self.past(grown) | touched, "the receiver is not told that the answers' end has moved")

        # Who is visited is there.
        best, unread = internal(inside, "best", "sync"), internal(inside, "unread", "sync")
        available, evicts = internal(inside, "available", "sync"), internal(inside, "evicts", "sync")
        self.always(~visited | live | (core.used[FOLLOWED] & ~makes), "visits a connection that is not there")
        self.always(~makes | ~visited, "visits a connection that is not there")
        self.always(~unread[FOLLOWED] | core.used[FOLLOWED], "has something to read of a connection that is not there")
        self.always(~(here & state(inside, *VISIT)) | core.used[FOLLOWED], "visits a connection that is not there")
        comes = arrived & segment.found & (segment.connection == FOLLOWED)
        works = state(inside, *ARRIVAL) | (comes & state(inside, *PREPARE))
        self.always(~(here & works) | core.used[FOLLOWED], "a segment of a connection that is not there")
        self.always(~state(inside, "STRAY", "STRAY_ACK", *HANDSHAKE, "EVICT", "EVICTED", "NEW") | arrived, "answers nobody")
        self.always(~state(inside, *HANDSHAKE[:-1]) | evicts, "has a place before it is complete")
        candidate = internal(inside, "candidate", "sync", bits=CONNECTIONS.bit_length())
        scans = state(inside, "CANDIDATE_IP", "CANDIDATE_AGE")
        self.always(~(state(inside, "CANDIDATE") | scans) | (candidate <= CONNECTIONS - scans), "looks at places that are none")
        self.always(~state(inside, *HANDSHAKE[:3]) | (candidate == 0), "begins in the middle of the places")
        taken = state(inside, "CHOSEN") & available & ~evicts & (best == FOLLOWED)
        self.always(~taken | ~core.used[FOLLOWED], "takes a place that is taken")

        # Of the words that the engine has read.
        loaded = used & here
        own_una, own_end, has_room = (internal(inside, name, "sync") for name in ("una", "end", "room"))
        self.always(~state(inside, *VISIT) | (place < CONNECTIONS), "visits nobody")
        self.always(~(loaded & state(inside, "VISIT_END")) | (own_una == una[:11]), "reads another word")
        self.always(~(loaded & state(inside, "VISIT_RECEIVED")) | ((has_room == room) & (own_end == end[:11])), "reads another word")
        self.always(
            ~(loaded & state(inside, "VISIT_IP", "VISIT_START", "VISIT_BEGIN")) | (room & (own_end == end[:11])), "visits without room"
        )
        self.always(~(loaded & state(inside, "ANSWERED_CONSUMED", "ANSWERED_UNA")) | (own_end == end[:11]), "reads another word")
        self.always(~(loaded & state(inside, "ANSWERED_ROOM")) | (has_room == room), "another room")
        keeps = (*WORK[2:], *SENDS, *following("CHALLENGE", ARRIVAL), "VISIT_SAVE", "TICK_TIMER", "TICK_HEARD", "TICK_DECIDE", "TICK_END")
        self.always(~(loaded & state(inside, *keeps)) | (control.fin_sent == flags.fin_sent), "works on another word")
        self.always(~(loaded & state(inside, *SENT)) | control.fin_sent | ~flags.fin_sent, "works on another word")

        # A segment that has come in.
        done = here & state(inside, *following("SMOOTH", ARRIVAL))
        self.always(~(arrived & used & believed) | done | new, "acknowledges what was not sent")
        self.always(
            ~state(inside, *ARRIVAL) | (arrived & segment.found & (segment.connection == place)), "works on another connection's segment"
        )
        self.always(~state(inside, *following("HEARD", ARRIVAL[:-1])) | ~segment.ack_wrong, "works on what is not to be believed")

        # A connection that is made anew.
        index, seq = internal(inside, "index", "sync"), internal(inside, "seq", "sync")
        for_nobody = (place == REPLY) & (index == 0)
        self.always(~state(inside, *HANDSHAKE) | for_nobody, "a handshake has a place before it is complete")
        self.always(~state(inside, "EVICT", "EVICTED") | (place == EVICTED), "the reset of an evicted connection is another's")
        self.always(~makes | ((index < len(_NEW)) & ~control.fin_sent), "makes words that are none")
        for name, value in ((Word.SND_UNA, una), (Word.SND_NXT, nxt), (Word.SND_END, end)):
            self.always(~makes | (index <= _NEW.index(name)) | (value == seq), "begins with other numbers")
        self.always(~makes | (index <= _NEW.index(Word.CONTROL)) | ~flags.fin_sent, "begins with a FIN")

        # A segment on its way out.
        again, length, own_fin = (internal(inside, name, "sync") for name in ("again", "length", "fin"))
        own_nxt, outstanding, unsent = (internal(inside, name, "sync") for name in ("nxt", "outstanding", "unsent"))
        to_send = Mux(flags.fin_sent, 0, (end - nxt)[:11])
        self.always(~(loaded & state(inside, *WORK[3:])) | (own_una == una[:11]), "reads another word")
        self.always(~(loaded & state(inside, *WORK[4:7])) | ((own_nxt == nxt[:11]) & (seq == nxt)), "reads another word")
        self.always(~(loaded & state(inside, *WORK[5:], *SENDS)) | (outstanding == sent[:11]), "another number of bytes is under way")
        self.always(~(loaded & state(inside, "WORK_USABLE")) | (unsent == to_send), "another number of bytes is left")
        decided = loaded & state(inside, *WORK[6:], *SENDS)
        repeats = (sent != 0) & (unsent == (sent - flags.fin_sent)[:11])
        self.always(~decided | Mux(again, repeats, unsent == to_send), "another number of bytes is left")
        measured = loaded & state(inside, *WORK[7:], *SENDS)
        self.always(~measured | (length <= unsent), "more than is left")
        self.always(~measured | ~again | (seq == una), "begins somewhere else")
        probes = (seq == (nxt - 1)[:32]) & (length == 0) & ~state(inside, "WORK_DECIDE")
        self.always(~measured | again | (seq == nxt) | probes, "begins somewhere else")
        formed = loaded & state(inside, *WORK[8:], *SENDS)
        self.always(~formed | ~own_fin | ((length == unsent) & (again == flags.fin_sent)), "a FIN in front of what is left")
        self.always(~formed | ~own_fin | again | (seq == nxt), "a FIN with another number than its own")
        go = loaded & state(inside, "SEGMENT_GO")
        self.always(~(go & (length != 0)) | (((seq - una)[:32] + length) <= unacknowledged), "sends what was not written")
        self.possible(go & again & (length != 0))
        self.possible(go & ~again & (length != 0))
        self.possible(used & visited & stream.write)


PROPERTIES = (
    Property(
        name="tcp_sends_what_was_written",
        core="network/tcp",
        says="A segment's data lies between SND.UNA and the end of the last answer, whether it is sent for the first time, again or to ask "
        "for the window: what the application did not write is never sent. Those two are never further apart than the buffer's 1,024 "
        "bytes, and an answer is written where nothing is that waits for its acknowledgement. A segment is judged, and a visit begun, only "
        "for a connection that is there.",
        parameters=f"{CONNECTIONS} connections, any segments; given what `tcp_only_what_was_sent` says of what the receiver tells, "
        "`modbus_answers_fit` of the answers, and `tcp_engine_no_dead_end` of whose they are",
        spec=SendsWhatWasWritten,
        mutant=Mutant(
            "an answer is taken over without room for the next",
            "network.tcp_application",
            "with m.If(~room):",
            "with m.If(0):",
        ),
        depth=2,
        reach=4,
        anywhere=frozenset({Task.COVER, Task.REFUTE}),
        long=True,
    ),
)
