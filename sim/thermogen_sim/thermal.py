"""The thermal side: burner, hot loop, plates, cold loop, radiator; four thermal masses, stepped by site time.

    gas -> burner (0.88) -> pipes (-5 %) -> heater -> hot oil -> hot plates -> modules -> cold plates -> glycol -> radiator

Oil and glycol exchange heat with their plates over the mean of their supply and return temperatures; returns follow from the
heat given and the fluids' enthalpy, so that flow x density x heat capacity x glide is the heat moved, as a heat meter sees it.
Flows are metered at supply temperature.

Every step moves energy from one account to another: `Flows` says how much, and the change of stored heat equals what came in
less what went out.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np

from .fluids import GLYCOL_50, THERMINOL_VP1, Fluid
from .thermoelectric import KELVIN, Array, Strings

GAS_J_PER_MCF = 299.0 * 3.6e6
"""Heat of 1 Mcf of natural gas: 1,020,000 BTU, 299 kWh."""

SECONDS_PER_DAY = 86_400.0


STRINGS = 12
"""Strings that the sizes below are for."""


@dataclass(frozen=True)
class ThermalParts:
    """Sizes of a ninth of the full node: 12 strings, 384 modules, 32 kW of heat."""

    burner_efficiency: float = 0.88
    pipe_loss: float = 0.05
    burner_full_mcf_d: float = 3.6
    """Gas at full fire."""
    burner_least: float = 0.20
    """Lowest fire, as a fraction of full."""
    trim_start_degc: float = 187.0
    """Hot supply at which the burner's controller begins to cut back; at `trim_end_degc` it is at lowest fire."""
    trim_end_degc: float = 189.5
    burner_off_degc: float = 200.0
    """The safety chain closes the gas valve: bismuth telluride's limit."""
    hot_fluid: Fluid = THERMINOL_VP1
    cold_fluid: Fluid = GLYCOL_50
    hot_flow_l_min: float = 80.0
    cold_flow_l_min: float = 50.0
    hot_plate_w_k: float = 12_000.0
    """Heat transfer from oil to hot plates."""
    cold_plate_w_k: float = 12_000.0
    heater_j_k: float = 300e3
    """Oil and steel of the hot loop."""
    hot_plates_j_k: float = 90e3
    cold_plates_j_k: float = 90e3
    coolant_j_k: float = 450e3
    radiator_full_w_k: float = 3_000.0
    radiator_least_w_k: float = 100.0
    """Natural draught with the fan standing."""
    fan_start_degc: float = 38.0
    fan_full_degc: float = 42.0

    def sized(self, strings: int) -> ThermalParts:
        """The same site for another number of strings: everything that has a size grows with it, temperatures stay."""
        share = strings / STRINGS
        return replace(self, **{name: share * getattr(self, name) for name in _SIZES})


_SIZES = (
    "burner_full_mcf_d",
    "hot_flow_l_min",
    "cold_flow_l_min",
    "hot_plate_w_k",
    "cold_plate_w_k",
    "heater_j_k",
    "hot_plates_j_k",
    "cold_plates_j_k",
    "coolant_j_k",
    "radiator_full_w_k",
    "radiator_least_w_k",
)


@dataclass
class ThermalState:
    """Temperatures in degC."""

    hot_supply_degc: float
    hot_plate_degc: float
    cold_plate_degc: float
    cold_supply_degc: float


@dataclass(frozen=True)
class Flows:
    """Where the energy of a step went, in watts, and the temperatures that follow from it in degC."""

    gas_mcf_d: float
    fuel_w: float
    stack_w: float
    """Up the burner's stack and lost from the pipes."""
    hot_w: float
    """Out of the oil, into the hot plates."""
    modules_in_w: float
    modules_out_w: float
    electrical_w: float
    cold_w: float
    """Out of the cold plates, into the glycol."""
    radiator_w: float
    hot_return_degc: float
    cold_return_degc: float


