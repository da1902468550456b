"""SHA-512 over a byte stream, one bit a clock, for a prover that hashes a dozen blocks in a proof.

Reference: FIPS 180-4 (5.1.2 padding, 6.4 hash computation). A block RAM holds a bit of every word at each of 64 addresses: bit i of the
schedule, of the working variables and of the hash is read, and all of them go one word on as it is written back. So moving is wiring, a sum
is one full adder, and what is left is the turns: a turned bit is one that passed so many clocks ago, in this round or in the one before.
A block is 120 passes over the 64 addresses: 16 words that come in, 16 in which everything turns once, 80 rounds, 8 in which the hash grows.
Latency: 7,680 clocks a block, its bytes, eight clocks each, with it; two more a word of the digest.
Area, LIFCL (synthesis): TODO.
"""

from functools import reduce
from operator import xor

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..sha3 import message_layout

WORD_BITS = 64
WORD_MASK = 2**WORD_BITS - 1
WORDS = 8
"""Of the hash, and of the working variables."""
SCHEDULE = 16
ROUNDS = 80
LENGTH_BYTES = 2
"""Bytes of the length, in bits, that are not taken for 0: messages up to 8,191 bytes."""

_POSITION_BITS = 6
_PASS_BITS = 7
_ABSORB_AT = 8
"""The first pass of a block; the last is the last that the counter of passes has."""
_PREPARE_AT = _ABSORB_AT + SCHEDULE
_ROUNDS_AT = _PREPARE_AT + SCHEDULE
_ADD_AT = _ROUNDS_AT + ROUNDS
assert _ADD_AT + WORDS == 2**_PASS_BITS

_COLUMN_CLOCKS = 11
"""How long a bit stays in one column of the delay lines' RAM: of all these take the fewest flip-flops, as long as one RAM is wide enough."""
_STATE = data.StructLayout({"schedule": SCHEDULE, "variables": WORDS, "hash": WORDS, "sigma_1": 1})
"""A bit of each word: the schedule's oldest first, the working variables from a to h, the hash likewise; and of a sum of the schedule's."""

# How far a word is turned to the right for each of the four functions; the third of the schedule's is a shift.
_SIGMA_A = (28, 34, 39)
_SIGMA_E = (14, 18, 41)
_SIGMA_0 = (1, 8, 7)
_SIGMA_1 = (61, 19, 6)
_SIGMA_0_CLOCKS = max(_SIGMA_0)
"""How much later the schedule's first function comes out than its word comes by."""


def _primes(count: int) -> list[int]:
    found: list[int] = []
    candidate = 2
    while len(found) < count:
        if all(candidate % prime for prime in found):
            found.append(candidate)
        candidate += 1
    return found


