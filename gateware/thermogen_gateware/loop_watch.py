"""The emergency watchdog: the loop of measuring, exchanging and tracking has to come round.

Each of the three has to be seen once before the watch is content again; when one of them stays away for 100 ms of clock time, nobody
steers the channels any more, and everything is turned off. A loop comes round every 100 µs, so this is a thousand of them missed.
Until the three have been seen for the first time the watch allows for the same 100 ms. A converter that answers wrongly is not
this watch's business (`run` is 0 then, see `protection.py`); one that is not asked any more is.
Latency: 100 ms and at most one loop. Area: counted in `node.py`.
"""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

EMERGENCY_S = 100e-3


class LoopWatch(wiring.Component):
    """`measured`, `exchanged`, `tracked` (one clock each) → `expired` while the loop has not come round for 100 ms."""

    def __init__(self, clock_hz: float):
        self._clocks = max(1, int(EMERGENCY_S * clock_hz))
        super().__init__({"measured": In(1), "exchanged": In(1), "tracked": In(1), "expired": Out(1)})

    def elaborate(self, _platform):
        m = Module()
        seen, steps = Signal(3), Signal(3)
        clocks = Signal(range(self._clocks + 1))
        m.d.comb += [steps[0].eq(self.measured), steps[1].eq(self.exchanged), steps[2].eq(self.tracked)]
        m.d.comb += self.expired.eq(clocks == self._clocks)
        m.d.sync += seen.eq(seen | steps)
        with m.If(~self.expired):
            m.d.sync += clocks.eq(clocks + 1)
        with m.If((seen | steps).all()):
            m.d.sync += [seen.eq(0), clocks.eq(0)]
        return m
