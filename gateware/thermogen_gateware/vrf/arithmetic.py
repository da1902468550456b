"""256-bit numbers in block RAM; sums, differences and products of them, modulo 2^255 - 19 and as plain integers.

A number modulo p is any of its representatives below 2^256: nothing here has to be reduced twice, and no time depends on a value. A sum or
difference goes word by word of 64 bits into a queue, then out again with 19 times what is above 2^255 added. A product is made column
by column, 32 bits of b by 64 of a each clock, into the two scratch elements; then the upper one, times 38, is added to the lower.
Radix 2^64 and 2^32 because a block RAM is as wide and two 36-bit multipliers make 64 by 32; narrower limbs (15 of 17 bits) need more
multipliers for the same time, and their own conversion to bytes.
Latency: 9 clocks a sum, 8 more than its own if another follows; 50 a product; 38 a product of integers.
Area, LIFCL (synthesis, alone): 1,011 COMB, 558 FF, 4 EBR, two MULT36X36 (eight multipliers of 18 by 18).
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, enum, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .instructions import ELEMENT_BITS, Operation
from .program import ELEMENTS_COUNT, SCRATCH_LOW

WORD_BITS = 64
WORDS = 4
"""Words of an element."""
DIGIT_BITS = 32
"""Of operand b in a product."""
ACCUMULATOR_BITS = 100
"""Four products of 96 bits, and what comes from the column before."""


class _Source(enum.Enum, shape=2):  # type: ignore[call-arg]
    """What is multiplied."""

    OPERANDS = 0
    SCRATCH_ONCE = 1
    """The scratch's word as it is."""
    SCRATCH_FOLDED = 2
    """Times 38: 2^256 is 38 modulo p."""
    NOTHING = 3


class _Step(data.Struct):
    """One clock of a product: which words meet, and whether they begin a column."""

    a_word: 3
    """The scratch has eight."""
    b_digit: 3
    source: _Source
    column: 1
    wide: 1
    """The column before was of 64 bits, not 32."""