def _root_fraction(number: int, degree: int) -> int:
    """The first 64 bits of the fraction of a root."""
    target = number << degree * WORD_BITS
    root = 1 << (target.bit_length() // degree + 1)
    while root**degree > target:
        root = ((degree - 1) * root + target // root ** (degree - 1)) // degree
    fraction: int = root & WORD_MASK
    return fraction


def _constants() -> list[int]:
    """Bit by bit: for each pass of a block what the standard adds in it, or nothing; then the same for a message's first block, which
    begins with the standard's hash, last word first."""
    following = [0] * 2**_PASS_BITS
    following[_ROUNDS_AT:_ADD_AT] = [_root_fraction(prime, 3) for prime in _primes(ROUNDS)]
    first = list(following)
    first[_ROUNDS_AT - WORDS : _ROUNDS_AT] = [_root_fraction(prime, 2) for prime in reversed(_primes(WORDS))]
    return [word >> position & 1 for word in following + first for position in range(WORD_BITS)]


class _Controls(data.Struct):
    """What goes with a position, 0 to 63."""

    position: _POSITION_BITS
    past_position: _POSITION_BITS
    """Where the delay lines' bits are that come out in the next clock."""
    last: 1
    last_but_one: 1
    # Whether a turned bit is one of this pass, for each turn; for a shift, whether there is none.
    sigma_a: len(_SIGMA_A)
    sigma_e: len(_SIGMA_E)
    sigma_0: len(_SIGMA_0)
    sigma_1: len(_SIGMA_1)


def _controls() -> list[dict[str, object]]:
    def wrapped(position: int, turns: tuple[int, ...]) -> int:
        return sum(int(position + turn >= WORD_BITS) << number for number, turn in enumerate(turns))

    return [
        {
            "position": position,
            "past_position": (position + 1 - _COLUMN_CLOCKS) % WORD_BITS,
            "last": int(position == WORD_BITS - 1),
            "last_but_one": int(position == WORD_BITS - 2),
            "sigma_a": wrapped(position, _SIGMA_A),
            "sigma_e": wrapped(position, _SIGMA_E),
            "sigma_0": wrapped((position - _SIGMA_0_CLOCKS) % WORD_BITS, _SIGMA_0),
            "sigma_1": wrapped(position, _SIGMA_1),
        }
        for position in range(WORD_BITS)
    ]


class _Line:
    """A bit's past: as far as it goes from columns of a RAM in which a bit stays `_COLUMN_CLOCKS`, then from flip-flops."""

    def __init__(self, m, columns, bit):
        self._m, self._columns = m, columns
        self._taps = [bit]

    def __getitem__(self, clocks: int):
        """The bit as it was so many clocks ago."""
        while len(self._taps) <= clocks:
            self._taps.append(None)
        if self._taps[clocks] is None:
            self._taps[clocks] = delayed = Signal(name=f"delayed_{clocks}")
            if clocks % _COLUMN_CLOCKS:
                self._m.d.sync += delayed.eq(self[clocks - 1])
            else:
                self._columns.append((self[clocks - _COLUMN_CLOCKS], delayed))
        return self._taps[clocks]


def _turned(before: _Line, now: _Line, turns: tuple[int, ...], wrapped, latency: int):
    """The exclusive or of a word turned right so many times, `latency` clocks after it came by as `before`; as `now` it comes a pass later."""
    taps = (Mux(here, now[latency - turn], before[latency - turn]) for turn, here in zip(turns, wrapped, strict=True))
    return reduce(xor, taps)


def _turned_and_shifted(before: _Line, now: _Line, turns: tuple[int, ...], wrapped, latency: int):
    """The same, but that the last turn is a shift."""
    *turned, shifted = turns
    return _turned(before, now, tuple(turned), wrapped[:-1], latency) ^ (before[latency - shifted] & ~wrapped[-1])


class Sha512(wiring.Component):
    """SHA-512 of one message after the other.

    `message` takes the bytes, `digest` gives the eight words of the digest, last word first (as they come to be) and each big-endian as the
    standard has it. The next message is taken when the digest has been. What it takes in time depends on the length alone.
    """

    message: In(stream.Signature(message_layout()))
    digest: Out(stream.Signature(WORD_BITS))

    def elaborate(self, _platform):
        m = Module()
        m.submodules.state = state = Memory(shape=_STATE, depth=WORD_BITS, init=[], attrs={"ram_block": 1})
        m.submodules.controls = controls = Memory(shape=_Controls, depth=WORD_BITS, init=_controls(), attrs={"rom_block": 1})
        m.submodules.constants = constants = Memory(shape=1, depth=2 ** (1 + _PASS_BITS + _POSITION_BITS), init=_constants())
        read, write = state.read_port(), state.write_port()
        control_read, constant_read = controls.read_port(), constants.read_port()
        now, control, constant = read.data, control_read.data, constant_read.data

        # First clock of two: where. Position and pass, as one number.
        place = Signal(_POSITION_BITS + _PASS_BITS, init=_ABSORB_AT << _POSITION_BITS)
        number = place[_POSITION_BITS:]
        eight = number[3:]
        absorbing, preparing, in_round, adding = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            absorbing.eq((eight >= _ABSORB_AT >> 3) & (eight < _PREPARE_AT >> 3)),
            preparing.eq((eight >= _PREPARE_AT >> 3) & (eight < _ROUNDS_AT >> 3)),
            in_round.eq((eight >= _ROUNDS_AT >> 3) & (eight < _ADD_AT >> 3)),
            adding.eq(eight == _ADD_AT >> 3),
        ]
        padding, one_due, last_block, first_block, word_due = Signal(), Signal(), Signal(), Signal(init=1), Signal()
        advance, block_ends = Signal(), Signal()
        next_place = place + 1
        m.d.comb += block_ends.eq(advance & next_place[-1])
        with m.If(advance):
            m.d.sync += place.eq(next_place | next_place[-1] << _POSITION_BITS + 3)
        # The first byte of a word is its upper one.
        position = Cat(place[:3], place[3:6] ^ absorbing.replicate(3))
        m.d.comb += [
            read.addr.eq(position),
            control_read.addr.eq(position),
            constant_read.addr.eq(Cat(place, first_block)),
        ]

        # A message's bytes, and what is made of its end.
        message = self.message
        bit_of_byte = place[:3]
        byte_ends, taken = Signal(), Signal()
        m.d.comb += [
            byte_ends.eq(absorbing & (bit_of_byte == 7)),
            message.ready.eq(~padding & Mux(message.payload.keep, byte_ends, absorbing)),
            taken.eq(message.valid & message.ready),
            advance.eq(~word_due & (~absorbing | padding | (message.valid & message.payload.keep))),
        ]
        late = Signal()
        m.d.comb += late.eq(number[4] & number[2] & number[1])
        with m.If(block_ends):
            m.d.sync += first_block.eq(last_block)
        with m.If(taken & message.payload.last):
            m.d.sync += [padding.eq(1), one_due.eq(1)]
        with m.If(padding & byte_ends):
            m.d.sync += one_due.eq(0)
        with m.If(padding & absorbing & ~late):
            m.d.sync += last_block.eq(1)
        with m.If(block_ends & last_block):
            m.d.sync += [padding.eq(0), last_block.eq(0)]
        length_bit = self._length(m, absorbing & advance, bit_of_byte, ~padding, place[3], block_ends & last_block)
        bit = Signal()
        with m.If(~padding):
            m.d.sync += bit.eq(message.payload.data.bit_select(bit_of_byte, 1))
        with m.Else():
            at_length = last_block & late & number[0] & place[4] & place[5]
            m.d.sync += bit.eq(Mux(one_due, bit_of_byte == 7, at_length & length_bit))

        # Second clock: what. Outside of the rounds, working variables and hash are the same.
        moving, absorbs, rounds, adds, begins = Signal(), Signal(), Signal(), Signal(), Signal()
        m.d.sync += [
            moving.eq(advance),
            absorbs.eq(absorbing),
            rounds.eq(in_round),
            adds.eq(adding),
            begins.eq(preparing & first_block),
        ]

        def summed(*terms):
            total, *others = terms
            for term in others:
                carry = Signal()
                with m.If(moving):
                    m.d.sync += carry.eq(((total & term) | (carry & (total | term))) & ~control.last)
                total = total ^ term ^ carry
            return total

        a, b, c, d, e, f, g, h = now.variables
        into_a, into_e, into_schedule, into_hash = Signal(), Signal(), Signal(), Signal()
        oldest = now.schedule[0]
        columns: list[tuple[Signal, Signal]] = []
        past_a, past_into_a, past_e, past_into_e, past_1, past_2, past_15, past_into_schedule = (
            _Line(m, columns, bit) for bit in (a, into_a, e, into_e, *(now.schedule[word] for word in (1, 2, 15)), into_schedule)
        )
        sigma_a = _turned(past_into_a, past_a, _SIGMA_A, control.sigma_a, WORD_BITS)
        sigma_e = _turned(past_into_e, past_e, _SIGMA_E, control.sigma_e, WORD_BITS)
        sigma_1 = _turned_and_shifted(past_into_schedule, past_15, _SIGMA_1, control.sigma_1, WORD_BITS)
        early = _turned_and_shifted(past_2, past_1, _SIGMA_0, control.sigma_0, _SIGMA_0_CLOCKS)
        sigma_0 = _Line(m, columns, early)[WORD_BITS - _SIGMA_0_CLOCKS]

        first_sum, first_temporary = Signal(), Signal()
        m.d.comb += [
            first_sum.eq(summed(h & ~begins, constant | (adds & now.hash[7]))),
            first_temporary.eq(summed(summed(first_sum, oldest), summed(sigma_e, (e & f) ^ (~e & g)))),
            into_a.eq(Mux(rounds, summed(first_temporary, summed(sigma_a, (a & b) ^ (a & c) ^ (b & c))), first_sum)),
            into_e.eq(Mux(rounds, summed(d, first_temporary), d)),
            into_schedule.eq(
                Mux(absorbs, bit, Mux(rounds, summed(oldest, summed(now.schedule[9], now.sigma_1, sigma_0)), oldest)),
            ),
            into_hash.eq(Mux(rounds, now.hash[7], first_sum)),
            write.en.eq(moving),
            write.addr.eq(control.position),
            write.data.schedule.eq(Cat(now.schedule[1:], into_schedule)),
            write.data.variables.eq(Cat(into_a, a, b, c, into_e, e, f, g)),
            write.data.hash.eq(Cat(into_hash, now.hash[:7])),
            write.data.sigma_1.eq(sigma_1),
        ]

        m.submodules.past = past = Memory(shape=len(columns), depth=WORD_BITS, init=[], attrs={"ram_block": 1})
        past_read, past_write = past.read_port(), past.write_port()
        m.d.comb += [
            past_read.addr.eq(control.past_position),
            past_write.en.eq(1),
            past_write.addr.eq(control.position),
            past_write.data.eq(Cat(entering for entering, _ in columns)),
            Cat(leaving for _, leaving in columns).eq(past_read.data),
        ]

        # The hash leaves as it grows.
        word = Signal(WORD_BITS)
        with m.If(moving):
            m.d.sync += word.eq(Cat(word[1:], first_sum))
        with m.If(moving & adds & last_block & control.last_but_one):
            m.d.sync += word_due.eq(1)
        with m.If(self.digest.valid & self.digest.ready):
            m.d.sync += word_due.eq(0)
        m.d.comb += [self.digest.valid.eq(word_due & ~moving), self.digest.payload.eq(word)]
        return m

    def _length(self, m, moves, bit_of_byte, counts, lower, clear):
        """A bit of the length in bits, of its `lower` byte or of the upper one: two bytes that turn once for each of the message's."""
        low, high = Signal(8), Signal(8)
        carry, carry_high = Signal(), Signal()
        increment = carry | (counts & (bit_of_byte == 3))
        with m.If(moves):
            ends = bit_of_byte == 7
            m.d.sync += [
                low.eq(Cat(low[1:], low[0] ^ increment)),
                high.eq(Cat(high[1:], high[0] ^ carry_high)),
                carry.eq(low[0] & increment & ~ends),
                carry_high.eq(Mux(ends, low[0] & increment, high[0] & carry_high)),
            ]
        with m.If(clear):
            m.d.sync += [low.eq(0), high.eq(0)]
        return Mux(lower, low[0], high[0])
