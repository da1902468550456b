"""The node's power path from its pins: a converter from its datasheet, a module in Python, a site clock of the test's choice."""

from __future__ import annotations

import inspect

import pytest
from amaranth.hdl import Signal
from amaranth.sim import Simulator
from thermogen_esf.points import SITE_INPUTS, ChannelState, Fault
from thermogen_esf.tracker_parameters import TRACKER_PARAMETERS
from thermogen_gateware.power_path import KILLED_EXCHANGES, RELEASE_EXCHANGES, PowerPath
from thermogen_gateware.tracker import ZEROING_EXCHANGES

pytestmark = pytest.mark.slow

CLOCK_HZ = 7_000_000
"""As few clocks as an exchange of two channels takes: 700."""
EXCHANGE_CLOCKS = CLOCK_HZ // 10_000
CHANNELS = 2
BUS_48V = 3000
ZERO_AMPERE = 2048


class Bench:
    def __init__(
        self, ads7952, spi_module, inputs=None, currents=(ZERO_AMPERE + 900, ZERO_AMPERE + 500), zeroing_exchanges=RELEASE_EXCHANGES
    ):
        self.inputs = [BUS_48V, ZERO_AMPERE, *[100] * 9, ZERO_AMPERE] if inputs is None else inputs
        self.converter = ads7952(self.inputs)
        self.module = spi_module(CHANNELS, list(currents), while_off=ZERO_AMPERE)
        self.dut = PowerPath(CLOCK_HZ, CHANNELS, 1, 4 * EXCHANGE_CLOCKS, zeroing_exchanges)

    async def second(self, ctx, clocks=4 * EXCHANGE_CLOCKS):
        """One pulse; run its second out. The clocks from pulse to `ready`."""
        ctx.set(self.dut.pulse, 1)
        await ctx.tick()
        ctx.set(self.dut.pulse, 0)
        ready = None
        for clock in range(1, clocks):
            if ctx.get(self.dut.ready):
                assert ready is None
                ready = clock
            await ctx.tick()
        return ready

    async def word(self, ctx, channel):
        ctx.set(self.dut.channel_index, channel)
        await ctx.tick()
        word = ctx.get(self.dut.channel_word)
        return word >> 12, word >> 3 & 0x1FF, ChannelState(word & 7)

    def faults(self, ctx):
        return Fault(ctx.get(self.dut.faults))

    def run(self, testbench):
        selected = Signal(init=1)

        async def converter(ctx):
            await self.converter.run(
                ctx, self.dut.adc_sclk, self.dut.adc_cs_n, self.dut.adc_copi, lambda c, bit: c.set(self.dut.adc_cipo, bit)
            )

        async def select(ctx):
            async for (level,) in ctx.changed(self.dut.module_cs_n):
                ctx.set(selected, level)

        async def module(ctx):
            await self.module.run(
                ctx, self.dut.module_sclk, selected, self.dut.module_copi, lambda c, bit: c.set(self.dut.module_cipo, bit)
            )

        async def bench(ctx):
            ctx.set(self.dut.enable, 1)
            ctx.set(self.dut.parameters, {parameter.identifier: parameter.default for parameter in TRACKER_PARAMETERS})
            await testbench(ctx)

        simulator = Simulator(self.dut)
        simulator.add_clock(1 / CLOCK_HZ)
        simulator.add_testbench(bench)
        for process in (converter, select, module):
            simulator.add_testbench(process, background=True)
        simulator.run()


@pytest.fixture
def bench(ads7952, spi_module):
    return Bench(ads7952, spi_module)


async def settle(bench, ctx):
    """Converter believed, module heard and released, a pass made since, and one with the currents that it led to."""
    await ctx.tick().repeat((RELEASE_EXCHANGES + 7) * EXCHANGE_CLOCKS)


def test_a_second_is_ready_within_1500_clocks_and_counts_its_mean_power(bench):
    dut = bench.dut

    async def testbench(ctx):
        await settle(bench, ctx)
        await bench.second(ctx)
        energy, gas = ctx.get(dut.electrical_energy), ctx.get(dut.gas_volume)
        ready = await bench.second(ctx)
        assert ready is not None and ready <= 1_500
        bus_mv = ctx.get(dut.site_inputs[SITE_INPUTS.index("bus_voltage")])
        assert bus_mv == round(BUS_48V * 65535 / 4096)
        power_mw = (900 + 500) * 2 * bus_mv // 1000
        assert abs(ctx.get(dut.channel_power) - power_mw) <= 1
        assert abs(ctx.get(dut.electrical_energy) - energy - power_mw) <= 1
        assert ctx.get(dut.gas_volume) - gas == ctx.get(dut.site_inputs[SITE_INPUTS.index("gas_flow")]) == round(100 * 10_000 / 4096)

    bench.run(testbench)


