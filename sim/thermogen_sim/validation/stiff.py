"""The same circuit by scipy's LSODA, which turns to a stiff method where it must: every switch instant is an event of the solver."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp  # type: ignore[import-untyped]

from ..models import run_switched
from ..switched import Switched
from .cases import PARTS, PERIOD_S, WINDOW_S, WINDOWS, Case, Parts, copy, step_to

State = NDArray[np.float64]
"""Inductor current, input voltage, bus voltage, energy into the bus."""

_RELATIVE, _ABSOLUTE = 1e-8, 1e-10
_OVER_S = 1e-13


def _node_v(way: str, y: State, parts: Parts) -> float:
    """Voltage of the half bridge's middle."""
    input_v = float(y[1])
    return {"high": input_v, "low": 0.0, "low diode": -parts.body_diode_v, "high diode": input_v + parts.body_diode_v}.get(way, 0.0)


def _way(high: bool, low: bool, y: State, parts: Parts) -> str:
    if high:
        return "high"
    if low:
        return "low"
    if y[0] > 0.0:
        return "low diode"
    return "high diode" if y[0] < 0.0 or y[1] + parts.body_diode_v < y[2] else "none"


def _slope(way: str, voc: float, load_w: float, case: Case, parts: Parts) -> Callable[[float, State], list[float]]:
    draws = way in {"high", "high diode"}

    def slope(_t: float, y: State) -> list[float]:
        amps, volts, bus, _ = y
        rise = 0.0 if way == "none" else (_node_v(way, y, parts) - bus - parts.path_ohm * amps) / parts.inductor_h
        string_a = max(0.0, (voc - volts) / parts.string_ohm)
        into_bus = amps - load_w / bus + (case.battery_v - bus) / parts.battery_ohm
        return [rise, (string_a - draws * amps) / parts.input_f, into_bus / parts.bus_f, bus * amps]

    return slope


def _events(way: str, parts: Parts) -> list[Callable[[float, State], float]]:
    """What ends this way by itself. The string's diode needs no event: its current begins and ends without a jump."""

    def current_ends(_t: float, y: State) -> float:
        return float(y[0])

    def body_diode_begins(_t: float, y: State) -> float:
        return float(y[1] + parts.body_diode_v - y[2])

    events: list[Callable[[float, State], float]] = []
    if way in {"low diode", "high diode"}:
        events.append(current_ends)
    elif way == "none":
        events.append(body_diode_begins)
    for event in events:
        event.terminal = True  # type: ignore[attr-defined]
    return events


def stiff_power(case: Case, start: Switched, at_s: float, periods: int, parts: Parts = PARTS) -> float:
    """Mean power into the bus over so many periods from the state of `start`, what comes from outside as at `at_s`."""
    voc, load_w = case.open_circuit_v(at_s), case.load_at_w(at_s)
    pattern = case.pattern()
    edges = [(pattern.at_s[k], bool(pattern.high[k]), bool(pattern.low[k])) for k in range(pattern.count)]
    high, low = bool(start.high[0]), bool(start.low[0])
    y: State = np.array([start.inductor_a[0], start.input_v[0], start.bus_v, 0.0])
    for _ in range(periods):
        now = 0.0
        for until, next_high, next_low in [*edges, (PERIOD_S, None, None)]:
            while until - now > _OVER_S:
                way = _way(high, low, y, parts)
                events = _events(way, parts)
                solved = solve_ivp(
                    _slope(way, voc, load_w, case, parts), (now, until), y, "LSODA", events=events, rtol=_RELATIVE, atol=_ABSOLUTE
                )
                y, now = solved.y[:, -1], solved.t[-1]
                if way in {"low diode", "high diode"} and solved.t_events[0].size:
                    y[0] = 0.0
            if next_high is not None:
                high, low = next_high, bool(next_low)
    return float(y[3] / (periods * PERIOD_S))


def stiff_powers(case: Case, start: Switched) -> list[float]:
    """Mean power into the bus in each window, by LSODA; from window to window in the state that the switched model reaches."""
    s, pattern = copy(start), case.pattern()
    periods = round(WINDOW_S / PERIOD_S)
    powers = []
    for window in range(WINDOWS):
        at_s = (window + 0.5) * WINDOW_S
        powers.append(stiff_power(case, s, at_s, periods))
        step_to(s, case, at_s)
        run_switched(s, pattern, periods)
    return powers
