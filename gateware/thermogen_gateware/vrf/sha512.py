"""SHA-512 over a byte stream, six clocks a round, for a prover that hashes a dozen blocks in ten milliseconds.

Reference: FIPS 180-4 (5.1.2 padding, 6.4 hash computation). One block RAM holds the constants, the sixteen words of
the message schedule and the hash; it is read once a clock: a round takes its constant, the word that it uses and those that the word of
sixteen rounds on is made of. The working variables move like a shift register, and are loaded and stored through its ends.
Latency: 505 clocks a block besides one a byte; two clocks a word of the digest.
Area, LIFCL (synthesis): 1,677 COMB, 741 FF, 2 EBR.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..sha3 import message_layout

WORD_BITS = 64
WORD_MASK = 2**WORD_BITS - 1
WORDS = 8
"""Of the hash, and of the working variables."""
SCHEDULE = 16
ROUNDS = 80
BLOCK_BYTES = 128
LENGTH_AT = 112
"""Where the message's length begins in the last block, 16 bytes."""
COUNTED_BYTES = 3
"""Bytes of the length, in bits, that are not taken for 0: messages up to two megabytes."""

_CONSTANTS_AT = 0
_SCHEDULE_AT = 128
_HASH_AT = 144
_START_AT = 152
_DEPTH = 160


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


def _contents() -> list[int]:
    contents = [0] * _DEPTH
    contents[_CONSTANTS_AT : _CONSTANTS_AT + ROUNDS] = [_root_fraction(prime, 3) for prime in _primes(ROUNDS)]
    contents[_START_AT : _START_AT + WORDS] = [_root_fraction(prime, 2) for prime in _primes(WORDS)]
    return contents


def _turned(word, *turns: int):
    """The exclusive or of a word turned right so many times."""
    total = word.rotate_right(turns[0])
    for turn in turns[1:]:
        total = total ^ word.rotate_right(turn)
    return total


