"""What has to hold of SCADA's writes behind the MODBUS server: the override's registers, and the record of what was written.

`Behind` is the register file's part that writes, wired as the register file wires it; all else of it is free.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring

from .modbus_server import CLOSED, Request
from .mutant import Mutant
from .override_registers import CLOCKS_PER_SECOND, OverrideRegisters
from .proof import Property, Task
from .spec import Spec, internal, state

ORDERS = ("begin", "end", "abort", "write", "space", "address", "value", "peer_ip")
"""Of the register port, to what writes."""
MOST_WAIT = 7
"""Clocks after which all of a request is told."""


class _Override:
    """Staging and override, between the register port's `port` and what is in force."""

    def __init__(self, spec: Spec, m: Module, port: object | None = None) -> None:
        from thermogen_gateware.scada.overrides import Overrides
        from thermogen_gateware.scada.staging import WriteStaging

        self.staging, self.overrides = WriteStaging(), Overrides(CLOCKS_PER_SECOND)
        staging, overrides = self.staging, self.overrides
        driven = ("owner", *(ORDERS if port is not None else ()), *(("busy", "heartbeat_busy", "allow_list") if port is not None else ()))
        self.staging_inside = spec.around(staging, "staging", driven=driven)
        of_staging = ("apply", "written", "staged", "owner_may_write")
        self.overrides_inside = spec.around(overrides, "overrides", driven=(*of_staging, "ip"))
        self.kept = OverrideRegisters(spec, overrides, self.overrides_inside)
        m.d.comb += [getattr(overrides, name).eq(getattr(staging, name)) for name in of_staging]
        m.d.comb += [overrides.ip.eq(staging.peer_ip), staging.owner.eq(overrides.owner)]
        if port is not None:
            m.d.comb += [getattr(staging, name).eq(getattr(port, name)) for name in ORDERS]
        self.open, self.verdict = internal(self.staging_inside, "open_"), internal(self.staging_inside, "verdict")
        self.of_peer, self.was_of_peer = internal(self.staging_inside, "of_peer"), internal(self.staging_inside, "was_of_peer")

    def in_range(self, spec: Spec) -> None:
        """What is staged, and what is taken of it, is what its declaration allows."""
        from thermogen_esf.scada import OVERRIDE_TIMEOUT_S, WRITABLE, WRITABLES

        staging, kept = self.staging, self.kept
        for place, writable in enumerate(WRITABLES):
            value = staging.staged[writable.identifier]
            if writable.coil is None:
                fits = (value >= writable.minimum) & (value <= writable.maximum)
                spec.always(~staging.written[place] | fits, "out of its range, and staged", said_at=1)
        for name, taken in kept.taken.items():
            fits = (kept.asked[name] >= WRITABLE[name].minimum) & (kept.asked[name] <= WRITABLE[name].maximum)
            spec.always(~taken | fits, "out of its range, and in force", said_at=1)
            spec.always(~taken | kept.alive, "taken without an override", said_at=1)
        timeout = WRITABLE["override_timeout_s"]
        spec.always((kept.timeout >= timeout.minimum) & (kept.timeout <= timeout.maximum), "no such timeout", said_at=1)
        spec.always(kept.alive | (kept.timeout == OVERRIDE_TIMEOUT_S), "a timeout without an override", said_at=1)
        remaining = self.overrides.remaining_s
        spec.always(kept.alive == (remaining != 0), "an override without an end", said_at=1)
        spec.always(remaining <= timeout.maximum, "an override without an end", said_at=1)


