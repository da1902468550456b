"""When a product may start: reset and permission to switch power, from configuration, clock and lock.

Reset is held until the clock is known good and `hold_clocks` more clocks have passed. iCE40 needs that time: its block RAMs read as zero
for about 3 µs after configuration (no erratum was published; the users of Project IceStorm found it). Reset ends synchronously and
begins at once when `good` falls, because then there may be no clock to be synchronous to.
Latency: 3 + `hold_clocks` clocks from `good` to `permit`. Area: about 20 cells.
"""

from __future__ import annotations

from amaranth.hdl import ClockDomain, ClockSignal, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import ResetSynchronizer
from amaranth.lib.wiring import In, Out


class PowerOn(wiring.Component):
    """Holds `reset` and withholds `permit` until the clock has been good for `hold_clocks` clocks.

    `clk` is the product's clock, `good` an asynchronous 1 while it can be trusted (a PLL's lock). `permit` gates every output that
    switches power, combinationally.
    """

    def __init__(self, hold_clocks: int) -> None:
        if hold_clocks < 1:
            raise ValueError(f"hold_clocks must be at least 1, not {hold_clocks}")
        self._hold_clocks = hold_clocks
        super().__init__({"clk": In(1), "good": In(1), "reset": Out(1, init=1), "permit": Out(1)})

    def elaborate(self, _platform):
        m = Module()
        m.domains += ClockDomain("start", async_reset=True, local=True)
        m.d.comb += ClockSignal("start").eq(self.clk)
        m.submodules += ResetSynchronizer(~self.good, domain="start")

        waited = Signal(range(self._hold_clocks + 1))
        started = Signal()
        with m.If(waited == self._hold_clocks):
            m.d.start += started.eq(1)
        with m.Else():
            m.d.start += waited.eq(waited + 1)
        m.d.comb += [
            self.reset.eq(~started),
            self.permit.eq(started & self.good),
        ]
        return m
