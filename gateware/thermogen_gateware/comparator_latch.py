"""Remembers that the bus comparator has spoken, however shortly.

The modules latch any low of their run wire by themselves (`module_release.py`), so a pulse that no clock edge sees stops them for good; the
node has to know it as they do. A high level clears a flip-flop without a clock, and that flip-flop is set again only by `clear`. For two
clocks after that the synchroniser would still tell what has been cleared; it forgets as well, and what comes in the meantime is kept.
From configuration and reset the flip-flop is clear; the first clock sets it unless the comparator is high.
Latency: `quiet` at once, `spoken` and `high` after two clocks. Area, LIFCL-40: 4 LUT4, 6 FF.
"""

from __future__ import annotations

from amaranth.hdl import ClockDomain, ClockSignal, Module, ResetInserter, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out


class ComparatorLatch(wiring.Component):
    """`quiet`, asynchronous: `comparator` has not been high since `clear` or the first clock. `spoken`: it has, synchronised.

    `high` is `comparator`, synchronised. `clear` is for when that is 0.
    """

    def __init__(self):
        super().__init__({"comparator": In(1), "clear": In(1), "quiet": Out(1), "spoken": Out(1), "high": Out(1)})

    def elaborate(self, _platform):
        m = Module()
        m.submodules.high = FFSynchronizer(self.comparator, self.high)

        started = Signal()
        forget = Signal()
        m.d.sync += started.eq(1)
        m.d.comb += forget.eq(self.clear | ~started)
        m.domains += ClockDomain("pulse", async_reset=True, local=True)
        m.d.comb += [ClockSignal("pulse").eq(ClockSignal()), ResetSignal("pulse").eq(self.comparator)]
        with m.If(forget):
            m.d.pulse += self.quiet.eq(1)
        m.submodules.spoken = ResetInserter(forget)(FFSynchronizer(~self.quiet, self.spoken, reset_less=False))
        return m
