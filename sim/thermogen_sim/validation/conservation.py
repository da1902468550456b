"""Energy in the thermal plant over time: what came in, what went out and what is stored, each counted by itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..thermal import GAS_J_PER_MCF, SECONDS_PER_DAY, ThermalPlant, ThermalState
from ..thermoelectric import bismuth_telluride

STEP_S = 2.0
HOLD_STEPS = 300
"""Gas, weather and currents stay for ten minutes, then jump."""


@dataclass(frozen=True)
class Balance:
    """Joules over a run."""

    fuel_j: float
    electrical_j: float
    """At the strings' terminals: open-circuit voltage times current less what their resistance takes."""
    lost_j: float
    """Up the stack and through the radiator."""
    stored_j: float

    @property
    def unaccounted(self) -> float:
        """As a fraction of the fuel's energy."""
        return (self.stored_j + self.electrical_j + self.lost_j - self.fuel_j) / self.fuel_j


def balance(seconds: float, seed: int, channels: int = 12) -> Balance:
    """A site on gas, weather and currents that jump, from anywhere between idle and short circuit."""
    chance = np.random.default_rng(seed)
    plant = ThermalPlant(
        bismuth_telluride(channels, seed), ThermalState(*(float(t) for t in chance.uniform((150, 145, 35, 25), (188, 180, 60, 45))))
    )
    strings = plant.strings
    began_j = plant.stored_j
    fuel_j = electrical_j = lost_j = 0.0
    gas, ambient, share = 3.0, 20.0, np.full(channels, 0.5)
    for step in range(int(seconds / STEP_S)):
        if step % HOLD_STEPS == 0:
            gas, ambient = float(chance.uniform(0.0, 4.0) * channels / 12), float(chance.uniform(-30.0, 40.0))
            share = chance.uniform(0.0, 1.0, channels)
        open_circuit = np.maximum(0.0, strings.open_circuit_v(plant.hot_junction_k, plant.cold_junction_k))
        amps = share * open_circuit / strings.electrical_ohm
        flows = plant.step(STEP_S, gas, ambient, amps, amps**2)
        fuel_j += STEP_S * flows.gas_mcf_d * GAS_J_PER_MCF / SECONDS_PER_DAY
        electrical_j += STEP_S * float((open_circuit * amps - strings.electrical_ohm * amps**2).sum())
        lost_j += STEP_S * (flows.stack_w + flows.radiator_w)
    return Balance(fuel_j, electrical_j, lost_j, plant.stored_j - began_j)
