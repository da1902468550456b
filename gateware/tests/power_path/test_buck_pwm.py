"""The PWM seen at its gates: on-times, dead times, and that everything is off unless all allow it."""

from __future__ import annotations

from fractions import Fraction

import pytest
from thermogen_gateware.buck_pwm import BuckPwm

CLOCK_HZ = 48_000_000
COUNTS = 480
DEAD_CLOCKS = 5


class Bench:
    """Serves duties and records the gates clock by clock."""

    def __init__(self, duties, low_side=None):
        self.channels = len(duties)
        self.dut = BuckPwm(CLOCK_HZ, self.channels, dead_time_ns=100)
        self.duties = list(duties)
        self.low_side = (1 << self.channels) - 1 if low_side is None else low_side
        self.hi, self.lo, self.midpoints = [], [], []
        self._served = 0

    def release(self, ctx):
        ctx.set(self.dut.run, 1)
        ctx.set(self.dut.enable, 1)
        ctx.set(self.dut.low_side, self.low_side)

    async def tick(self, ctx, record=True):
        address = ctx.get(self.dut.duty_addr)
        _, _, hi, lo, midpoint = await ctx.tick().sample(self.dut.hi, self.dut.lo, self.dut.midpoint)
        ctx.set(self.dut.duty_data, self.duties[min(address, self.channels - 1)])
        if record:
            self.hi.append(hi)
            self.lo.append(lo)
            self.midpoints.append(midpoint)

    async def to_boundary(self, ctx):
        while not ctx.get(self.dut.period):
            await self.tick(ctx, record=False)
        await self.tick(ctx, record=False)

    async def periods(self, ctx, count):
        for _ in range(count * COUNTS):
            await self.tick(ctx)

    def on_times(self, channel, gates=None):
        gates = self.hi if gates is None else gates
        bits = [gate >> channel & 1 for gate in gates]
        return [sum(bits[at : at + COUNTS]) for at in range(0, len(bits) - COUNTS + 1, COUNTS)]


def run(simulate, bench, periods, before=2):
    async def testbench(ctx):
        bench.release(ctx)
        for _ in range(before):
            await bench.to_boundary(ctx)
        await bench.periods(ctx, periods)

    simulate(bench.dut, testbench, clock_hz=CLOCK_HZ)
    return bench


def test_the_mean_on_time_over_eight_periods_is_the_duty_to_an_eighth_of_a_count(simulate):
    duties = [0, 1, 9, 100 * 8 + 3, 240 * 8 + 7, 455 * 8 + 5, 456 * 8, 333 * 8 + 4]
    bench = run(simulate, Bench(duties), 8)
    for channel, duty in enumerate(duties):
        on = bench.on_times(channel)
        assert Fraction(sum(on), 8) == Fraction(duty, 8), (channel, on)
        assert max(on) - min(on) <= 1


def test_the_duty_never_exceeds_095(simulate):
    bench = run(simulate, Bench([456 * 8 + 7, 480 * 8, 4095]), 8)
    for channel in range(3):
        assert set(bench.on_times(channel)) == {456}


