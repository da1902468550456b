"""The node's end of the module link against modules in Python at their own time."""

from __future__ import annotations

import pytest
from amaranth.hdl import Signal
from thermogen_gateware.module_link import CURRENT_ZERO, exchange_clocks, frame_bytes
from thermogen_gateware.module_link_master import LOST_EXCHANGES, ModuleLinkMaster

CHANNELS = 3
DUTIES = [0x123, 0xE40, 0x007]
OTHER = [0x456, 0x0FF, 0x100]
THIRD = [0x001, 0x800, 0xFFF]
CLOCKS_OF_AN_EXCHANGE = 5_000


class Bench:
    """A master with modules in Python; module k has `duties[k × CHANNELS:]`."""

    def __init__(self, simulate, modules, channels=CHANNELS):
        self.simulate, self.modules, self.channels = simulate, modules, channels
        self.dut = ModuleLinkMaster(channels, len(modules))
        self.lines = 0
        self.duties = (DUTIES + OTHER + THIRD)[: channels * len(modules)]
        self.duty_of = lambda address: self.duties[address]

    async def exchange(self, ctx, enable=None):
        ctx.set(self.dut.enable, (1 << len(self.modules)) - 1 if enable is None else enable)
        ctx.set(self.dut.start, 1)
        await ctx.tick()
        ctx.set(self.dut.start, 0)
        clocks = 1
        while not ctx.get(self.dut.done):
            await ctx.tick()
            clocks += 1
        await ctx.tick().repeat(4)
        return clocks

    async def currents(self, ctx, module=0, port="current"):
        values = []
        for channel in range(self.channels):
            ctx.set(getattr(self.dut, f"{port}_addr"), module * self.channels + channel)
            await ctx.tick()
            values.append(ctx.get(getattr(self.dut, f"{port}_data")))
        return values

    def run(self, testbench):
        async def memory(ctx):
            async for _, _, address in ctx.tick().sample(self.dut.duty_addr):
                ctx.set(self.dut.duty_data, self.duty_of(address))

        def process(number, module):
            selected = Signal(init=1)
            copi = Signal()

            async def select(ctx):
                async for (level,) in ctx.changed(self.dut.module_cs_n):
                    ctx.set(selected, level >> number & 1)

            async def data(ctx):
                async for (level,) in ctx.changed(self.dut.module_copi):
                    ctx.set(copi, level >> number & 1)

            def drive(ctx, bit):
                self.lines = self.lines & ~(1 << number) | bit << number
                ctx.set(self.dut.module_cipo, self.lines)

            async def run(ctx):
                await module.run(ctx, self.dut.module_sclk, selected, copi, drive)

            return [select, data, run]

        background = [memory]
        for number, module in enumerate(self.modules):
            background += process(number, module)
        self.simulate(self.dut, testbench, background=background)


@pytest.mark.parametrize("delay_s", [1e-9, 42e-9, 63e-9, 95e-9])
def test_the_currents_are_taken_whatever_the_slaves_delay(simulate, spi_module, delay_s):
    bench = Bench(simulate, [spi_module(CHANNELS, [2048, 4095, 1], delay_s=delay_s)])

    async def testbench(ctx):
        await bench.exchange(ctx)
        assert await bench.currents(ctx) == [2048, 4095, 1]
        assert await bench.currents(ctx, port="watch") == [2048, 4095, 1]
        assert ctx.get(bench.dut.present) and ctx.get(bench.dut.heard)

    bench.run(testbench)


def test_the_documented_bytes_are_sent(simulate, spi_module, frames):
    module = spi_module(CHANNELS, [2048] * CHANNELS)
    bench = Bench(simulate, [module])

    async def testbench(ctx):
        await bench.exchange(ctx)
        await bench.exchange(ctx, enable=0)

    bench.run(testbench)
    assert module.received == [frames(0, DUTIES, 1), frames(1, DUTIES, 0)]
    assert len(module.received[0]) == frame_bytes(CHANNELS)


def test_three_modules_are_exchanged_with_at_once_each_with_its_own(simulate, spi_module, frames):
    modules = [
        spi_module(CHANNELS, [11, 12, 13], status=1, bootstrap_pulses=0xABCD),
        spi_module(CHANNELS, [21, 22, 23], status=0x81, delay_s=30e-9),
        spi_module(CHANNELS, [31, 32, 33], type=7, version=9, delay_s=90e-9),
    ]
    bench = Bench(simulate, modules)

    async def testbench(ctx):
        dut = bench.dut
        clocks = await bench.exchange(ctx, enable=0b101)
        assert clocks == exchange_clocks(CHANNELS) and ctx.get(dut.present) == 0b111
        for module, first in enumerate((11, 21, 31)):
            assert await bench.currents(ctx, module) == [first, first + 1, first + 2]
        assert list(ctx.get(dut.status)) == [1, 0x81, 1]
        assert list(ctx.get(dut.module_type)) == [1, 1, 7] and list(ctx.get(dut.module_version)) == [2, 2, 9]
        assert list(ctx.get(dut.bootstrap_pulses)) == [0xABCD, 0, 0]

    bench.run(testbench)
    assert [module.received for module in modules] == [[frames(0, DUTIES, 1)], [frames(0, OTHER, 0)], [frames(0, THIRD, 1)]]


def test_an_exchange_of_three_times_36_channels_fits_into_ten_kilohertz():
    assert exchange_clocks(36) == 3_911 < CLOCKS_OF_AN_EXCHANGE


