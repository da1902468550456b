"""The circuit model's memory, shared with the compiled C++ (native/electrical.hpp) field by field."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np

from .thermoelectric import Array

MAX_CHANNELS = 108
PWM_COUNTS = 480
PWM_PERIOD_S = 10e-6

_PerChannel = ctypes.c_double * MAX_CHANNELS


class Electrical(ctypes.Structure):
    """Strings, bucks, bus, battery, load and dump resistor. SI units; an output current is positive into the bus, a battery current
    positive when it charges. Fields up to `channels` are inputs, the next ones state, those from `seconds` on sums."""

    _fields_ = (
        ("open_circuit_v", _PerChannel),
        ("string_ohm", _PerChannel),
        ("battery_ocv", ctypes.c_double),
        ("battery_ohm", ctypes.c_double),
        ("load_w", ctypes.c_double),
        ("dump_start_v", ctypes.c_double),
        ("dump_full_v", ctypes.c_double),
        ("dump_full_a", ctypes.c_double),
        ("battery_connected", ctypes.c_int32),
        ("load_connected", ctypes.c_int32),
        ("dump_connected", ctypes.c_int32),
        ("channels", ctypes.c_int32),
        ("bus_v", ctypes.c_double),
        ("input_v", _PerChannel),
        ("inductor_a", _PerChannel),
        ("output_a", _PerChannel),
        ("first_pole_a", _PerChannel),
        ("amplifier_a", _PerChannel),
        ("battery_a", ctypes.c_double),
        ("bus_a", ctypes.c_double),
        ("seconds", ctypes.c_double),
        ("string_as", _PerChannel),
        ("string_a2s", _PerChannel),
        ("output_as", _PerChannel),
        ("output_j", ctypes.c_double),
        ("battery_as", ctypes.c_double),
        ("load_j", ctypes.c_double),
        ("dump_j", ctypes.c_double),
    )


@dataclass(frozen=True)
class ElectricalMeans:
    """Means over the clock time since the last reading. `string_a2` is the mean square."""

    string_a: Array
    string_a2: Array
    output_w: float
    battery_a: float
    load_w: float
    dump_w: float


def take_means(electrical: Electrical) -> ElectricalMeans | None:
    """Read and clear the sums; None where no PWM period has passed since."""
    seconds = electrical.seconds
    if seconds == 0.0:
        return None
    count = electrical.channels
    means = ElectricalMeans(
        np.array(electrical.string_as[:count]) / seconds,
        np.array(electrical.string_a2s[:count]) / seconds,
        electrical.output_j / seconds,
        electrical.battery_as / seconds,
        electrical.load_j / seconds,
        electrical.dump_j / seconds,
    )
    ctypes.memset(ctypes.byref(electrical, Electrical.seconds.offset), 0, ctypes.sizeof(electrical) - Electrical.seconds.offset)
    return means
