"""Whether a converter's reference can be believed, from the currents that it reports.

An ADS7952 (TI SLAS605) has no reference of its own and answers, channel numbers and all, whatever stands at its REF pin: a reference
that collapses makes every input read full scale, one that drifts scales them all. The current amplifiers are biased to mid-scale from
their own supply, so a channel without current has to read 2048. A channel's current is implausible when it is at a rail of the
converter (within 16 codes, beyond ±4 A, which no channel carries), or when the channel rests and reads 128 codes or more off zero (a
reference more than 6 % off; an amplifier's offset and bias stay within 40 codes). A reference is common to twelve channels and an
amplifier is not: each plausible channel counts one up, each implausible one down, from 0 to 63, and at 0 the reference is lost.
So it takes more than half of the channels, and 53 µs when all of them agree. Until belief is won, at 63, only resting channels
count up: a module does not start on a reference that it could not yet have checked. With every channel at work a reference
between 1.2 and 2.5 V stays unseen here; the node compares the sum of the channels with the bus shunt for that.
Latency: `believed` follows a channel's current by a clock. Area, iCE40: 33 LUT4, 8 carry, 7 FF with one converter; 78, 24, 21 with three.
"""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .diode_emulation import RAIL_BITS
from .module_link import CURRENT_BITS, CURRENT_ZERO

ZERO_BAND_BITS = 7
"""A resting channel reads within 128 codes of zero."""
SURE = 63


class ReferenceWatch(wiring.Component):
    """Takes the current of one channel of converter `converter` at each `strobe`. `believed` is 0 while `answers` is.

    `answers`: that converter answers, and for the right channels; before it does its currents are not its own.
    """

    def __init__(self, converters=1):
        self._converters = converters
        super().__init__(
            {
                "strobe": In(1),
                "converter": In(range(max(converters, 2))),
                "current": In(CURRENT_BITS),
                "resting": In(1),
                "answers": In(converters),
                "believed": Out(converters),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        at_rail, at_zero, plausible = Signal(), Signal(), Signal()
        blocks = self.current[ZERO_BAND_BITS:]
        zero_block = CURRENT_ZERO >> ZERO_BAND_BITS
        m.d.comb += [
            at_rail.eq(self.current[RAIL_BITS:].all() | ~self.current[RAIL_BITS:].any()),
            at_zero.eq((blocks == zero_block) | (blocks == zero_block - 1)),
            plausible.eq(~at_rail & (at_zero | ~self.resting)),
        ]
        for number in range(self._converters):
            sure = Signal(range(SURE + 1), name=f"sure_{number}")
            believed = self.believed[number]
            with m.If(~self.answers[number]):
                m.d.sync += [sure.eq(0), believed.eq(0)]
            with m.Elif(self.strobe & (self.converter == number)):
                with m.If(~plausible):
                    with m.If(sure == 0):
                        m.d.sync += believed.eq(0)
                    with m.Else():
                        m.d.sync += sure.eq(sure - 1)
                with m.Elif(sure == SURE):
                    m.d.sync += believed.eq(1)
                with m.Elif(believed | self.resting):
                    m.d.sync += sure.eq(sure + 1)
        return m
