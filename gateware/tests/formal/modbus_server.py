"""What has to hold of the MODBUS server, whatever comes over the stream and whatever the registers say.

Nothing is assumed of the stream: bytes may come at any time or never, `settled`, `accepted` and `cancel` be anything in every clock. Where
the server waits for its partner it may wait for ever; what is proven of its progress is that of all other clocks.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Fragment, Module, Mux, Signal, Value

from .mutant import Mutant
from .override_registers import CLOCKS_PER_SECOND, OverrideRegisters
from .proof import Property, Task
from .spec import Spec, internal, state

READS_BITS, READS_WORDS = (1, 2), (3, 4)
WRITES_ONE, WRITES_BITS, WRITES_WORDS, MASKS, READS_AND_WRITES = (5, 6), (15,), (16,), (22,), (23,)
WRITES = WRITES_ONE + WRITES_BITS + WRITES_WORDS + MASKS + READS_AND_WRITES
CLOSED = ("HEADER", "FUNCTION", "REOPEN", "ANSWER", "COUNT_MESSAGE", "COUNT_EXCEPTION", "COUNT_BUSY", "CLEAR", "CLOSE")
"""States in which no request is open at the register port."""
DIAGNOSES, IDENTIFIES, NAMES_ITSELF = (8,), (43,), (17,)
MOST_BYTES = 253
"""Of a PDU: what follows the unit identifier."""
MOST_BITS = 2000


class Request:
    """The request as the server holds it, and what holds of it in each of the server's states."""

    def __init__(self, spec: Spec, server, inside: Fragment) -> None:
        self._spec, self._inside = spec, inside
        names = ("function", "left", "place", "index", "count", "asked", "bit_place", "step", "settling", "exception")
        for name in (*names, "quantity", "fourth", "text_at", "text_end"):
            setattr(self, name, internal(inside, name))
        self.takes = server.stream.valid & server.stream.ready

    def within(self, *names: str) -> Value:
        return state(self._inside, *names)

    def is_one_of(self, *codes: int) -> Value:
        return Cat(self.function == code for code in codes).any()

    def _in(self, name: str, condition: Value, message: str) -> None:
        self._spec.always(~self.within(name) | condition, f"{name}: {message}", said_at=1)

    def holds(self) -> None:
        """In every state: which functions come here, how many bytes are left, how far a count has come."""
        spec, left, place, to_come = self._spec, self.left, self.place, (self.count - self.index)[:12]
        spec.always(self.within(*self._inside.generated["fsm"].encoding), "in no state at all")
        spec.always(~self.takes | self.within("HEADER") | (left != 0), "a byte is taken that is not of the request")

        functions = {
            "FIELDS": (*READS_BITS, *READS_WORDS, *WRITES, *DIAGNOSES),
            "COUNT": WRITES_BITS + WRITES_WORDS + READS_AND_WRITES,
            "DISPATCH": (*READS_BITS, *READS_WORDS, *WRITES),
            "READ_BITS": READS_BITS,
            "READ_WORDS": READS_WORDS + READS_AND_WRITES,
            "STAGE_ONE": WRITES_ONE,
            "MASK": MASKS,
            "MASKED": MASKS,
            "WRITE_BITS": WRITES_BITS,
            "STAGE_BITS": WRITES_BITS,
            "WRITE_WORDS": WRITES_WORDS + READS_AND_WRITES,
            "JUDGE": WRITES,
        }
        functions |= dict.fromkeys(("JUDGE_WRITE", "CHECK", "WRITE_FIRST", "REOPEN"), READS_AND_WRITES)
        functions |= dict.fromkeys(("DIAGNOSE", "ECHO", "COUNTER", "COUNTER_VALUE"), DIAGNOSES)
        functions |= dict.fromkeys(("INTERFACE", "CODE", "OBJECT", "OBJECT_LENGTH"), IDENTIFIES)
        functions |= dict.fromkeys(("TEXT", "TEXT_BYTE"), IDENTIFIES + NAMES_ITSELF)
        for name, codes in functions.items():
            self._in(name, self.is_one_of(*codes), "with another function")
            self._in(name, self.exception == 0, "with an exception")
        self._in("DISCARD", self.exception != 0, "without an exception")
        self._in("FUNCTION", self.exception == 0, "with an exception")
        answers = self.within("COMPOSE", "SETTLE", "ANSWER")
        known = self.is_one_of(*READS_BITS, *READS_WORDS, *WRITES, *DIAGNOSES, *NAMES_ITSELF, *IDENTIFIES)
        spec.always(~answers | (self.exception != 0) | known, "an answer to an unknown function")

        self._in("HEADER", (place <= 5) | ((place == 6) & (left >= 2)), "nothing is left after the header")
        self._in("FUNCTION", (left >= 1) & (place == 0), "nothing is left")
        fields = {
            (*READS_BITS, *READS_WORDS, *WRITES_ONE): (place <= 3) & (left == 4 - place),
            (*WRITES_BITS, *WRITES_WORDS): (place <= 3) & (left >= 6 - place),
            MASKS: (place <= 5) & (left == 6 - place),
            READS_AND_WRITES: (place <= 7) & (left >= 11 - place),
            DIAGNOSES: (place <= 1) & (left >= 2 - place),
        }
        for codes, fits in fields.items():
            self._in("FIELDS", ~self.is_one_of(*codes) | fits, "too few bytes are left")
        self._in("COUNT", left >= 2, "too few bytes are left")
        self._in("DISPATCH", Mux(self.is_one_of(15, 16, 23), left >= 1, left == 0), "another number of bytes is left")
        self._in("COUNTER", (left + place == 2) & (place <= 1), "another number of bytes is left")
        for name, bytes_left in (("INTERFACE", left >= 1), ("CODE", left == 2), ("OBJECT", left == 1)):
            self._in(name, bytes_left, "another number of bytes is left")
        done = ("READ_BITS", "READ_WORDS", "STAGE_ONE", "MASK", "MASKED", "JUDGE", "WRITE_FIRST", "REOPEN", "COUNTER_VALUE")
        for name in (*done, "OBJECT_LENGTH", "TEXT", "TEXT_BYTE", "COMPOSE", "SETTLE", "ANSWER"):
            self._in(name, left == 0, "the request has not been read to its end")

        counted = (self.index <= self.count) & (self.count >= 1)
        for name in ("READ_BITS", "READ_WORDS", "CHECK"):
            self._in(name, counted & Mux(self.asked, self.index >= 1, self.index == 0), "counts past its end")
        self._in("READ_BITS", self.count <= MOST_BITS, "counts too many")
        self._in("READ_WORDS", self.count <= 125, "counts too many")
        self._in("CHECK", (self.count <= 125), "counts too many")
        many = (self.quantity >= 1) & (self.quantity <= 125) & (self.fourth >= 1) & (self.fourth <= 121)
        many &= left == self.fourth << 1
        for name in ("JUDGE_WRITE", "CHECK"):
            self._in(name, many & (place == 0), "not the bytes that are to be written")
        for name in ("JUDGE_WRITE", "CHECK", "WRITE_WORDS", "JUDGE", "WRITE_FIRST", "REOPEN"):
            self._in(name, ~self.is_one_of(23) | ((self.quantity >= 1) & (self.quantity <= 125)), "reads too many after the write")
        self._in("REOPEN", (self.count == self.quantity) & (self.index == 0) & ~self.asked, "does not read from the start")
        self._in("DISPATCH", (place == 0) | ~self.is_one_of(15, 16, 23), "would begin in the middle of a word")
        self._in(
            "WRITE_WORDS",
            (place <= 1) & (self.index < self.count) & (self.count <= 123) & (left == (to_come << 1) - place),
            "not the words to come",
        )
        bits = Mux(self.within("STAGE_BITS"), 8 - self.bit_place, 0)
        for name in ("WRITE_BITS", "STAGE_BITS"):
            few = ((left << 3) + bits < to_come + 8) & (to_come <= (left << 3) + bits) & (self.index < self.count)
            self._in(name, few & (self.count <= 1968), "not the bits to come")
        for name in ("JUDGE_WRITE", "CHECK", "STAGE_ONE", "MASK", "MASKED", "WRITE_WORDS", "WRITE_BITS", "STAGE_BITS"):
            self._in(name, self.settling == 0, "would not settle")
        for name in ("JUDGE", "REOPEN"):
            self._in(name, self.settling <= 2, "settles for ever")
        self._in("TEXT", self.text_at < self.text_end, "a text without an end")
        self._in("TEXT_BYTE", (self.text_at <= self.text_end) & (self.text_at != 0), "past the end of the text")
        self._in("OBJECT_LENGTH", self.text_at < self.text_end, "a text without an end")
        self._in("CLEAR", place <= 3, "clears for ever")
        for name in ("COUNT_MESSAGE", "COUNT_EXCEPTION", "COUNT_BUSY"):
            self._in(name, place == 0, "would begin in the middle of a header, or of the counters")
        spec.always(Mux(self.within("COMPOSE"), self.step <= 6, self.step == 0), "begins its answer in the middle")


