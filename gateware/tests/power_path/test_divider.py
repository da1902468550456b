"""The serial divider against Python's integers."""

from __future__ import annotations

import random

from thermogen_gateware.divider import SerialDivider


def test_quotient_and_remainder_are_exact(simulate):
    dut = SerialDivider(48, 20)
    chance = random.Random(1)
    pairs = [(0, 1), (2**48 - 1, 1), (2**48 - 1, 2**20 - 1), (5, 7), (7, 7)]
    pairs += [(chance.getrandbits(chance.randint(1, 48)), chance.randint(1, 2**20 - 1)) for _ in range(40)]

    async def bench(ctx):
        for dividend, divisor in pairs:
            ctx.set(dut.dividend, dividend)
            ctx.set(dut.divisor, divisor)
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            clocks = 1
            while not ctx.get(dut.done):
                await ctx.tick()
                clocks += 1
            assert clocks == 49
            assert (ctx.get(dut.quotient), ctx.get(dut.remainder)) == divmod(dividend, divisor)

    simulate(dut, bench)
