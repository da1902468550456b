"""What has to hold of the TCP state machine, whatever is in its connections' words.

The memory of those words is taken out of the core: what is read of it is free, so nothing here depends on what was written. Of the IP
layer the contract of `IngressSignature` is given: a payload has at most 1,480 bytes, its verdict comes after the last, and the next
payload after that.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Fragment, Module, Mux, Signal, Value

from .mutant import Mutant
from .proof import Property, Task
from .spec import Spec, internal, state
from .tcp_states import ANSWERED, ARRIVAL, PREPARE, SENDS, SENT, VISIT, WORK

CONNECTIONS = 8
MOST_CLOCKS = 160
"""As tcp_engine.py says, without what is waited for."""
MOST_PAYLOAD = 1480
"""Bytes of an IP payload in an Ethernet frame."""
ANSWER_CLOCKS = 30
"""From an application's answer to its segment."""
COOKIE_CLOCKS = 29

_VISIT = (*VISIT, "VISIT_OVER")
_TICK = tuple("TICK" + of for of in ("", "_CONTROL", "_TIMER", "_HEARD", "_DECIDE", "_END"))
Stage = tuple[int, dict[str, Value | int]]
"""The most clocks of a stage, and for each of its states what remains of them."""


def _one_by_one(*names: str) -> list[Stage]:
    return [(0, {name: 0}) for name in names]


