"""The plant by site time: thermal side, battery, load and instruments around the circuit that runs by the clock.

Once a site second it takes the circuit's mean currents of that second, moves heat and charge, and sets what the circuit and the
converters see during the next one.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from thermogen_esf.points import BurnerFlag, SiteAlarm

from .battery import Battery
from .electrical import Electrical, ElectricalMeans, take_means
from .harness import CompiledSite
from .inputs import Inputs, InputSource
from .sensors import ELECTRICAL_INPUTS, input_ranges
from .thermal import STRINGS, Flows, ThermalPlant, ThermalState, matched_amps
from .thermoelectric import bismuth_telluride

DUMP_START_V = 50.6
DUMP_FULL_V = 51.4
DUMP_FULL_A = 40.0
"""The dump resistor's chopper: nothing below the first voltage, everything at the second, which is under the 51.5 V of the bus."""

FLOAT_CHARGE = 0.985
"""State of charge that the load controller keeps, where the pack floats at some 49 V."""
LOAD_LAG_S = 60.0
LOAD_PER_CHARGE_W = 20_000.0
HOUSE_LOAD_W = 60.0
"""Controls, pumps and fans: drawn always. This and the sizes above are those of twelve channels."""
LOAD_OFF_V = 43.0
LOAD_ON_V = 46.0
GAS_PRESSURE_PSI = 18.0


@dataclass
class PlantState:
    """All that a restart needs. Temperatures in degC, charge 0 to 1."""

    hot_supply_degc: float
    hot_plate_degc: float
    cold_plate_degc: float
    cold_supply_degc: float
    battery_charge: float
    load_w: float


@dataclass(frozen=True)
class BurnerReadings:
    """What the burner's controller and the site's instruments say, in physical units."""

    ambient_degc: float
    exhaust_degc: float
    hot_pressure_bar: float
    cold_pressure_bar: float
    gas_degc: float
    modulation_percent: float
    burner: BurnerFlag
    alarms: SiteAlarm
    battery_percent: float
    load_w: float


def cold_state(inputs: Inputs) -> PlantState:
    """A site that has stood unfired: everything at ambient temperature, battery half full."""
    ambient = inputs.ambient_degc
    return PlantState(ambient, ambient, ambient, ambient, 0.5, HOUSE_LOAD_W)


def warm_state(inputs: Inputs, channels: int, seed: int) -> PlantState:
    """A site that has run for hours on these inputs with its strings near maximum power."""
    thermal = ThermalPlant(bismuth_telluride(channels, seed), ThermalState(184.0, 176.0, 47.0, 40.0))
    electrical_w = 0.0
    for _ in range(3600):
        amps = matched_amps(thermal)
        electrical_w = thermal.step(2.0, inputs.gas_available_mcf_d, inputs.ambient_degc, amps, amps**2).electrical_w
    s = thermal.state
    load_w = inputs.load_w if inputs.load_w is not None else 0.97 * electrical_w
    return PlantState(s.hot_supply_degc, s.hot_plate_degc, s.cold_plate_degc, s.cold_supply_degc, FLOAT_CHARGE, load_w)


