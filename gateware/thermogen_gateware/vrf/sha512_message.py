"""A message for SHA-512, bit by bit, with the padding of FIPS 180-4 (5.1.2) behind it."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..sha3 import message_layout
from .sha512_tables import SCHEDULE

BYTE_BITS = 8
LONGEST_MESSAGE = 8191
"""In bytes: of the length, in bits, all but the lower two bytes are taken for 0."""


class MessageBits(wiring.Component):
    """The bits of one message after the other, each byte's lowest first; blocks are as long as `word` and `byte` say.

    While `absorbing`, the bit at `place` of the byte at `byte` of the `word` is wanted. It is there when `given`, and a clock later in
    `bit`; when `moves`, the next one is wanted. `first_block` and `last_block` say what the present block is to its message, until
    `block_ends`.
    """

    message: In(stream.Signature(message_layout()))
    absorbing: In(1)
    place: In(range(BYTE_BITS))
    byte: In(range(BYTE_BITS))
    word: In(range(SCHEDULE))
    moves: In(1)
    block_ends: In(1)
    given: Out(1)
    bit: Out(1)
    first_block: Out(1, init=1)
    last_block: Out(1)

    def elaborate(self, _platform):
        m = Module()
        message = self.message
        padding, one_due = Signal(), Signal()
        byte_ends, message_ends = Signal(), Signal()
        m.d.comb += [
            byte_ends.eq(self.absorbing & (self.place == BYTE_BITS - 1)),
            message.ready.eq(~padding & Mux(message.payload.keep, byte_ends, self.absorbing)),
            self.given.eq(padding | (message.valid & message.payload.keep)),
            message_ends.eq(self.block_ends & self.last_block),
        ]
        with m.If(message.valid & message.ready & message.payload.last):
            m.d.sync += [padding.eq(1), one_due.eq(1)]
        with m.If(padding & byte_ends):
            m.d.sync += one_due.eq(0)

        # The last two words are the length's: a block that has padding before them is the last.
        length_words = self.word >= SCHEDULE - 2
        with m.If(padding & self.absorbing & ~length_words):
            m.d.sync += self.last_block.eq(1)
        with m.If(self.block_ends):
            m.d.sync += self.first_block.eq(self.last_block)
        with m.If(message_ends):
            m.d.sync += [padding.eq(0), self.last_block.eq(0)]

        at_length = self.last_block & (self.word == SCHEDULE - 1) & (self.byte >= BYTE_BITS - 2)
        length_bit = self._length_bit(m, ~padding, message_ends)
        # The byte itself waits the clock, so that whoever gives it has all of it.
        byte, place, pads, padding_bit = Signal(BYTE_BITS), Signal.like(self.place), Signal(), Signal()
        m.d.sync += [
            byte.eq(message.payload.data),
            place.eq(self.place),
            pads.eq(padding),
            padding_bit.eq(Mux(one_due, self.place == BYTE_BITS - 1, at_length & length_bit)),
        ]
        m.d.comb += self.bit.eq(Mux(pads, padding_bit, byte.bit_select(place, 1)))
        return m

    def _length_bit(self, m, counts, clear):
        """Of the length in bits. Its two bytes turn once with each of the message's, and what is carried goes from one into the other."""
        lower, upper = Signal(BYTE_BITS), Signal(BYTE_BITS)
        carry, upper_carry = Signal(), Signal()
        increment = carry | (counts & (self.place == 3))
        ends = self.place == BYTE_BITS - 1
        with m.If(self.absorbing & self.moves):
            m.d.sync += [
                lower.eq(Cat(lower[1:], lower[0] ^ increment)),
                upper.eq(Cat(upper[1:], upper[0] ^ upper_carry)),
                carry.eq(lower[0] & increment & ~ends),
                upper_carry.eq(Mux(ends, lower[0] & increment, upper[0] & upper_carry)),
            ]
        with m.If(clear):
            m.d.sync += [lower.eq(0), upper.eq(0)]
        return Mux(self.byte[0], lower[0], upper[0])