class Sha512(wiring.Component):
    """SHA-512 of one message after the other.

    `message` takes the bytes, `digest` gives the eight words of the digest, first word first and each big-endian as the standard has it.
    The next message is taken when the digest has been.
    """

    message: In(stream.Signature(message_layout()))
    digest: Out(stream.Signature(WORD_BITS))

    def elaborate(self, _platform):
        m = Module()
        m.submodules.words = words = Memory(shape=WORD_BITS, depth=_DEPTH, init=_contents())
        read = words.read_port()
        write = words.write_port()

        packed = Signal(WORD_BITS)
        at = Signal(range(BLOCK_BYTES))
        length = Signal(8 * COUNTED_BYTES - 3)
        padding, one_due, last_block, first_block = Signal(), Signal(), Signal(), Signal(init=1)

        step = Signal(range(WORDS))
        number = Signal(range(ROUNDS))
        # The working variables, a to h.
        v = [Signal(WORD_BITS, name=name) for name in "abcdefgh"]
        a, b, c, d, e, f, g, h = v
        into_a, into_e, move = Signal(WORD_BITS), Signal(WORD_BITS), Signal()
        with m.If(move):
            m.d.sync += [a.eq(into_a), b.eq(a), c.eq(b), d.eq(c), e.eq(into_e), f.eq(e), g.eq(f), h.eq(g)]

        # One sum becomes the first temporary of FIPS 180-4, another the schedule's new word.
        total, next_word = Signal(WORD_BITS), Signal(WORD_BITS)
        base, addend = Signal(WORD_BITS), Signal(WORD_BITS)
        summed = (base + addend)[:WORD_BITS]
        m.d.comb += [base.eq(total), addend.eq(read.data), into_e.eq(d)]
        contribution = Signal(WORD_BITS)
        m.d.comb += contribution.eq(read.data)
        next_summed = Signal(WORD_BITS)
        m.d.comb += next_summed.eq(next_word + contribution)

        base_at = Signal(8)
        m.d.comb += base_at.eq(Mux(first_block, _START_AT, _HASH_AT))
        slot = Signal(range(SCHEDULE))
        m.d.comb += slot.eq(number)

        with m.FSM():
            with m.State("ABSORB"):
                m.d.comb += self.message.ready.eq(~padding)
                taken, byte = Signal(), Signal(8)
                with m.If(padding):
                    bits = Cat(Const(0, 3), length)
                    m.d.comb += taken.eq(1)
                    with m.If(one_due):
                        m.d.comb += byte.eq(0x80)
                    with m.Elif(last_block):
                        for place in range(COUNTED_BYTES):
                            with m.If(at == BLOCK_BYTES - 1 - place):
                                m.d.comb += byte.eq(bits.word_select(place, 8))
                    m.d.sync += one_due.eq(0)
                    with m.If(at == 0):
                        m.d.sync += last_block.eq(1)
                    with m.If(one_due):
                        m.d.sync += last_block.eq(at < LENGTH_AT)
                with m.Elif(self.message.valid):
                    m.d.comb += [taken.eq(self.message.payload.keep), byte.eq(self.message.payload.data)]
                    m.d.sync += [
                        length.eq(length + self.message.payload.keep),
                        padding.eq(self.message.payload.last),
                        one_due.eq(self.message.payload.last),
                    ]
                with m.If(taken):
                    m.d.sync += [packed.eq(Cat(byte, packed[:-8])), at.eq(at + 1)]
                    m.d.comb += [
                        write.en.eq(at[:3] == 7),
                        write.addr.eq(_SCHEDULE_AT | at[3:]),
                        write.data.eq(Cat(byte, packed[:-8])),
                    ]
                    with m.If(at == BLOCK_BYTES - 1):
                        m.d.sync += step.eq(WORDS - 1)
                        m.next = "FETCH"

            # The last word goes in first and ends in h.
            with m.State("FETCH"):
                m.d.comb += read.addr.eq(base_at + step)
                m.d.sync += step.eq(step - 1)
                m.next = "LOAD"

            with m.State("LOAD"):
                m.d.comb += [read.addr.eq(base_at + step), move.eq(1), into_a.eq(read.data)]
                m.d.sync += step.eq(step - 1)
                with m.If(step == WORDS - 1):
                    m.d.sync += [step.eq(0), number.eq(0)]
                    m.next = "ROUND"

            with m.State("ROUND"):
                m.d.sync += step.eq(step + 1)
                with m.Switch(step):
                    with m.Case(0):
                        m.d.comb += read.addr.eq(_SCHEDULE_AT | slot)
                    with m.Case(1):
                        m.d.comb += [read.addr.eq(_CONSTANTS_AT + number), base.eq(h)]
                        m.d.sync += [total.eq(summed), next_word.eq(read.data)]
                    with m.Case(2):
                        m.d.comb += read.addr.eq(_SCHEDULE_AT | (slot + 1)[:4])
                        m.d.sync += total.eq(summed)
                    with m.Case(3):
                        m.d.comb += [
                            read.addr.eq(_SCHEDULE_AT | (slot + 9)[:4]),
                            contribution.eq(_turned(read.data, 1, 8) ^ (read.data >> 7)),
                            addend.eq(_turned(e, 14, 18, 41)),
                        ]
                        m.d.sync += [next_word.eq(next_summed), total.eq(summed)]
                    with m.Case(4):
                        m.d.comb += [read.addr.eq(_SCHEDULE_AT | (slot + 14)[:4]), addend.eq((e & f) ^ (~e & g))]
                        m.d.sync += [next_word.eq(next_summed), total.eq(summed)]
                    with m.Case(5):
                        m.d.comb += [
                            contribution.eq(_turned(read.data, 19, 61) ^ (read.data >> 6)),
                            write.en.eq(1),
                            write.addr.eq(_SCHEDULE_AT | slot),
                            write.data.eq(next_summed),
                            move.eq(1),
                            into_e.eq(d + total),
                            into_a.eq(total + _turned(a, 28, 34, 39) + ((a & b) ^ (a & c) ^ (b & c))),
                        ]
                        m.d.sync += [step.eq(0), number.eq(number + 1)]
                        with m.If(number == ROUNDS - 1):
                            m.d.sync += step.eq(WORDS - 1)
                            m.next = "ADD_FETCH"

            # The hash grows by the working variables, h first.
            with m.State("ADD_FETCH"):
                m.d.comb += read.addr.eq(base_at + step)
                m.next = "ADD"

            with m.State("ADD"):
                m.d.comb += [base.eq(h), move.eq(1), write.en.eq(1), write.addr.eq(_HASH_AT + step), write.data.eq(summed)]
                m.d.sync += step.eq(step - 1)
                m.next = "ADD_FETCH"
                with m.If(step == 0):
                    m.d.sync += [first_block.eq(0), step.eq(0)]
                    m.next = "ABSORB"
                    with m.If(padding & last_block):
                        m.next = "DIGEST_FETCH"

            with m.State("DIGEST_FETCH"):
                m.d.comb += read.addr.eq(_HASH_AT + step)
                m.next = "DIGEST"

            with m.State("DIGEST"):
                m.d.comb += [read.addr.eq(_HASH_AT + step), self.digest.valid.eq(1), self.digest.payload.eq(read.data)]
                with m.If(self.digest.ready):
                    m.d.sync += step.eq(step + 1)
                    m.next = "DIGEST_FETCH"
                    with m.If(step == WORDS - 1):
                        m.d.sync += [padding.eq(0), last_block.eq(0), first_block.eq(1), length.eq(0)]
                        m.next = "ABSORB"
        return m
