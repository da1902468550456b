"""SHA-512 over a byte stream, one bit a clock, for a prover that hashes a dozen blocks in a proof.

Reference: FIPS 180-4 (6.4 hash computation). A block RAM has 64 addresses, and at each of them one bit of every word: of the schedule, the
working variables and the hash. One address is read in a clock, and as it is written back, all words have gone on by one: moving is wiring,
and a sum is a full adder. What is left are the turns, which take bits from the past (`passing_words.py`).
A block is 120 passes over the addresses: 16 words come in; everything goes round once; 80 rounds; 8 in which the hash grows.
Latency: 7,680 clocks a block, with the eight that each of its bytes takes; two more a word of the digest.
Area, LIFCL (synthesis): 124 COMB, 190 FF, 4 EBR.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out, connect, flipped

from ..sha3 import message_layout
from .passing_words import PastBits, summed, turned, turned_and_shifted
from .sha512_message import MessageBits
from .sha512_tables import (
    ABSORB_AT,
    ADD_AT,
    COLUMN_CLOCKS,
    EARLY_CLOCKS,
    PASS_BITS,
    POSITION_BITS,
    PREPARE_AT,
    ROUNDS_AT,
    SCHEDULE,
    TURNS_A,
    TURNS_E,
    TURNS_EARLY,
    TURNS_LATE,
    WORD_BITS,
    WORDS,
    Controls,
    constants,
    controls,
)


class _State(data.Struct):
    """A bit of every word."""

    schedule: SCHEDULE
    """The oldest first."""
    variables: WORDS
    """From a to h."""
    hash: WORDS
    late: 1
    """The schedule's function of the word before last."""


class _Phase(data.Struct):
    """What a pass does."""

    absorbing: 1
    beginning: 1
    """Everything goes round; in a message's first block, the working variables and the hash come from the constants."""
    rounds: 1
    adding: 1