class Plant:
    """The slow side of a site, and the owner of the circuit's inputs.

    `alarms` may be set by whoever plays the site's misfortunes.
    """

    def __init__(self, site: CompiledSite, inputs: InputSource, state: PlantState, site_time: int, seed: int):
        self._inputs = inputs
        self._circuit: Electrical = site.electrical
        self._volts = site.input_volts
        channels = self._circuit.channels
        self.thermal = ThermalPlant(
            bismuth_telluride(channels, seed),
            ThermalState(state.hot_supply_degc, state.hot_plate_degc, state.cold_plate_degc, state.cold_supply_degc),
        )
        self._share = channels / STRINGS
        self.battery = Battery.sized(state.battery_charge, self._share)
        self._range = input_ranges(channels)
        self.alarms = SiteAlarm(0)
        self._load_w = state.load_w
        self._now = inputs.at(site_time)
        idle = np.zeros(channels)
        self.flows: Flows = self.thermal.step(0.0, self._now.gas_available_mcf_d, self._now.ambient_degc, idle, idle)
        self.means = ElectricalMeans(idle, idle, 0.0, 0.0, 0.0, 0.0)

        circuit = self._circuit
        circuit.battery_ohm = self.battery.resistance_ohm
        circuit.battery_connected = circuit.load_connected = circuit.dump_connected = 1
        circuit.dump_start_v, circuit.dump_full_v, circuit.dump_full_a = DUMP_START_V, DUMP_FULL_V, DUMP_FULL_A * self._share
        circuit.bus_v = self.battery.open_circuit_v
        self._drive()
        for channel in range(channels):
            circuit.input_v[channel] = circuit.open_circuit_v[channel]

    def second(self, site_time: int) -> None:
        """A site second has passed; `site_time` is the one that begins."""
        means = take_means(self._circuit)
        if means is not None:
            self.means = means
        means = self.means
        self._now = self._inputs.at(site_time)
        self.flows = self.thermal.step(1.0, self._now.gas_available_mcf_d, self._now.ambient_degc, means.string_a, means.string_a2)
        self.battery.pass_charge(means.battery_a)
        self._follow(means)
        self._drive()

    def available_w(self) -> float:
        """The most power all strings together could give for long."""
        return float(self.thermal.available_w().sum())

    def readings(self) -> BurnerReadings:
        """The instruments that are read over Modbus."""
        thermal, flows = self.thermal, self.flows
        fire = flows.gas_mcf_d / thermal.parts.burner_full_mcf_d
        burner = BurnerFlag.RUNNING | BurnerFlag.FLAME | BurnerFlag.GAS_VALVE_OPEN if fire > 0 else BurnerFlag(0)
        hot = thermal.state.hot_supply_degc
        return BurnerReadings(
            ambient_degc=self._now.ambient_degc,
            exhaust_degc=hot + 180.0 * fire,
            hot_pressure_bar=2.0 + 0.008 * hot,
            cold_pressure_bar=1.5 + 0.004 * thermal.state.cold_supply_degc,
            gas_degc=self._now.ambient_degc + 2.0,
            modulation_percent=min(100.0, 100.0 * fire),
            burner=burner,
            alarms=self.alarms,
            battery_percent=100.0 * self.battery.charge,
            load_w=self._circuit.load_w if self._circuit.load_connected else 0.0,
        )

    def state(self) -> PlantState:
        """A copy of the state for saving."""
        return PlantState(**asdict(self.thermal.state), battery_charge=self.battery.charge, load_w=self._load_w)

    def _follow(self, means: ElectricalMeans) -> None:
        if self._now.load_w is not None:
            self._load_w = self._now.load_w
        else:
            wanted = means.output_w + self._share * LOAD_PER_CHARGE_W * (self.battery.charge - FLOAT_CHARGE)
            self._load_w += (max(self._share * HOUSE_LOAD_W, wanted) - self._load_w) / LOAD_LAG_S
        bus_v = self._circuit.bus_v
        if bus_v < LOAD_OFF_V:
            self._circuit.load_connected = 0
        elif bus_v > LOAD_ON_V:
            self._circuit.load_connected = 1

    def _drive(self) -> None:
        thermal, flows, circuit = self.thermal, self.flows, self._circuit
        open_circuit = thermal.strings.open_circuit_v(thermal.hot_junction_k, thermal.cold_junction_k)
        ohms = thermal.strings.electrical_ohm
        for channel in range(circuit.channels):
            circuit.open_circuit_v[channel] = max(0.0, float(open_circuit[channel]))
            circuit.string_ohm[channel] = float(ohms[channel])
        circuit.battery_ocv = self.battery.open_circuit_v
        circuit.load_w = self._load_w
        values = {
            "ground_fault_current": 0.4,
            "hot_supply_temperature": thermal.state.hot_supply_degc,
            "hot_return_temperature": flows.hot_return_degc,
            "cold_supply_temperature": thermal.state.cold_supply_degc,
            "cold_return_temperature": flows.cold_return_degc,
            "hot_flow": thermal.parts.hot_flow_l_min,
            "cold_flow": thermal.parts.cold_flow_l_min,
            "gas_flow": flows.gas_mcf_d,
            "gas_pressure": GAS_PRESSURE_PSI - 0.4 * flows.gas_mcf_d / self._share,
        }
        for number, (identifier, span) in enumerate(self._range.items()):
            if identifier not in ELECTRICAL_INPUTS:
                self._volts[number] = span.volts(values[identifier])
