"""The compiled tracker over seconds of its time: strings behind an averaged buck, seen through a quantising converter."""

from __future__ import annotations

import math
import random

import pytest
from thermogen_esf.points import ChannelState
from thermogen_sim.electrical import PWM_COUNTS, Electrical
from thermogen_sim.models import run_averaged
from thermogen_sim.mppt.tracker import CompiledTracker

pytestmark = pytest.mark.slow

R_OHM = 48.0
BUS_V = 50.0
DUTY_MAX = 0.95
EXCHANGE_S = 100e-6
INPUT_TAU_S = 47e-6 * R_OHM / 2
CHANNELS = 4
STEP_EXCHANGES = 128
START_EXCHANGES = 8 * STEP_EXCHANGES
"""From 200 V to the best voltage, with some steps to spare."""


class String:
    """Open-circuit voltage behind a resistance, an ideal diode, the input capacitor's lag, an averaged buck, a converter of 2 mA a step."""

    def __init__(self, voc, noise_steps=0.0, seed=1, ohm=R_OHM):
        self.voc, self.noise, self.ohm = voc, noise_steps, ohm
        self.vin = voc
        self.power = 0.0
        self._chance = random.Random(seed)

    def best(self, bus_v=BUS_V):
        """The greatest power that a duty of at most 0.95 can take, in W."""
        vin = max(self.voc / 2, bus_v / DUTY_MAX)
        return max(0.0, vin * (self.voc - vin) / self.ohm)

    def sample(self, duty, bus_v):
        """One exchange later, the converter's 12 bits."""
        wanted = bus_v / duty if duty > 0 else math.inf
        settled = min(self.voc, wanted)
        self.vin += (settled - self.vin) * (1 - math.exp(-EXCHANGE_S / INPUT_TAU_S))
        self.power = max(0.0, self.vin * (self.voc - self.vin) / self.ohm) if wanted < self.voc else 0.0
        return min(4095, max(0, round(2048 + self.power / bus_v / 2e-3 + self._chance.gauss(0, self.noise))))


class Bench:
    """Runs exchange after exchange: a pass, then a sample of each string at its new duty. One library of four channels serves all tests."""

    def __init__(self, strings):
        self.count = len(strings)
        self.strings = strings + [String(0) for _ in range(CHANNELS - len(strings))]
        self.tracker = CompiledTracker(CHANNELS)
        self.set, self._levels = self.tracker.set, {}
        self.raw = [2048] * CHANNELS
        self.duties = [0] * CHANNELS
        self.bus_v = BUS_V

    def levels(self, **levels):
        self._levels |= levels
        self.tracker.levels(**self._levels)

    @property
    def states(self):
        return self.tracker.states[: self.count]

    def exchange(self, count=1):
        for _ in range(count):
            self.duties = self.tracker.exchange(self.raw, round(self.bus_v * 1000))
            self.raw = [string.sample(duty / 8 / 480, self.bus_v) for string, duty in zip(self.strings, self.duties, strict=True)]

    def mean_power(self, exchanges):
        total = [0.0] * len(self.strings)
        for _ in range(exchanges):
            self.exchange()
            total = [energy + string.power for energy, string in zip(total, self.strings, strict=True)]
        return [energy / exchanges for energy in total[: self.count]]


def test_every_string_is_tracked_to_99_8_percent_of_what_it_can_give_soon_after_its_start():
    strings = [String(voc, noise_steps=noise, seed=voc) for voc, noise in ((100, 0), (110, 2), (135, 4), (150, 1))]
    bench = Bench(strings)
    bench.exchange(START_EXCHANGES)
    assert bench.states == [ChannelState.TRACK] * 4
    for string, power in zip(strings, bench.mean_power(2 * STEP_EXCHANGES), strict=True):
        assert power >= 0.998 * string.best(), (string.voc, power, string.best())


def test_a_string_of_another_resistance_than_built_is_learnt():
    bench = Bench([String(130, noise_steps=1, ohm=34.0), String(150, noise_steps=1, ohm=62.0)])
    bench.exchange(START_EXCHANGES)
    before = bench.mean_power(4 * STEP_EXCHANGES)
    bench.exchange(600 * STEP_EXCHANGES)
    after = bench.mean_power(4 * STEP_EXCHANGES)
    for string, early, late in zip(bench.strings[:2], before, after, strict=True):
        assert early < 0.996 * string.best()
        assert late >= 0.999 * string.best(), (late, string.best())


def test_a_start_is_soft_and_a_duty_moves_by_at_most_a_count_an_exchange():
    bench = Bench([String(135)])
    bench.exchange()
    bench.exchange()
    before = bench.duties[0]
    assert 118 * 8 <= before <= 122 * 8
    for _ in range(START_EXCHANGES):
        bench.exchange()
        assert abs(bench.duties[0] - before) <= 9
        before = bench.duties[0]