class OnlyAWholeRequest(Spec):
    """Staging and override: what changes the override's registers, and what is in force of them."""

    def build(self, m: Module) -> None:
        from thermogen_esf.scada import WRITABLE_BIT, WRITABLES
        from thermogen_gateware.network.ports import Refusal
        from thermogen_gateware.scada.staging import COILS, HOLDING

        both = _Override(self, m)
        staging, overrides, kept = both.staging, both.overrides, both.kept
        both.in_range(self)

        # From outside: whether a word of this request was refused, by the clock in which it was to be said.
        wrong = Signal()
        with m.If(staging.write & both.open & (both.verdict != Refusal.NONE)):
            m.d.sync += wrong.eq(1)
        with m.If(staging.begin):
            m.d.sync += wrong.eq(0)
        self.always(~both.open | (wrong == (staging.refusal != Refusal.NONE)), "what was refused is forgotten")
        asked = Signal(len(WRITABLES))
        for place, writable in enumerate(WRITABLES):
            coil = (staging.space == COILS) & (staging.address == writable.coil) if writable.coil is not None else 0
            with m.If(staging.write & both.open & ~wrong & (coil | ((staging.space == HOLDING) & (staging.address == writable.address)))):
                m.d.sync += asked[place].eq(1)
        with m.If(staging.begin):
            m.d.sync += asked.eq(0)
        self.always(~both.open | wrong | (staging.written == asked), "another register than those of this request")
        of_a_request = self.past(both.open & staging.end & ~wrong & staging.written.any())
        self.always(~kept.written() | of_a_request, "written, but not by the end of a request that is right in all its words")
        self.always(~overrides.trip_clear | (both.open & staging.end & ~wrong), "a trip cleared by another request")

        # What was staged is what is there then, and nothing else.
        applied, released = self.past(staging.apply) & kept.ran, self.past(kept.released)
        ended = kept.ran & self.past(kept.over)
        for name in kept.taken:
            wrote = applied & self.past(staging.written & WRITABLE_BIT[name]).any()
            value, before = kept.asked[name], self.past(kept.asked[name])
            self.always(~kept.ran | (value == Mux(wrote, self.past(staging.staged[name]), before)), "another value than the one staged")
            self.always(~wrote | ended | kept.taken[name], "written, and not taken")
            self.always(~(kept.moved(kept.taken[name]) & kept.taken[name]) | wrote, "taken without having been written")
        self.always(~ended | ~(Cat(kept.taken.values()).any() | kept.alive), "ended, and goes on")
        self.always(~released | ~kept.ran | ~kept.alive, "released, and goes on")

        in_force = {
            "enable": (overrides.enable, overrides.own_enable),
            "current_limit_ma": (overrides.current_limit_ma, overrides.own_current_limit_ma),
            "site_power_limit": (overrides.site_power_limit, overrides.own_site_power_limit),
        }
        for name, (value, own) in in_force.items():
            self.always(value <= own, "more than the node's own")
            self.always(~kept.taken[name] | (value <= kept.asked[name]), "more than what was asked for")
            self.always(kept.taken[name] | (value == own), "less than the node's own, and nobody asked")
        self.possible(kept.written() & kept.taken["site_power_limit"])
        self.possible(both.open & staging.end & wrong)


