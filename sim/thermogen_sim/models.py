"""The chip and circuit models alone, without gateware, callable from Python."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cache

from .compiler import models_library
from .electrical import PWM_COUNTS, PWM_PERIOD_S, Electrical
from .switched import Pattern, Switched


@cache
def library() -> ctypes.CDLL:
    """The compiled models, with the types of their functions."""
    models = ctypes.CDLL(str(models_library().resolve()))
    pointer, electrical, switched = ctypes.c_void_p, ctypes.POINTER(Electrical), ctypes.POINTER(Switched)
    models.tz_ads7952_new.restype = pointer
    models.tz_ads7952_new.argtypes = (ctypes.c_double,)
    models.tz_ads7952_delete.argtypes = (pointer,)
    models.tz_ads7952_input.argtypes = (pointer, ctypes.c_uint, ctypes.c_double)
    models.tz_ads7952_fault.argtypes = (pointer, ctypes.c_int)
    models.tz_ads7952_pins.argtypes = (pointer, ctypes.c_int, ctypes.c_int, ctypes.c_int)
    models.tz_electrical_run.argtypes = (electrical, pointer, pointer, ctypes.c_int, ctypes.c_double, ctypes.c_uint64)
    models.tz_switched_run.argtypes = (switched, ctypes.c_double)
    models.tz_switched_pattern.argtypes = (
        switched,
        *(pointer,) * 4,
        ctypes.c_int,
        ctypes.c_double,
        ctypes.c_uint64,
        ctypes.c_double,
    )
    return models


def run_averaged(circuit: Electrical, high_counts: Sequence[int], low_counts: Sequence[int], periods: int) -> None:
    """Step the averaged circuit for some PWM periods with fixed on-times in counts of each channel; its sums run on."""
    counts = ctypes.c_uint16 * circuit.channels
    library().tz_electrical_run(ctypes.byref(circuit), counts(*high_counts), counts(*low_counts), PWM_COUNTS, PWM_PERIOD_S, periods)


def run_switched(circuit: Switched, pattern: Pattern, periods: int, rest_s: float = 0.0) -> None:
    """Run the switched circuit through whole periods of a gate pattern, then the next one as far as `rest_s`; its sums run on."""
    library().tz_switched_pattern(
        ctypes.byref(circuit),
        pattern.at_s,
        pattern.channel,
        pattern.high,
        pattern.low,
        pattern.count,
        pattern.period_s,
        periods,
        rest_s,
    )
