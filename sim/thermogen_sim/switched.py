"""The switched circuit's memory, shared with the compiled C++ (native/switched.hpp) field by field, and gate patterns to drive it."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

SWITCHED_CHANNELS = 12

_PerChannel = ctypes.c_double * SWITCHED_CHANNELS
_Gates = ctypes.c_int32 * SWITCHED_CHANNELS


class Switched(ctypes.Structure):
    """Strings, bucks, bus, battery and load, gate by gate. SI units; fields from `bus_v` on are state, those from `seconds` on sums."""

    _fields_ = (
        ("inductor_h", ctypes.c_double),
        ("input_f", ctypes.c_double),
        ("bus_f", ctypes.c_double),
        ("path_ohm", ctypes.c_double),
        ("body_diode_v", ctypes.c_double),
        ("amplifier_hz", ctypes.c_double),
        ("open_circuit_v", _PerChannel),
        ("string_ohm", _PerChannel),
        ("battery_ocv", ctypes.c_double),
        ("battery_ohm", ctypes.c_double),
        ("load_w", ctypes.c_double),
        ("battery_connected", ctypes.c_int32),
        ("channels", ctypes.c_int32),
        ("high", _Gates),
        ("low", _Gates),
        ("bus_v", ctypes.c_double),
        ("input_v", _PerChannel),
        ("inductor_a", _PerChannel),
        ("first_pole_a", _PerChannel),
        ("amplifier_a", _PerChannel),
        ("shoot_through", ctypes.c_int32),
        ("events", ctypes.c_int32),
        ("seconds", ctypes.c_double),
        ("string_j", _PerChannel),
        ("output_as", _PerChannel),
        ("output_j", ctypes.c_double),
    )

    def clear_sums(self) -> None:
        """Begin new means."""
        start = type(self).seconds.offset
        ctypes.memset(ctypes.addressof(self) + start, 0, ctypes.sizeof(self) - start)


@dataclass(frozen=True)
class Edge:
    """From `at_s` after the period's start the gates of a channel stand so."""

    at_s: float
    channel: int
    high: bool
    low: bool


def pulse(channel: int, high_s: float, low_s: float, period_s: float, middle_s: float, dead_s: float) -> list[Edge]:
    """One channel's edges: high side on around `middle_s`, low side after the dead time for `low_s`, on past the period's end where that
    is. Without `low_s` the low side stays off."""
    on, off = middle_s - high_s / 2, middle_s + high_s / 2
    edges = [(on, True, False), (off, False, False)]
    if low_s > 0:
        edges += [(off + dead_s, False, True), (off + dead_s + low_s, False, False)]
    return sorted((Edge(at % period_s, channel, high, low) for at, high, low in edges), key=lambda edge: edge.at_s)


class Pattern:
    """A period of gate edges of any number of channels, as the compiled code takes them."""

    def __init__(self, edges: Sequence[Edge], period_s: float):
        ordered = sorted(edges, key=lambda edge: edge.at_s)
        count = len(ordered)
        self.count = count
        self.period_s = period_s
        self.at_s = (ctypes.c_double * count)(*(edge.at_s for edge in ordered))
        self.channel = (ctypes.c_int32 * count)(*(edge.channel for edge in ordered))
        self.high = (ctypes.c_int32 * count)(*(edge.high for edge in ordered))
        self.low = (ctypes.c_int32 * count)(*(edge.low for edge in ordered))
