"""Thresholds that people want to hear of. Each is raised once, and cleared once it has been away for a minute of site time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from thermogen_esf.frames.codes import AlertCode, Severity
from thermogen_esf.points import POINT, Fault, SiteAlarm

from .profile import Limits
from .readings import Held, Readings

CLEAR_S = 60
FILLING_H = 72
"""Hours of room that are left when somebody should set out for the site."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something raised or cleared. `point` is "" where it is about none; `value` and `threshold` are the point's raw values."""

    code: AlertCode
    severity: Severity
    text: str
    raised: bool = True
    point: str = ""
    value: int = 0
    threshold: int = 0


@dataclass(frozen=True, slots=True)
class Monitor:
    """One threshold: `crossed` for `hold_s` site seconds raises it. `threshold` is raw, in the unit of `point`."""

    code: AlertCode
    severity: Severity
    text: str
    point: str
    crossed: Callable[[Readings, Limits], bool]
    threshold: Callable[[Limits], int] = lambda _: 0
    hold_s: int = 0


def _above(code: AlertCode, severity: Severity, text: str, point: str, limit: Callable[[Limits], float], hold_s: int = 0) -> Monitor:
    return Monitor(
        code,
        severity,
        text,
        point,
        lambda now, limits: now.above(point, limit(limits)),
        lambda limits: POINT[point].raw(limit(limits)),
        hold_s,
    )


def _below(code: AlertCode, severity: Severity, text: str, point: str, limit: Callable[[Limits], float], hold_s: int = 0) -> Monitor:
    return Monitor(
        code,
        severity,
        text,
        point,
        lambda now, limits: now.below(point, limit(limits)),
        lambda limits: POINT[point].raw(limit(limits)),
        hold_s,
    )


def _flag(code: AlertCode, severity: Severity, text: str, point: str, bits: int) -> Monitor:
    return Monitor(code, severity, text, point, lambda now, _: now.flags(point, bits), lambda _: bits)


_C, _S = AlertCode, Severity