class NoDeadEnd(Spec):
    """A measure of what is to be done goes down in every clock in which the server does not wait for its partner."""

    def build(self, m: Module) -> None:
        from thermogen_gateware.network.modbus_identification import Identification
        from thermogen_gateware.network.modbus_server import ModbusServer

        server = ModbusServer(Identification("v", "p", "r"))
        inside = self.around(server)
        request = Request(self, server, inside)
        request.holds()
        stream, within = server.stream, request.within

        waits, measure = Signal(), Signal(14)
        m.d.comb += waits.eq(
            (stream.ready & ~stream.valid)
            | (within("SETTLE", "WRITE_FIRST") & ~stream.settled)
            | (within("ANSWER") & ~stream.accepted)
            | within("CLOSE")
        )
        to_do, below = [], 1
        for most, states in reversed(self._stages(request)):
            to_do += [Mux(within(name), below + remains, 0) for name, remains in states.items()]
            below += most + 1
        m.d.comb += measure.eq(sum(to_do))
        idle = within("HEADER")
        ran = ~self.past(self.domain.rst) & self.past(~idle)
        self.always(measure < below, "there is more to do than there can be")
        self.always(idle | (measure != 0), "a state without measure")
        self.always(~(ran & ~self.past(waits)) | idle | (measure < self.past(measure)), "nothing was waited for, and nothing done")
        self.always(~(ran & self.past(waits)) | idle | (measure <= self.past(measure)), "waiting makes work")
        self.always(~(ran & self.past(stream.cancel)) | idle, "cancelled, but not ready")
        self.always(~within("CLOSE") | (stream.close & ~stream.ready), "waits for nobody")
        self.possible(within("ANSWER") & stream.accepted & (request.exception == 1))
        self.possible(self.past(within("CLOSE")) & idle)

    def _stages(self, request: Request) -> list[tuple[int, dict[str, Value | int]]]:
        """The states in the order in which they follow each other; the most clocks in each stage, and what remains of them."""
        to_come, settling = (request.count - request.index)[:12], (2 - request.settling)[:2]
        left, place, bits = request.left, request.place, (8 - request.bit_place)[:4]
        return [
            (0, {"FUNCTION": 0}),
            (7, {"FIELDS": (7 - place)[:3], "INTERFACE": 1, "CODE": 0}),
            (0, {"COUNT": 0, "OBJECT": 0}),
            (0, {"DISPATCH": 0, "DIAGNOSE": 0, "OBJECT_LENGTH": 0}),
            (1, {"JUDGE_WRITE": 1, "MASK": 0}),
            (125, {"CHECK": to_come}),
            (16 * 256, {"STAGE_ONE": 0, "MASKED": 0, "WRITE_WORDS": left, "WRITE_BITS": left << 4, "STAGE_BITS": (left << 4) + bits}),
            (2, {"JUDGE": settling}),
            (3, {"WRITE_FIRST": 3, "REOPEN": settling}),
            (MOST_BITS, {"READ_BITS": to_come, "READ_WORDS": to_come}),
            (256, {"TEXT": 256, "TEXT_BYTE": (request.text_end - request.text_at)[:8], "ECHO": left, "COUNTER": left, "COUNTER_VALUE": 0}),
            (MOST_BYTES, {"DISCARD": left}),
            (6, {"COMPOSE": (6 - request.step)[:3]}),
            (0, {"SETTLE": 0}),
            (0, {"ANSWER": 0}),
            (0, {"COUNT_MESSAGE": 0}),
            (3, {"COUNT_EXCEPTION": 1, "COUNT_BUSY": 0, "CLEAR": (3 - place)[:2]}),
            (0, {"CLOSE": 0}),
        ]


