"""A MODBUS server on a stream of bytes: one request at a time is taken apart as it comes in, done when it is believed, and answered.

Reference: MODBUS application protocol V1.1b3 (functions and exceptions, in the order of its state diagrams), messaging guide V1.0b
section 3.1 (MBAP: another protocol or a length that cannot be closes the connection). A request whose length does not suit its function
is read to the end that its header names and answered with exception 3. Reads begin before the frame is believed, writes are staged and
made true after. Latency: an answer is ready 10 clocks and one for each word after the request's last byte, a coil or discrete input
counting as a word.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from contextlib import contextmanager

from amaranth.hdl import C, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .comparison import exceeds
from .modbus_identification import BASIC_OBJECTS, CONFORMITY, REGULAR_OBJECTS, Identification
from .ports import Refusal, RegisterPortSignature
from .tcp_segment import ADU_BYTES
from .tcp_stream import LENGTH_CLOCKS, TcpStreamSignature

HEADER_BYTES = 7


class Function(enum.IntEnum):
    """Function codes."""

    READ_COILS = 1
    READ_DISCRETE_INPUTS = 2
    READ_HOLDING_REGISTERS = 3
    READ_INPUT_REGISTERS = 4
    WRITE_COIL = 5
    WRITE_REGISTER = 6
    DIAGNOSTICS = 8
    WRITE_COILS = 15
    WRITE_REGISTERS = 16
    REPORT_SERVER_ID = 17
    MASK_WRITE_REGISTER = 22
    READ_WRITE_REGISTERS = 23
    ENCAPSULATED = 43


class Space(enum.IntEnum):
    """The register port's spaces."""

    COILS = 0
    DISCRETE_INPUTS = 1
    INPUT_REGISTERS = 2
    HOLDING_REGISTERS = 3


class Diagnostic(enum.IntEnum):
    """Sub-functions of function 8 that are there."""

    ECHO = 0
    CLEAR = 10
    MESSAGES = 11
    COMMUNICATION_ERRORS = 12
    EXCEPTIONS = 13
    SERVER_MESSAGES = 14
    NO_RESPONSES = 15
    NAKS = 16
    BUSY = 17
    OVERRUNS = 18


COUNTED = (
    (Diagnostic.MESSAGES, Diagnostic.SERVER_MESSAGES),
    (Diagnostic.EXCEPTIONS,),
    (Diagnostic.BUSY,),
    (Diagnostic.COMMUNICATION_ERRORS,),
)
"""What is counted; of the others there are none."""
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3
READ_DEVICE_IDENTIFICATION = 14
COIL_ON = 0xFF00


