"""The watches that count clocks: the daemon's heartbeat, the loop's coming round, and the channels that do not obey."""

from __future__ import annotations

import pytest
from thermogen_gateware.channel_guard import EXCHANGES, OVERCURRENT_RAW, REVERSE_RAW, ChannelGuard
from thermogen_gateware.daemon_watch import DaemonWatch
from thermogen_gateware.loop_watch import LoopWatch

CLOCK_HZ = 200
ZERO = 2048


async def clocks_until(ctx, signal, level=1, most=10_000):
    clocks = 0
    while ctx.get(signal) != level:
        assert clocks < most, "it never came"
        await ctx.tick()
        clocks += 1
    return clocks


async def beat(ctx, dut):
    ctx.set(dut.heartbeat, 1)
    await ctx.tick()
    ctx.set(dut.heartbeat, 0)


def test_a_daemon_that_never_came_is_missed_after_30_seconds_and_was_not_trusted_before(simulate):
    dut = DaemonWatch(CLOCK_HZ)

    async def testbench(ctx):
        assert ctx.get(dut.autonomous)
        assert await clocks_until(ctx, dut.lost) == 30 * CLOCK_HZ + 1
        assert ctx.get(dut.autonomous)
        await beat(ctx, dut)
        assert not ctx.get(dut.autonomous) and not ctx.get(dut.lost)

    simulate(dut, testbench)


def test_five_seconds_without_a_heartbeat_make_the_node_autonomous_and_one_heartbeat_ends_it(simulate):
    dut = DaemonWatch(CLOCK_HZ)

    async def testbench(ctx):
        await beat(ctx, dut)
        for _ in range(3):
            await ctx.tick().repeat(5 * CLOCK_HZ - 1)
            assert not ctx.get(dut.autonomous)
            await beat(ctx, dut)
        assert await clocks_until(ctx, dut.autonomous) == 5 * CLOCK_HZ + 1
        assert ctx.get(dut.lost)
        await beat(ctx, dut)
        assert not ctx.get(dut.autonomous) and not ctx.get(dut.lost)

    simulate(dut, testbench)


STEPS = ("measured", "exchanged", "tracked")


async def strobe(ctx, dut, names):
    for name in names:
        ctx.set(getattr(dut, name), 1)
        await ctx.tick()
        ctx.set(getattr(dut, name), 0)


@pytest.mark.parametrize("missing", [(), *((name,) for name in STEPS), STEPS])
def test_a_loop_that_does_not_come_round_for_100_milliseconds_expires_whichever_part_is_missing(simulate, missing):
    dut = LoopWatch(10_000)

    async def testbench(ctx):
        for _ in range(300):
            await strobe(ctx, dut, STEPS)
        assert not ctx.get(dut.expired)
        clocks = 0
        while not ctx.get(dut.expired) and clocks < 1_200:
            before = clocks
            for name in STEPS:
                ctx.set(getattr(dut, name), name not in missing and before % 10 == 0)
            await ctx.tick()
            clocks += 1
        assert ctx.get(dut.expired) == bool(missing)
        if missing:
            assert 990 <= clocks <= 1_010
            await strobe(ctx, dut, STEPS)
            assert not ctx.get(dut.expired)

    simulate(dut, testbench)


def test_a_loop_that_never_began_expires_too(simulate):
    dut = LoopWatch(10_000)

    async def testbench(ctx):
        assert await clocks_until(ctx, dut.expired) == 1_000

    simulate(dut, testbench)


class GuardBench:
    """A guard over five channels."""

    TOTAL = 5

    def __init__(self, simulate):
        self.simulate = simulate
        self.dut = ChannelGuard(self.TOTAL)
        self.raw = [ZERO] * self.TOTAL

    async def look(self, ctx, count=1):
        for _ in range(count):
            ctx.set(self.dut.start, 1)
            await ctx.tick()
            ctx.set(self.dut.start, 0)
            await ctx.tick().repeat(2 * self.TOTAL + 2)

    def found(self, ctx):
        return ctx.get(self.dut.overcurrent), ctx.get(self.dut.reverse), ctx.get(self.dut.channel)

    def run(self, testbench):
        async def memory(ctx):
            async for _, _, address in ctx.tick().sample(self.dut.current_addr):
                ctx.set(self.dut.current_data, self.raw[address])

        self.simulate(self.dut, testbench, background=[memory])


@pytest.fixture
def guard(simulate):
    return GuardBench(simulate)


@pytest.mark.parametrize(("raw", "found"), [(OVERCURRENT_RAW + 1, (1, 0)), (REVERSE_RAW - 1, (0, 1))])
def test_a_channel_that_stays_beyond_its_limit_for_twenty_exchanges_is_found_and_named(guard, raw, found):
    async def testbench(ctx):
        guard.raw[3] = raw
        await guard.look(ctx, EXCHANGES - 1)
        assert guard.found(ctx)[:2] == (0, 0)
        guard.raw[1] = raw
        await guard.look(ctx)
        assert guard.found(ctx) == (*found, 3)
        await guard.look(ctx, EXCHANGES)
        assert guard.found(ctx) == (*found, 3)
        guard.raw = [ZERO] * guard.TOTAL
        await guard.look(ctx)
        assert guard.found(ctx)[:2] == (0, 0)

    guard.run(testbench)


def test_a_channel_that_comes_back_in_between_and_one_at_its_limit_are_not_found(guard):
    async def testbench(ctx):
        guard.raw = [OVERCURRENT_RAW, REVERSE_RAW, ZERO, ZERO, ZERO]
        for _ in range(3):
            guard.raw[4] = 4095
            await guard.look(ctx, EXCHANGES - 1)
            guard.raw[4] = ZERO
            await guard.look(ctx)
            assert guard.found(ctx)[:2] == (0, 0)

    guard.run(testbench)
