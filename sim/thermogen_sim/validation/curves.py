"""What the module's model gives at the points that its owner has published."""

from __future__ import annotations

import numpy as np

from ..thermoelectric import KELVIN, Array, Strings

HOT_DEGC: dict[float, float] = {128.0: 180.0, 150.0: 190.0, 180.0: 200.0}
"""Hot junction at each published temperature difference."""
PUBLISHED_PERCENT: dict[float, float] = {128.0: 3.6, 150.0: 4.1, 180.0: 5.0}
PUBLISHED_W_AT_180_K = 6.0
RATED_K = 128.0
RATED_V, RATED_A, RATED_W = 67.6, 1.41, 95.0
PUBLISHED_OPTIMUM, PUBLISHED_LOSS_PERCENT = 0.60, 4.0


def string() -> Strings:
    """One string of modules without spread."""
    return Strings(np.array([0.033]), np.array([1.5]))


def matched(difference_k: float, hot_degc: float = 180.0) -> tuple[Array, Array, Array]:
    """Junctions and the current at half the open-circuit voltage."""
    hot = np.array([hot_degc + KELVIN])
    cold = hot - difference_k
    one = string()
    return hot, cold, one.open_circuit_v(hot, cold) / (2 * one.electrical_ohm)


def efficiency_percent(difference_k: float) -> float:
    """At matched load, junction to junction."""
    hot, cold, amps = matched(difference_k, HOT_DEGC.get(difference_k, 180.0))
    one = string()
    return 100.0 * float((one.power_w(hot, cold, amps, amps**2) / one.heat_in_w(hot, cold, amps, amps**2))[0])


def module_w(difference_k: float) -> float:
    """One module's power at matched load."""
    hot, cold, amps = matched(difference_k)
    one = string()
    return float(one.power_w(hot, cold, amps, amps**2)[0]) / one.modules


def rated_point() -> tuple[float, float, float]:
    """Volts, amperes and watts of a string at its rating and matched load."""
    hot, cold, amps = matched(RATED_K)
    one = string()
    watts = float(one.power_w(hot, cold, amps, amps**2)[0])
    return watts / float(amps[0]), float(amps[0]), watts


def constant_heat(difference_k: float = RATED_K, hot_degc: float = 180.0) -> tuple[Array, Array]:
    """A string's power over its voltage as a fraction of its open-circuit voltage of the moment, with the heat that flows at matched
    load held constant and the cold side fixed: more current cools the hot side."""
    hot, cold, amps = matched(difference_k, hot_degc)
    one = string()
    heat_w = one.heat_in_w(hot, cold, amps, amps**2) / one.modules
    drawn = np.linspace(0.0, 2.0 * float(amps[0]), 2001)
    a, r, k = one.seebeck_v_k[0], one.resistance_ohm[0], one.conductance_w_k
    hot_k = (heat_w + k * cold + 0.5 * drawn**2 * r) / (a * drawn + k)
    open_circuit = one.open_circuit_v(hot_k, np.broadcast_to(cold, hot_k.shape))
    volts = open_circuit - drawn * one.electrical_ohm
    return volts / open_circuit, volts * drawn


def constant_heat_optimum(difference_k: float = RATED_K) -> tuple[float, float]:
    """Where the most power lies under constant heat, as a fraction of the open-circuit voltage, and what half of it loses, in percent."""
    fraction, power = constant_heat(difference_k)
    best = int(np.argmax(power))
    half = int(np.argmin(np.abs(fraction - 0.5)))
    return float(fraction[best]), 100.0 * (1.0 - float(power[half] / power[best]))