def test_dead_time_separates_the_gates_at_every_duty(simulate):
    duties = [0, 1, 8, 31 * 8, 32 * 8, 33 * 8 + 1, 240 * 8, 241 * 8, 455 * 8 + 7, 456 * 8, 4095]
    bench = run(simulate, Bench(duties), 9)
    for channel, duty in enumerate(duties):
        last_on = {"hi": None, "lo": None}
        for at, (hi, lo) in enumerate(zip(bench.hi, bench.lo, strict=True)):
            on = {"hi": hi >> channel & 1, "lo": lo >> channel & 1}
            assert not (on["hi"] and on["lo"])
            for gate, other in (("hi", "lo"), ("lo", "hi")):
                if on[gate]:
                    assert last_on[other] is None or at - last_on[other] > DEAD_CLOCKS, (duty, at)
                    last_on[gate] = at
        low = set(bench.on_times(channel, bench.lo))
        counts = {min(-(-duty // 8), 456), min(duty // 8, 456)}
        assert low == ({COUNTS - on - 2 * DEAD_CLOCKS for on in counts} if duty >= 32 * 8 else {0})


def test_the_on_time_of_every_channel_lies_around_the_midpoint(simulate):
    duties = [40 * 8, 240 * 8, 301 * 8, 456 * 8]
    bench = run(simulate, Bench(duties), 2)
    middle = bench.midpoints.index(1) + 1
    for channel in range(len(duties)):
        on = [at for at in range(COUNTS) if bench.hi[at] >> channel & 1]
        assert on == list(range(on[0], on[-1] + 1))
        # Gates are registered: they show one clock after their place on the ramp, as a chip select started by `midpoint` does.
        assert abs(Fraction(on[0] + on[-1] + 1, 2) - middle - 1) <= 1


def test_a_new_duty_takes_effect_only_at_a_period_boundary(simulate):
    bench = Bench([100 * 8, 200 * 8])

    async def testbench(ctx):
        bench.release(ctx)
        await bench.to_boundary(ctx)
        await bench.to_boundary(ctx)
        for change_at in (3, 130, 240, 300, 470):
            bench.duties = [100 * 8, 200 * 8]
            await bench.periods(ctx, 2)
            for at in range(3 * COUNTS):
                if at == change_at:
                    bench.duties = [400 * 8, 350 * 8]
                await bench.tick(ctx)

    simulate(bench.dut, testbench, clock_hz=CLOCK_HZ)
    assert set(bench.on_times(0)) == {100, 400}
    assert set(bench.on_times(1)) == {200, 350}


def test_all_gates_are_off_until_released_and_fall_without_a_clock(simulate):
    bench = Bench([240 * 8] * 3)
    dut = bench.dut

    async def testbench(ctx):
        for run_wire, enable in ((0, 0), (1, 0), (0, 1)):
            ctx.set(dut.run, run_wire)
            ctx.set(dut.enable, enable)
            ctx.set(dut.low_side, 0b111)
            bench.hi.clear(), bench.lo.clear()
            await bench.periods(ctx, 2)
            assert not any(bench.hi) and not any(bench.lo)
        for name in ("run", "enable"):
            bench.release(ctx)
            await bench.to_boundary(ctx)
            await bench.to_boundary(ctx)
            while not ctx.get(dut.hi):
                await bench.tick(ctx)
            ctx.set(getattr(dut, name), 0)
            assert ctx.get(dut.hi) == 0 and ctx.get(dut.lo) == 0
            bench.release(ctx)
            while not ctx.get(dut.lo):
                await bench.tick(ctx)
            ctx.set(getattr(dut, name), 0)
            assert ctx.get(dut.hi) == 0 and ctx.get(dut.lo) == 0

    simulate(dut, testbench, clock_hz=CLOCK_HZ)


def test_after_enable_the_first_pulse_is_a_whole_one(simulate):
    bench = Bench([240 * 8])

    async def testbench(ctx):
        bench.release(ctx)
        ctx.set(bench.dut.enable, 0)
        await bench.to_boundary(ctx)
        await bench.to_boundary(ctx)
        for _ in range(COUNTS // 2):
            await bench.tick(ctx)
        ctx.set(bench.dut.enable, 1)
        for _ in range(COUNTS // 2 + COUNTS):
            await bench.tick(ctx)

    simulate(bench.dut, testbench, clock_hz=CLOCK_HZ)
    assert not any(bench.hi[:COUNTS])
    assert sum(bench.hi[COUNTS:]) == 240


def test_diode_emulation_keeps_the_low_side_off_where_it_is_not_allowed(simulate):
    bench = run(simulate, Bench([240 * 8, 240 * 8, 20 * 8], low_side=0b101), 2)
    assert bench.on_times(0, bench.lo) == [230, 230]
    assert bench.on_times(1, bench.lo) == [0, 0]
    assert bench.on_times(2, bench.lo) == [0, 0]
    assert bench.on_times(1) == [240, 240]


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
@pytest.mark.parametrize(
    ("clock_hz", "dead_time_ns", "says"), [(50_000_000, 100, "48000000 Hz"), (CLOCK_HZ, 0, "dead time 0 ns"), (CLOCK_HZ, 300, "room for")]
)
def test_parameters_that_cannot_be_met_are_refused(refuses, clock_hz, dead_time_ns, says):
    with refuses(says):
        BuckPwm(clock_hz, 12, dead_time_ns)
