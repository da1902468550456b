"""What the switched model is run through: one channel at a fixed duty, the load and the string's temperature stepping under it."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

from ..models import run_switched
from ..switched import Pattern, Switched, pulse

PERIOD_S = 10e-6
COUNTS = 480
DEAD_S = 100e-9
WINDOW_S = 1e-3
"""Power is compared as means over windows of this length."""
WINDOWS = 12
LOAD_STEP_S, TEMPERATURE_STEP_S = 4e-3, 8e-3
STRING_V_PER_K = 32 * 0.033


@dataclass(frozen=True)
class Parts:
    """The circuit's parts, as native/electrical.hpp and switched.hpp have them."""

    string_ohm: float = 48.0
    inductor_h: float = 220e-6
    input_f: float = 47e-6
    bus_f: float = 10e-3
    path_ohm: float = 0.040
    body_diode_v: float = 0.8
    amplifier_hz: float = 5e3
    battery_ohm: float = 0.20
    """Ten times the site's, so that a load step moves the bus."""


PARTS = Parts()


@dataclass(frozen=True)
class Case:
    """`duty` in counts of 480; the low side is on for the rest but the dead times, or off. The load steps from 0 to `load_w`, the string's
    junctions from `before_k` to `after_k` of difference."""

    name: str
    duty_counts: int
    low_side: bool
    before_k: float
    after_k: float
    battery_v: float = 49.0
    load_w: float = 90.0

    @property
    def high_s(self) -> float:
        """On-time of the high side."""
        return self.duty_counts * PERIOD_S / COUNTS

    @property
    def low_s(self) -> float:
        """On-time of the low side."""
        return PERIOD_S - self.high_s - 2 * DEAD_S if self.low_side else 0.0

    def pattern(self) -> Pattern:
        """The gates of one period, on-time in its middle."""
        return Pattern(pulse(0, self.high_s, self.low_s, PERIOD_S, PERIOD_S / 2, DEAD_S), PERIOD_S)

    def open_circuit_v(self, at_s: float) -> float:
        """The string's voltage without current."""
        return STRING_V_PER_K * (self.before_k if at_s < TEMPERATURE_STEP_S else self.after_k)

    def load_at_w(self, at_s: float) -> float:
        """The load's power."""
        return 0.0 if at_s < LOAD_STEP_S else self.load_w


CASES = (
    Case("continuous conduction, low side on", 352, True, 128.0, 103.0),
    Case("continuous conduction by body diode, low side off", 300, False, 128.0, 110.0),
    Case("discontinuous conduction, low side off", 180, False, 118.0, 105.0),
    Case("light load near the edge of conduction, low side off", 240, False, 100.0, 92.0),
)


def circuit(case: Case, parts: Parts = PARTS) -> Switched:
    """One channel in the steady state of the case's first milliseconds."""
    s = Switched()
    s.channels = 1
    s.inductor_h, s.input_f, s.bus_f = parts.inductor_h, parts.input_f, parts.bus_f
    s.path_ohm, s.body_diode_v, s.amplifier_hz = parts.path_ohm, parts.body_diode_v, parts.amplifier_hz
    s.string_ohm[0], s.open_circuit_v[0] = parts.string_ohm, case.open_circuit_v(0.0)
    s.battery_ocv, s.battery_ohm, s.battery_connected = case.battery_v, parts.battery_ohm, 1
    s.bus_v, s.input_v[0] = case.battery_v, s.open_circuit_v[0]
    run_switched(s, case.pattern(), 10_000)
    s.clear_sums()
    return s


def copy(s: Switched) -> Switched:
    """The same state again."""
    return Switched.from_buffer_copy(ctypes.string_at(ctypes.addressof(s), ctypes.sizeof(s)))


def step_to(s: Switched, case: Case, at_s: float) -> None:
    """Set what comes from outside at this time."""
    s.open_circuit_v[0] = case.open_circuit_v(at_s)
    s.load_w = case.load_at_w(at_s)


def switched_powers(case: Case, start: Switched) -> list[float]:
    """Mean power into the bus in each window, by the switched model."""
    s, pattern = copy(start), case.pattern()
    powers = []
    for window in range(WINDOWS):
        step_to(s, case, (window + 0.5) * WINDOW_S)
        s.clear_sums()
        run_switched(s, pattern, round(WINDOW_S / PERIOD_S))
        powers.append(s.output_j / s.seconds)
    return powers