class AnswersFit(Spec):
    """An answer is no longer than an ADU, nothing is written outside of one, and nothing while it waits to be taken over."""

    def build(self, m: Module) -> None:
        from thermogen_gateware.network.modbus_identification import Identification
        from thermogen_gateware.network.modbus_server import ModbusServer
        from thermogen_gateware.network.tcp_segment import ADU_BYTES

        identification = Identification("v", "p", "r")
        server = ModbusServer(identification)
        inside = self.around(server)
        request = Request(self, server, inside)
        request.holds()
        stream, within, left, place = server.stream, request.within, request.left, request.place
        offset, size = internal(inside, "offset"), internal(inside, "answer_bytes")
        texts = len(identification.memory()[0])

        self.always(~(within("HEADER") & (place == 6)) | (left <= MOST_BYTES + 1), "a longer request than there can be")
        self.always(~within("FUNCTION") | (left <= MOST_BYTES), "a longer request than there can be")
        self.always(~within("FIELDS") | (left + place <= MOST_BYTES - 1), "a longer request than there can be")
        self.always(~within("DIAGNOSE") | (left <= MOST_BYTES - 3), "a longer request than there can be")
        asked_for = (request.index - request.asked)[:12]
        self.always(~within("REOPEN") | (offset == 9), "a word is written in another's place")
        self.always(~within("READ_WORDS") | (offset == 9 + (asked_for << 1)), "a word is written in another's place")
        self.always(
            ~within("READ_BITS") | ((offset == 9 + (asked_for >> 3)) & (request.bit_place == asked_for[:3])), "bits in others' place"
        )
        self.always(~within("ECHO") | ((offset + left == size) & (size <= ADU_BYTES)), "a longer echo than its request")
        self.always(~within("COUNTER", "COUNTER_VALUE") | (offset == 10), "the counter in another place")
        self.always(~within("OBJECT", "OBJECT_LENGTH", "TEXT") | (offset <= 14), "a text in another place")
        self.always(~within("OBJECT_LENGTH", "TEXT", "TEXT_BYTE") | (request.text_end <= texts), "a text that is not there")
        remains = (request.text_end - request.text_at)[:9]
        self.always(~within("TEXT_BYTE") | (offset + remains <= 14 + texts), "a longer text than there is")
        reads, checks = ("READ_BITS", "READ_WORDS", "REOPEN"), ("JUDGE_WRITE", "CHECK", "MASK", "MASKED", "JUDGE", "WRITE_FIRST")
        writes = ("STAGE_ONE", "WRITE_BITS", "STAGE_BITS", "WRITE_WORDS")
        told = ("COUNTER", "COUNTER_VALUE", "TEXT", "TEXT_BYTE", "COMPOSE", "SETTLE", "ANSWER")
        sized = (*reads, *checks, *writes, *told)
        self.always(~within(*sized) | (size <= ADU_BYTES), "a longer answer than an ADU")

        self.always(~stream.answered | (stream.length <= ADU_BYTES), "a longer answer than an ADU")
        self.always(~stream.write | (stream.offset + ~stream.single < ADU_BYTES), "written behind the end of an ADU")
        waits = self.past(stream.answered & ~stream.accepted & ~stream.cancel & ~self.domain.rst)
        held = stream.answered & (stream.length == self.past(stream.length))
        self.always(~waits | held, "an answer is taken back")
        self.always(~(stream.answered & stream.write), "written while it is taken over")
        self.always(~(stream.answered & stream.ready), "reads on while it is taken over")
        self.always(~self.past(stream.answered) | ~stream.write, "written while it is taken over")
        self.possible(stream.answered & (stream.length == ADU_BYTES))
        self.possible(stream.answered & (stream.length == 259))