class ModbusServer(wiring.Component):
    """From a TCP connection's bytes to the registers and back. `answered` strobes for each answer, `refused` beside for an exception."""

    def __init__(self, identification: Identification):
        self._identification = identification
        super().__init__(
            {"stream": In(TcpStreamSignature()), "registers": Out(RegisterPortSignature()), "answered": Out(1), "refused": Out(1)}
        )

    def elaborate(self, _platform):
        m = Module()
        stream, registers = self.stream, self.registers

        # The request.
        transaction, unit, function = Signal(16), Signal(8), Signal(8)
        before, pair = Signal(8), Signal(16)
        left = Signal(9)
        place = Signal(3)
        address, quantity, third, fourth = Signal(16), Signal(16), Signal(16), Signal(16)
        exception = Signal(3)
        takes = Signal()
        m.d.comb += [takes.eq(stream.valid & stream.ready), pair.eq(Cat(stream.byte, before)), registers.peer_ip.eq(stream.peer_ip)]
        with m.If(takes):
            m.d.sync += [before.eq(stream.byte), left.eq(left - 1)]

        is_read_bits = (function == Function.READ_COILS) | (function == Function.READ_DISCRETE_INPUTS)
        is_read_words = (function == Function.READ_HOLDING_REGISTERS) | (function == Function.READ_INPUT_REGISTERS)
        is_read_write = function == Function.READ_WRITE_REGISTERS
        is_write_many = (function == Function.WRITE_COILS) | (function == Function.WRITE_REGISTERS)
        space = Signal(2)
        with m.Switch(function):
            with m.Case(Function.READ_COILS, Function.WRITE_COIL, Function.WRITE_COILS):
                m.d.comb += space.eq(Space.COILS)
            with m.Case(Function.READ_DISCRETE_INPUTS):
                m.d.comb += space.eq(Space.DISCRETE_INPUTS)
            with m.Case(Function.READ_INPUT_REGISTERS):
                m.d.comb += space.eq(Space.INPUT_REGISTERS)
            with m.Default():
                m.d.comb += space.eq(Space.HOLDING_REGISTERS)
        m.d.comb += registers.space.eq(space)

        # The answer.
        answer_bytes = Signal(range(ADU_BYTES + 1))
        offset = Signal(range(ADU_BYTES + 1))
        opened, written = Signal(), Signal()
        index, count = Signal(12), Signal(12)
        asked = Signal()
        bits, bit_place = Signal(8), Signal(3)
        step = Signal(3)
        settling = Signal(2)
        m.submodules.counters = counters = Memory(shape=16, depth=4, init=[])
        count_read, count_write = counters.read_port(domain="comb"), counters.write_port()
        counting, clearing = Signal(), Signal()
        counter = Signal(2)
        m.d.comb += [
            count_read.addr.eq(counter),
            count_write.addr.eq(counter),
            count_write.en.eq(counting | clearing),
            count_write.data.eq(Mux(clearing, 0, count_read.data + 1)),
        ]
        memory, starts = self._identification.memory()
        m.submodules.identification = identification = Memory(shape=8, depth=len(memory), init=memory)
        texts = identification.read_port()
        text_at, text_end = Signal(range(len(memory) + 1)), Signal(range(len(memory) + 1))
        m.d.comb += [stream.length.eq(answer_bytes), texts.addr.eq(text_at)]

        def refuse(code) -> None:
            """Read what is left of the request, then say why not."""
            m.d.sync += exception.eq(code)
            m.next = "DISCARD"

        def begin_read() -> None:
            m.d.sync += [index.eq(0), asked.eq(0), bit_place.eq(0), offset.eq(HEADER_BYTES + 2)]

        # One adder for all addresses; while a request is judged it says whether the last one is still an address.
        base, distance, reached = Signal(16), Signal(16), Signal(17)
        judging, beyond, of_write = Signal(), Signal(), Signal()
        none = Signal()
        bit_bytes = Signal(14)
        m.d.comb += [
            base.eq(Mux(of_write, third, address)),
            distance.eq(Mux(judging, Mux(of_write, fourth, quantity), index)),
            reached.eq(base + distance),
            registers.address.eq(reached[:16]),
            beyond.eq(reached[16] & reached[:16].any()),
            none.eq(quantity == 0),
            bit_bytes.eq((quantity + 7) >> 3),
        ]

        @contextmanager
        def state(name: str) -> Iterator[None]:
            """A state that is left for the next request when this one is cancelled."""
            with m.State(name):
                yield
                with m.If(stream.cancel):
                    m.next = "HEADER"

        with m.FSM():
            with state("HEADER"):
                m.d.comb += stream.ready.eq(1)
                m.d.sync += exception.eq(0)
                with m.If(takes):
                    m.d.sync += place.eq(place + 1)
                    with m.Switch(place):
                        with m.Case(1):
                            m.d.sync += transaction.eq(pair)
                        with m.Case(3), m.If(pair != 0):
                            m.next = "CLOSE"
                        with m.Case(5):
                            m.d.sync += left.eq(pair)
                            with m.If(exceeds(pair, 254) | ~pair[1:].any()):
                                m.next = "CLOSE"
                        with m.Case(6):
                            m.d.sync += [unit.eq(stream.byte), place.eq(0)]
                            m.next = "FUNCTION"
            with state("FUNCTION"):
                m.d.comb += [stream.ready.eq(1), stream.restart.eq(takes)]
                with m.If(takes):
                    # What is left of the PDU after this byte, against what the function has.
                    rest = left - 1
                    m.d.comb += registers.begin.eq(1)
                    m.d.sync += [function.eq(stream.byte), opened.eq(1), written.eq(0), place.eq(0)]
                    with m.Switch(stream.byte):
                        with m.Case(1, 2, 3, 4, 5, 6):
                            m.next = "FIELDS"
                            with m.If(rest != 4):
                                refuse(ILLEGAL_VALUE)
                        with m.Case(Function.WRITE_COILS, Function.WRITE_REGISTERS):
                            m.next = "FIELDS"
                            with m.If(rest < 6):
                                refuse(ILLEGAL_VALUE)
                        with m.Case(Function.MASK_WRITE_REGISTER):
                            m.next = "FIELDS"
                            with m.If(rest != 6):
                                refuse(ILLEGAL_VALUE)
                        with m.Case(Function.READ_WRITE_REGISTERS):
                            m.next = "FIELDS"
                            with m.If(rest < 11):
                                refuse(ILLEGAL_VALUE)
                        with m.Case(Function.DIAGNOSTICS):
                            m.next = "FIELDS"
                            with m.If((rest < 2) | rest[0]):
                                refuse(ILLEGAL_VALUE)
                        with m.Case(Function.REPORT_SERVER_ID):
                            m.d.sync += [
                                text_at.eq(starts[-2]),
                                text_end.eq(starts[-1]),
                                offset.eq(HEADER_BYTES + 1),
                                answer_bytes.eq(HEADER_BYTES + 1 + starts[-1] - starts[-2]),
                            ]
                            m.next = "TEXT"
                            with m.If(rest != 0):
                                refuse(ILLEGAL_VALUE)
                        with m.Case(Function.ENCAPSULATED):
                            m.next = "INTERFACE"
                            with m.If(rest == 0):
                                refuse(ILLEGAL_VALUE)
                        with m.Default():
                            refuse(ILLEGAL_FUNCTION)

            # Up to four words that the functions begin with.
            with state("FIELDS"):
                m.d.comb += stream.ready.eq(1)
                with m.If(takes):
                    m.d.sync += place.eq(place + 1)
                    with m.Switch(place):
                        with m.Case(1):
                            m.d.sync += address.eq(pair)
                            with m.If(function == Function.DIAGNOSTICS):
                                m.next = "DIAGNOSE"
                        with m.Case(3):
                            m.d.sync += quantity.eq(pair)
                            with m.If(is_write_many):
                                m.next = "COUNT"
                            with m.Elif((function != Function.MASK_WRITE_REGISTER) & ~is_read_write):
                                m.next = "DISPATCH"
                        with m.Case(5):
                            m.d.sync += third.eq(pair)
                            with m.If(function == Function.MASK_WRITE_REGISTER):
                                m.next = "DISPATCH"
                        with m.Case(7):
                            m.d.sync += fourth.eq(pair)
                            m.next = "COUNT"
            with state("COUNT"):
                m.d.comb += stream.ready.eq(1)
                with m.If(takes):
                    m.d.sync += [place.eq(0), index.eq(0)]
                    m.next = "DISPATCH"
                    with m.If(left - 1 != stream.byte):
                        refuse(ILLEGAL_VALUE)
            with state("DISPATCH"):
                # `left` is the byte count of those that have one.
                m.d.comb += judging.eq(1)
                begin_read()
                m.d.sync += [count.eq(quantity), answer_bytes.eq(HEADER_BYTES + 5), settling.eq(0)]
                with m.Switch(function):
                    with m.Case(Function.READ_COILS, Function.READ_DISCRETE_INPUTS):
                        m.d.sync += answer_bytes.eq(HEADER_BYTES + 2 + bit_bytes[:8])
                        m.next = "READ_BITS"
                        with m.If(none | exceeds(quantity, 2000)):
                            refuse(ILLEGAL_VALUE)
                        with m.Elif(beyond):
                            refuse(ILLEGAL_ADDRESS)
                    with m.Case(Function.READ_HOLDING_REGISTERS, Function.READ_INPUT_REGISTERS):
                        m.d.sync += answer_bytes.eq(HEADER_BYTES + 2 + (quantity << 1)[:8])
                        m.next = "READ_WORDS"
                        with m.If(none | exceeds(quantity, 125)):
                            refuse(ILLEGAL_VALUE)
                        with m.Elif(beyond):
                            refuse(ILLEGAL_ADDRESS)
                    with m.Case(Function.WRITE_COIL):
                        m.next = "STAGE_ONE"
                        with m.If((quantity != 0) & (quantity != COIL_ON)):
                            refuse(ILLEGAL_VALUE)
                    with m.Case(Function.WRITE_REGISTER):
                        m.next = "STAGE_ONE"
                    with m.Case(Function.WRITE_COILS):
                        m.next = "WRITE_BITS"
                        with m.If(none | exceeds(quantity, 1968) | (bit_bytes != left)):
                            refuse(ILLEGAL_VALUE)
                        with m.Elif(beyond):
                            refuse(ILLEGAL_ADDRESS)
                    with m.Case(Function.WRITE_REGISTERS):
                        m.next = "WRITE_WORDS"
                        with m.If(none | exceeds(quantity, 123) | ((quantity << 1) != left)):
                            refuse(ILLEGAL_VALUE)
                        with m.Elif(beyond):
                            refuse(ILLEGAL_ADDRESS)
                    with m.Case(Function.MASK_WRITE_REGISTER):
                        m.d.sync += answer_bytes.eq(HEADER_BYTES + 7)
                        m.next = "MASK"
                    with m.Case(Function.READ_WRITE_REGISTERS):
                        m.d.sync += answer_bytes.eq(HEADER_BYTES + 2 + (quantity << 1)[:8])
                        m.next = "JUDGE_WRITE"
                        with m.If(none | exceeds(quantity, 125) | (fourth == 0) | exceeds(fourth, 121) | ((fourth << 1) != left)):
                            refuse(ILLEGAL_VALUE)
                        with m.Elif(beyond):
                            refuse(ILLEGAL_ADDRESS)

            with state("JUDGE_WRITE"):
                m.d.comb += [judging.eq(1), of_write.eq(1)]
                m.next = "CHECK"
                with m.If(beyond):
                    refuse(ILLEGAL_ADDRESS)

            # Reads: an address a clock, its word in the next.
            with state("READ_WORDS"):
                m.d.sync += [asked.eq(1), index.eq(index + 1)]
                m.d.comb += [stream.offset.eq(offset), stream.word.eq(registers.data), stream.sure.eq(count - index <= LENGTH_CLOCKS - 2)]
                with m.If(asked):
                    m.d.comb += stream.write.eq(1)
                    m.d.sync += offset.eq(offset + 2)
                    with m.If(~registers.exists & ~written):
                        refuse(ILLEGAL_ADDRESS)
                    with m.Elif(index == count):
                        m.next = "COMPOSE"
            with state("READ_BITS"):
                m.d.sync += [asked.eq(1), index.eq(index + 1)]
                gathered = Signal(8)
                m.d.comb += [
                    gathered.eq(bits | (registers.data[0] << bit_place)),
                    stream.offset.eq(offset),
                    stream.single.eq(1),
                    stream.word.eq(Cat(C(0, 8), gathered)),
                ]
                with m.If(~asked):
                    m.d.sync += bits.eq(0)
                with m.Else():
                    m.d.sync += [bit_place.eq(bit_place + 1), bits.eq(gathered)]
                    with m.If((bit_place == 7) | (index == count)):
                        m.d.comb += stream.write.eq(1)
                        m.d.sync += [offset.eq(offset + 1), bits.eq(0)]
                    with m.If(~registers.exists):
                        refuse(ILLEGAL_ADDRESS)
                    with m.Elif(index == count):
                        m.next = "COMPOSE"
            with state("CHECK"):
                # What is read after the write must be there before it.
                m.d.sync += [asked.eq(1), index.eq(index + 1)]
                with m.If(asked):
                    with m.If(~registers.exists):
                        refuse(ILLEGAL_ADDRESS)
                    with m.Elif(index == count):
                        m.d.sync += [index.eq(0), count.eq(fourth)]
                        m.next = "WRITE_WORDS"

            # Writes: staged as they come, judged two clocks after the last.
            def stage(value) -> None:
                m.d.comb += [registers.write.eq(1), registers.value.eq(value)]

            with state("STAGE_ONE"):
                stage(Mux(function == Function.WRITE_COIL, quantity[15], quantity))
                m.next = "JUDGE"
            with state("MASK"):
                m.next = "MASKED"
            with state("MASKED"):
                with m.If(registers.exists):
                    stage((registers.data & quantity) | (third & ~quantity))
                    m.next = "JUDGE"
                with m.Else():
                    refuse(ILLEGAL_ADDRESS)
            with state("WRITE_WORDS"):
                m.d.comb += [stream.ready.eq(1), of_write.eq(is_read_write)]
                with m.If(takes):
                    m.d.sync += place[0].eq(~place[0])
                    with m.If(place[0]):
                        stage(pair)
                        m.d.sync += index.eq(index + 1)
                        with m.If(index + 1 == count):
                            m.next = "JUDGE"
            with state("WRITE_BITS"):
                m.d.comb += stream.ready.eq(1)
                with m.If(takes):
                    m.d.sync += [bits.eq(stream.byte), bit_place.eq(0)]
                    m.next = "STAGE_BITS"
            with state("STAGE_BITS"):
                m.d.sync += [bits.eq(bits >> 1), bit_place.eq(bit_place + 1), index.eq(index + 1)]
                stage(bits[0])
                with m.If(index + 1 == count):
                    m.next = "JUDGE"
                with m.Elif(bit_place == 7):
                    m.next = "WRITE_BITS"
            with state("JUDGE"):
                m.d.sync += settling.eq(settling + 1)
                with m.If(settling == 2):
                    with m.If(registers.refusal != Refusal.NONE):
                        refuse(registers.refusal.as_value())
                    with m.Elif(is_read_write):
                        m.next = "WRITE_FIRST"
                    with m.Else():
                        m.next = "COMPOSE"
            with state("WRITE_FIRST"):
                m.d.comb += stream.sure.eq(1)
                with m.If(stream.settled):
                    m.d.comb += registers.end.eq(1)
                    m.d.sync += [opened.eq(0), settling.eq(0), count.eq(quantity)]
                    begin_read()
                    m.next = "REOPEN"
            with state("REOPEN"):
                m.d.comb += stream.sure.eq(1)
                m.d.sync += settling.eq(settling + 1)
                with m.If(settling == 2):
                    m.d.comb += registers.begin.eq(1)
                    m.d.sync += [opened.eq(1), written.eq(1)]
                    m.next = "READ_WORDS"

            with state("DIAGNOSE"):
                m.d.sync += [answer_bytes.eq(HEADER_BYTES + 3 + left), offset.eq(HEADER_BYTES + 3), place.eq(0)]
                known = Signal()
                m.d.comb += known.eq((address >= Diagnostic.CLEAR) & (address <= Diagnostic.OVERRUNS))
                with m.If(address == Diagnostic.ECHO):
                    m.next = "ECHO"
                with m.Elif(~known):
                    refuse(ILLEGAL_FUNCTION)
                with m.Elif(left != 2):
                    refuse(ILLEGAL_VALUE)
                with m.Else():
                    m.next = "COUNTER"
            with state("ECHO"):
                m.d.comb += [
                    stream.ready.eq(left != 0),
                    stream.write.eq(takes),
                    stream.single.eq(1),
                    stream.offset.eq(offset),
                    stream.word.eq(Cat(C(0, 8), stream.byte)),
                ]
                with m.If(takes):
                    m.d.sync += offset.eq(offset + 1)
                with m.If(left == 0):
                    m.next = "COMPOSE"
            with state("COUNTER"):
                m.d.comb += stream.ready.eq(1)
                with m.If(takes):
                    m.d.sync += place.eq(1)
                    with m.If(stream.byte != 0):
                        refuse(ILLEGAL_VALUE)
                    with m.Elif(place[0]):
                        m.next = "COUNTER_VALUE"
            with state("COUNTER_VALUE"):
                value = Signal(16)
                m.d.comb += [stream.write.eq(1), stream.offset.eq(offset), stream.word.eq(value)]
                with m.Switch(address):
                    for which, diagnostics in enumerate(COUNTED):
                        with m.Case(*diagnostics):
                            m.d.comb += [counter.eq(which), value.eq(count_read.data)]
                m.next = "COMPOSE"

            # Texts: function 17, and function 43 with its interface 14.
            with state("INTERFACE"):
                m.d.comb += stream.ready.eq(1)
                with m.If(takes):
                    m.next = "CODE"
                    with m.If(stream.byte != READ_DEVICE_IDENTIFICATION):
                        refuse(ILLEGAL_FUNCTION)
                    with m.Elif(left != 3):
                        refuse(ILLEGAL_VALUE)
            with state("CODE"):
                m.d.comb += stream.ready.eq(1)
                m.d.sync += offset.eq(HEADER_BYTES + 7)
                with m.If(takes):
                    m.d.sync += quantity.eq(stream.byte)
                    m.next = "OBJECT"
            with state("OBJECT"):
                m.d.comb += stream.ready.eq(1)
                code, wanted = quantity[:8], Signal(8)
                objects = Mux(code == 1, BASIC_OBJECTS, REGULAR_OBJECTS)
                m.d.comb += wanted.eq(Mux((code != 4) & (stream.byte >= objects), 0, stream.byte))
                with m.If(takes):
                    m.d.sync += [
                        address.eq(wanted),
                        third.eq(Mux(code == 4, 1, objects - wanted)),
                        text_end.eq(Mux(code == 1, starts[BASIC_OBJECTS], starts[REGULAR_OBJECTS])),
                    ]
                    with m.Switch(wanted):
                        for identifier in range(REGULAR_OBJECTS):
                            with m.Case(identifier):
                                m.d.sync += text_at.eq(starts[identifier])
                                with m.If(code == 4):
                                    m.d.sync += text_end.eq(starts[identifier + 1])
                    m.next = "OBJECT_LENGTH"
                    with m.If((code == 0) | (code > 4)):
                        refuse(ILLEGAL_VALUE)
                    with m.Elif(wanted >= REGULAR_OBJECTS):
                        refuse(ILLEGAL_ADDRESS)
            with state("OBJECT_LENGTH"):
                m.d.sync += answer_bytes.eq(HEADER_BYTES + 7 + (text_end - text_at)[:8])
                m.next = "TEXT"
            with state("TEXT"):
                m.d.sync += text_at.eq(text_at + 1)
                m.next = "TEXT_BYTE"
            with state("TEXT_BYTE"):
                m.d.comb += [stream.write.eq(1), stream.single.eq(1), stream.offset.eq(offset), stream.word.eq(Cat(C(0, 8), texts.data))]
                m.d.sync += [text_at.eq(text_at + 1), offset.eq(offset + 1)]
                with m.If(text_at == text_end):
                    m.next = "COMPOSE"

            with state("DISCARD"):
                m.d.comb += stream.ready.eq(left != 0)
                m.d.sync += answer_bytes.eq(HEADER_BYTES + 2)
                with m.If(left == 0):
                    # What was written of another answer does not count.
                    m.d.comb += stream.restart.eq(1)
                    m.next = "COMPOSE"

            # What every answer begins with, and what some go on with.
            with state("COMPOSE"):
                m.d.comb += [stream.write.eq(1), stream.offset.eq(step << 1), stream.sure.eq(1)]
                m.d.sync += step.eq(step + 1)
                last = Signal()
                with m.Switch(step):
                    with m.Case(0):
                        m.d.comb += stream.word.eq(transaction)
                    with m.Case(1):
                        m.d.comb += stream.word.eq(0)
                    with m.Case(2):
                        m.d.comb += stream.word.eq(answer_bytes - (HEADER_BYTES - 1))
                    with m.Case(3):
                        m.d.comb += [
                            stream.word.eq(Cat(function[:7], function[7] | (exception != 0), unit)),
                            last.eq(function == Function.REPORT_SERVER_ID),
                        ]
                        with m.If(exception != 0):
                            m.d.comb += last.eq(0)
                    with m.Case(4):
                        with m.If(exception != 0):
                            m.d.comb += [stream.single.eq(1), stream.word.eq(Cat(C(0, 8), exception)), last.eq(1)]
                        with m.Elif(is_read_bits | is_read_words | is_read_write):
                            m.d.comb += [
                                stream.single.eq(1),
                                stream.word.eq(Cat(C(0, 8), (answer_bytes - (HEADER_BYTES + 2))[:8])),
                                last.eq(1),
                            ]
                        with m.Elif(function == Function.ENCAPSULATED):
                            m.d.comb += stream.word.eq(Cat(quantity[:8], C(READ_DEVICE_IDENTIFICATION, 8)))
                        with m.Else():
                            m.d.comb += [stream.word.eq(address), last.eq(function == Function.DIAGNOSTICS)]
                    with m.Case(5):
                        m.d.comb += stream.word.eq(quantity)
                        m.d.comb += last.eq(function != Function.MASK_WRITE_REGISTER)
                        with m.If(function == Function.ENCAPSULATED):
                            m.d.comb += [stream.word.eq(CONFORMITY << 8), last.eq(0)]
                    with m.Default():
                        m.d.comb += [stream.word.eq(third), last.eq(1)]
                        with m.If(function == Function.ENCAPSULATED):
                            # No next object, and how many there are.
                            m.d.comb += stream.word.eq(third[:8])
                with m.If(last):
                    m.d.sync += step.eq(0)
                    m.next = "SETTLE"
            with state("SETTLE"):
                m.d.comb += stream.sure.eq(1)
                with m.If(stream.settled):
                    m.d.comb += [registers.end.eq((exception == 0) & opened), registers.abort.eq((exception != 0) & opened)]
                    m.d.sync += opened.eq(0)
                    m.next = "ANSWER"
            with state("ANSWER"):
                m.d.comb += [stream.answered.eq(1), stream.sure.eq(1)]
                with m.If(stream.accepted):
                    m.d.sync += place.eq(0)
                    m.next = "COUNT_MESSAGE"
            with state("COUNT_MESSAGE"):
                m.d.comb += [counter.eq(0), counting.eq(1), self.answered.eq(1), self.refused.eq(exception != 0)]
                m.next = "HEADER"
                with m.If(exception != 0):
                    m.next = "COUNT_EXCEPTION"
                with m.Elif((function == Function.DIAGNOSTICS) & (address == Diagnostic.CLEAR)):
                    m.next = "CLEAR"
            with state("COUNT_EXCEPTION"):
                m.d.comb += [counter.eq(1), counting.eq(1)]
                m.next = "HEADER"
                with m.If(exception == Refusal.BUSY.value):
                    m.next = "COUNT_BUSY"
            with state("COUNT_BUSY"):
                m.d.comb += [counter.eq(2), counting.eq(1)]
                m.next = "HEADER"
            with state("CLEAR"):
                m.d.comb += [counter.eq(place), clearing.eq(1)]
                m.d.sync += place.eq(place + 1)
                with m.If(place == len(COUNTED) - 1):
                    m.d.sync += place.eq(0)
                    m.next = "HEADER"
            with state("CLOSE"):
                m.d.comb += stream.close.eq(1)
                m.d.comb += [counter.eq(3), counting.eq(stream.cancel & stream.settled)]
        with m.If(stream.cancel):
            m.d.comb += [registers.begin.eq(0), registers.write.eq(0), registers.end.eq(0), registers.abort.eq(opened)]
            m.d.sync += [opened.eq(0), place.eq(0), step.eq(0)]
        return m
