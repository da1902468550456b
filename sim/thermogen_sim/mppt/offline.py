"""The most energy that a string under given heat could have given: the offline optimum that constant-flux runs are measured against.

Dynamic programming over the hot plate's temperature: in each time step the share of the open-circuit voltage is free (within the
converter's reach), the plate moves, and the value of a temperature is the most energy that can still come of it. The plate must end at
least as warm as the run that is compared left it, so that nobody gains by emptying the plate's heat: an end below it costs a third of the
heat that is missing, many times what the heat could become. The current settles in milliseconds against a lag of tens of seconds, so
within a step it follows the temperature. Power is the output's: the path's resistance is in it, as in the bench.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MODULES = 32
SEEBECK_V_K = 0.033
MODULE_OHM = 1.5
CONDUCTANCE_W_K = 0.50
PLATE_J_K = 13.6
COLD_K = 323.15
PATH_OHM = 0.040
DUTY_MAX = 0.95

Array = NDArray[np.float64]


def _choices(hot_k: Array, shares: Array, bus_v: float) -> tuple[Array, Array]:
    """(string current, output power) for each temperature and each share of its open-circuit voltage."""
    open_v = (MODULES * SEEBECK_V_K * (hot_k - COLD_K))[:, None]
    seen_v = np.maximum(shares[None, :] * open_v, bus_v / DUTY_MAX)
    seen_ohm = MODULES * MODULE_OHM + PATH_OHM * (seen_v / bus_v) ** 2
    amps = np.maximum(0.0, (open_v - seen_v) / seen_ohm)
    return amps, amps * seen_v


def most_joules(heat_w: Array, step_s: float, hot_start_k: float, hot_end_k: float, bus_v: float) -> float:
    """The greatest energy of one string over the steps of `heat_w` (per module), from one plate temperature to at least another."""
    grid = np.linspace(min(hot_start_k, hot_end_k) - 60.0, max(hot_start_k, hot_end_k) + 60.0, 961)
    shares = np.linspace(0.40, 0.80, 81)
    amps, power = _choices(grid, shares, bus_v)
    taken = SEEBECK_V_K * amps * grid[:, None] + CONDUCTANCE_W_K * (grid[:, None] - COLD_K) - 0.5 * MODULE_OHM * amps**2
    value = -np.maximum(0.0, hot_end_k - grid) * PLATE_J_K * MODULES / 3.0
    for heat in heat_w[::-1]:
        after = grid[:, None] + (heat - taken) * step_s / PLATE_J_K
        value = (power * step_s + np.interp(after, grid, value)).max(axis=1)
    return float(np.interp(hot_start_k, grid, value))


def steady_share(heat_w: float, bus_v: float = 50.0) -> tuple[float, float]:
    """(share of the open-circuit voltage, power) that gives most for ever under constant heat, found by trying shares."""
    best = (0.0, 0.0)
    for share in np.linspace(0.45, 0.75, 301):
        low, high = COLD_K, COLD_K + 400.0
        for _ in range(60):
            hot = 0.5 * (low + high)
            amps, power = _choices(np.array([hot]), np.array([share]), bus_v)
            current = float(amps[0, 0])
            taken = SEEBECK_V_K * current * hot + CONDUCTANCE_W_K * (hot - COLD_K) - 0.5 * MODULE_OHM * current**2
            low, high = (hot, high) if taken < heat_w else (low, hot)
        if float(power[0, 0]) > best[1]:
            best = (float(share), float(power[0, 0]))
    return best