def test_channel_words_show_current_duty_and_state_and_the_module_gets_the_duties(bench):
    async def testbench(ctx):
        await settle(bench, ctx)
        for channel, current in ((0, ZERO_AMPERE + 900), (1, ZERO_AMPERE + 500)):
            raw, duty, state = await bench.word(ctx, channel)
            assert (raw, state) == (current, ChannelState.SEEK) and duty > 0
        assert ctx.get(bench.dut.module_present) and ctx.get(bench.dut.module_run)
        assert not bench.faults(ctx) & ~Fault.CURRENT_SUM_MISMATCH
        assert (await bench.word(ctx, 2))[2] == ChannelState.ABSENT

    bench.run(testbench)
    last = bench.module.received[-1]
    assert last[2] == 1 and int.from_bytes(last[3:5], "big") > 0


def test_the_comparator_stops_the_modules_at_once_and_the_trip_is_told(bench):
    dut = bench.dut

    async def testbench(ctx):
        await settle(bench, ctx)
        assert ctx.get(dut.module_run)
        ctx.set(dut.ov_comparator, 1)
        assert not ctx.get(dut.module_run)
        while not ctx.get(dut.trip_strobe):
            await ctx.tick()
        ctx.set(dut.ov_comparator, 0)
        assert ctx.get(dut.tripped) and ctx.get(dut.trip_cause) == Fault.BUS_COMPARATOR
        await ctx.tick().repeat(2 * EXCHANGE_CLOCKS)
        assert not ctx.get(dut.module_run) and bench.faults(ctx) == Fault.BUS_COMPARATOR
        assert [(await bench.word(ctx, channel))[1:] for channel in range(CHANNELS)] == [(0, ChannelState.OFF)] * 2
        ctx.set(dut.trip_clear, 1)
        await ctx.tick()
        ctx.set(dut.trip_clear, 0)
        await ctx.tick()
        assert ctx.get(dut.module_run) and not bench.faults(ctx)
        off = len(bench.module.received)
        assert bench.module.received[-1][2] == 0
        assert bench.module.received[-1][3:7] == bytes(4)
        # The kill latch in the module wants to see the flag 0 with its run wire 1, and then 1.
        await ctx.tick().repeat((RELEASE_EXCHANGES + 3) * EXCHANGE_CLOCKS)
        flags = [frame[2] for frame in bench.module.received[off:]]
        assert flags[: RELEASE_EXCHANGES - 1] == [0] * (RELEASE_EXCHANGES - 1) and flags[-1] == 1
        assert (await bench.word(ctx, 0))[2] == ChannelState.SEEK

    bench.run(testbench)


def test_a_comparator_pulse_shorter_than_a_clock_stops_the_modules_until_the_trip_is_cleared(bench):
    dut = bench.dut

    async def testbench(ctx):
        await settle(bench, ctx)
        await ctx.delay(0.3 / CLOCK_HZ)
        ctx.set(dut.ov_comparator, 1)
        assert not ctx.get(dut.module_run)
        await ctx.delay(0.1 / CLOCK_HZ)
        ctx.set(dut.ov_comparator, 0)
        for _ in range(10):
            assert not ctx.get(dut.module_run)
            await ctx.tick()
        assert ctx.get(dut.tripped) and ctx.get(dut.trip_cause) == bench.faults(ctx) == Fault.BUS_COMPARATOR
        assert ctx.get(dut.trip_bus_mv) == round(BUS_48V * 65535 / 4096)
        ctx.set(dut.enable, 0)
        await ctx.tick().repeat(10)
        ctx.set(dut.enable, 1)
        await ctx.tick().repeat(10)
        assert not ctx.get(dut.module_run)
        ctx.set(dut.trip_clear, 1)
        await ctx.tick()
        ctx.set(dut.trip_clear, 0)
        await ctx.tick().repeat(10)
        assert ctx.get(dut.module_run) and not bench.faults(ctx)

    bench.run(testbench)


