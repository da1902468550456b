# amaranth: UnusedElaboratable=no
"""The product tops: what switches power is off whenever reset, clock or lock could not be trusted.

The cores are replaced by ones that ask for everything to be on, so that only the top can be what keeps it off. The boards are those of the
tables, their ports simulated.
"""

import pytest
from amaranth.hdl import Fragment, Module
from amaranth.lib import io, wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator
from thermogen_boards import controller_node, crosslink_nx_evn, ice40_up5k_breakout, power_module
from thermogen_gateware.power_on import PowerOn
from thermogen_gateware.products import node, pcm
from thermogen_gateware.products.board_pins import BoardPins
from thermogen_gateware.products.clock_sources import Pll24, Pll48, Pll50
from thermogen_gateware.products.clock_watch import ClockWatch

from .simulated_board import SimulatedBoard


class AllOn(wiring.Component):
    """Has the ports of a core and drives every output to ones, but for those of `follows`: they are what an input is."""

    def __init__(self, inputs, outputs, follows=None):
        self.outputs = outputs
        self.follows = follows or {}
        super().__init__({name: In(width) for name, width in inputs.items()} | {name: Out(width) for name, width in outputs.items()})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += [getattr(self, name).eq(getattr(self, self.follows[name]) if name in self.follows else ~0) for name in self.outputs]
        return m


def node_core(modules=controller_node.MODULES, key=False):
    inputs = "host_sclk host_cs_n host_copi adc_cipo pulse ov_comparator"
    outputs = "host_cipo module_sclk adc_sclk adc_cs_n adc_copi led_link led_trip"
    wires = dict.fromkeys(("module_cs_n", "module_copi", "module_run"), modules)
    inputs, outputs = dict.fromkeys(inputs.split(), 1) | {"module_cipo": modules}, dict.fromkeys(outputs.split(), 1) | wires
    if not key:
        return AllOn(inputs, outputs)
    # It pulls both wires of its memory while that says tamper_n, and shows SDA and the noise at its lamps.
    inputs |= dict.fromkeys(("key_sda", "key_tamper_n", "key_noise"), 1)
    outputs |= dict.fromkeys(("key_scl_low", "key_sda_low", "key_noise_enable"), 1)
    return AllOn(
        inputs, outputs, {"key_scl_low": "key_tamper_n", "key_sda_low": "key_tamper_n", "led_trip": "key_sda", "led_link": "key_noise"}
    )


def pcm_core(channels=power_module.CHANNELS):
    inputs = "link_sclk link_cs_n link_copi run supply_good adc_cipo"
    outputs = "link_cipo adc_sclk adc_cs_n adc_copi driver_enable"
    gates = {"pwm_hi": channels, "pwm_lo": channels}
    return AllOn(dict.fromkeys(inputs.split(), 1), dict.fromkeys(outputs.split(), 1) | gates)


class TestClock(wiring.Component):
    """A clock (and lock) that the test bench drives."""

    __test__ = False

    def __init__(self):
        super().__init__({"reference": In(1), "clk": Out(1), "lock": Out(1)})

    def elaborate(self, platform):
        return Module()


async def run_clock(ctx, signal, clocks):
    for _ in range(clocks):
        await ctx.delay(5e-9)
        ctx.set(signal, 1)
        await ctx.delay(5e-9)
        ctx.set(signal, 0)


def simulate(top, board, bench):
    simulator = Simulator(Fragment.get(top, board))
    simulator.add_testbench(bench)
    simulator.run()


