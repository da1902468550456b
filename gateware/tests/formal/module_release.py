"""What has to hold of a power module's start and of its kill wire, whatever supply, link, converters and node do."""

from __future__ import annotations

from amaranth.hdl import ClockDomain, ClockSignal, Module, ResetSignal, Signal

from .mutant import Mutant
from .proof import Property
from .spec import Spec, internal

CLOCK_HZ = 400_000
HOLD_CLOCKS = 8
"""20 µs at that clock: the order is the same, only the wait is shorter than the product's 960 clocks."""
CONVERTERS = 2


class StartUpOrder(Spec):
    """Supply good for its time, a frame without enable, then valid link, enable, a believed converter and `run`: only then drivers."""

    def build(self, m: Module) -> None:
        from thermogen_gateware.module_release import ModuleRelease

        core = ModuleRelease(CLOCK_HZ, CONVERTERS)
        inside = self.around(core)
        # The module's own supply supervision knows no reset but the supply's.
        good_for = Signal(range(HOLD_CLOCKS + 1), reset_less=True)
        with m.If(~core.supply_good):
            m.d.sync += good_for.eq(0)
        with m.Elif(good_for != HOLD_CLOCKS):
            m.d.sync += good_for.eq(good_for + 1)
        taken_back = Signal(reset_less=True)
        with m.If(~core.run | ~core.supply_good | (good_for != HOLD_CLOCKS)):
            m.d.sync += taken_back.eq(0)
        with m.Elif(core.applied & ~core.link_enable):
            m.d.sync += taken_back.eq(1)

        waited = internal(inside, "supply.waited")
        self.always((waited <= good_for) & (good_for <= HOLD_CLOCKS), "the wait runs ahead of the supply")
        self.always(~internal(inside, "supply.started") | (waited == HOLD_CLOCKS), "started before the wait was over")
        self.always(~internal(inside, "alive") | taken_back, "alive without a frame that takes enable back")

        self.always(core.reset | (good_for == HOLD_CLOCKS), "out of reset before the supply was good for its time")
        on = core.gate | core.driver_enable
        self.always(~on | (core.supply_good & core.run & (good_for == HOLD_CLOCKS)), "on without supply or against the kill wire")
        self.always(~on | taken_back, "on without a frame that takes enable back, since start or kill")
        allowed = core.link_valid & core.link_enable
        self.always(~core.driver_enable | (allowed & core.believed.any()), "drivers on without link, enable or converter")
        for converter in range(CONVERTERS):
            self.always(
                ~core.enable[converter] | (allowed & core.believed[converter]), "channels on without link, enable or their converter"
            )
        self.possible(core.driver_enable & (core.enable == 1))
        self.possible(core.driver_enable & core.enable.all())


class KillLatch(Spec):
    """A low level of `run`, however short beside a clock, ends everything until a frame without enable has been applied after it.

    Here a step is finer than the clock: `run` may fall and rise again between two edges.
    """

    def build(self, m: Module) -> None:
        from thermogen_gateware.module_release import ModuleRelease

        core = ModuleRelease(CLOCK_HZ, CONVERTERS)
        inside = self.around(core)
        m.domains += ClockDomain("since_kill", async_reset=True, local=True)
        m.d.comb += [ClockSignal("since_kill").eq(ClockSignal()), ResetSignal("since_kill").eq(~core.run)]
        taken_back = Signal()
        with m.If(core.applied & ~core.link_enable):
            m.d.since_kill += taken_back.eq(1)
        self.always(~internal(inside, "alive") | taken_back, "alive without a frame that takes enable back")
        self.always(~(core.gate | core.driver_enable) | core.run, "on against the kill wire")
        self.always(~(core.gate | core.driver_enable) | taken_back, "on without a frame that takes enable back, since the kill")
        self.possible(core.driver_enable)


PROPERTIES = (
    Property(
        name="start_up_order",
        core="module_release",
        says="Nothing is on before supply, settling, first frame, enable, converters and kill wire are through, in that order.",
        parameters="2 converters, 400 kHz (20 µs = 8 clocks)",
        spec=StartUpOrder,
        mutant=Mutant(
            "drivers do not wait for a converter",
            "module_release",
            "self.driver_enable.eq(self.gate & self.enable.any())",
            "self.driver_enable.eq(self.gate & released)",
        ),
        depth=4,
        reach=24,
    ),
    Property(
        name="kill_latch",
        core="module_release",
        says="A pulse of the kill wire, however short, turns everything off at once; off it stays until the node has taken enable back.",
        parameters="2 converters, 400 kHz (20 µs = 8 clocks), steps finer than the clock",
        spec=KillLatch,
        mutant=Mutant(
            "the kill waits for a clock",
            "module_release",
            'ClockDomain("kill", async_reset=True, local=True)',
            'ClockDomain("kill", local=True)',
        ),
        depth=6,
        reach=48,
        finer_than_the_clock=True,
    ),
)