class EveryWriteIsTold(Spec):
    """Server, staging, override and events: what is busy, what is told, and whether it fits."""

    def build(self, m: Module) -> None:
        from thermogen_esf.scada import EVENT_RING
        from thermogen_gateware.network.modbus_identification import Identification
        from thermogen_gateware.network.modbus_server import ModbusServer
        from thermogen_gateware.network.ports import Refusal
        from thermogen_gateware.scada.allow_list import AllowList
        from thermogen_gateware.scada.events import HEARTBEAT, RESERVE, RUN_RESERVE, WriteEvents

        server, events = ModbusServer(Identification("v", "p", "r")), WriteEvents()
        inside = self.around(server, "server", driven=("registers",))
        port = server.registers
        both = _Override(self, m, port)
        staging, overrides, kept = both.staging, both.overrides, both.kept
        of_staging = ("apply", "written", "staged")
        told_inside = self.around(events, "events", driven=(*of_staging, "values", "ip", "ended", "owner"))
        m.d.comb += [getattr(events, name).eq(getattr(staging, name)) for name in of_staging]
        m.d.comb += [getattr(events, name).eq(getattr(overrides, name)) for name in ("values", "ended", "owner")]
        m.d.comb += [
            events.ip.eq(port.peer_ip),
            port.refusal.eq(staging.refusal),
            staging.busy.eq(events.busy),
            staging.heartbeat_busy.eq(events.heartbeat_busy),
        ]
        self.ports += [port.data, port.exists]
        entries = AllowList()
        allow_list = self.around(entries, "allow_list", driven=("question",))
        for name in ("ip", "mask"):
            self.free_memory(allow_list, name)
        wiring.connect(m, staging.allow_list, entries.question)
        both.in_range(self)
        stored = (events.stored - events.oldest)[:32]
        self.given(~events.acknowledge | (stored <= (events.next - events.oldest)[:32]))

        opened, place = internal(inside, "opened"), internal(inside, "place")
        self.given(~opened | (port.peer_ip == self.past(port.peer_ip)))

        # Clocks since something was applied, as far as they count: of so many the server needs more.
        since = Signal(range(MOST_WAIT + 1), init=MOST_WAIT)
        with m.If(staging.apply):
            m.d.sync += since.eq(0)
        with m.Elif(since != MOST_WAIT):
            m.d.sync += since.eq(since + 1)
        waiting, expired = internal(told_inside, "waiting"), internal(told_inside, "expired")
        self.always(both.open == opened, "server and file do not agree that a request is open")
        Request(self, server, inside).holds()
        self.always(opened == ~state(inside, *CLOSED), "open between requests, or closed in one")
        for name in ("COUNT_MESSAGE", "COUNT_EXCEPTION", "COUNT_BUSY"):
            self.always(~state(inside, name) | (place == 0), "would begin in the middle of a header")
        self.always(~state(inside, "HEADER") | (place <= since), "reads a header faster than a byte a clock")
        comes = ("FUNCTION", "FIELDS", "COUNT", "DISPATCH", "JUDGE_WRITE", "CHECK", "STAGE_ONE", "MASK", "MASKED")
        writes = ("WRITE_WORDS", "WRITE_BITS", "STAGE_BITS", "JUDGE", "WRITE_FIRST")
        rested = state(inside, *comes, *writes) | (opened & staging.written.any())
        self.always(~rested | (since == MOST_WAIT), "writes again too early")
        self._knows_who_asks(m, both, server, inside, allow_list)
        self.always(~waiting.any() | (_ones(waiting) + since < MOST_WAIT), "tells too slowly")
        self.always(~waiting[HEARTBEAT], "a heartbeat among what was written")
        self.always(~staging.apply | ~waiting.any(), "applied, and the one before is not told yet")

        # Nothing but a full ring is busy.
        newly = (port.refusal == Refusal.BUSY) & (self.past(port.refusal) != Refusal.BUSY)
        self.always(~newly | ~kept.ran | self.past(events.full), "busy, and the ring is not full")

        # Nothing is overwritten: places are kept for what is waiting, and for an end.
        held, in_run = Signal(32), internal(told_inside, "run_count") != 0
        m.d.comb += held.eq(events.next - events.oldest)
        needed = held + _ones(waiting) + expired + kept.alive
        self.always(held <= EVENT_RING, "an event is overwritten")
        self.always(needed < EVENT_RING, "there would be no place for an override's end")
        accepted = opened & (staging.refusal == Refusal.NONE)
        beater, beat = Signal(32), Signal(16)
        with m.If(staging.apply & staging.written[HEARTBEAT]):
            m.d.sync += [beater.eq(staging.peer_ip), beat.eq(staging.staged.heartbeat)]
        self.always(~in_run | (beater == overrides.owner), "a run of another than who wrote last")
        self.always(~in_run | (beat == overrides.values.heartbeat), "a run whose last value is another")
        others = (staging.written & ~(1 << HEARTBEAT)).any()
        self.always(~(accepted & others) | (needed + in_run <= EVENT_RING - RESERVE + 3), "taken, and there would be no place for it")
        other_client = events.ip != beater
        beats = accepted & staging.written[HEARTBEAT] & other_client & in_run
        self.always(~beats | (held <= EVENT_RING - RUN_RESERVE), "taken, and there would be no place for it")
        self.always(~(beats | (accepted & others & in_run)) | ~expired, "the run is not told before the end")

        self._tells_what_was_written(m, both, events, told_inside)
        self.possible(staging.apply & self.past(staging.apply, MOST_WAIT))
        self.possible(newly)

    def _knows_who_asks(self, m: Module, both: _Override, server: object, inside: object, allow_list: object) -> None:
        """A request's first word comes when each entry of the allow-list has been compared with the client of this request."""
        from thermogen_gateware.scada.allow_list import ENTRIES

        known, place = internal(allow_list, "known"), internal(inside, "place")
        self.always(known <= ENTRIES, "knows more entries than there are")
        self.always(~state(inside, "FIELDS") | (known > place) | (known == ENTRIES), "compares an entry in more than a clock")
        judged = ("COUNT", "DISPATCH", "JUDGE_WRITE", "CHECK", "STAGE_ONE", "MASK", "MASKED", "WRITE_WORDS", "WRITE_BITS", "STAGE_BITS")
        self.always(~state(inside, *judged) | (known == ENTRIES), "judges before it knows who asks")
        self.always(~(server.registers.write & both.open) | both.staging.allow_list.settled, "a word is judged before it is known who asks")
        question = both.staging.allow_list
        of_owner = self.past(question.settled & ~question.anew & ~both.of_peer)
        self.always(both.staging.owner_may_write | of_owner | self.past(self.domain.rst), "an owner is judged by what is known of another")
        self.always(both.of_peer == (both.open | both.staging.begin), "asks about another")
        self.always(~both.open | both.was_of_peer, "does not know whom it has asked about")

    def _tells_what_was_written(self, m: Module, both: _Override, events: object, inside: object) -> None:
        """A register that was written is told once, with what it was and became, by whom and when; an order was nothing before."""
        from thermogen_esf.scada import WRITABLES, WriteKind
        from thermogen_gateware.scada.events import HEARTBEAT, STROBES

        tells, event = internal(inside, "write__en"), internal(inside, "write__data")
        words = [event.word_select(place, 16) for place in range(8)]
        is_write = tells & (words[7][12:] == WriteKind.WRITE)
        ip, time = Signal(32), Signal(32)
        with m.If(both.staging.apply):
            m.d.sync += [ip.eq(both.staging.peer_ip), time.eq(events.time)]
        told = Signal(len(WRITABLES))
        waiting = internal(inside, "waiting")
        for place, writable in enumerate(WRITABLES):
            new, old, due = Signal(16), Signal(16), Signal(name=f"due_{writable.identifier}")
            m.d.comb += told[place].eq(is_write & (words[4] == writable.address))
            if place == HEARTBEAT:
                continue
            with m.If(told[place]):
                m.d.sync += due.eq(0)
            with m.If(both.staging.apply):
                value = both.staging.staged[writable.identifier]
                m.d.sync += [due.eq(both.staging.written[place]), new.eq(value), old.eq(both.overrides.values[writable.identifier])]
            self.always(due == waiting[place], "told without being due, or forgotten")
            self.always(~due | (new == both.staging.staged[writable.identifier]), "staged over before it was told")
            self.always(~told[place] | due, "told twice")
            self.always(~told[place] | (words[6] == new), "told with another value")
            if writable.identifier not in STROBES:
                self.always(~told[place] | (words[5] == old), "told with another value before")
            self.always(~told[place] | (Cat(words[3], words[2]) == ip), "told of another client")
        self.always(~is_write | (_ones(told) == 1), "told of no register")
        self.always(~is_write | (Cat(words[1], words[0]) == time), "told at another time")

        # An end is of who had written last, the clock of the end included, whoever has written since.
        is_end, owner = tells & (words[7][12:] == WriteKind.EXPIRED), Signal(32)
        with m.If(both.overrides.ended):
            m.d.sync += owner.eq(Mux(both.staging.apply, both.staging.peer_ip, both.overrides.owner))
        expired = internal(inside, "expired")
        self.always(~expired | (owner == both.overrides.owner), "another owner than that of the end")
        self.always(~is_end | (expired & (Cat(words[3], words[2]) == owner)), "an end is told of another client")


