"""How the site converter's samples become points: a gain and an offset an input.

Point value, in the point's raw unit = sample × gain / 4096 + offset, sample 0 … 4095. The defaults are the full scales of the
signal conditioning in front of the node's ADS7952; a site's own table replaces them over the host link.
"""

from __future__ import annotations

from dataclasses import dataclass

from thermogen_esf.points import POINT, SITE_INPUTS, Kind

GAIN_ONE = 4096


@dataclass(frozen=True, slots=True)
class InputCalibration:
    """One input: `gain` 0 … 65535 and `offset` −32768 … 32767, both for the point's raw unit; ValueError where they do not fit."""

    gain: int
    offset: int = 0

    def __post_init__(self):
        if not 0 <= self.gain <= 0xFFFF or not -0x8000 <= self.offset <= 0x7FFF:
            raise ValueError(f"calibration gain {self.gain} must be within 0 … 65535 and offset {self.offset} within −32768 … 32767")


DEFAULT_CALIBRATION: dict[str, InputCalibration] = {
    "bus_voltage": InputCalibration(65535),  # 65.536 V full scale, 16 mV a step
    "bus_current": InputCalibration(16384, -8192),  # ±81.92 A around mid-scale
    "ground_fault_current": InputCalibration(1024),  # 102.4 mA
    "hot_supply_temperature": InputCalibration(22500),  # 450 °C
    "hot_return_temperature": InputCalibration(22500),
    "cold_supply_temperature": InputCalibration(5000),  # 100 °C
    "cold_return_temperature": InputCalibration(5000),
    "hot_flow": InputCalibration(10000),  # 100 L/min
    "cold_flow": InputCalibration(10000),
    "gas_flow": InputCalibration(10000),  # 10 Mcf/d
    "gas_pressure": InputCalibration(5000),  # 50 psi
    "battery_current": InputCalibration(16384, -8192),  # ±81.92 A around mid-scale
}
"""By point, in the converter's channel order."""

SIGNED_INPUTS: int = sum(1 << channel for channel, identifier in enumerate(SITE_INPUTS) if POINT[identifier].kind is Kind.SIGNED)
"""Bit n is set where input n's point is signed."""

assert tuple(DEFAULT_CALIBRATION) == SITE_INPUTS
