# amaranth: UnusedElaboratable=no
"""What has to hold of the wires that let the modules run: from the protection to the node's pins, and from its two clocks to them."""

from __future__ import annotations

from amaranth.hdl import ClockDomain, ClockSignal, DomainRenamer, Fragment, Module, ResetSignal, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..simulated_board import SimulatedBoard
from .mutant import Mutant
from .proof import Property, Task
from .spec import Spec, internal

CHANNELS, MODULES = 2, 3
STOPPED_CLOCKS = 20
"""Of the internal oscillator at 1.76 MHz: 12 µs."""


class RunWires(Spec):
    """No module's run wire is 1 against the protection, and none of a module that is not heard or not of our kind."""

    def build(self, m: Module) -> None:
        from thermogen_gateware.module_link import MODULE_TYPE, MODULE_VERSION
        from thermogen_gateware.power_path import PowerPath

        core = PowerPath(channels=CHANNELS, modules=MODULES)
        inside = self.around(core)
        stop = core.tripped | ~core.enable | core.ov_comparator | ~internal(inside, "protection.comparator.quiet")
        self.always(~(core.module_run.any() & stop), "a module runs against trip, enable or comparator")
        self.always(~core.module_run.any() | internal(inside, "protection.run"), "a module runs against the protection")
        self.always(~core.module_run.any() | internal(inside, "inputs.healthy"), "a module runs without a believed converter")
        for module in range(MODULES):
            heard = core.module_present[module] & core.module_heard[module]
            known = (core.module_type[module] == MODULE_TYPE) & (core.module_version[module] == MODULE_VERSION)
            self.always(~core.module_run[module] | (heard & known), "a module runs that is not heard or not known")
        self.possible(core.module_run.all())


class _PowerPath(wiring.Component):
    """In the place of the power path: its run wires may be anything."""

    def __init__(self, signature: wiring.Signature, wanted: Signal) -> None:
        self._wanted = wanted
        super().__init__(signature)

    def elaborate(self, _platform: object) -> Module:
        m = Module()
        m.d.comb += self.module_run.eq(self._wanted)
        return m


class _Clock(wiring.Component):
    """In the place of oscillator and PLL: clock and lock as they come in."""

    def __init__(self, clk: Signal, lock: Signal) -> None:
        self._clk, self._lock = clk, lock
        super().__init__({"clk": Out(1), "lock": Out(1)})

    def elaborate(self, _platform: object) -> Module:
        m = Module()
        m.d.comb += [self.clk.eq(self._clk), self.lock.eq(self._lock)]
        return m


class _Board(wiring.Component):
    """The node as a product on its board, whatever its power path wants; `run` are the pins."""

    def __init__(self) -> None:
        super().__init__({"clk": In(1), "watch_clk": In(1), "lock": In(1), "wanted": In(MODULES), "run": Out(MODULES)})

    def elaborate(self, _platform: object) -> Module:
        from thermogen_boards import controller_node
        from thermogen_gateware.node import Node
        from thermogen_gateware.power_path import PowerPath
        from thermogen_gateware.products.node import NodeTop

        m = Module()
        board = SimulatedBoard(controller_node.PINS)
        power_path = _PowerPath(PowerPath(channels=CHANNELS, modules=MODULES).signature, self.wanted)
        node = Node(controller_node.CLOCK_HZ, CHANNELS, MODULES, power_path=power_path)
        top = NodeTop(node, _Clock(self.watch_clk, self.lock), lambda _pins: _Clock(self.clk, self.lock))
        # The specification has a `sync` of its own.
        m.submodules.top = DomainRenamer({"sync": "node"})(Fragment.get(top, board))
        m.d.comb += [self.run[module].eq(board.ports[f"module#{module}.run"].o) for module in range(MODULES)]
        return m