class RefusedWritesNothing(Spec):
    """Server, staging and override together: what was answered with an exception has changed no register of the override and cleared no
    trip, and a write answered without one is applied."""

    def build(self, m: Module) -> None:
        from thermogen_gateware.network.modbus_identification import Identification
        from thermogen_gateware.network.modbus_server import ModbusServer
        from thermogen_gateware.network.ports import Refusal
        from thermogen_gateware.scada.overrides import Overrides
        from thermogen_gateware.scada.staging import WriteStaging

        server, staging = ModbusServer(Identification("v", "p", "r")), WriteStaging()
        inside = self.around(server, "server", driven=("registers",))
        orders = ("begin", "end", "abort", "write", "space", "address", "value", "peer_ip")
        staged_inside = self.around(staging, "staging", driven=orders)
        port, stream = server.registers, server.stream
        m.d.comb += [getattr(staging, name).eq(getattr(port, name)) for name in orders]
        m.d.comb += port.refusal.eq(staging.refusal)
        self.ports += [port.data, port.exists]
        overrides = Overrides(CLOCKS_PER_SECOND)
        kept = OverrideRegisters(self, overrides, self.around(overrides, "overrides", driven=("apply", "written", "staged", "ip")))
        m.d.comb += [getattr(overrides, name).eq(getattr(staging, name)) for name in ("apply", "written", "staged")]
        m.d.comb += overrides.ip.eq(port.peer_ip)

        # From outside: the function code of the answer as it is written, and whether anything was made true since the last answer.
        told, applied, staged = Signal(), Signal(), Signal()
        with m.If(stream.write & (stream.offset == 6) & ~stream.single):
            m.d.sync += told.eq(stream.word[7])
        with m.If(staging.apply):
            m.d.sync += applied.eq(1)
        over = Signal()
        m.d.comb += over.eq(stream.cancel | (stream.answered & stream.accepted))
        with m.If(over):
            m.d.sync += applied.eq(0)
        with m.If(port.write):
            m.d.sync += staged.eq(1)
        with m.If(port.begin):
            m.d.sync += staged.eq(0)

        request = Request(self, server, inside)
        request.holds()
        within, sound = request.within, request.exception == 0
        # What a request does is in the registers a clock after it is applied.
        done, since = Signal(), Signal()
        m.d.comb += done.eq(since | kept.written() | (kept.ran & self.past(overrides.trip_clear)))
        m.d.sync += since.eq(done & ~self.past(over))
        self.always(~kept.written() | self.past(staging.apply), "written without having been applied")
        self.always(~since | applied | self.past(over), "written without having been applied")
        self.always(~self.past(over) | ~within("ANSWER"), "answers twice")
        opened, written = internal(inside, "opened"), internal(inside, "written")
        self.always(internal(staged_inside, "open_") == opened, "server and file do not agree that a request is open")
        self.always(opened == ~within(*CLOSED), "open between requests, or closed in one")
        accepted = staging.refusal == Refusal.NONE
        self.always(~(opened & staged & accepted) | staging.written.any(), "something was staged, nothing is kept, nothing refused")
        self.always(~within("ANSWER") | (told == ~sound), "the answer says another thing")
        self.always(~(within("SETTLE") | (within("COMPOSE") & (request.step > 3))) | (told == ~sound), "the answer says another thing")
        writes, twice = request.is_one_of(*WRITES), request.is_one_of(*READS_AND_WRITES)
        before = within("JUDGE", "WRITE_FIRST") | (within("COMPOSE", "SETTLE") & sound & writes & ~twice)
        self.always(~before | (opened & staged), "judged without a word")
        self.always(~(before & ~within("JUDGE")) | accepted, "goes on with what was refused")
        after = within("REOPEN") | (within("READ_WORDS") & twice) | (within("COMPOSE", "SETTLE") & sound & twice)
        self.always(~after | within("REOPEN") | written, "would refuse after the write")
        self.always(~applied | after | within("ANSWER"), "applied too early")
        self.always(~after | applied, "reads before it has written")

        self.always(~(stream.answered & told & (applied | done)), "written, and answered with an exception")
        self.always(~(stream.answered & ~told & writes) | applied, "answered without an exception, and not written")
        self.possible(stream.answered & ~told & done)
        self.possible(stream.answered & told & (staging.refusal == Refusal.ILLEGAL_VALUE))


