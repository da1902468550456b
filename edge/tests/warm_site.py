"""Readings of a site that produces and lacks nothing, and what a test changes of them."""

from __future__ import annotations

from thermogen_edge.readings import Readings
from thermogen_esf.points import POINT, BurnerFlag

WARM = {
    "bus_voltage": 50.0,
    "hot_supply_temperature": 150.0,
    "cold_supply_temperature": 45.0,
    "hot_flow": 52.0,
    "cold_flow": 26.0,
    "battery_charge": 80.0,
    "burner_flags": float(BurnerFlag.RUNNING | BurnerFlag.FLAME),
    "site_alarms": 0.0,
}


def readings(time_s: int, tripped: bool = False, **changes: float) -> Readings:
    return Readings(time_s, {name: POINT[name].raw(value) for name, value in {**WARM, **changes}.items()}, tripped)
