"""The order in which a power module may switch: supply, converters, link, kill; and back to its start.

Everything is off until the supply has been good for 20 µs (its supervisor waits longer; this is for the clock and the block RAMs), and a
fall of `supply_good` puts the whole module back into reset. Then at least one converter has to be believed, the link has to have
brought a frame without enable and then one with it, and `run` has to be 1; only then `enable` and `driver_enable` rise. Each bit of
`enable` waits for its own converter: a dead one keeps its twelve channels off and no others, so `driver_enable` waits for any.
`run` is the node's fail-safe wire. A low level, however short, clears a flip-flop without a clock, and that flip-flop is set again only by
an applied frame without enable while `run` is 1: from power-up, and after each kill, the node has to take its enable back first.
`gate` is the asynchronous part of all this and has to gate every output that switches power without a clock.
Bounds from `run` or `supply_good` to a gate pin are in `pcm.py`. Latency: `enable` falls two to three clocks after `run`, `gate` at once.
Area, iCE40, three converters: 28 LUT4, 8 carry, 18 FF.
"""

from __future__ import annotations

from amaranth.hdl import ClockDomain, ClockSignal, Module, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from .power_on import PowerOn

SUPPLY_HOLD_S = 20e-6


class ModuleRelease(wiring.Component):
    """`reset` is for everything else of the module; `applied`: a good frame has just been applied, and `link_enable` is its flag.

    `running` is `run`, synchronised; `killed`: `run` has fallen since the last frame without enable.
    """

    def __init__(self, clock_hz, converters=1):
        self._hold_clocks = round(SUPPLY_HOLD_S * clock_hz)
        super().__init__(
            {
                "run": In(1),
                "supply_good": In(1),
                "link_valid": In(1),
                "link_enable": In(1),
                "applied": In(1),
                "believed": In(converters),
                "reset": Out(1),
                "gate": Out(1),
                "enable": Out(converters),
                "driver_enable": Out(1),
                "running": Out(1),
                "killed": Out(1),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        m.submodules.supply = supply = PowerOn(self._hold_clocks)
        m.d.comb += [supply.clk.eq(ClockSignal()), supply.good.eq(self.supply_good), self.reset.eq(supply.reset)]

        m.submodules.running = FFSynchronizer(self.run, self.running)
        m.domains += ClockDomain("kill", async_reset=True, local=True)
        m.d.comb += [ClockSignal("kill").eq(ClockSignal()), ResetSignal("kill").eq(~self.run)]
        alive = Signal()
        with m.If(self.reset):
            m.d.kill += alive.eq(0)
        with m.Elif(self.applied & ~self.link_enable & self.running):
            m.d.kill += alive.eq(1)
        alive_here = Signal()
        m.submodules.alive = FFSynchronizer(alive, alive_here)

        released = Signal()
        m.d.comb += [
            released.eq(self.running & alive_here & self.link_valid & self.link_enable & ~self.reset),
            self.enable.eq(self.believed & released.replicate(len(self.enable))),
            self.gate.eq(self.run & alive & supply.permit),
            self.driver_enable.eq(self.gate & self.enable.any()),
            self.killed.eq(~alive_here),
        ]
        return m