class NoDeadEnd(Spec):
    """A measure of what is to be done goes down in every clock in which nothing is waited for, and somebody is there who will come."""

    def build(self, m: Module) -> None:
        from thermogen_gateware.network.tcp import TcpServer
        from thermogen_gateware.network.tcp_receive import SEGMENT
        from thermogen_gateware.network.tcp_segment import TCP, Flag

        core = TcpServer(clocks_per_tick=1000, connections=CONNECTIONS)
        inside = self.around(core)
        self.free_memory(inside, "words")
        under_way = Signal()
        ingress = core.ingress
        with m.If(ingress.valid & ingress.first):
            m.d.sync += under_way.eq(1)
        with m.If(ingress.commit | ingress.drop):
            m.d.sync += under_way.eq(0)
        self.given(~(ingress.valid & ((ingress.first & under_way) | ingress.commit | ingress.drop)))
        payload = Signal(11)
        with m.If(ingress.valid):
            m.d.sync += payload.eq(Mux(ingress.first, 1, payload + 1))
        self.given(~ingress.valid | ingress.first | (payload < MOST_PAYLOAD))

        arrived, prepared, claimed = (internal(inside, name, "sync", bits=1) for name in ("arrived", "prepared", "claimed"))
        candidate = internal(inside, "candidate", "sync", bits=1)
        receiver, transmitter = inside.find_subfragment("receiver"), inside.find_subfragment("transmitter")
        busy, comes, falls = (internal(receiver, name) for name in ("busy", "arrived", "dropped"))
        flags = SEGMENT(internal(receiver, "segment")).flags
        active, live = internal(inside, "visit.active"), internal(inside, "visit.live")
        answers = core.stream.answered & active

        waits, measure = Signal(), Signal(8)
        waits_for_verdict = state(inside, "PREPARED") & ~arrived & ~falls & active
        m.d.comb += waits.eq(waits_for_verdict | (state(inside, "AWAIT") & claimed & ~answers))
        to_do = []
        for chain in self._chains(inside):
            below = 1
            for most, states in reversed(chain):
                to_do += [Mux(state(inside, name), below + remains, 0) for name, remains in states.items()]
                below += most + 1
        m.d.comb += measure.eq(sum(to_do))
        idle = state(inside, "IDLE")
        ran = ~self.past(self.domain.rst) & self.past(~idle)
        self.always(idle | (measure != 0), "a state without measure")
        self.always(measure <= MOST_CLOCKS, "more to do than there can be")
        self.always(~(ran & ~self.past(waits)) | idle | (measure < self.past(measure)), "nothing was waited for, and nothing done")
        self.always(~(ran & self.past(waits)) | idle | (measure <= self.past(measure)), "waiting makes work")
        self._ends(inside)

        # What is waited for comes: a verdict, of the frame that is on the wire, or the answer of an application that said it was sure.
        at, beyond = internal(receiver, "at"), internal(receiver, "in_data") | internal(receiver, "in_options")
        self.always(~busy | (at == payload), "the receiver counts other bytes")
        self.always(~(busy & beyond) | (at >= 20), "data before the end of the header")
        self.always(~(live & busy) | (at >= 20), "a visit of a segment whose header is not in")
        self.always(~busy | (under_way & ~(arrived | comes | falls)), "the next segment is looked at before the last is done with")
        self.always(~live | (active & (busy | comes | falls)), "a visit reads behind a segment that has no end")
        self.always(~live | ~arrived, "a visit reads behind a segment while the last one is held")
        told = Signal()
        with m.If(ingress.valid & ingress.first & (ingress.protocol == TCP) & ~(arrived | comes)):
            m.d.sync += told.eq(0)
        with m.Elif(internal(receiver, "expects")):
            m.d.sync += told.eq(1)
        self.always(~live | told, "a visit reads behind a segment that nobody expects an answer to")
        self.always(~(waits_for_verdict) | busy | comes, "waits for the verdict of no frame")
        ahead = state(inside, *PREPARE)
        self.always(~ahead | ~active | live | arrived, "prepares for what is over")
        self.always(~candidate | live, "a candidate without a segment")
        self.always(~(busy & (at <= 13)) | internal(receiver, "malformed"), "believed before its header is in")
        for place, name in enumerate(PREPARE):
            new = ~arrived & ~comes & (~busy | (at <= place + 1))
            self.always(~state(inside, name) | active | new, "prepares for one segment, and another comes")
        plain = (flags & (Flag.FIN | Flag.SYN | Flag.RST | Flag.ACK)) == Flag.ACK
        self.always(~((candidate | ahead) & active & (live | arrived)) | plain, "prepares for what may end the connection")
        self.always(~prepared | state(inside, *ARRIVAL, "AWAIT"), "prepared for nothing")
        self.always(~claimed | state(inside, *ARRIVAL, "AWAIT", *ANSWERED, *WORK, *SENDS), "claimed for nothing")
        self.always(~(prepared | claimed) | ~state(inside, *ARRIVAL) | (plain & arrived), "prepared for what may end the connection")
        self.always(~claimed | state(inside, *WORK, *SENDS, "ANSWERED_ROOM") | (active & ~live), "claimed for a visit that is over")
        self.always(~prepared | ~active | ~live, "prepared for what is not settled")

        # All that is of one connection: the segment, the visit that reads behind it, and the place that the engine is at.
        segment = SEGMENT(internal(receiver, "segment"))
        place, connection = internal(inside, "place", "sync"), internal(inside, "visit.connection")
        stays, handed_over = Cat(segment.found, segment.connection), arrived | comes
        self.given(~self.past(handed_over) | self.past(self.domain.rst) | (stays == self.past(stays)))
        found = ("RCV_NXT", "CONSUMED", "SND_UNA", "ACK", "SND_NXT", "SND_END", "COMPARE", "LIVE")
        self.always(~state(receiver, *found) | segment.found, "compares the words of no connection")
        self.always(~live | state(receiver, "WAIT"), "looks for a connection that is visited")
        self.always(~live | (segment.found & (connection == segment.connection)), "visits another connection than the segment's")
        own = segment.found & (segment.connection == place)
        self.always(~(candidate | (ahead & active)) | (connection == segment.connection), "prepares for another connection")
        self.always(~(ahead & active) | own, "prepares for another connection")
        self.always(~(state(inside, "PREPARED") & arrived) | own, "prepares for another connection")
        self.always(~(state(inside, *ARRIVAL)) | (arrived & own), "works on another connection's segment")
        answers_it = state(inside, *ARRIVAL, "AWAIT", *ANSWERED)
        self.always(~((prepared | claimed) & answers_it & active) | (connection == place), "prepared for another connection")
        self.always(~state(inside, "AWAIT") | ~active | (~live & (connection == place)), "waits for another connection's answer")
        self.always(~state(inside, "AWAIT") | prepared | claimed, "waits for nothing")
        self.always(~state(inside, *ANSWERED) | (active & ~live & (connection == place)), "takes over another connection's answer")

        # The transmitter is given what it was claimed for, and asks for its turn until it has it.
        request, granted = core.egress.request, internal(transmitter, "granted")
        self.always(~state(transmitter, "SEND") | request | granted, "sends without having asked")
        self.always(~claimed | (measure >= 1), "goes on without what it has claimed")
        given = state(inside, *ANSWERED, *WORK, *SENDS) & claimed
        self.always(~given | (measure - self._left_behind <= ANSWER_CLOCKS), "an answer takes too long to its segment")
        self.possible(state(inside, "AWAIT"))
        self.possible(state(inside, "SEGMENT_GO") & claimed)
        self.possible(state(inside, "EVICTED"))

    def _ends(self, inside: Fragment) -> None:
        """How far a count has come, in the states that count."""
        injecting, running, step, turn = (internal(inside, f"cookie.{name}") for name in ("injecting", "running", "step", "turn"))
        one = Cat(turn == 1 << index for index in range(len(turn))).any()
        self.always(~running | (one & (step <= Mux(injecting, 0, Mux(turn[4], 7, 3)))), "the hash goes on for ever")
        candidate, index = internal(inside, "candidate", "sync", bits=CONNECTIONS.bit_length()), internal(inside, "index", "sync")
        scans = ("CANDIDATE_IP", "CANDIDATE_AGE")
        self.always(
            ~state(inside, "CANDIDATE", *scans) | (candidate <= CONNECTIONS - state(inside, *scans)), "looks at places that are none"
        )
        hashing = state(inside, "COOKIE_START", "COOKIE", "COOKIE_EARLIER")
        self.always(~hashing | (candidate == 0), "begins in the middle of the places")
        before = ("COOKIE_START", "COOKIE", "COOKIE_EARLIER", "CANDIDATE", *scans, "CHOSEN")
        self.always(~state(inside, *before) | (index == 0), "begins in the middle of the words")
        self.always(~state(inside, "EVICT") | (index <= 6), "moves words that are none")
        self.always(~state(inside, "NEW") | (index <= 12), "makes words that are none")
        self.always(
            ~state(inside, "COOKIE_START", "COOKIE_EARLIER") | (internal(inside, "earlier") == state(inside, "COOKIE_EARLIER")),
            "hashes a third time",
        )

    def _chains(self, inside: Fragment) -> list[list[Stage]]:
        """The states in the orders in which they follow each other, up to IDLE."""
        injecting, running, step, turn = (internal(inside, f"cookie.{name}") for name in ("injecting", "running", "step", "turn"))
        words_after = Mux(turn[0], 15, 0) | Mux(turn[1], 10, 0) | Mux(turn[2], 5, 0)
        rounds = Mux(turn[4], Mux(injecting, 9, 8 - step), 9 + words_after + Mux(injecting, 5, 4 - step))
        hashes = Mux(running, rounds, 0) + Mux(internal(inside, "earlier"), 0, COOKIE_CLOCKS + 2)
        candidate, index = internal(inside, "candidate", "sync", bits=CONNECTIONS.bit_length()), internal(inside, "index", "sync")
        places = (CONNECTIONS - candidate)[: CONNECTIONS.bit_length()] * 3
        cookie = {"COOKIE_START": 2 * COOKIE_CLOCKS + 3, "COOKIE": hashes, "COOKIE_EARLIER": COOKIE_CLOCKS + 1}
        scan = {"CANDIDATE": places + 2, "CANDIDATE_IP": places + 1, "CANDIDATE_AGE": places}
        patience = (63 - internal(inside, "waited"))[:6]
        waits = (64, {"AWAIT": Mux(internal(inside, "claimed", "sync", bits=1), 0, patience + 1)})
        handshake = [
            *_one_by_one("STRAY", "STRAY_ACK"),
            (2 * COOKIE_CLOCKS + 3, cookie),
            (3 * CONNECTIONS + 2, scan),
            *_one_by_one("CHOSEN"),
        ]
        moved = [(6, {"EVICT": (6 - index)[:3]}), *_one_by_one("EVICTED"), (12, {"NEW": (12 - index)[:4]})]
        return [
            [*_one_by_one(*PREPARE, *ARRIVAL), waits, *_one_by_one(*ANSWERED, *WORK, *SENDS, *SENT)],
            [*handshake, *moved],
            _one_by_one(*_VISIT),
            _one_by_one("EXHAUSTED", "EXHAUSTED_CONTROL", "CLOSE", "CLOSE_CONTROL", "VISIT_SAVE"),
            _one_by_one(*_TICK),
        ]

    _left_behind = len(SENT)


PROPERTIES = (
    Property(
        name="tcp_engine_no_dead_end",
        core="network/tcp_engine",
        says="From each of its 85 states the TCP engine comes back to where it takes the next thing to do: a measure of at most 160 "
        "goes down in every clock in which it waits for neither the verdict of a frame that is on the wire nor the answer that a "
        "settled visit's application was sure of. It never comes back with a transmitter claimed and not used; from that answer to "
        "its segment are at most 30 clocks. What is prepared for, answered and taken over is of the connection that is visited.",
        parameters=f"{CONNECTIONS} connections, any words; given that a payload has at most {MOST_PAYLOAD} bytes, then one verdict, "
        "and that a segment handed over stays as it is, as `tcp_only_what_was_sent` has it",
        spec=NoDeadEnd,
        mutant=Mutant(
            "a segment is prepared for whose visit was stopped",
            "network.tcp_engine",
            "receiver.dropped | visit.stop):",
            "receiver.dropped):",
        ),
        depth=2,
        reach=4,
        anywhere=frozenset({Task.COVER, Task.REFUTE}),
    ),
)