PROPERTIES = (
    Property(
        name="modbus_no_dead_end",
        core="network/modbus_server",
        says="From each of its 37 states the MODBUS server comes back to where it takes a request: a measure of what is to be done, at "
        "most 7,000, goes down in every clock in which it waits for neither a byte, a settled frame, nor its answer's acceptance, and "
        "never up; a cancel ends whatever it does. No byte is taken beyond the request's own end, and no answer given before it.",
        parameters="identification of three letters",
        spec=NoDeadEnd,
        mutant=Mutant("a request of no function is begun", "network.modbus_server", " | ~pair[1:].any()", ""),
        depth=2,
        reach=18,
        anywhere=frozenset({Task.COVER}),
    ),
    Property(
        name="modbus_answers_fit",
        core="network/modbus_server",
        says="No answer is longer than an ADU of 260 bytes, nothing is written behind its end, and an answer that was given stays as it is "
        "until it is taken over or cancelled; meanwhile nothing is read.",
        parameters="identification of three letters",
        spec=AnswersFit,
        mutant=Mutant(
            "more registers are read than fit", "network.modbus_server", "with m.If(none | exceeds(quantity, 125)):", "with m.If(none):"
        ),
        depth=2,
        reach=4,
        anywhere=frozenset({Task.COVER, Task.REFUTE}),
    ),
    Property(
        name="modbus_refused_writes_nothing",
        core="network/modbus_server",
        says="No register of the override is written and no trip cleared by a request that is answered with an exception, by the answer's "
        "own function code; what a write staged is made true once its answer has none.",
        parameters="with the register file's staging and override, every register of the map, any settings",
        spec=RefusedWritesNothing,
        mutant=Mutant(
            "what the file refuses is not looked at",
            "network.modbus_server",
            "with m.If(registers.refusal != Refusal.NONE):",
            "with m.If(C(0)):",
        ),
        depth=2,
        reach=4,
        anywhere=frozenset({Task.COVER, Task.REFUTE}),
    ),
)
