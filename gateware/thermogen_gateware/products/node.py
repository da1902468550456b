"""The controller node as it is flashed: `NetworkedNode` on the pins of a board, at the product's clock.

Clock: the 50 MHz oscillator straight from its pin; on the evaluation board, which has none, the PLL makes it of 12 MHz. Power: the
modules' `run` wires are 0 until the node has left reset, and fall within 12 µs when the oscillator stops, seen by the FPGA's own one,
or at once when the PLL loses its lock. Wires of modules that the product does not use say "stop". A core without a network leaves
the Ethernet PHY in reset, and one without a key lets go of its memory's wires. No board has a switch for writes by everybody yet: who may
write is the daemon's allow-list.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from amaranth.hdl import C, Cat, ClockSignal, Elaboratable, Module, ResetSignal, Signal
from amaranth.lib import wiring
from thermogen_boards import ControllerNode, CrossLinkNxEvn
from thermogen_boards.controller_node import CLOCK_HZ, MODULES

from ..build.design import ClockTarget, Design
from ..build.sources import register_value, source_hash
from ..networked_node import NetworkedNode
from ..node import Node
from ..power_on import PowerOn
from ..ring_oscillators import RingOscillators
from .board_pins import BoardPins
from .clock_sources import InternalOscillator, Oscillator50, Pll50, timed_domain
from .clock_watch import ClockWatch, Heartbeat
from .ethernet_pins import SENT, InputRegisters, OutputRegisters, connect_ethernet
from .key_memory_pins import RING_LENGTHS as KEY_RING_LENGTHS
from .key_memory_pins import connect_key_memory

CLOCKS_PER_SITE_SECOND = CLOCK_HZ
CHANNELS = 36
"""On each module."""

RING_LENGTHS = (3, 5)
RING_CELLS = ("ring_oscillators.inverter_",)
"""Of the ring oscillators in the netlist: the only cells in a loop."""
KEY_RING_CELLS = ("key_rings.inverter_",)
"""Of those that a key is made of, where the node has one."""

HOLD_CLOCKS = 64
"""Flip-flops start as configured; the hold lets the oscillator's first, irregular periods pass."""


class NodeTop(Elaboratable):
    """The node on its board. `core` has the ports of `Node` or of `NetworkedNode`, `oscillator` the port `clk`; `clock` makes what has
    `clk` and `lock`, `inputs` and `outputs` make flip-flops in I/O cells, `noise` (RingOscillators' ports) is for a core with a network,
    `key_noise` (the same) for one with a key. With `seal` the core that is made has one.

    The core decides how many modules are used: as many as it has `module_run` wires.
    """

    def __init__(
        self,
        core: wiring.Component | None = None,
        oscillator: wiring.Component | None = None,
        clock: Callable[[BoardPins], wiring.Component] = Oscillator50,
        inputs: type[wiring.Component] = InputRegisters,
        outputs: type[wiring.Component] = OutputRegisters,
        noise: wiring.Component | None = None,
        key_noise: wiring.Component | None = None,
        seal: bool = False,
    ) -> None:
        self._core = core or NetworkedNode(
            Node(CLOCKS_PER_SITE_SECOND, CHANNELS, MODULES, source_hash=register_value(source_hash(__name__)), network=True, seal=seal)
        )
        self._inputs, self._outputs = inputs, outputs
        self._oscillator = oscillator or InternalOscillator()
        self._noise = noise
        self._key_noise = key_noise
        self._clock = clock

    def elaborate(self, platform):
        m = Module()
        pins = BoardPins(m, platform)

        m.submodules.clock = clock = self._clock(pins)
        m.domains += timed_domain("sync")
        m.d.comb += ClockSignal("sync").eq(clock.clk)
        m.submodules.power_on = power_on = PowerOn(HOLD_CLOCKS)
        m.d.comb += [power_on.clk.eq(ClockSignal("sync")), power_on.good.eq(clock.lock), ResetSignal("sync").eq(power_on.reset)]

        m.submodules.oscillator = oscillator = self._oscillator
        m.domains += timed_domain("watch", reset_less=True)
        m.d.comb += ClockSignal("watch").eq(oscillator.clk)
        m.submodules.heartbeat = heartbeat = Heartbeat()
        m.submodules.clock_watch = clock_watch = ClockWatch()
        m.d.comb += clock_watch.beat.eq(heartbeat.beat)

        m.submodules.node = node = self._core
        modules = len(node.module_run)
        m.d.comb += [
            node.host_sclk.eq(pins.input("host", "sclk")),
            node.host_cs_n.eq(pins.input("host", "cs_n")),
            node.host_copi.eq(pins.input("host", "copi")),
            node.adc_cipo.eq(pins.input("adc", "cipo")),
            node.pulse.eq(pins.input("pulse")),
            node.ov_comparator.eq(pins.input("ov_comparator")),
            node.module_cipo.eq(Cat(pins.input("module", "cipo", number) for number in range(modules))),
        ]
        pins.output(node.host_cipo, "host", "cipo")
        pins.output(node.adc_sclk, "adc", "sclk")
        pins.output(node.adc_cs_n, "adc", "cs_n")
        pins.output(node.adc_copi, "adc", "copi")
        pins.output(node.module_sclk, "module_bus", "sclk")
        pins.output(node.led_link, "led_link")
        pins.output(node.led_trip, "led_trip")
        for number in range(MODULES):
            used = number < modules
            pins.output(node.module_cs_n[number] if used else C(1), "module", "cs_n", number)
            pins.output(node.module_copi[number] if used else C(0), "module", "copi", number)
            may_run = Signal(name=f"may_run_{number}")
            if used:
                m.d.comb += may_run.eq(node.module_run[number] & power_on.permit & clock_watch.alive)
            pins.output(may_run, "module", "run", number)
        if "rxd" in node.signature.members:
            connect_ethernet(m, pins, node, self._inputs, self._outputs)
            m.submodules.ring_oscillators = noise = self._noise or RingOscillators(RING_LENGTHS)
            m.d.comb += [noise.enable.eq(node.gathers_noise), node.noise.eq(noise.noise)]
        else:
            for name in (*SENT, "mdc", "reset_n"):
                pins.output(C(0), "ethernet", name)
        if "key_scl_low" in node.signature.members:
            connect_key_memory(m, pins, node, self._key_noise or RingOscillators(KEY_RING_LENGTHS))
        return m


def _design(
    platform: Callable[[], object], top: Callable[[], Elaboratable], loader: tuple[str, ...], loops: tuple[str, ...] = RING_CELLS
) -> Design:
    targets = (ClockTarget("clk", CLOCK_HZ), ClockTarget("watch_clk", InternalOscillator.HZ))
    return Design("node", platform, top, targets, sources=__name__, loader=loader, loops=loops)


DESIGN = _design(ControllerNode, partial(NodeTop, seal=True), ("--cable", "ft2232", "--write-flash"), (*RING_CELLS, *KEY_RING_CELLS))
"""What `thermogen-build node` builds: the node with a key of its own, which seals every epoch."""

EVALUATION = _design(CrossLinkNxEvn, partial(NodeTop, clock=Pll50), ("--board", "crosslinknx_evn", "--write-flash"))