def _ones(bits: Value) -> Value:
    return sum(bits[place] for place in range(len(bits)))


PROPERTIES = (
    Property(
        name="scada_whole_requests",
        core="scada/overrides",
        says="The override's registers are written, and a trip cleared, only by the end of a request of which no word was refused: those "
        "that it named, with what was staged, within its range. In force is never more than the node's own, nor than was asked for; an "
        "override's end gives all of it back in one clock.",
        parameters="with the register file's staging, any settings, 4 clocks a second",
        spec=OnlyAWholeRequest,
        mutant=Mutant("what is staged is written at once", "scada.overrides", "self.apply & self.written[bit]", "self.written[bit]"),
        depth=2,
        reach=8,
    ),
    Property(
        name="scada_writes_told",
        core="scada/events",
        says="A request is busy only while the ring is full, however soon it follows another. Each register that was written is told once, "
        "within 7 clocks, with its value, the one before, client and time; no event is ever overwritten, and an override's end has its "
        "place and is told of who wrote last: its own client, or the one whose request is done in the very clock of the end.",
        parameters="with MODBUS server, staging and override, any settings; given that the host frees no more events than there are, and "
        "that a client's address holds while its request is open",
        spec=EveryWriteIsTold,
        mutant=Mutant("what is refused is staged", "scada.staging", "here[place] & (verdict == Refusal.NONE)", "here[place]"),
        depth=2,
        reach=4,
        anywhere=frozenset({Task.COVER, Task.REFUTE}),
    ),
)
