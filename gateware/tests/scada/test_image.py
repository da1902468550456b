"""What SCADA sees of a second: values of two words that count on while they are taken are never read torn."""

import pytest
from amaranth.sim import Simulator
from thermogen_gateware.scada.image import ScadaImage
from thermogen_gateware.scada.map import COUNTERS, REGISTERS
from thermogen_gateware.status_words import COPY_CLOCKS

ADDRESS = {register.identifier: register.address for register in REGISTERS}
LOW, HIGH = 0xFFFF, 0x10000
TAKEN_CLOCKS = COPY_CLOCKS + 2
"""In which all of it is taken."""


@pytest.mark.slow
def test_what_counts_on_is_taken_whole_at_every_clock(status):
    dut = ScadaImage({})

    async def read(ctx, name):
        value = 0
        for place in range(2):
            ctx.set(dut.address, ADDRESS[name] + place)
            await ctx.tick()
            value = value << 16 | ctx.get(dut.word)
        return value

    async def script(ctx):
        seen = set()
        for clock in range(TAKEN_CLOCKS):
            ctx.set(dut.counter, LOW)
            ctx.set(status.second.lease_s, HIGH)
            ctx.set(dut.image_show, 1)
            await ctx.tick()
            ctx.set(dut.image_show, 0)
            for _ in range(clock):
                await ctx.tick()
            ctx.set(dut.counter, HIGH)
            ctx.set(status.second.lease_s, LOW)
            await ctx.tick().repeat(TAKEN_CLOCKS)
            ctx.set(dut.begin, 1)
            await ctx.tick()
            ctx.set(dut.begin, 0)
            for name in (*COUNTERS, "lease_s"):
                value = await read(ctx, name)
                assert value in (LOW, HIGH), (clock, name, hex(value))
                seen.add((name, value))
        assert seen == {(name, value) for name in (*COUNTERS, "lease_s") for value in (LOW, HIGH)}

    simulator = Simulator(status.beside(dut))
    simulator.add_clock(20e-9)
    simulator.add_testbench(script)
    simulator.run()
