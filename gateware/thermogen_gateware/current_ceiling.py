"""One ceiling on every channel's current, so that all channels together stay within the site's power.

An integrator: a round in which the power was over the limit lowers the ceiling by 1/64, one more than 1/32 below raises it by 1/128, up to
what a channel may carry anyway. A channel far below the ceiling loses nothing to it, so the strong strings give way first. From full
power to half of it takes 0.6 s. A channel that does not switch has room where 30 W, all that it may give at first, are left. Combinational
against its inputs, two registers. Area: counted in the tracker's.
"""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

CEILING_MAX_MA = 4_000
POWER_UNITS_PER_10_W = 1_221
"""10 W in the tracker's power units × 256 (8.192 mW), 0.02 % too much."""
_ROOM = 3 * POWER_UNITS_PER_10_W


class CurrentCeiling(wiring.Component):
    """`round_strobe` with `power` (8.192 mW) of all channels; `limit` in 10 W → `ceiling_ma`; `room`: one more channel may switch."""

    round_strobe: In(1)
    power: In(24)
    limit: In(16)
    ceiling_ma: Out(12, init=CEILING_MAX_MA)
    room: Out(1)

    def elaborate(self, _platform):
        m = Module()
        # Sixteen fractions of a milliampere, so that a 128th of a small ceiling still counts.
        ceiling = Signal(16, init=CEILING_MAX_MA << 4)
        bound = Signal(24)
        raised = Signal(17)
        below, full = Signal(), Signal()
        m.d.comb += [
            self.ceiling_ma.eq(ceiling >> 4),
            raised.eq(ceiling + (ceiling >> 7) + 16),
            below.eq(self.power < bound - (bound >> 5)),
            self.room.eq(~full & self.limit.any()),
        ]
        m.d.sync += bound.eq(self.limit[:11] * POWER_UNITS_PER_10_W)
        with m.If(self.round_strobe):
            m.d.sync += full.eq(self.power + _ROOM > bound)
            with m.If(self.power > bound):
                m.d.sync += ceiling.eq(ceiling - (ceiling >> 6))
            with m.Elif(below):
                with m.If(raised > CEILING_MAX_MA << 4):
                    m.d.sync += ceiling.eq(CEILING_MAX_MA << 4)
                with m.Else():
                    m.d.sync += ceiling.eq(raised)
        return m