@pytest.mark.slow
def test_a_bus_above_58_volt_for_a_millisecond_trips(bench):
    async def testbench(ctx):
        await settle(bench, ctx)
        bench.inputs[0] = 3700
        clocks = 0
        while not ctx.get(bench.dut.tripped):
            await ctx.tick()
            clocks += 1
        assert 7_000 <= clocks <= 8_500
        assert not ctx.get(bench.dut.module_run)
        assert Fault.BUS_TRIP | Fault.BUS_SHED | Fault.BUS_WARNING in bench.faults(ctx)
        assert ctx.get(bench.dut.trip_bus_mv) == round(3700 * 65535 / 4096)

    bench.run(testbench)


@pytest.mark.slow
@pytest.mark.parametrize("lost", ["site converter", "bus", "enable"])
def test_nothing_is_released_without_a_believed_bus_and_enable(bench, lost):
    if lost == "site converter":
        bench.converter.fault = "stuck-1"
    if lost == "bus":
        bench.inputs[0] = 2000  # 32 V

    async def testbench(ctx):
        ctx.set(bench.dut.enable, lost != "enable")
        await settle(bench, ctx)
        assert (await bench.word(ctx, 0))[1:] == (0, ChannelState.OFF)
        assert (Fault.SITE_CONVERTER in bench.faults(ctx)) == (lost == "site converter")
        assert ctx.get(bench.dut.module_run) == (lost == "bus")
        assert not ctx.get(bench.dut.tripped)

    bench.run(testbench)
    assert all(frame[2] == 0 for frame in bench.module.received)


@pytest.mark.slow
def test_a_module_that_is_not_there_is_absent_and_a_fault(bench):
    bench.module.present = False

    async def testbench(ctx):
        await settle(bench, ctx)
        assert not ctx.get(bench.dut.module_present)
        assert bench.faults(ctx) == Fault.MODULE_LINK
        assert (await bench.word(ctx, 0)) == (0, 0, ChannelState.ABSENT)
        await bench.second(ctx)
        assert ctx.get(bench.dut.channel_power) == 0
        assert ctx.get(bench.dut.module_link_errors) == 0

    bench.run(testbench)


@pytest.mark.slow
def test_a_module_that_does_not_believe_its_converter_is_a_fault(bench):
    bench.module.status = 0b0001_0101

    async def testbench(ctx):
        await settle(bench, ctx)
        assert bench.faults(ctx) == Fault.MODULE_CONVERTER
        assert [(await bench.word(ctx, channel))[2] for channel in range(CHANNELS)] == [ChannelState.FAULT] * 2

    bench.run(testbench)


@pytest.mark.slow
def test_a_module_that_comes_back_is_off_until_it_is_zeroed_and_only_then_released(ads7952, spi_module):
    zeroing = 3 * RELEASE_EXCHANGES
    bench = Bench(ads7952, spi_module, zeroing_exchanges=zeroing)

    async def testbench(ctx):
        await ctx.tick().repeat((zeroing + 4) * EXCHANGE_CLOCKS)
        assert (await bench.word(ctx, 0))[2] == ChannelState.SEEK
        bench.module.status = 0
        await ctx.tick().repeat(2 * EXCHANGE_CLOCKS)
        assert (await bench.word(ctx, 0))[2] == ChannelState.ABSENT
        bench.module.status = 1
        await ctx.tick().repeat(2 * EXCHANGE_CLOCKS)
        back = len(bench.module.received)
        for _ in range(zeroing - 3):
            assert (await bench.word(ctx, 0))[1:] == (0, ChannelState.OFF)
            await ctx.tick().repeat(EXCHANGE_CLOCKS)
        assert not any(frame[2] for frame in bench.module.received[back:])
        await ctx.tick().repeat(4 * EXCHANGE_CLOCKS)
        assert (await bench.word(ctx, 0))[2] == ChannelState.SEEK and bench.module.received[-1][2]

    bench.run(testbench)


@pytest.mark.slow
def test_a_channel_that_is_off_for_its_current_is_let_go_by_the_key_and_not_by_enable(bench):
    dut = bench.dut

    async def testbench(ctx):
        await settle(bench, ctx)
        bench.module.currents[0] = 4090
        await ctx.tick().repeat(4 * EXCHANGE_CLOCKS)
        bench.module.currents[0] = ZERO_AMPERE
        ctx.set(dut.enable, 0)
        await ctx.tick().repeat(2 * EXCHANGE_CLOCKS)
        ctx.set(dut.enable, 1)
        await settle(bench, ctx)
        assert [(await bench.word(ctx, channel))[2] for channel in range(CHANNELS)] == [ChannelState.FAULT, ChannelState.SEEK]
        assert bench.faults(ctx) & Fault.CHANNEL_OVERCURRENT and not ctx.get(dut.tripped)
        ctx.set(dut.trip_clear, 1)
        await ctx.tick()
        ctx.set(dut.trip_clear, 0)
        await ctx.tick().repeat(3 * EXCHANGE_CLOCKS)
        assert (await bench.word(ctx, 0))[2] == ChannelState.SEEK and not bench.faults(ctx) & Fault.CHANNEL_OVERCURRENT

    bench.run(testbench)


