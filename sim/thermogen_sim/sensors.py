"""The signal conditioning in front of the node's converter: which voltage stands for which physical value.

0 to 2.5 V span each input's range, so a sample of the 12-bit converter is (value - low) / (high - low) x 4096. Half a converter
step is added, as a calibrated channel has it: the middle of a code then stands for the value.
"""

from __future__ import annotations

from dataclasses import dataclass

from thermogen_esf.points import SITE_INPUTS

REFERENCE_V = 2.5
CONVERTER_CODES = 4096
_HALF_STEP_V = 0.5 * REFERENCE_V / CONVERTER_CODES


@dataclass(frozen=True)
class Range:
    """Physical values at 0 V and at the reference, in the point's unit."""

    low: float
    high: float

    @property
    def per_volt(self) -> float:
        """Physical units a volt."""
        return (self.high - self.low) / REFERENCE_V

    def volts(self, value: float) -> float:
        """Voltage at the converter's pin; the amplifier stops at its rails."""
        return min(REFERENCE_V, max(0.0, (value - self.low) / self.per_volt + _HALF_STEP_V))


SITE_INPUT_RANGE: dict[str, Range] = {
    "bus_voltage": Range(0.0, 65.536),
    "bus_current": Range(-81.92, 81.92),
    "ground_fault_current": Range(0.0, 102.4),
    "hot_supply_temperature": Range(0.0, 450.0),
    "hot_return_temperature": Range(0.0, 450.0),
    "cold_supply_temperature": Range(0.0, 100.0),
    "cold_return_temperature": Range(0.0, 100.0),
    "hot_flow": Range(0.0, 100.0),
    "cold_flow": Range(0.0, 100.0),
    "gas_flow": Range(0.0, 10.0),
    "gas_pressure": Range(0.0, 50.0),
    "battery_current": Range(-81.92, 81.92),
}
"""By point, in converter order."""

assert tuple(SITE_INPUT_RANGE) == SITE_INPUTS

_WIDER: dict[str, Range] = {
    "bus_current": Range(-327.675, 327.675),
    "hot_flow": Range(0.0, 655.35),
    "cold_flow": Range(0.0, 655.35),
    "gas_flow": Range(0.0, 40.0),
    "battery_current": Range(-327.675, 327.675),
}
"""Sensors of sites beyond twelve channels: the widest that the node's calibration gains can take, or what gas the full node burns."""


def input_ranges(channels: int) -> dict[str, Range]:
    """Ranges by point of a site of so many channels. Those beyond twelve need a profile whose calibration gains match."""
    return SITE_INPUT_RANGE if channels <= 12 else {**SITE_INPUT_RANGE, **_WIDER}


ELECTRICAL_INPUTS = ("bus_voltage", "bus_current", "battery_current")
"""Inputs that the circuit model drives by the clock; the others follow site time."""