def test_the_bus_does_not_reach_the_string():
    """A bus that moves by 7 V within 20 ms: the string's voltage stays, because the duty follows in the same exchange."""
    bench = Bench([String(135)])
    bench.exchange(START_EXCHANGES)
    bench.levels(hold=True)
    bench.exchange(STEP_EXCHANGES)
    first_v = bench.bus_v / (bench.duties[0] / 3840)
    for n in range(200):
        bench.bus_v = 50 - 6 * n / 200
        bench.exchange()
        assert bench.bus_v / (bench.duties[0] / 3840) == pytest.approx(first_v, rel=5e-4)


def test_duty_never_exceeds_095_where_the_string_would_want_more():
    bench = Bench([String(92)])
    highest = 0
    for _ in range(START_EXCHANGES):
        bench.exchange()
        highest = max(highest, bench.duties[0])
    assert 440 * 8 <= highest <= 456 * 8


def test_a_channel_without_source_keeps_seeking_and_tracks_when_it_comes():
    bench = Bench([String(0)])
    seen = set()
    for _ in range(12):
        bench.exchange(STEP_EXCHANGES)
        seen.add(bench.duties[0])
        assert bench.states == [ChannelState.SEEK]
    assert min(seen) < 130 * 8 and max(seen) == 456 * 8
    bench.strings[0].voc = 120
    bench.exchange(16 * STEP_EXCHANGES)
    assert bench.states == [ChannelState.TRACK]
    bench.strings[0].voc = 0
    bench.exchange(4 * STEP_EXCHANGES)
    assert bench.states == [ChannelState.SEEK]


def test_the_current_limit_is_kept_and_given_back():
    bench = Bench([String(135)])
    bench.set(current_limit_ma=1200)
    bench.exchange(START_EXCHANGES + 40 * STEP_EXCHANGES)
    assert bench.states == [ChannelState.LIMIT]
    mean_a = (bench.mean_power(4 * STEP_EXCHANGES))[0] / BUS_V
    assert 1.17 <= mean_a <= 1.205
    bench.set(current_limit_ma=3000)
    bench.exchange(12 * STEP_EXCHANGES)
    assert bench.states == [ChannelState.TRACK]
    assert (bench.mean_power(2 * STEP_EXCHANGES))[0] >= 0.998 * bench.strings[0].best()


def test_without_supervision_the_lower_limit_holds():
    bench = Bench([String(135)])
    bench.levels(autonomous=True)
    bench.set(autonomous_limit_ma=900)
    bench.exchange(START_EXCHANGES + 30 * STEP_EXCHANGES)
    assert (bench.mean_power(STEP_EXCHANGES))[0] / BUS_V == pytest.approx(0.9, rel=0.03)


def test_the_sites_power_is_capped_and_the_weak_string_gives_all_it_can():
    bench = Bench([String(110), String(170), String(170)])
    bench.set(site_power_limit=20)
    bench.exchange(START_EXCHANGES + 120 * STEP_EXCHANGES)
    powers = bench.mean_power(8 * STEP_EXCHANGES)
    assert 190 <= sum(powers) <= 202
    assert powers[0] >= 0.99 * bench.strings[0].best()
    assert powers[1] == pytest.approx(powers[2], rel=0.02)


def test_above_the_warning_level_voltages_hold_and_above_shed_every_channel_goes_towards_open_circuit():
    bench = Bench([String(128)])
    bench.exchange(START_EXCHANGES)
    bench.levels(hold=True)
    bench.exchange(2 * STEP_EXCHANGES)
    held = bench.duties[0]
    bench.exchange(3 * STEP_EXCHANGES)
    assert bench.duties[0] == held and bench.states == [ChannelState.HOLD]
    bench.levels(shed=True)
    bench.exchange(40)
    assert held - 42 * 8 <= bench.duties[0] <= held - 38 * 8 and bench.states == [ChannelState.LIMIT]
    bench.levels(hold=False)
    bench.levels(shed=False)
    bench.exchange(6 * STEP_EXCHANGES)
    assert bench.states == [ChannelState.TRACK]


