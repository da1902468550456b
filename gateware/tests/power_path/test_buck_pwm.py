"""The PWM seen at its gates: phases, on-times, dead times, and that everything is off unless all allow it."""

from __future__ import annotations

from fractions import Fraction

import pytest
from amaranth.sim import Simulator
from thermogen_gateware.buck_pwm import BuckPwm, Dither

CLOCK_HZ = 48_000_000
UP5K_HZ = 24_000_000
CLOCKS = pytest.mark.parametrize("clock_hz", [CLOCK_HZ, UP5K_HZ])


class Bench:
    """Serves duties and permissions, and records the gates clock by clock from the first clock of a period of slot 0."""

    def __init__(self, duties, low_side=None, bootstrap=0, clock_hz=CLOCK_HZ):
        self.channels, self.clock_hz = len(duties), clock_hz
        self.counts = clock_hz // 100_000
        self.dead_clocks = 5 if clock_hz == CLOCK_HZ else 3
        self.dut = BuckPwm(clock_hz, self.channels, dead_time_ns=100)
        self.everyone = (1 << -(-self.channels // 12)) - 1
        self.duties = list(duties)
        self.low_side = (1 << self.channels) - 1 if low_side is None else low_side
        self.bootstrap = bootstrap
        self.hi, self.lo, self.midpoints = [], [], []
        self._served = None

    def release(self, ctx):
        ctx.set(self.dut.run, 1)
        ctx.set(self.dut.enable, self.everyone)

    async def tick(self, ctx, record=True):
        dut = self.dut
        _, _, channel, hi, lo, midpoint, slot = await ctx.tick().sample(dut.channel, dut.hi, dut.lo, dut.midpoint, dut.midpoint_slot)
        served = (channel, self.duties[channel] if channel < self.channels else 0)
        if served != self._served:
            self._served = served
            ctx.set(dut.duty_data, served[1])
            ctx.set(dut.low_side, self.low_side >> channel & 1)
            ctx.set(dut.bootstrap, self.bootstrap >> channel & 1)
        if record:
            self.hi.append(hi)
            self.lo.append(lo)
            self.midpoints.append(slot if midpoint else None)
        return slot if midpoint else None

    async def to_boundary(self, ctx):
        """To the first clock at which the gates show a new period of slot 0."""
        while await self.tick(ctx, record=False) != 6:
            pass

    async def periods(self, ctx, count):
        for _ in range(count * self.counts):
            await self.tick(ctx)

    def per_period(self, channel, gates):
        """Levels of a channel's gate, cut at its own period boundaries."""
        bits = [gate >> channel & 1 for gate in gates[channel % 12 * self.counts // 12 :]]
        return [bits[at : at + self.counts] for at in range(0, len(bits) - self.counts + 1, self.counts)]

    def on_times(self, channel, gates=None):
        return [sum(bits) for bits in self.per_period(channel, self.hi if gates is None else gates)]

    def assert_apart(self, channel):
        """The gates of a channel are never on together nor closer than the dead time."""
        last_on = {"hi": None, "lo": None}
        for at, (hi, lo) in enumerate(zip(self.hi, self.lo, strict=True)):
            on = {"hi": hi >> channel & 1, "lo": lo >> channel & 1}
            assert not (on["hi"] and on["lo"])
            for gate, other in (("hi", "lo"), ("lo", "hi")):
                if on[gate]:
                    assert last_on[other] is None or at - last_on[other] > self.dead_clocks, (channel, at)
                    last_on[gate] = at


def run(simulate, bench, periods, before=2):
    """Record so many whole periods of every channel."""

    async def testbench(ctx):
        bench.release(ctx)
        for _ in range(before):
            await bench.to_boundary(ctx)
        await bench.periods(ctx, periods + 1)

    simulate(bench.dut, testbench, clock_hz=bench.clock_hz)
    return bench


@pytest.mark.slow
@pytest.mark.parametrize("counts", [480, 240])
def test_every_duty_words_mean_over_the_dither_is_exact(counts):
    """All 4,096 words in all periods of the dither; what the gates make of whole counts is the next test's."""
    dut = Dither(counts)
    periods = 1 << dut.bits
    step = Fraction(counts, 480 * 8)

    async def bench(ctx):
        for word in range(4096):
            ctx.set(dut.word, word)
            whole = []
            for period in range(periods):
                ctx.set(dut.period, period)
                whole.append(ctx.get(dut.counts))
            assert Fraction(sum(whole), periods) == min(word * step, counts * Fraction(95, 100)), (word, whole)
            assert max(whole) - min(whole) <= 1

    simulator = Simulator(dut)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("clock_hz", "duties"), [(UP5K_HZ, range(229)), (CLOCK_HZ, [*range(36), 99, 100, 239, 240, 241, 301, *range(440, 457)])]
)
def test_every_whole_duty_is_that_many_clocks_on_and_its_gates_stay_apart(simulate, clock_hz, duties):
    bench = Bench([0], clock_hz=clock_hz)
    scale = 480 // bench.counts

    async def testbench(ctx):
        bench.release(ctx)
        await bench.to_boundary(ctx)
        for duty in duties:
            bench.duties[0] = duty * 8 * scale
            await bench.periods(ctx, 1)
        await bench.periods(ctx, 1)

    simulate(bench.dut, testbench, clock_hz=clock_hz)
    on, low = bench.on_times(0)[1:], bench.on_times(0, bench.lo)[1:]
    assert on == list(duties)
    assert low == [bench.counts - duty - 2 * bench.dead_clocks if duty * scale >= 32 else 0 for duty in duties]
    bench.assert_apart(0)


@CLOCKS
def test_the_mean_on_time_at_the_gates_is_the_duty_word(simulate, clock_hz):
    duties = [1, 100 * 8 + 3, 240 * 8 + 7, 455 * 8 + 5]
    bench = Bench(duties, clock_hz=clock_hz)
    periods = 8 if clock_hz == CLOCK_HZ else 16
    run(simulate, bench, periods)
    for channel, duty in enumerate(duties):
        on = bench.on_times(channel)[:periods]
        assert Fraction(sum(on), periods) == Fraction(duty * bench.counts, 480 * 8), (channel, on)


def test_the_duty_never_exceeds_095(simulate):
    bench = run(simulate, Bench([456 * 8 + 7, 480 * 8, 4095]), 8)
    for channel in range(3):
        assert set(bench.on_times(channel)) == {456}


@pytest.mark.slow
@CLOCKS
def test_each_channel_is_a_twelfth_of_a_period_behind_the_one_before(simulate, clock_hz):
    duties = [(60 + 30 * channel) * 8 for channel in range(12)]
    bench = run(simulate, Bench([*duties, duties[0]], clock_hz=clock_hz), 2)
    scale = 480 // bench.counts
    for channel in range(13):
        levels = [gate >> channel & 1 for gate in bench.hi]
        delay = channel % 12 * bench.counts // 12
        # Its own period begins and ends in the off-time; the on-time is in the middle.
        period = levels[delay : delay + bench.counts]
        on = [at for at, level in enumerate(period) if level]
        assert on == list(range(on[0], on[-1] + 1))
        assert len(on) == (duties + duties[:1])[channel] // 8 // scale
        assert abs(Fraction(on[0] + on[-1] + 1, 2) - bench.counts // 2) <= 1
    assert bench.on_times(12) == bench.on_times(0)


def test_midpoint_names_the_slot_whose_on_time_is_at_its_middle(simulate):
    bench = run(simulate, Bench([300 * 8] * 4), 2)
    for slot in range(4):
        (middle, *_) = (at for at, midpoint in enumerate(bench.midpoints) if midpoint == slot)
        on = [at for at, gate in enumerate(bench.hi[: middle + 240]) if gate >> slot & 1 and at > middle - 240]
        # A chip select that `midpoint` starts falls a clock after it.
        assert Fraction(on[0] + on[-1] + 1, 2) == middle + 1
    assert [midpoint for midpoint in bench.midpoints if midpoint is not None][:12] == [(7 + n) % 12 for n in range(12)]


def test_a_new_duty_takes_effect_only_at_the_channels_own_period_boundary(simulate):
    bench = Bench([100 * 8, 200 * 8])

    async def testbench(ctx):
        bench.release(ctx)
        await bench.to_boundary(ctx)
        await bench.to_boundary(ctx)
        for change_at in (3, 41, 240, 300, 470):
            bench.duties = [100 * 8, 200 * 8]
            await bench.periods(ctx, 1)
            for at in range(2 * bench.counts):
                if at == change_at:
                    bench.duties = [400 * 8, 350 * 8]
                await bench.tick(ctx)

    simulate(bench.dut, testbench, clock_hz=CLOCK_HZ)
    assert set(bench.on_times(0)) == {100, 400}
    assert set(bench.on_times(1)) == {200, 350}
    bench.assert_apart(0)
    bench.assert_apart(1)


def test_gates_are_off_until_released_and_fall_without_a_clock(simulate):
    bench = Bench([240 * 8] * 2)
    dut = bench.dut

    async def testbench(ctx):
        for run_wire, enable in ((0, 0), (1, 0), (0, 1)):
            ctx.set(dut.run, run_wire)
            ctx.set(dut.enable, enable)
            bench.hi.clear(), bench.lo.clear()
            await bench.periods(ctx, 2)
            assert not any(bench.hi) and not any(bench.lo)
        for name in ("run", "enable"):
            for gates in (dut.hi, dut.lo):
                bench.release(ctx)
                while not ctx.get(gates):
                    await bench.tick(ctx)
                ctx.set(getattr(dut, name), 0)
                assert ctx.get(dut.hi) == 0 and ctx.get(dut.lo) == 0

    simulate(dut, testbench, clock_hz=CLOCK_HZ)


def test_enable_gates_twelve_channels_and_no_others(simulate):
    bench = Bench([240 * 8] * 13)

    async def testbench(ctx):
        bench.release(ctx)
        await bench.to_boundary(ctx)
        await bench.to_boundary(ctx)
        ctx.set(bench.dut.enable, 0b10)
        await bench.periods(ctx, 2)

    simulate(bench.dut, testbench, clock_hz=CLOCK_HZ)
    assert all(set(bench.on_times(channel)) == {0} for channel in range(12))
    assert set(bench.on_times(12)) == {240}


def test_after_enable_the_first_pulse_is_a_whole_one(simulate):
    bench = Bench([240 * 8, 240 * 8])

    async def testbench(ctx):
        bench.release(ctx)
        await bench.to_boundary(ctx)
        await bench.to_boundary(ctx)
        # Off in the middle of an on-time, and back within the same.
        await bench.periods(ctx, 1)
        for _ in range(bench.counts // 2):
            await bench.tick(ctx)
        ctx.set(bench.dut.enable, 0)
        for _ in range(3):
            await bench.tick(ctx)
        ctx.set(bench.dut.enable, 1)
        for _ in range(bench.counts // 2 - 3):
            await bench.tick(ctx)
        await bench.periods(ctx, 3)

    simulate(bench.dut, testbench, clock_hz=CLOCK_HZ)
    for channel in range(2):
        cut = bench.counts // 2 - channel * bench.counts // 12
        period = bench.per_period(channel, bench.hi)[1]
        assert any(period[:cut]) and not any(period[cut:])
        assert set(bench.on_times(channel)[2:]) <= {0, 240} and bench.on_times(channel)[-1] == 240


def test_the_low_side_stays_off_where_it_is_not_allowed_or_the_duty_is_too_small(simulate):
    bench = run(simulate, Bench([240 * 8, 240 * 8, 31 * 8, 31 * 8 + 4], low_side=0b1101), 8)
    assert set(bench.on_times(0, bench.lo)) == {230}
    assert set(bench.on_times(1, bench.lo)) == {0}
    assert set(bench.on_times(2, bench.lo)) == {0}
    # Dithered between 31 and 32 counts: the low side follows the count.
    assert set(zip(bench.on_times(3), bench.on_times(3, bench.lo), strict=True)) == {(31, 0), (32, 438)}
    assert set(bench.on_times(1)) == {240}


@CLOCKS
def test_a_bootstrap_pulse_is_short_and_keeps_the_dead_time(simulate, clock_hz):
    duties = [0, 4, 8 * 8, 240 * 8, 400 * 8, 456 * 8]
    bench = run(simulate, Bench(duties, low_side=0, bootstrap=0b111111, clock_hz=clock_hz), 8)
    longest = 900 * clock_hz // 1_000_000_000
    for channel, duty in enumerate(duties):
        bench.assert_apart(channel)
        room = (bench.counts - duty * bench.counts // 3840) // 2 - bench.dead_clocks
        for period in bench.per_period(channel, bench.lo):
            pulse = sum(period)
            assert pulse == (0 if duty == 0 else min(longest, room)), (channel, pulse)
            assert period[:pulse] == [1] * pulse
    assert longest / clock_hz <= 1e-6


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
@pytest.mark.parametrize(
    ("clock_hz", "channels", "dead_time_ns", "says"),
    [
        (50_000_000, 12, 100, "48000000 Hz or 24000000 Hz"),
        (CLOCK_HZ, 12, 0, "dead time 0 ns"),
        (CLOCK_HZ, 12, 300, "room for"),
        (UP5K_HZ, 60, 100, "cannot be prepared"),
    ],
)
def test_parameters_that_cannot_be_met_are_refused(refuses, clock_hz, channels, dead_time_ns, says):
    with refuses(says):
        BuckPwm(clock_hz, channels, dead_time_ns)