@pytest.mark.slow
def test_the_last_currents_of_a_module_that_is_pulled_are_not_counted_on(bench):
    dut = bench.dut

    async def testbench(ctx):
        await settle(bench, ctx)
        await bench.second(ctx)
        await bench.second(ctx)
        assert ctx.get(dut.channel_power) > 100_000
        bench.module.present = False
        await ctx.tick().repeat(4 * EXCHANGE_CLOCKS)
        await bench.second(ctx)
        await bench.second(ctx)
        assert ctx.get(dut.module_present) and ctx.get(dut.channel_power) == 0

    bench.run(testbench)


def test_a_new_module_is_zeroed_for_five_time_constants_of_the_offsets_filter():
    assert inspect.signature(PowerPath).parameters["zeroing_exchanges"].default == ZEROING_EXCHANGES >= 5 * 64 + RELEASE_EXCHANGES


@pytest.mark.slow
def test_a_module_of_another_version_is_shown_and_not_used(bench):
    bench.module.version = 3

    async def testbench(ctx):
        await settle(bench, ctx)
        dut = bench.dut
        assert ctx.get(dut.module_present) and ctx.get(dut.module_version[0]) == 3 and ctx.get(dut.module_type[0]) == 1
        assert not ctx.get(dut.module_run) and bench.faults(ctx) == Fault.MODULE_LINK
        assert (await bench.word(ctx, 0)) == (0, 0, ChannelState.ABSENT)

    bench.run(testbench)
    assert all(frame[2] == 0 for frame in bench.module.received)


@pytest.mark.slow
def test_a_channel_that_does_not_obey_trips_everything_and_is_named(bench):
    async def testbench(ctx):
        await settle(bench, ctx)
        bench.module.currents[1] = 4090
        clocks = 0
        while not ctx.get(bench.dut.tripped):
            assert clocks < 24 * EXCHANGE_CLOCKS
            await ctx.tick()
            clocks += 1
        assert clocks >= 19 * EXCHANGE_CLOCKS
        assert ctx.get(bench.dut.trip_cause) == Fault.CHANNEL_OVERCURRENT and ctx.get(bench.dut.trip_channel) == 1
        assert not ctx.get(bench.dut.module_run)

    bench.run(testbench)


@pytest.mark.slow
def test_a_module_that_kills_itself_is_a_fault_and_its_channels_stand_still(bench):
    async def testbench(ctx):
        await settle(bench, ctx)
        await ctx.tick().repeat(KILLED_EXCHANGES * EXCHANGE_CLOCKS)
        assert Fault.MODULE_KILLED not in bench.faults(ctx)
        bench.module.status |= 0x80
        await ctx.tick().repeat(3 * EXCHANGE_CLOCKS)
        assert Fault.MODULE_KILLED in bench.faults(ctx) and ctx.get(bench.dut.module_run)
        assert (await bench.word(ctx, 0))[1:] == (0, ChannelState.FAULT)

    bench.run(testbench)


@pytest.mark.slow
def test_currents_that_the_bus_shunt_does_not_see_are_a_fault_of_that_second(bench):
    def shunt(ampere):
        bench.inputs[1] = ZERO_AMPERE + round(ampere / 0.04)

    async def testbench(ctx):
        await settle(bench, ctx)
        for ampere, fault in ((2.8, False), (2.2, True), (2.8, False), (3.4, True)):
            shunt(ampere)
            await bench.second(ctx)
            await bench.second(ctx)
            await bench.second(ctx)
            assert (Fault.CURRENT_SUM_MISMATCH in bench.faults(ctx)) == fault, ampere

    bench.run(testbench)


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
def test_a_site_second_without_two_exchanges_is_refused(refuses):
    with refuses("exchanges"):
        PowerPath(clocks_per_site_second=9_999)


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
def test_more_channels_on_a_module_than_an_exchange_holds_are_refused(refuses):
    PowerPath(channels=36, modules=3)
    with refuses("fewer channels"):
        PowerPath(channels=48)
