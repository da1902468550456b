"""Words that come by bit by bit, lowest bit first: their past, their turns and their sums.

A word of 64 bits turned to the right by n has at place i the bit of place i + n. While i + n < 64 that bit came by 64 - n clocks before
bit i of the next word does, so as the word was written; from there on it is a bit of the word as it is read, and came by as long ago.
"""

from __future__ import annotations

from functools import reduce
from operator import xor

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib.memory import Memory

from ..bit_serial import carry_bit, sum_bit


class PastBits:
    """Bits as they were some clocks ago: as far as it goes from columns of a RAM, `column_clocks` each, then from flip-flops."""

    def __init__(self, m: Module, column_clocks: int):
        self._m = m
        self.column_clocks = column_clocks
        self.columns: list[tuple[Signal, Signal]] = []
        """What enters a column and what leaves it."""

    def memory(self, depth: int, position, past_position) -> Memory:
        """The RAM, once every delay is known: written at one position in each clock, read at the one that is `column_clocks` - 1 before."""
        memory = Memory(shape=len(self.columns), depth=depth, init=[], attrs={"ram_block": 1})
        read, write = memory.read_port(), memory.write_port()
        self._m.d.comb += [
            read.addr.eq(past_position),
            write.en.eq(1),
            write.addr.eq(position),
            write.data.eq(Cat(entering for entering, _ in self.columns)),
            Cat(leaving for _, leaving in self.columns).eq(read.data),
        ]
        return memory

    def of(self, bit) -> DelayLine:
        """The past of one bit."""
        return DelayLine(self._m, self, bit)


class DelayLine:
    """The past of a bit: `line[n]` is the bit n clocks ago, and delays share what they have in common."""

    def __init__(self, m: Module, past: PastBits, bit):
        self._m = m
        self._past = past
        self._taps = {0: bit}

    def __getitem__(self, clocks: int):
        if clocks not in self._taps:
            self._taps[clocks] = delayed = Signal(name=f"delayed_{clocks}")
            if clocks % self._past.column_clocks:
                self._m.d.sync += delayed.eq(self[clocks - 1])
            else:
                self._past.columns.append((self[clocks - self._past.column_clocks], delayed))
        return self._taps[clocks]


def turned(written: DelayLine, read: DelayLine, turns, wrapped, latency: int):
    """The exclusive or of a word turned to the right so many times, `latency` clocks after it was written; it is read a pass later."""
    return reduce(xor, (Mux(here, read[latency - turn], written[latency - turn]) for turn, here in zip(turns, wrapped, strict=True)))


def turned_and_shifted(written: DelayLine, read: DelayLine, turns, wrapped, latency: int):
    """The same, but the last turn is a shift."""
    shifted = written[latency - turns[-1]] & ~wrapped[-1]
    return turned(written, read, turns[:-1], wrapped[:-1], latency) ^ shifted


def summed(m: Module, moves, ends, *terms):
    """The sum of words whose bits come by as `moves` is high, the last one with `ends`."""
    total, *others = terms
    for term in others:
        carry = Signal()
        with m.If(moves):
            m.d.sync += carry.eq(carry_bit(total, term, carry) & ~ends)
        total = sum_bit(total, term, carry)
    return total
