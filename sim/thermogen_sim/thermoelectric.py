"""Strings of thermoelectric modules between a hot and a cold plate.

Per module, with junction temperatures Th and Tc in kelvin and current I:

    heat in   = a I Th + K (Th - Tc) - I^2 R / 2
    heat out  = a I Tc + K (Th - Tc) + I^2 R / 2
    power     = a I (Th - Tc) - I^2 R          (Seebeck and Peltier, Joule, conduction)

The junctions lie behind contact resistances to their plates. Their own heat capacity (a second or so) is neglected against the
plates'. Drawing current cools the hot side: the current that gives most power is below the one that halves the open-circuit
voltage of the unloaded string. All functions take and give one value per string.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

KELVIN = 273.15
MODULES_PER_STRING = 32

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Strings:
    """A bank of strings; the arrays hold one value per string, modules in series within it.

    `seebeck_v_k` and `resistance_ohm` are per module, `conductance_w_k` is the module's pure conduction, `contact_k_w` the
    thermal resistance between a plate and a module's junction, on each side.
    """

    seebeck_v_k: Array
    resistance_ohm: Array
    conductance_w_k: float = 0.50
    contact_k_w: float = 0.030
    modules: int = MODULES_PER_STRING

    @property
    def electrical_ohm(self) -> Array:
        """Resistance of each string."""
        return self.modules * self.resistance_ohm

    def junctions(self, hot_plate_k: float, cold_plate_k: float, amps: Array, amps2: Array) -> tuple[Array, Array]:
        """Junction temperatures (K) in balance with the plates at mean current `amps` and mean square current `amps2`."""
        a, r = self.seebeck_v_k, self.resistance_ohm
        k, contact = self.conductance_w_k, 1.0 / self.contact_k_w
        joule = 0.5 * amps2 * r
        # (plate - Th) / contact = heat in; (Tc - plate) / contact = heat out: two linear equations in Th and Tc.
        hot_hot = contact + a * amps + k
        cold_cold = contact - a * amps + k
        hot_side = contact * hot_plate_k + joule
        cold_side = contact * cold_plate_k + joule
        determinant = hot_hot * cold_cold - k * k
        return (hot_side * cold_cold + k * cold_side) / determinant, (cold_side * hot_hot + k * hot_side) / determinant

    def open_circuit_v(self, hot_k: Array, cold_k: Array) -> Array:
        """Open-circuit voltage of each string at its junction temperatures."""
        return self.modules * self.seebeck_v_k * (hot_k - cold_k)

    def heat_in_w(self, hot_k: Array, cold_k: Array, amps: Array, amps2: Array) -> Array:
        """Heat that each string takes from the hot plate."""
        per_module = self.seebeck_v_k * amps * hot_k + self.conductance_w_k * (hot_k - cold_k) - 0.5 * amps2 * self.resistance_ohm
        return self.modules * per_module

    def heat_out_w(self, hot_k: Array, cold_k: Array, amps: Array, amps2: Array) -> Array:
        """Heat that each string gives to the cold plate."""
        per_module = self.seebeck_v_k * amps * cold_k + self.conductance_w_k * (hot_k - cold_k) + 0.5 * amps2 * self.resistance_ohm
        return self.modules * per_module

    def power_w(self, hot_k: Array, cold_k: Array, amps: Array, amps2: Array) -> Array:
        """Electrical power at each string's terminals: exactly heat in less heat out."""
        return self.heat_in_w(hot_k, cold_k, amps, amps2) - self.heat_out_w(hot_k, cold_k, amps, amps2)

    def available_w(self, hot_plate_k: float, cold_plate_k: float) -> Array:
        """The most power each string can give for long with its plates held where they are."""
        step_a = 0.005
        best = np.zeros_like(self.seebeck_v_k)
        for n in range(1, 600):
            amps = np.full_like(best, n * step_a)
            hot_k, cold_k = self.junctions(hot_plate_k, cold_plate_k, amps, amps**2)
            power = self.power_w(hot_k, cold_k, amps, amps**2)
            if np.all(power < best):
                break
            best = np.maximum(best, power)
        return best


def bismuth_telluride(count: int, seed: int = 0) -> Strings:
    """`count` strings of Bi2Te3 modules (40 x 40 mm: 0.033 V/K, 1.5 ohm, 0.50 W/K), spread by +-1.5 % as bought parts are."""
    spread = np.random.default_rng(seed).uniform(-0.015, 0.015, (2, count))
    return Strings(0.033 * (1.0 + spread[0]), 1.5 * (1.0 + spread[1]))