def test_the_module_switches_nothing_before_lock_nor_after_it_is_lost():
    board, pll = SimulatedBoard(power_module.PINS), TestClock()
    gates = [board.ports[name].o for name in ("pwm_hi", "pwm_lo", "driver_enable")]
    used = (1 << power_module.CHANNELS) - 1
    hold = round(pcm.HOLD_S * power_module.CLOCK_HZ)

    async def bench(ctx):
        def levels():
            return [ctx.get(gate) for gate in gates]

        assert levels() == [0, 0, 0]  # configured, no clock yet
        await run_clock(ctx, pll.clk, 2 * hold)
        assert levels() == [0, 0, 0]  # the PLL runs but has not locked
        ctx.set(pll.lock, 1)
        await run_clock(ctx, pll.clk, hold)
        assert levels() == [0, 0, 0]  # locked, block RAMs not yet readable
        await run_clock(ctx, pll.clk, 8)
        assert levels() == [used, used, 1]
        ctx.set(pll.lock, 0)
        await ctx.delay(1e-9)  # and no clock edge
        assert levels() == [0, 0, 0]
        ctx.set(pll.lock, 1)
        await run_clock(ctx, pll.clk, hold)
        assert levels() == [0, 0, 0]  # lock that comes back starts from the beginning

    simulate(pcm.PcmTop(pcm_core(), lambda pins: pll), board, bench)


@pytest.mark.parametrize(("pll", "board"), [(Pll48, power_module), (Pll24, ice40_up5k_breakout)])
def test_the_pll_makes_the_modules_clock_from_the_boards_oscillator(pll, board):
    made = board.OSCILLATOR_HZ * (pll.DIVF + 1) / (2**pll.DIVQ * (pll.DIVR + 1))
    assert made == board.CLOCK_HZ
    assert 533e6 <= made * 2**pll.DIVQ <= 1066e6


def test_the_pll_makes_the_nodes_clock_from_the_evaluation_boards_oscillator():
    vco = crosslink_nx_evn.OSCILLATOR_HZ * Pll50.MULTIPLIER
    assert vco / Pll50.DIVIDER == controller_node.CLOCK_HZ
    assert 800e6 <= vco <= 1600e6


def test_the_node_on_the_evaluation_board_lets_no_module_run_without_a_locked_pll():
    board, oscillator, pll = SimulatedBoard(crosslink_nx_evn.PINS), TestClock(), TestClock()
    run = [board.ports[f"module#{number}.run"].o for number in range(controller_node.MODULES)]

    async def bench(ctx):
        async def both(clocks):
            for _ in range(clocks):
                await run_clock(ctx, pll.clk, 28)
                await run_clock(ctx, oscillator.clk, 1)

        await both(20)
        assert [ctx.get(wire) for wire in run] == [0, 0, 0]
        ctx.set(pll.lock, 1)
        await both(20)
        assert [ctx.get(wire) for wire in run] == [1, 1, 1]
        ctx.set(pll.lock, 0)
        await ctx.delay(1e-9)  # and no clock edge
        assert [ctx.get(wire) for wire in run] == [0, 0, 0]

    simulate(node.NodeTop(node_core(), oscillator, lambda pins: pll), board, bench)


def test_the_reduced_module_keeps_the_flash_off_the_converters_wires_from_the_first_moment():
    board, pll = SimulatedBoard(ice40_up5k_breakout.PINS), TestClock()
    seen = []

    async def bench(ctx):
        seen.append(ctx.get(board.ports["flash.cs_n"].o))

    simulate(
        pcm.PcmTop(pcm_core(ice40_up5k_breakout.CHANNELS), lambda pins: pll, ice40_up5k_breakout.CLOCK_HZ, shared_flash=True), board, bench
    )
    assert seen == [1]


def test_the_node_lets_modules_run_only_while_its_clock_does():
    board, oscillator = SimulatedBoard(controller_node.PINS), TestClock()
    clk = board.ports["clk50"].i
    run = [board.ports[f"module#{number}.run"].o for number in range(controller_node.MODULES)]

    async def bench(ctx):
        def levels():
            return [ctx.get(wire) for wire in run]

        async def both(clocks):  # 50 MHz is about 28 times the internal oscillator's 1.76 MHz
            for _ in range(clocks):
                await run_clock(ctx, clk, 28)
                await run_clock(ctx, oscillator.clk, 1)

        assert levels() == [0, 0, 0]
        await run_clock(ctx, oscillator.clk, 100)
        assert levels() == [0, 0, 0]  # no 50 MHz yet
        await both(20)
        assert levels() == [1, 1, 1]
        await run_clock(ctx, oscillator.clk, 19)  # the 50 MHz has stopped
        assert levels() == [0, 0, 0]
        await both(20)
        assert levels() == [1, 1, 1]

    simulate(node.NodeTop(node_core(), oscillator), board, bench)