class ThermalPlant:
    """The four masses and what flows between them."""

    def __init__(self, strings: Strings, state: ThermalState, parts: ThermalParts | None = None):
        self.strings = strings
        self.state = state
        self.parts = parts or ThermalParts().sized(len(strings.seebeck_v_k))
        self.flame = True
        count = len(strings.seebeck_v_k)
        self.hot_junction_k: Array = np.full(count, state.hot_plate_degc + KELVIN)
        self.cold_junction_k: Array = np.full(count, state.cold_plate_degc + KELVIN)
        self.settle_junctions(np.zeros(count), np.zeros(count))

    @property
    def stored_j(self) -> float:
        """Heat in the four masses above 0 degC."""
        s, p = self.state, self.parts
        return (
            s.hot_supply_degc * p.heater_j_k
            + s.hot_plate_degc * p.hot_plates_j_k
            + s.cold_plate_degc * p.cold_plates_j_k
            + s.cold_supply_degc * p.coolant_j_k
        )

    def settle_junctions(self, amps: Array, amps2: Array) -> None:
        """Put the junctions in balance with the plates at these string currents."""
        self.hot_junction_k, self.cold_junction_k = self.strings.junctions(
            self.state.hot_plate_degc + KELVIN, self.state.cold_plate_degc + KELVIN, amps, amps2
        )

    def burner_gas_mcf_d(self, available_mcf_d: float) -> float:
        """Gas burnt of what is available: all of it, unless the hot supply nears its limit or there is less than lowest fire needs."""
        p = self.parts
        if self.state.hot_supply_degc > p.burner_off_degc:
            self.flame = False
        elif self.state.hot_supply_degc < p.trim_start_degc:
            self.flame = True
        least = p.burner_least * p.burner_full_mcf_d
        if not self.flame or available_mcf_d < least:
            return 0.0
        room = (p.trim_end_degc - self.state.hot_supply_degc) / (p.trim_end_degc - p.trim_start_degc)
        return min(available_mcf_d, least + (p.burner_full_mcf_d - least) * min(1.0, max(0.0, room)))

    def step(self, seconds: float, gas_available_mcf_d: float, ambient_degc: float, amps: Array, amps2: Array) -> Flows:
        """Advance by `seconds` (at most 2: explicit Euler on time constants of 7 s and more) at the strings' mean currents."""
        s, p = self.state, self.parts
        gas_mcf_d = self.burner_gas_mcf_d(gas_available_mcf_d)
        fuel_w = gas_mcf_d * GAS_J_PER_MCF / SECONDS_PER_DAY
        heater_w = fuel_w * p.burner_efficiency * (1.0 - p.pipe_loss)

        hot_kg_s = p.hot_fluid.mass_flow_kg_s(p.hot_flow_l_min, s.hot_supply_degc)
        cold_kg_s = p.cold_fluid.mass_flow_kg_s(p.cold_flow_l_min, s.cold_supply_degc)
        hot_w_k = 1.0 / (1.0 / p.hot_plate_w_k + 0.5 / (hot_kg_s * p.hot_fluid.heat_capacity_j_kgk(s.hot_supply_degc)))
        cold_w_k = 1.0 / (1.0 / p.cold_plate_w_k + 0.5 / (cold_kg_s * p.cold_fluid.heat_capacity_j_kgk(s.cold_supply_degc)))
        hot_w = hot_w_k * (s.hot_supply_degc - s.hot_plate_degc)
        cold_w = cold_w_k * (s.cold_plate_degc - s.cold_supply_degc)
        hot_return_degc = p.hot_fluid.cooled_degc(s.hot_supply_degc, hot_w / hot_kg_s)
        cold_return_degc = p.cold_fluid.cooled_degc(s.cold_supply_degc, -cold_w / cold_kg_s)

        # At the junctions as they were while the currents flowed: then the power is what the strings gave at their terminals.
        modules_in_w = float(self.strings.heat_in_w(self.hot_junction_k, self.cold_junction_k, amps, amps2).sum())
        modules_out_w = float(self.strings.heat_out_w(self.hot_junction_k, self.cold_junction_k, amps, amps2).sum())

        fan = min(1.0, max(0.0, (s.cold_supply_degc - p.fan_start_degc) / (p.fan_full_degc - p.fan_start_degc)))
        radiator_w_k = p.radiator_least_w_k + (p.radiator_full_w_k - p.radiator_least_w_k) * fan
        radiator_w = radiator_w_k * (0.5 * (s.cold_supply_degc + cold_return_degc) - ambient_degc)

        s.hot_supply_degc += seconds * (heater_w - hot_w) / p.heater_j_k
        s.hot_plate_degc += seconds * (hot_w - modules_in_w) / p.hot_plates_j_k
        s.cold_plate_degc += seconds * (modules_out_w - cold_w) / p.cold_plates_j_k
        s.cold_supply_degc += seconds * (cold_w - radiator_w) / p.coolant_j_k
        self.settle_junctions(amps, amps2)
        return Flows(
            gas_mcf_d,
            fuel_w,
            fuel_w - heater_w,
            hot_w,
            modules_in_w,
            modules_out_w,
            modules_in_w - modules_out_w,
            cold_w,
            radiator_w,
            hot_return_degc,
            cold_return_degc,
        )

    def available_w(self) -> Array:
        """The most power each string could give with the plates where they are."""
        return self.strings.available_w(self.state.hot_plate_degc + KELVIN, self.state.cold_plate_degc + KELVIN)

    def as_dict(self) -> dict[str, float]:
        """The state for saving."""
        return asdict(self.state)


def matched_amps(plant: ThermalPlant) -> Array:
    """Current of each string at half its open-circuit voltage, close to where a tracker holds it."""
    return np.maximum(0.0, plant.strings.open_circuit_v(plant.hot_junction_k, plant.cold_junction_k) / (2.0 * plant.strings.electrical_ohm))
