"""Unsigned restoring division, one quotient bit a clock (Knuth, The Art of Computer Programming 2, section 4.3.1, in radix 2).

Latency: `width` + 1 clocks from `start` to `done`; a `start` while busy is not seen. Dividing by zero gives all ones.
Area, LIFCL, 48 by 20 bits: 58 LUT4, 16 CCU2, 95 FF.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class SerialDivider(wiring.Component):
    """`dividend` (width bits) / `divisor` (divisor_width bits) → `quotient`, `remainder`, valid from `done` to the next `start`."""

    def __init__(self, width, divisor_width):
        self._width = width
        super().__init__(
            {
                "start": In(1),
                "dividend": In(width),
                "divisor": In(divisor_width),
                "done": Out(1),
                "quotient": Out(width),
                "remainder": Out(divisor_width),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        bits_left = Signal(range(self._width + 1))
        divisor = Signal.like(self.divisor)
        shifted = Signal(len(divisor) + 1)
        m.d.comb += shifted.eq(Cat(self.quotient[-1], self.remainder))
        m.d.sync += self.done.eq(bits_left == 1)
        with m.If(bits_left != 0):
            m.d.sync += bits_left.eq(bits_left - 1)
            with m.If(shifted >= divisor):
                m.d.sync += [self.remainder.eq(shifted - divisor), self.quotient.eq(Cat(1, self.quotient[:-1]))]
            with m.Else():
                m.d.sync += [self.remainder.eq(shifted), self.quotient.eq(Cat(0, self.quotient[:-1]))]
        with m.Elif(self.start):
            m.d.sync += [
                self.quotient.eq(self.dividend),
                self.remainder.eq(0),
                divisor.eq(self.divisor),
                bits_left.eq(self._width),
            ]
        return m