def test_a_duty_that_changes_while_it_is_sent_is_never_torn(simulate, spi_module):
    module = spi_module(CHANNELS, [2048] * CHANNELS)
    bench = Bench(simulate, [module])
    reads = []

    def other_at_every_read(address):
        reads.append(address)
        return 0xF00 if len(reads) % 2 else 0x0FF

    bench.duty_of = other_at_every_read

    async def testbench(ctx):
        for _ in range(3):
            await bench.exchange(ctx)

    bench.run(testbench)
    for frame in module.received:
        assert {frame[3 + 2 * channel : 5 + 2 * channel] for channel in range(CHANNELS)} <= {b"\x0f\x00", b"\x00\xff"}


def test_a_damaged_answer_changes_nothing_of_its_module_and_counts_as_an_error(simulate, spi_module):
    def damage(number, message):
        return message if number % 2 == 0 else message[:8] + bytes([message[8] ^ 1]) + message[9:]

    damaged = spi_module(CHANNELS, [2000, 2001, 2002], answer=damage, bootstrap_pulses=5)
    whole = spi_module(CHANNELS, [100, 101, 102])
    bench = Bench(simulate, [damaged, whole])

    async def testbench(ctx):
        dut = bench.dut
        await bench.exchange(ctx)
        damaged.currents, damaged.bootstrap_pulses, whole.currents = [1, 2, 3], 6, [4, 5, 6]
        await bench.exchange(ctx)
        assert await bench.currents(ctx, 0) == [2000, 2001, 2002]
        assert await bench.currents(ctx, 1) == [4, 5, 6]
        assert list(ctx.get(dut.bootstrap_pulses)) == [5, 0]
        assert ctx.get(dut.errors) == 1 and ctx.get(dut.present) == 0b11
        await bench.exchange(ctx)
        assert await bench.currents(ctx, 0) == [1, 2, 3]
        assert ctx.get(dut.errors) == 1

    bench.run(testbench)


def test_a_module_that_answers_but_does_not_hear_counts_as_errors(simulate, spi_module):
    module = spi_module(CHANNELS, [2048] * CHANNELS)
    bench = Bench(simulate, [module])

    async def testbench(ctx):
        await bench.exchange(ctx)
        await bench.exchange(ctx)
        assert ctx.get(bench.dut.errors) == 0
        module.deaf = True
        for _ in range(4):
            await bench.exchange(ctx)
        assert ctx.get(bench.dut.present) and ctx.get(bench.dut.errors) == 3

    bench.run(testbench)


def test_a_slot_is_absent_until_it_is_filled_and_never_reads_as_a_current(simulate, spi_module):
    modules = [spi_module(CHANNELS, [100, 101, 102]), spi_module(CHANNELS, [200, 201, 202], present=False)]
    bench = Bench(simulate, modules)

    async def testbench(ctx):
        dut = bench.dut
        await bench.exchange(ctx)
        await bench.exchange(ctx)
        assert ctx.get(dut.present) == 0b01 and ctx.get(dut.heard) == 0b01
        assert await bench.currents(ctx, 1) == [CURRENT_ZERO] * CHANNELS
        assert ctx.get(dut.module_version[1]) == 0 and ctx.get(dut.errors) == 0
        modules[1].present = True
        await bench.exchange(ctx)
        assert ctx.get(dut.present) == 0b11 and ctx.get(dut.module_version[1]) == 2
        assert await bench.currents(ctx, 1) == [200, 201, 202]

    bench.run(testbench)


def test_currents_are_fresh_until_three_answers_in_a_row_were_bad(simulate, spi_module):
    modules = [spi_module(CHANNELS, [100, 101, 102]), spi_module(CHANNELS, [200, 201, 202])]
    bench = Bench(simulate, modules)

    async def testbench(ctx):
        dut = bench.dut
        assert ctx.get(dut.fresh) == 0
        await bench.exchange(ctx)
        assert ctx.get(dut.fresh) == 0b11
        modules[0].present = False
        for fresh in (0b11, 0b11, 0b10, 0b10):
            await bench.exchange(ctx)
            assert ctx.get(dut.fresh) == fresh and ctx.get(dut.present) == 0b11
        modules[0].present = True
        await bench.exchange(ctx)
        assert ctx.get(dut.fresh) == 0b11

    bench.run(testbench)


@pytest.mark.slow
def test_a_module_that_is_pulled_is_absent_after_ten_milliseconds_and_leaves_no_currents(simulate, spi_module):
    modules = [spi_module(CHANNELS, [100, 101, 102], status=0x81), spi_module(CHANNELS, [200, 201, 202])]
    bench = Bench(simulate, modules)

    async def testbench(ctx):
        dut = bench.dut
        await bench.exchange(ctx)
        assert ctx.get(dut.present) == 0b11
        modules[0].present = False
        for number in range(LOST_EXCHANGES + 1):
            assert ctx.get(dut.present) == 0b11, number
            await bench.exchange(ctx)
        assert ctx.get(dut.present) == ctx.get(dut.heard) == 0b10
        assert (await bench.currents(ctx, 0), await bench.currents(ctx, 0, "watch")) == ([CURRENT_ZERO] * CHANNELS,) * 2
        assert ctx.get(dut.status[0]) == ctx.get(dut.module_type[0]) == 0
        assert await bench.currents(ctx, 1) == [200, 201, 202]

    bench.run(testbench)