MONITORS: tuple[Monitor, ...] = (
    _above(_C.HOT_SIDE_TOO_HOT, _S.FATAL, "hot supply too hot: burner off", "hot_supply_temperature", lambda at: at.hot_fatal_degc),
    _above(
        _C.TEMPERATURE_WARNING,
        _S.WARNING,
        "hot supply near the throttle limit",
        "hot_supply_temperature",
        lambda at: at.hot_throttle_degc - at.hot_warning_margin_k,
    ),
    _above(
        _C.COLD_SIDE_TOO_HOT, _S.CRITICAL, "cold supply too hot: more cooling", "cold_supply_temperature", lambda at: at.cold_critical_degc
    ),
    _below(_C.HOT_FLOW_LOW, _S.CRITICAL, "hot flow low", "hot_flow", lambda at: at.hot_flow_low_l_min, 5),
    _below(_C.COLD_FLOW_LOW, _S.CRITICAL, "cold flow low", "cold_flow", lambda at: at.cold_flow_low_l_min, 5),
    _above(
        _C.HOT_PRESSURE_HIGH, _S.CRITICAL, "hot pressure high: slow the pump", "hot_pressure", lambda at: at.hot_pressure_high_mbar / 1000
    ),
    Monitor(_C.FLAME_LOST, _S.FATAL, "flame lost: close the gas valve", "burner_flags", lambda now, _: now.flame_missing, hold_s=10),
    _flag(_C.GAS_LEAK, _S.FATAL, "gas leak: close the gas valve, ventilate", "site_alarms", SiteAlarm.GAS_LEAK),
    _flag(_C.SMOKE, _S.FATAL, "smoke", "site_alarms", SiteAlarm.SMOKE),
    _flag(_C.HOT_ZONE_DOOR_OPEN, _S.WARNING, "hot-zone door open", "site_alarms", SiteAlarm.HOT_ZONE_DOOR_OPEN),
    _flag(_C.HOT_PUMP_FAILED, _S.CRITICAL, "hot pump failed: back-up pump", "site_alarms", SiteAlarm.HOT_PUMP_FAILED),
    _flag(_C.COLD_PUMP_FAILED, _S.CRITICAL, "cold pump failed: back-up pump", "site_alarms", SiteAlarm.COLD_PUMP_FAILED),
    _above(_C.BUS_WARNING, _S.WARNING, "bus voltage high", "bus_voltage", lambda at: at.bus_warning_mv / 1000),
    _above(_C.BUS_SHED, _S.CRITICAL, "bus voltage high: shedding", "bus_voltage", lambda at: at.bus_shed_mv / 1000),
    Monitor(
        _C.BUS_TRIP,
        _S.FATAL,
        "bus over-voltage trip is latched",
        "bus_voltage",
        lambda now, _: now.tripped and now.flags("faults", Fault.BUS_TRIP | Fault.BUS_COMPARATOR),
    ),
    _below(_C.LOW_VOLTAGE, _S.CRITICAL, "bus voltage low: shed load", "bus_voltage", lambda at: at.bus_low_mv / 1000, 10),
    _below(
        _C.BATTERY_CRITICAL,
        _S.CRITICAL,
        "battery nearly empty: shed all but controls",
        "battery_charge",
        lambda at: at.battery_critical_percent,
        10,
    ),
    _below(
        _C.BATTERY_CRITICAL,
        _S.CRITICAL,
        "battery voltage critical: shed all but controls",
        "bus_voltage",
        lambda at: at.bus_critical_mv / 1000,
        10,
    ),
    _flag(_C.CHANNEL_OVERCURRENT, _S.CRITICAL, "a channel is off: its current was beyond its limit", "faults", Fault.CHANNEL_OVERCURRENT),
    _flag(_C.REVERSE_CURRENT, _S.CRITICAL, "a channel is off, or all are: current ran backwards", "faults", Fault.REVERSE_CURRENT),
    _flag(_C.GROUND_FAULT, _S.FATAL, "current to earth: touch no string before it is found", "faults", Fault.GROUND_FAULT),
    _flag(_C.HOT_SIDE_TOO_HOT, _S.FATAL, "hot supply too hot: the gateware has switched off", "faults", Fault.OVER_TEMPERATURE),
    _flag(_C.HEARTBEAT_LOST, _S.WARNING, "the gateware did not hear this daemon and went on by itself", "faults", Fault.HEARTBEAT_LOST),
    _flag(_C.EMERGENCY_WATCHDOG, _S.FATAL, "the gateware's measuring stood still: replace the node", "faults", Fault.EMERGENCY_WATCHDOG),
    Monitor(
        _C.CURRENT_SUM_MISMATCH,
        _S.CRITICAL,
        "channels and bus shunt disagree by more than 2 %: calibrate them",
        "faults",
        lambda now, _: now.flags("faults", Fault.CURRENT_SUM_MISMATCH),
        lambda _: Fault.CURRENT_SUM_MISMATCH,
        hold_s=10,
    ),
    _flag(_C.MODULE_KILLED, _S.CRITICAL, "a power module has latched a stop: look at its run wire", "faults", Fault.MODULE_KILLED),
    _flag(_C.CONVERTER_FAULT, _S.CRITICAL, "a converter does not answer rightly", "faults", Fault.SITE_CONVERTER | Fault.MODULE_CONVERTER),
    _flag(_C.MODULE_LINK_FAULT, _S.CRITICAL, "the link to a power module is bad", "faults", Fault.MODULE_LINK),
    _flag(
        _C.CLOCK_DEGRADED,
        _S.WARNING,
        "the 1 Hz pulse is missing or disagrees with the crystal",
        "faults",
        Fault.PULSE_MISSING | Fault.PULSE_OUT_OF_TOLERANCE,
    ),
    _below(_C.BUFFER_FILLING, _S.WARNING, "the buffer is nearly full of frames without receipt", "buffer_hours_left", lambda _: FILLING_H),
)


class Watch:
    """Follows the readings; says what was raised and what cleared."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._raised = [False] * len(MONITORS)
        self._held = [Held(monitor.hold_s) for monitor in MONITORS]
        self._away = [Held(CLEAR_S) for _ in MONITORS]

    def follow(self, now: Readings) -> list[Alarm]:
        """Takes the readings of a site second."""
        alarms = []
        for index, monitor in enumerate(MONITORS):
            crossed = monitor.crossed(now, self._limits)
            held = self._held[index].update(crossed, now.time_s)
            away = self._away[index].update(not crossed, now.time_s)
            if held != self._raised[index] and (held or away):
                self._raised[index] = held
                value, threshold = now.raw.get(monitor.point, 0), monitor.threshold(self._limits)
                alarms.append(Alarm(monitor.code, monitor.severity, monitor.text, held, monitor.point, value, threshold))
        return alarms
