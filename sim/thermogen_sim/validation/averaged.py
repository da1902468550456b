"""The averaged model (native/electrical.hpp) against the switched one, in steady state over the duties and temperatures of a site."""

from __future__ import annotations

from dataclasses import dataclass

from ..electrical import Electrical, take_means
from ..models import run_averaged, run_switched
from ..switched import Pattern, Switched, pulse
from .cases import COUNTS, DEAD_S, PARTS, PERIOD_S, STRING_V_PER_K

DEAD_COUNTS = round(DEAD_S * COUNTS / PERIOD_S + 0.2)
BATTERY_V = 50.0
BATTERY_OHM = 0.020
SETTLE_PERIODS = 12_000
MEAN_PERIODS = 300


@dataclass(frozen=True)
class Point:
    """An operating point: duty in counts of 480, the low side on or off, the string's temperature difference."""

    duty_counts: int
    low_side: bool
    difference_k: float

    def __str__(self) -> str:
        return f"duty {self.duty_counts / COUNTS:.2f}, low side {'on' if self.low_side else 'off'}, {self.difference_k:.0f} K"

    @property
    def low_counts(self) -> int:
        """Counts of the low side."""
        return COUNTS - self.duty_counts - 2 * DEAD_COUNTS if self.low_side else 0


@dataclass(frozen=True)
class Comparison:
    """Power into the bus by both models."""

    point: Point
    switched_w: float
    averaged_w: float

    @property
    def error(self) -> float:
        """Of the averaged model, as a fraction."""
        return self.averaged_w / self.switched_w - 1.0


def _grid() -> tuple[Point, ...]:
    points = []
    for difference_k in (100.0, 128.0, 150.0):
        for duty_counts in (48, 96, 144, 192, 240, 288, 336, 384, 432, 456):
            points.append(Point(duty_counts, False, difference_k))
            # The gateware allows the low side where current flows forwards on the mean.
            if duty_counts / COUNTS > 1.05 * BATTERY_V / (STRING_V_PER_K * difference_k):
                points.append(Point(duty_counts, True, difference_k))
    return tuple(points)


GRID = _grid()


def steady(point: Point) -> Switched:
    """The switched circuit, settled at this point; its sums are over the last periods."""
    s = Switched()
    s.channels = s.battery_connected = 1
    s.inductor_h, s.input_f, s.bus_f = PARTS.inductor_h, PARTS.input_f, PARTS.bus_f
    s.path_ohm, s.body_diode_v, s.amplifier_hz = PARTS.path_ohm, PARTS.body_diode_v, PARTS.amplifier_hz
    s.open_circuit_v[0] = STRING_V_PER_K * point.difference_k
    s.string_ohm[0], s.input_v[0] = PARTS.string_ohm, s.open_circuit_v[0]
    s.battery_ocv = s.bus_v = BATTERY_V
    s.battery_ohm = BATTERY_OHM
    pattern = gates(point)
    run_switched(s, pattern, SETTLE_PERIODS)
    s.clear_sums()
    run_switched(s, pattern, MEAN_PERIODS)
    return s


def gates(point: Point) -> Pattern:
    """A period of this point's gates."""
    count_s = PERIOD_S / COUNTS
    edges = pulse(0, point.duty_counts * count_s, point.low_counts * count_s, PERIOD_S, PERIOD_S / 2, DEAD_COUNTS * count_s)
    return Pattern(edges, PERIOD_S)


def compare(point: Point) -> Comparison:
    """Both models at one point."""
    s = steady(point)
    e = Electrical()
    e.channels = e.battery_connected = 1
    e.open_circuit_v[0], e.string_ohm[0], e.input_v[0] = s.open_circuit_v[0], s.string_ohm[0], s.open_circuit_v[0]
    e.battery_ocv, e.battery_ohm, e.bus_v = BATTERY_V, BATTERY_OHM, BATTERY_V
    run_averaged(e, [point.duty_counts], [point.low_counts], SETTLE_PERIODS)
    take_means(e)
    run_averaged(e, [point.duty_counts], [point.low_counts], MEAN_PERIODS)
    means = take_means(e)
    assert means is not None
    return Comparison(point, s.output_j / s.seconds, means.output_w)