class Sha512(wiring.Component):
    """SHA-512 of one message after the other.

    `message` takes the bytes, up to `LONGEST_MESSAGE`; `digest` gives the eight words of the digest, the last word first, as they come to
    be, and each big-endian as the standard has it. The next message is taken when the digest has been.
    How long it takes depends on the message's length alone.
    """

    message: In(stream.Signature(message_layout()))
    digest: Out(stream.Signature(WORD_BITS))

    def elaborate(self, _platform):
        m = Module()
        m.submodules.state = state = Memory(shape=_State, depth=WORD_BITS, init=[], attrs={"ram_block": 1})
        m.submodules.controls = control_bits = Memory(shape=Controls, depth=WORD_BITS, init=controls(), attrs={"rom_block": 1})
        m.submodules.constants = constant_bits = Memory(shape=1, depth=2 ** (1 + PASS_BITS + POSITION_BITS), init=constants())
        m.submodules.message_bits = message_bits = MessageBits()
        connect(m, flipped(self.message), message_bits.message)

        # A bit takes two clocks. In the first, everything about it is read.
        place = Signal(POSITION_BITS + PASS_BITS, init=ABSORB_AT << POSITION_BITS)
        number = place[POSITION_BITS:]
        reads, moves = Signal(), Signal()
        word_due = Signal()
        coming, phase = Signal(_Phase), Signal(_Phase)
        # The passes of a phase are a multiple of eight; words of the schedule come in eight by eight.
        eight = number[3:]
        m.d.comb += [
            coming.absorbing.eq((eight >= ABSORB_AT // 8) & (eight < PREPARE_AT // 8)),
            coming.beginning.eq((eight >= PREPARE_AT // 8) & (eight < ROUNDS_AT // 8) & message_bits.first_block),
            coming.rounds.eq((eight >= ROUNDS_AT // 8) & (eight < ADD_AT // 8)),
            coming.adding.eq(eight == ADD_AT // 8),
            reads.eq(~word_due & (~coming.absorbing | message_bits.given)),
            message_bits.absorbing.eq(coming.absorbing),
            Cat(message_bits.place, message_bits.byte).eq(place),
            message_bits.word.eq(Cat(number[:3], number[4])),
            message_bits.moves.eq(reads),
        ]
        next_place = place + 1
        after_last = next_place[-1]
        m.d.comb += message_bits.block_ends.eq(reads & after_last)
        with m.If(reads):
            m.d.sync += place.eq(next_place | Mux(after_last, ABSORB_AT << POSITION_BITS, 0))
        m.d.sync += [moves.eq(reads), phase.eq(coming)]

        # The first byte of a word is its uppermost.
        position = Cat(place[:3], place[3:6] ^ coming.absorbing.replicate(3))
        now, control, constant = state.read_port(), control_bits.read_port(), constant_bits.read_port()
        m.d.comb += [
            now.addr.eq(position),
            control.addr.eq(position),
            constant.addr.eq(Cat(place, message_bits.first_block)),
        ]

        # In the second, it is made and written.
        after = state.write_port()
        m.d.comb += [after.en.eq(moves), after.addr.eq(control.data.position)]
        entering_hash = self._make(m, phase, moves, now.data, control.data, constant.data, message_bits.bit, after.data)

        # The digest leaves as it is made.
        word = Signal(WORD_BITS)
        with m.If(moves):
            m.d.sync += word.eq(Cat(word[1:], entering_hash))
        with m.If(moves & phase.adding & message_bits.last_block & control.data.last_but_one):
            m.d.sync += word_due.eq(1)
        with m.If(self.digest.valid & self.digest.ready):
            m.d.sync += word_due.eq(0)
        m.d.comb += [self.digest.valid.eq(word_due & ~moves), self.digest.payload.eq(word)]
        return m

    def _make(self, m, phase, moves, now, control, constant, message_bit, after):
        """`after` of the bits that are `now`; the bit that enters the hash, while it begins or grows."""

        def add(*terms):
            return summed(m, moves, control.last, *terms)

        into_a, into_e, into_schedule = Signal(), Signal(), Signal()
        a, b, c, d, e, f, g, h = now.variables
        oldest = now.schedule[0]
        past = PastBits(m, COLUMN_CLOCKS)
        of_a = turned(past.of(into_a), past.of(a), TURNS_A, control.a, WORD_BITS)
        of_e = turned(past.of(into_e), past.of(e), TURNS_E, control.e, WORD_BITS)
        late = turned_and_shifted(past.of(into_schedule), past.of(now.schedule[15]), TURNS_LATE, control.late, WORD_BITS)
        # A pass too soon, so that so short turns need no more than the bits of a few clocks; it waits for the pass that wants it.
        second, third = (past.of(now.schedule[word]) for word in (1, 2))
        early = past.of(turned_and_shifted(third, second, TURNS_EARLY, control.early, EARLY_CLOCKS))[WORD_BITS - EARLY_CLOCKS]
        m.submodules.past = past.memory(WORD_BITS, control.position, control.past_position)

        # Before and after the rounds, working variables and hash are the same, and this is what enters both.
        entering_hash = add(h & ~phase.beginning, constant | (phase.adding & now.hash[-1]))
        # FIPS 180-4 calls them T1 and T2.
        first = add(add(entering_hash, oldest), add(of_e, (e & f) ^ (~e & g)))
        second = add(of_a, (a & b) ^ (a & c) ^ (b & c))
        m.d.comb += [
            into_a.eq(Mux(phase.rounds, add(first, second), entering_hash)),
            into_e.eq(Mux(phase.rounds, add(d, first), d)),
            into_schedule.eq(Mux(phase.rounds, add(oldest, add(now.schedule[9], now.late, early)), oldest)),
            after.variables.eq(Cat(into_a, a, b, c, into_e, e, f, g)),
            after.hash.eq(Cat(Mux(phase.rounds, now.hash[-1], entering_hash), now.hash[:-1])),
            after.late.eq(late),
        ]
        with m.If(phase.absorbing):
            m.d.comb += into_schedule.eq(message_bit)
        m.d.comb += after.schedule.eq(Cat(now.schedule[1:], into_schedule))
        return entering_hash
