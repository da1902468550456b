"""What a sample in the middle of the on-time, behind the amplifier's two poles, differs from the true mean of the output current."""

from __future__ import annotations

from ..models import run_switched
from .averaged import BATTERY_V, Point, gates, steady
from .cases import COUNTS, PERIOD_S, STRING_V_PER_K

RATED_A = 1.98
"""Output current of a channel at its rating."""


def error_a(duty: float, difference_k: float) -> float:
    """Sample less mean, in amperes; the low side is on where current flows forwards on the mean, as the gateware has it."""
    counts = round(duty * COUNTS)
    low_side = counts / COUNTS > 1.05 * BATTERY_V / (STRING_V_PER_K * difference_k)
    point = Point(counts, low_side, difference_k)
    s = steady(point)
    mean_a: float = s.output_as[0] / s.seconds
    run_switched(s, gates(point), 0, PERIOD_S / 2)
    shown_a: float = s.amplifier_a[0]
    return shown_a - mean_a
