"""A sample in the middle of the on-time against the true average current: why there are two poles at 5 kHz before the converter.

The inductor's current is built exactly, piece by piece, from a string behind its resistance, a buck and the bus; the filter's answer to it
is summed over harmonics. Nothing here is gateware: that the chip select falls in the middle of the on-time is `test_pcm.py`'s.
"""

from __future__ import annotations

import cmath
import math
from dataclasses import dataclass
from itertools import pairwise

import pytest

PERIOD_S = 10e-6
STRING_OHMS = 48.0
OPEN_CIRCUIT_MOST_V = 1.056 * 180
"""32 modules at their hottest."""
DIODE_V = 0.7
"""Body diode of the low side, which freewheels in discontinuous conduction."""
RATED_A = 1.98
BOUND_A = 0.005 * RATED_A
COUNT_S = PERIOD_S / 480
HARMONICS = 100
DUTIES = [duty / 100 for duty in range(30, 96, 5)]
BUS_VOLTS = (44.0, 48.0, 51.0)
INDUCTANCES = (220e-6 * 0.8, 220e-6, 220e-6 * 1.2)


@dataclass(frozen=True)
class Current:
    """One period of an inductor's current, as corners (time from the middle of the on-time, amperes)."""

    corners: tuple[tuple[float, float], ...]
    continuous: bool
    open_circuit_v: float

    @property
    def mean(self):
        return sum((i0 + i1) / 2 * (t1 - t0) for (t0, i0), (t1, i1) in pairwise(self.corners)) / PERIOD_S

    def at(self, moment):
        for (t0, i0), (t1, i1) in pairwise(self.corners):
            if t0 <= moment <= t1:
                return i0 + (i1 - i0) * (moment - t0) / (t1 - t0)
        raise AssertionError(moment)

    def filtered(self, moment, poles_hz):
        """What comes out of equal or different real poles in series, in the steady state."""
        slopes = [(i1 - i0) / (t1 - t0) for (t0, i0), (t1, i1) in pairwise(self.corners)]
        bends = [(t, slopes[n] - slopes[n - 1]) for n, (t, _) in enumerate(self.corners[:-1])]
        total = self.mean
        for harmonic in range(1, HARMONICS):
            omega = 2 * math.pi * harmonic / PERIOD_S
            # Twice differentiated, the current is nothing but its bends.
            amplitude = -sum(bend * cmath.exp(-1j * omega * t) for t, bend in bends) / (PERIOD_S * omega**2)
            for pole_hz in poles_hz:
                amplitude /= 1 + 1j * omega / (2 * math.pi * pole_hz)
            total += 2 * (amplitude * cmath.exp(1j * omega * moment)).real
        return total


def discontinuous(duty, bus_v, input_v, inductance):
    """The current of a buck whose low side is a diode, or None where it would not come to rest within the period."""
    on_s = duty * PERIOD_S
    peak = (input_v - bus_v) / inductance * on_s
    fall_s = peak * inductance / (bus_v + DIODE_V)
    if on_s + fall_s >= PERIOD_S:
        return None
    corners = ((-on_s / 2, 0.0), (on_s / 2, peak), (on_s / 2 + fall_s, 0.0), (PERIOD_S - on_s / 2, 0.0))
    return Current(corners, False, input_v + STRING_OHMS * peak * duty / 2)


def continuous(duty, bus_v, mean, inductance):
    """The current of a synchronous buck around `mean`, or None where it would reach zero."""
    on_s, input_v = duty * PERIOD_S, bus_v / duty
    swing = (input_v - bus_v) / inductance * on_s
    if mean < swing / 2:
        return None
    low, high = mean - swing / 2, mean + swing / 2
    return Current(((-on_s / 2, low), (on_s / 2, high), (PERIOD_S - on_s / 2, low)), True, input_v + STRING_OHMS * mean * duty)


def operating_points():
    """Every current that a channel can have at these duties: up to rated, from strings that exist."""
    for bus_v in BUS_VOLTS:
        for duty in DUTIES:
            for inductance in INDUCTANCES:
                step = (bus_v / duty - bus_v) / 8
                points = [discontinuous(duty, bus_v, bus_v + n * step, inductance) for n in range(1, 9)]
                points += [continuous(duty, bus_v, mean, inductance) for mean in (0.05, 0.2, 0.5, 0.8, 1.1, 1.5, RATED_A)]
                yield from (point for point in points if point and point.mean <= RATED_A and point.open_circuit_v <= OPEN_CIRCUIT_MOST_V)


@pytest.fixture(scope="module")
def points():
    every = list(operating_points())
    assert sum(point.continuous for point in every) > 300 and sum(not point.continuous for point in every) > 300
    return every


def worst(points, sample):
    return max(abs(sample(point) - point.mean) for point in points)


# The capacitors' and resistors' tolerance moves the poles, and the chip select may fall a count beside the middle.
@pytest.mark.parametrize(("pole_hz", "late_s"), [(5_000, 0.0), (6_000, COUNT_S), (6_000, -COUNT_S), (4_000, 0.0)])
def test_two_poles_at_5_khz_keep_every_sample_within_half_a_percent_of_rated(points, pole_hz, late_s):
    error = worst(points, lambda point: point.filtered(late_s, (pole_hz, pole_hz)))
    assert error <= BOUND_A
    # And with a step of the converter, 2 mA, to spare.
    assert error + 2e-3 <= BOUND_A


def test_without_a_filter_the_sample_is_right_in_continuous_conduction_and_wrong_in_discontinuous(points):
    still = [point for point in points if point.continuous]
    assert worst(still, lambda point: point.at(0.0)) <= 1e-9
    assert worst([point for point in points if not point.continuous], lambda point: point.at(0.0)) > 10 * BOUND_A


@pytest.mark.parametrize("mode", [True, False])
def test_one_pole_at_10_khz_is_wrong_in_both(points, mode):
    """A single pole turns the ripple by a quarter of a period: its crest comes where its zero was."""
    assert worst([point for point in points if point.continuous is mode], lambda point: point.filtered(0.0, (10_000,))) > 5 * BOUND_A


def test_the_harmonics_add_up_to_the_current_itself(points):
    """With its poles far above the switching frequency the filter does nothing: the sum is the current, which checks the sum."""
    for point in points[:: len(points) // 20]:
        for moment in (-0.5e-6, 0.0, 1e-6):
            assert point.filtered(moment, ()) == pytest.approx(point.at(moment), abs=8e-3)
