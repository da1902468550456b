"""Whether the daemon watches: its heartbeat, and what is done without it.

From power-up until the first heartbeat, and again 5 s after the last one, the node is `autonomous`: the tracker works conservatively,
because nobody watches the site. That is no trip: a site without its Linux side goes on charging its battery. `lost` is the fault: 5 s after
the last heartbeat, or 30 s after power-up when the daemon never came. The first heartbeat ends both. Counts the clock; the daemon
sends one every second of wall time. Watchdog times: the power generating combustor's (boot 30 s, run 5 s).
Latency: one clock. Area: counted in `node.py`.
"""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

BOOT_S = 30
RUN_S = 5


class DaemonWatch(wiring.Component):
    """`heartbeat` (one clock) → `autonomous`, `lost`."""

    def __init__(self, clock_hz: float):
        self._boot_clocks = int(BOOT_S * clock_hz)
        self._run_clocks = int(RUN_S * clock_hz)
        super().__init__({"heartbeat": In(1), "autonomous": Out(1, init=1), "lost": Out(1)})

    def elaborate(self, _platform):
        m = Module()
        left = Signal(range(self._boot_clocks + 1), init=self._boot_clocks)
        with m.If(self.heartbeat):
            m.d.sync += [left.eq(self._run_clocks), self.autonomous.eq(0), self.lost.eq(0)]
        with m.Elif(left == 0):
            m.d.sync += [self.autonomous.eq(1), self.lost.eq(1)]
        with m.Else():
            m.d.sync += left.eq(left - 1)
        return m