def _product_steps() -> list[dict[str, object]]:
    """The columns of the whole product, those that only carry, and the fold."""
    steps: list[dict[str, object]] = []
    for column in range(2 * WORDS * WORD_BITS // DIGIT_BITS):
        pairs = [(word, column - 2 * word) for word in range(WORDS) if 0 <= column - 2 * word < 2 * WORDS]
        met = [{"a_word": word, "b_digit": digit, "source": _Source.OPERANDS} for word, digit in pairs] or [{"source": _Source.NOTHING}]
        steps += [{**step, "column": int(number == 0)} for number, step in enumerate(met)]
    for word in range(WORDS):
        steps.append({"a_word": word, "source": _Source.SCRATCH_ONCE, "column": 1, "wide": 1})
        steps.append({"a_word": word + WORDS, "source": _Source.SCRATCH_FOLDED})
    steps.append({"source": _Source.NOTHING, "column": 1, "wide": 1})
    return steps


_STEPS = _product_steps()


def words_of(elements: list[int]) -> list[int]:
    """The memory's words for these elements."""
    return [element >> WORD_BITS * word & (1 << WORD_BITS) - 1 for element in elements for word in range(WORDS)]


class Arithmetic(wiring.Component):
    """Carries out one operation of the first group of `Operation` at a time.

    `start` with the operands' elements is taken while `ready`; the result is in element `d` when `idle`, and so are the flags, which
    are of the last sum or difference. The next operation may start at `ready`, before that: it reads what was written. While
    `idle`, `word` is what `address` held a clock ago, and `write` puts a word there.
    """

    start: In(1)
    operation: In(Operation)
    d: In(ELEMENT_BITS)
    a: In(ELEMENT_BITS)
    b: In(ELEMENT_BITS)
    ready: Out(1)
    idle: Out(1)
    carry: Out(1)
    zero: Out(1)
    odd: Out(1)
    top: Out(1)
    address: In(ELEMENT_BITS + 2)
    word: Out(WORD_BITS)
    write: In(1)
    written: In(WORD_BITS)

    def __init__(self, elements: list[int]):
        self._elements = elements
        super().__init__()

    def elaborate(self, _platform):
        m = Module()
        # Twice the same: one copy for each operand.
        contents = words_of(self._elements)
        m.submodules.a_words = a_words = Memory(shape=WORD_BITS, depth=ELEMENTS_COUNT * WORDS, init=contents)
        m.submodules.b_words = b_words = Memory(shape=WORD_BITS, depth=ELEMENTS_COUNT * WORDS, init=contents)
        a, b = a_words.read_port(), b_words.read_port()
        writes = [a_words.write_port(), b_words.write_port()]
        write_en, write_address, write_data = Signal(), Signal(ELEMENT_BITS + 2), Signal(WORD_BITS)
        for port in writes:
            m.d.comb += [port.en.eq(write_en), port.addr.eq(write_address), port.data.eq(write_data)]
        m.d.comb += self.word.eq(a.data)

        operation = Signal(Operation)
        d, a_element, b_element = Signal(ELEMENT_BITS), Signal(ELEMENT_BITS), Signal(ELEMENT_BITS)
        step = Signal(range(len(_STEPS) + 4))
        summing, multiplying, carrying = Signal(), Signal(), Signal()
        product = Signal()
        m.d.comb += product.eq((self.operation == Operation.MUL) | (self.operation == Operation.RMUL))
        last_carry_word = Signal()
        m.d.comb += [
            self.ready.eq(~summing & ~multiplying & (~carrying | last_carry_word)),
            self.idle.eq(~summing & ~multiplying & ~carrying),
        ]

        # The words are asked for in the clock of `start` already, from the operands' own wires.
        now = Signal()
        m.d.comb += now.eq(self.start & self.ready)
        at = Signal.like(step)
        of_a, of_b = Signal(ELEMENT_BITS), Signal(ELEMENT_BITS)
        m.d.comb += [
            at.eq(Mux(now, 0, step)),
            of_a.eq(Mux(now, self.a, a_element)),
            of_b.eq(Mux(now, self.b, b_element)),
        ]
        m.submodules.steps = steps = Memory(shape=_Step, depth=len(_STEPS), init=_STEPS)
        steps_read = steps.read_port(domain="comb")
        now_step = steps_read.data
        m.d.comb += steps_read.addr.eq(at)
        in_product = Mux(now, product, multiplying)
        with m.If(in_product):
            m.d.comb += [
                a.addr.eq(Cat(now_step.a_word[:2], of_a)),
                b.addr.eq(Cat(now_step.b_digit[1:], of_b)),
            ]
            with m.If((now_step.source == _Source.SCRATCH_ONCE) | (now_step.source == _Source.SCRATCH_FOLDED)):
                m.d.comb += a.addr.eq(Cat(now_step.a_word, Const(SCRATCH_LOW >> 1, ELEMENT_BITS - 1)))
        with m.Elif(now | summing):
            m.d.comb += [a.addr.eq(Cat(at[:2], of_a)), b.addr.eq(Cat(at[:2], of_b))]
        with m.Else():
            m.d.comb += a.addr.eq(self.address)
        with m.If(now):
            m.d.sync += [
                operation.eq(self.operation),
                d.eq(self.d),
                a_element.eq(self.a),
                b_element.eq(self.b),
                summing.eq(~product),
                multiplying.eq(product),
                step.eq(1),
            ]
        with m.Elif(summing | multiplying):
            m.d.sync += step.eq(step + 1)

        # The queue takes the four words of a sum, or of a product's fold, and gives them back once what is above them is known.
        queue = Signal(WORDS * WORD_BITS)
        entering, enter = Signal(WORD_BITS), Signal()
        with m.If(enter | carrying):
            m.d.sync += queue.eq(Cat(queue[WORD_BITS:], entering))

        # A difference is a + ~b + 2^256, which is 75 more than a - b; see the constants of the second pass.
        field_difference = Signal()
        negative = Signal()
        raw = Signal()
        m.d.comb += [
            field_difference.eq(operation == Operation.SUB),
            negative.eq(field_difference | (operation == Operation.SUBR)),
            raw.eq((operation == Operation.ADDR) | (operation == Operation.ADCR) | (operation == Operation.SUBR)),
        ]
        chain = Signal()
        summed = Signal(WORD_BITS + 1)
        first_word = Signal()
        m.d.comb += first_word.eq(step == 1)
        carry_in = Signal()
        m.d.comb += carry_in.eq(
            Mux(first_word, (operation == Operation.SUBR) | ((operation == Operation.ADCR) & self.carry), chain),
        )
        m.d.comb += summed.eq(a.data + (b.data ^ negative.replicate(WORD_BITS)) + carry_in)
        above = Signal(8)
        fold_above = Signal()
        with m.If(summing):
            m.d.comb += [enter.eq(1), entering.eq(summed), above.eq(summed[WORD_BITS - 1 :])]
            m.d.sync += chain.eq(summed[WORD_BITS])
            with m.If(step == WORDS):
                m.d.comb += fold_above.eq(1)
                m.d.sync += [summing.eq(0), self.carry.eq(summed[WORD_BITS])]

        # The product, in three stages: the multipliers, their sum, the accumulator.
        first, second, third = (Signal(_Step, name=name) for name in ("multiplied", "combined", "accumulated"))
        first_valid, second_valid, third_valid = Signal(), Signal(), Signal()
        m.d.sync += [
            first.eq(now_step),
            second.eq(first),
            third.eq(second),
            first_valid.eq(in_product),
            second_valid.eq(first_valid & multiplying),
            third_valid.eq(second_valid & multiplying),
        ]
        digit = Signal(DIGIT_BITS)
        with m.Switch(first.source):
            with m.Case(_Source.OPERANDS):
                m.d.comb += digit.eq(Mux(first.b_digit[0], b.data[DIGIT_BITS:], b.data[:DIGIT_BITS]))
            with m.Case(_Source.SCRATCH_ONCE):
                m.d.comb += digit.eq(1)
            with m.Case(_Source.SCRATCH_FOLDED):
                m.d.comb += digit.eq(38)
        low, high = Signal(WORD_BITS), Signal(WORD_BITS)
        m.d.sync += [low.eq(a.data[:DIGIT_BITS] * digit), high.eq(a.data[DIGIT_BITS:] * digit)]
        combined = Signal(WORD_BITS + DIGIT_BITS)
        m.d.sync += combined.eq(Cat(low[:DIGIT_BITS], (low[DIGIT_BITS:] + high)[:WORD_BITS]))
        accumulator = Signal(ACCUMULATOR_BITS)
        shifted = Signal(ACCUMULATOR_BITS)
        m.d.comb += shifted.eq(Mux(third.column, Mux(third.wide, accumulator >> WORD_BITS, accumulator >> DIGIT_BITS), accumulator))
        m.d.sync += accumulator.eq(Mux(third_valid, (shifted + combined)[:ACCUMULATOR_BITS], 0))

        # A finished column is seen as the next one begins; two make a word of the scratch, or one of the queue.
        held = Signal(DIGIT_BITS)
        odd_column = Signal()
        scratch_word = Signal(range(2 * WORDS))
        folding = Signal()
        started = Signal()
        with m.If(now):
            m.d.sync += [odd_column.eq(0), scratch_word.eq(0), folding.eq(0), started.eq(0)]
        column_done = Signal()
        # Steps that are still on their way when a product ends must not reach the next one.
        m.d.comb += column_done.eq(third_valid & third.column & started & multiplying)
        with m.If(third_valid & multiplying):
            m.d.sync += started.eq(1)
        with m.If(column_done):
            m.d.sync += held.eq(accumulator[:DIGIT_BITS])
            with m.If(folding):
                m.d.comb += [enter.eq(1), entering.eq(accumulator[:WORD_BITS])]
            with m.Else():
                m.d.sync += odd_column.eq(~odd_column)
                with m.If(odd_column):
                    m.d.comb += [
                        write_en.eq(1),
                        write_address.eq(Cat(scratch_word, Const(SCRATCH_LOW >> 1, ELEMENT_BITS - 1))),
                        write_data.eq(Cat(held, accumulator[:DIGIT_BITS])),
                    ]
                    m.d.sync += scratch_word.eq(scratch_word + 1)
                    with m.If(scratch_word == 2 * WORDS - 1):
                        m.d.sync += folding.eq(1)
                        with m.If(operation == Operation.RMUL):
                            m.d.sync += multiplying.eq(0)
            with m.If(folding & (step == len(_STEPS) + 2)):
                m.d.comb += [fold_above.eq(1), above.eq(accumulator[WORD_BITS - 1 :])]
                m.d.sync += multiplying.eq(0)
        # 2^255 is 19. Of a difference, one 2^255 stays where it is: 19 (above - 1) - 75 could otherwise be less than nothing.
        fold = Signal(signed(13))
        with m.If(fold_above):
            m.d.sync += [
                carrying.eq(1),
                fold.eq(Mux(raw, 0, (above << 4) + (above << 1) + above - Mux(field_difference, 56, 0))),
            ]
        carry_word = Signal(range(WORDS))
        carry = Signal()
        out = Signal(WORD_BITS + 1)
        addend = Signal(WORD_BITS)
        leaving = Signal(WORD_BITS)
        m.d.comb += [
            last_carry_word.eq(carry_word == WORDS - 1),
            addend.eq(Cat(Mux(carry_word == 0, fold[:12], fold[-1].replicate(12)), fold[-1].replicate(WORD_BITS - 12))),
            leaving.eq(queue[:WORD_BITS]),
            out.eq(leaving + addend + carry),
        ]
        with m.If(last_carry_word & ~raw):
            m.d.comb += leaving[-1].eq(field_difference)
        with m.If(carrying):
            m.d.sync += [carry_word.eq(carry_word + 1), carry.eq(out[WORD_BITS] & ~last_carry_word)]
            m.d.comb += [write_en.eq(1), write_address.eq(Cat(carry_word, d)), write_data.eq(out)]
            with m.If(last_carry_word):
                m.d.sync += [carrying.eq(0), self.top.eq(out[WORD_BITS - 1])]
            with m.If(carry_word == 0):
                m.d.sync += self.odd.eq(out[0])
            m.d.sync += self.zero.eq((out[:WORD_BITS] == 0) & (self.zero | (carry_word == 0)))
        with m.Elif(self.idle & self.write):
            m.d.comb += [write_en.eq(1), write_address.eq(self.address), write_data.eq(self.written)]
        return m