class RunPins(Spec):
    """A run pin is 1 only while power path, lock and the clock's watch say so; with the clock stopped at either level it falls.

    Here a step is finer than the clocks.
    """

    def build(self, m: Module) -> None:
        from thermogen_gateware.products.node import HOLD_CLOCKS

        core = _Board()
        top = self.around(core).find_subfragment("top")
        on = core.run.any()
        self.always((core.run & ~core.wanted) == 0, "a pin is 1 that the power path does not want")
        self.always(~on | core.lock, "a pin is 1 without lock")

        locked_for = self._clocks(m, "locked", core.clk, while_=core.lock, most=HOLD_CLOCKS)
        waited = internal(top, "power_on.waited")
        self.always((waited <= locked_for) & (locked_for <= HOLD_CLOCKS), "the wait runs ahead of the lock")
        self.always(~internal(top, "power_on.started") | (waited == HOLD_CLOCKS), "started before the wait was over")
        self.always(~on | (locked_for == HOLD_CLOCKS), "a pin is 1 before the lock was there for its time")

        watch = top.find_subfragment("clock_watch")
        beat = internal(top, "heartbeat.beat")
        stages = watch.find_subfragment("synchronised")
        watch_says = internal(watch, "alive")
        silent, patience = internal(watch, "silent"), STOPPED_CLOCKS - 4
        self.always(silent <= patience, "silent for longer than it counts")
        for level, name in ((0, "low"), (1, "high")):
            stopped_for = self._clocks(m, name, core.watch_clk, while_=core.clk == level, most=STOPPED_CLOCKS)
            self.always(stopped_for <= STOPPED_CLOCKS, "a stopped clock is counted too far")
            self.always((stopped_for < 1) | (internal(stages, "stage0") == beat), "a beat without a clock")
            self.always((stopped_for < 2) | (internal(stages, "stage1") == beat), "a beat without a clock")
            self.always((stopped_for < 3) | (internal(watch, "before") == beat), "a beat without a clock")
            self.always((stopped_for < 4) | (silent >= stopped_for - 3) | (silent == patience), "a stopped clock is not counted")
            self.always(~watch_says | (stopped_for < STOPPED_CLOCKS), "a stopped clock is taken for alive")
            self.always(~on | (stopped_for < STOPPED_CLOCKS), "a pin is 1 with the clock stopped")
        self.possible(core.run.all())

    def _clocks(self, m: Module, name: str, clk: Value, while_: Value, most: int) -> Signal:
        """Edges of `clk` since `while_` has last risen, without a clock."""
        m.domains += ClockDomain(name, async_reset=True, local=True)
        m.d.comb += [ClockSignal(name).eq(clk), ResetSignal(name).eq(~while_)]
        count = Signal(range(most + 1), name=f"{name}_for")
        with m.If(count != most):
            m.d[name] += count.eq(count + 1)
        return count


PROPERTIES = (
    Property(
        name="run_wires",
        core="power_path",
        says="No module's run wire is 1 in a clock in which the protection does not let it, a trip is latched, enable is 0, the comparator "
        "has spoken or the site's converter is not believed; nor one of a module that is not heard or of another type or version.",
        parameters=f"{MODULES} modules of {CHANNELS} channels, 50 MHz",
        spec=RunWires,
        mutant=Mutant(
            "the protection lets run whatever happens",
            "protection",
            "self.run.eq(self.enable & ~self.tripped & self.converter_healthy & comparator.quiet & ~self.ov_comparator)",
            "self.run.eq(1)",
        ),
        depth=2,
        reach=2,
        anywhere=frozenset({Task.COVER, Task.REFUTE}),
    ),
    Property(
        name="run_pins",
        core="products/node",
        says="At the pins a run wire is 1 only while the power path wants it, the lock is there and has been for its time, and the clock "
        "goes: within 20 clocks of the internal oscillator (12 µs) of its stopping at either level all are 0.",
        parameters=f"{MODULES} modules, 64 clocks of hold, any clocks, steps finer than they are",
        spec=RunPins,
        mutant=Mutant("the pins do not see a stopped clock", "products.node", " & clock_watch.alive", ""),
        depth=4,
        reach=4,
        anywhere=frozenset({Task.COVER, Task.REFUTE}),
        finer_than_the_clock=True,
    ),
)
