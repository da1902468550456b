"""Thresholds: raised once, at the threshold of the profile, and cleared when they have been away for a while."""

from __future__ import annotations

import pytest
from thermogen_edge.monitors import CLEAR_S, Watch
from thermogen_edge.profile import Limits
from thermogen_esf.frames import AlertCode, Severity
from thermogen_esf.points import BurnerFlag, Fault, SiteAlarm

from .warm_site import readings

C, S = AlertCode, Severity


@pytest.mark.parametrize(
    ("changes", "hold_s", "code", "severity"),
    [
        ({"hot_supply_temperature": 205.1}, 0, C.HOT_SIDE_TOO_HOT, S.FATAL),
        ({"hot_supply_temperature": 180.1}, 0, C.TEMPERATURE_WARNING, S.WARNING),
        ({"cold_supply_temperature": 95.1}, 0, C.COLD_SIDE_TOO_HOT, S.CRITICAL),
        ({"hot_flow": 4.9}, 5, C.HOT_FLOW_LOW, S.CRITICAL),
        ({"cold_flow": 9.9}, 5, C.COLD_FLOW_LOW, S.CRITICAL),
        ({"hot_pressure": 8.1}, 0, C.HOT_PRESSURE_HIGH, S.CRITICAL),
        ({"burner_flags": float(BurnerFlag.RUNNING)}, 10, C.FLAME_LOST, S.FATAL),
        ({"site_alarms": float(SiteAlarm.GAS_LEAK)}, 0, C.GAS_LEAK, S.FATAL),
        ({"site_alarms": float(SiteAlarm.SMOKE)}, 0, C.SMOKE, S.FATAL),
        ({"site_alarms": float(SiteAlarm.HOT_ZONE_DOOR_OPEN)}, 0, C.HOT_ZONE_DOOR_OPEN, S.WARNING),
        ({"site_alarms": float(SiteAlarm.HOT_PUMP_FAILED)}, 0, C.HOT_PUMP_FAILED, S.CRITICAL),
        ({"site_alarms": float(SiteAlarm.COLD_PUMP_FAILED)}, 0, C.COLD_PUMP_FAILED, S.CRITICAL),
        ({"bus_voltage": 52.1}, 0, C.BUS_WARNING, S.WARNING),
        ({"bus_voltage": 55.1}, 0, C.BUS_SHED, S.CRITICAL),
        ({"bus_voltage": 43.9}, 10, C.LOW_VOLTAGE, S.CRITICAL),
        ({"bus_voltage": 41.9}, 10, C.BATTERY_CRITICAL, S.CRITICAL),
        ({"battery_charge": 9.5}, 10, C.BATTERY_CRITICAL, S.CRITICAL),
        ({"faults": float(Fault.CHANNEL_OVERCURRENT)}, 0, C.CHANNEL_OVERCURRENT, S.CRITICAL),
        ({"faults": float(Fault.REVERSE_CURRENT)}, 0, C.REVERSE_CURRENT, S.CRITICAL),
        ({"faults": float(Fault.GROUND_FAULT)}, 0, C.GROUND_FAULT, S.FATAL),
        ({"faults": float(Fault.OVER_TEMPERATURE)}, 0, C.HOT_SIDE_TOO_HOT, S.FATAL),
        ({"faults": float(Fault.HEARTBEAT_LOST)}, 0, C.HEARTBEAT_LOST, S.WARNING),
        ({"faults": float(Fault.EMERGENCY_WATCHDOG)}, 0, C.EMERGENCY_WATCHDOG, S.FATAL),
        ({"faults": float(Fault.CURRENT_SUM_MISMATCH)}, 10, C.CURRENT_SUM_MISMATCH, S.CRITICAL),
        ({"faults": float(Fault.MODULE_KILLED)}, 0, C.MODULE_KILLED, S.CRITICAL),
        ({"faults": float(Fault.SITE_CONVERTER)}, 0, C.CONVERTER_FAULT, S.CRITICAL),
        ({"faults": float(Fault.MODULE_LINK)}, 0, C.MODULE_LINK_FAULT, S.CRITICAL),
        ({"faults": float(Fault.PULSE_MISSING)}, 0, C.CLOCK_DEGRADED, S.WARNING),
        ({"buffer_hours_left": 71.0}, 0, C.BUFFER_FILLING, S.WARNING),
    ],
)
def test_a_threshold_is_raised_once_and_cleared_a_minute_after(
    changes: dict[str, float], hold_s: int, code: AlertCode, severity: Severity
) -> None:
    watch = Watch(Limits())
    assert watch.follow(readings(0)) == []
    raised = []
    for time_s in range(1, 1 + hold_s):
        assert code not in [alarm.code for alarm in watch.follow(readings(time_s, **changes))]
    for time_s in range(1 + hold_s, 200):
        raised += [alarm for alarm in watch.follow(readings(time_s, **changes)) if alarm.code is code]
    assert [(alarm.raised, alarm.severity) for alarm in raised] == [(True, severity)]
    cleared = []
    for time_s in range(200, 201 + CLEAR_S):
        cleared = [(alarm.code, alarm.raised) for alarm in watch.follow(readings(time_s))]
    assert (code, False) in cleared


def test_a_trip_is_told_with_the_voltage_of_the_moment() -> None:
    (alarm,) = Watch(Limits()).follow(readings(0, tripped=True, faults=float(Fault.BUS_TRIP)))
    assert (alarm.code, alarm.severity, alarm.point, alarm.value) == (C.BUS_TRIP, S.FATAL, "bus_voltage", 50_000)


def test_value_and_threshold_are_the_points_raw_values() -> None:
    (alarm,) = Watch(Limits()).follow(readings(0, hot_supply_temperature=185.0))
    assert (alarm.point, alarm.value, alarm.threshold) == ("hot_supply_temperature", 9_250, 9_000)


def test_a_value_that_flaps_is_told_once() -> None:
    watch = Watch(Limits())
    alarms = [alarm for time_s in range(200) for alarm in watch.follow(readings(time_s, bus_voltage=52.1 if time_s % 2 else 51.9))]
    assert [(alarm.code, alarm.raised) for alarm in alarms] == [(C.BUS_WARNING, True)]