class CircuitBench(Bench):
    """The same in front of the averaged circuit, in which current flows at every duty, with the low sides off below the rated current."""

    PERIODS = 10

    def __init__(self, open_v):
        super().__init__([String(0) for _ in open_v])
        self.circuit = Electrical()
        self.circuit.channels = CHANNELS
        for channel, volts in enumerate([*open_v, *[0.0] * (CHANNELS - len(open_v))]):
            self.circuit.open_circuit_v[channel] = self.circuit.input_v[channel] = volts
            self.circuit.string_ohm[channel] = R_OHM
        self.circuit.battery_ocv, self.circuit.battery_ohm, self.circuit.battery_connected = BUS_V, 0.001, 1
        self.circuit.bus_v = BUS_V
        self.circuit.dump_start_v, self.circuit.dump_full_v = 90, 91

    def exchange(self, count=1):
        for _ in range(count):
            self.duties = self.tracker.exchange(self.raw, round(self.circuit.bus_v * 1000))
            run_averaged(self.circuit, [round(duty / 3840 * PWM_COUNTS) for duty in self.duties], [0] * CHANNELS, self.PERIODS)
            self.raw = [min(4095, max(0, round(2048 + amps / 2e-3))) for amps in self.circuit.amplifier_a[:CHANNELS]]

    def power(self, exchanges=STEP_EXCHANGES):
        """Mean power of all channels, in W."""
        joules = self.circuit.output_j
        self.exchange(exchanges)
        return (self.circuit.output_j - joules) / (exchanges * EXCHANGE_S)

    def until(self, reached, steps):
        """Whether that came within so many steps."""
        for _ in range(steps):
            if reached():
                return True
            self.exchange(STEP_EXCHANGES)
        return reached()


STRINGS_V = (160, 135, 128, 105)


@pytest.mark.parametrize(("limit", "steps"), [("current_limit_ma", 40), ("site_power_limit", 500)])
def test_a_limit_of_zero_leaves_no_power_and_gives_all_of_it_back(limit, steps):
    bench = CircuitBench(STRINGS_V)
    full = {"current_limit_ma": 3000, "site_power_limit": 1200}[limit]
    bench.exchange(2 * START_EXCHANGES)
    before = bench.power()
    assert bench.states == [ChannelState.TRACK] * 4 and before > 300
    bench.set(**{limit: 0})
    assert bench.until(lambda: not any(bench.duties), steps), f"{bench.power()} W are left"
    bench.exchange(STEP_EXCHANGES)
    for _ in range(100):
        assert bench.power() == 0 and bench.states == [ChannelState.LIMIT] * 4
    bench.levels(allowed=False)
    bench.exchange(40)
    assert bench.states == [ChannelState.OFF] * 4
    bench.levels(allowed=True)
    assert bench.power(4 * STEP_EXCHANGES) == 0 and bench.states == [ChannelState.LIMIT] * 4
    bench.set(**{limit: full})
    assert bench.until(lambda: bench.states == [ChannelState.TRACK] * 4, steps)
    bench.exchange(8 * STEP_EXCHANGES)
    assert bench.power() == pytest.approx(before, rel=0.01)


def test_a_channel_that_its_limit_has_parked_stays_so_until_the_limit_is_above_what_flows_at_240_volt():
    bench = CircuitBench(STRINGS_V[:1])
    bench.exchange(2 * START_EXCHANGES)
    bench.set(current_limit_ma=100)
    assert bench.until(lambda: bench.duties[0] == 0, 100)
    bench.set(current_limit_ma=599)
    bench.exchange(20 * STEP_EXCHANGES)
    assert bench.duties[0] == 0
    bench.set(current_limit_ma=600)
    bench.exchange(60 * STEP_EXCHANGES)
    assert bench.power() / BUS_V == pytest.approx(0.6, rel=0.03) and bench.states == [ChannelState.LIMIT]


def test_a_site_limit_below_what_all_channels_give_at_240_volt_parks_some_of_them():
    """Together they give 41 W there."""
    bench = CircuitBench(STRINGS_V)
    bench.set(site_power_limit=3)
    bench.exchange(400 * STEP_EXCHANGES)
    powers = [bench.power() for _ in range(400)]
    assert sum(powers) / len(powers) <= 30 and max(powers) <= 32 and min(powers) >= 20
    assert 0 < sum(duty == 0 for duty in bench.duties) < 4


def test_shedding_comes_to_no_power_and_ends_below_the_warning_level():
    bench = CircuitBench(STRINGS_V)
    bench.exchange(2 * START_EXCHANGES)
    before = bench.power()
    bench.levels(hold=True, shed=True)
    bench.exchange(3 * STEP_EXCHANGES)
    assert bench.power() == 0 and bench.states == [ChannelState.LIMIT] * 4 and not any(bench.duties)
    bench.levels(shed=False)
    assert bench.power(4 * STEP_EXCHANGES) == 0
    bench.levels(hold=False)
    bench.exchange(START_EXCHANGES + 16 * STEP_EXCHANGES)
    assert bench.states == [ChannelState.TRACK] * 4 and bench.power() == pytest.approx(before, rel=0.01)