def test_the_node_leaves_modules_that_it_does_not_use_deselected():
    board, oscillator = SimulatedBoard(controller_node.PINS), TestClock()
    seen = []

    async def bench(ctx):
        await run_clock(ctx, board.ports["clk50"].i, 2 * node.HOLD_CLOCKS)
        seen.extend(ctx.get(board.ports[f"module#{number}.{wire}"].o) for number in (1, 2) for wire in ("cs_n", "copi", "run"))

    simulate(node.NodeTop(node_core(modules=1), oscillator), board, bench)
    assert seen == [1, 0, 0] * 2


class Rings(wiring.Component):
    """Ring oscillators that the test bench turns."""

    def __init__(self):
        super().__init__({"enable": In(1), "noise": Out(4)})

    def elaborate(self, platform):
        return Module()


def test_the_wires_of_the_keys_memory_are_pulled_low_or_let_go_and_never_driven_high():
    board, oscillator = SimulatedBoard(controller_node.PINS), TestClock()
    scl, sda, tamper_n = (board.ports[f"key_memory.{name}"] for name in ("scl", "sda", "tamper_n"))

    async def bench(ctx):
        for pulls in (0, 1, 0):
            ctx.set(tamper_n.i, pulls)
            for level in (0, 1):
                ctx.set(sda.i, level)
                await ctx.delay(1e-9)
                assert [ctx.get(wire.oe) for wire in (scl, sda)] == [pulls, pulls]
                assert [ctx.get(wire.o) for wire in (scl, sda)] == [0, 0]
                # The lamp is lit by a low level.
                assert pulls or ctx.get(board.ports["led_trip"].o) == 1 - level

    simulate(node.NodeTop(node_core(key=True), oscillator, key_noise=Rings()), board, bench)


def test_every_ring_of_the_keys_noise_turns_its_sample():
    board, oscillator, rings = SimulatedBoard(controller_node.PINS), TestClock(), Rings()

    async def bench(ctx):
        async def sample(levels):
            ctx.set(rings.noise, levels)
            await run_clock(ctx, board.ports["clk50"].i, 4)
            return ctx.get(board.ports["led_link"].o)

        await run_clock(ctx, board.ports["clk50"].i, 2 * node.HOLD_CLOCKS)
        assert ctx.get(rings.enable) == 1
        still = await sample(0)
        for ring in range(4):
            assert await sample(1 << ring) != still
            assert await sample(0) == still

    simulate(node.NodeTop(node_core(key=True), oscillator, key_noise=rings), board, bench)


def test_a_node_without_a_key_touches_no_wire_of_its_memory():
    board, oscillator = SimulatedBoard(controller_node.PINS), TestClock()
    asked = []
    request = board.request
    board.request = lambda name, *where, **how: asked.append(name) or request(name, *where, **how)
    Fragment.get(node.NodeTop(node_core(), oscillator), board)
    assert "host" in asked and "key_memory" not in asked


def test_lamps_are_lit_by_a_low_level():
    board, oscillator = SimulatedBoard(controller_node.PINS), TestClock()
    seen = []

    async def bench(ctx):
        seen.append(ctx.get(board.ports["led_trip"].o))

    simulate(node.NodeTop(node_core(), oscillator), board, bench)
    assert seen == [0]


def test_products_run_at_the_boards_clock():
    assert {target.clock: target.hz for target in node.DESIGN.targets}["clk"] == controller_node.CLOCK_HZ == 50_000_000
    assert node.CLOCKS_PER_SITE_SECOND == 50_000_000
    assert {target.clock: target.hz for target in pcm.DESIGN.targets} == {"clk": 48_000_000}


def test_more_signals_than_pins_are_refused():
    with pytest.raises(ValueError, match="led_link: 2 bits for 1 pins"):
        BoardPins(Module(), SimulatedBoard(controller_node.PINS)).output(io.SimulationPort("o", 2).o, "led_link")


@pytest.mark.parametrize(("component", "argument"), [(PowerOn, 0), (ClockWatch, 1)])
def test_a_wait_of_no_length_is_refused(component, argument):
    with pytest.raises(ValueError, match="must be at least"):
        component(argument)
