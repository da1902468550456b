"""One run of strings under a tracker, in the compiled bench (native/bench.cc)."""

from __future__ import annotations

import ctypes
import enum
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray
from thermogen_esf.tracker_parameters import TRACKER_PARAMETERS

from .library import bench_library

EXCHANGE_S = 100e-6
STRING_OHM = 48.0
RECORD_FIELDS = 7

Array = NDArray[np.float64]


class Kind(enum.IntEnum):
    """Who tracks."""

    GATEWARE = 0
    GATEWARE_EVERY_CLOCK = 1
    PERTURB_OBSERVE = 2
    INCREMENTAL_CONDUCTANCE = 3
    FRACTIONAL_VOLTAGE = 4


@dataclass(frozen=True)
class Conditions:
    """What strings and bus do. `drive`: the temperature difference in K, with `flux` the heat in W a module, every `drive_step_s`."""

    seconds: float
    drive: tuple[float, ...]
    drive_step_s: float
    flux: bool = False
    channels: int = 1
    noise_lsb: float = 1.0
    seed: int = 1
    bus_mid_v: float = 48.5
    bus_swing_v: float = 2.0
    bus_swing_s: float = 37.0
    hot_start_k: float = 323.15
    broken_at_s: float = -1.0
    spread: float = 0.0
    record_s: float = 0.1
    parameters: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """What was recorded, one row every `record_s`: means over that time, powers summed over the channels."""

    record_s: float
    output_w: Array
    available_w: Array
    string_v: Array
    string_v2: Array
    open_v: Array
    hot_k: Array
    duty: Array
    channel_w: Array
    hot_end_k: float
    clocks: int


class _Bench(ctypes.Structure):
    _fields_ = (
        ("channels", ctypes.c_int32),
        ("tracker", ctypes.c_int32),
        ("flux", ctypes.c_int32),
        ("step_counts", ctypes.c_int32),
        ("seed", ctypes.c_uint64),
        ("noise_lsb", ctypes.c_double),
        ("bus_mid_v", ctypes.c_double),
        ("bus_swing_v", ctypes.c_double),
        ("bus_swing_s", ctypes.c_double),
        ("hot_start_k", ctypes.c_double),
        ("drive_step_s", ctypes.c_double),
        ("drive", ctypes.c_void_p),
        ("drive_points", ctypes.c_uint64),
        ("string_ohm", ctypes.c_void_p),
        ("open_share", ctypes.c_void_p),
        ("broken_at_s", ctypes.c_double),
        ("exchanges", ctypes.c_uint64),
        ("record_exchanges", ctypes.c_uint64),
        ("record", ctypes.c_void_p),
        ("parameters", ctypes.c_void_p),
        ("parameter_count", ctypes.c_uint32),
        ("hot_end_k", ctypes.c_double),
        ("clocks", ctypes.c_uint64),
    )


@cache
def library(channels: int) -> ctypes.CDLL:
    """The compiled bench for so many channels, built where it is not there yet."""
    loaded = ctypes.CDLL(str(bench_library(channels).resolve()))
    loaded.tz_mppt_size.restype = ctypes.c_size_t
    loaded.tz_mppt_run.argtypes = (ctypes.POINTER(_Bench),)
    loaded.tz_mppt_run.restype = None
    loaded.tz_mppt_settled_w.argtypes = (*(ctypes.c_double,) * 4, ctypes.c_uint64)
    loaded.tz_mppt_settled_w.restype = ctypes.c_double
    assert loaded.tz_mppt_size() == ctypes.sizeof(_Bench)
    loaded.tz_tracker_new.argtypes = (ctypes.c_uint32,)
    loaded.tz_tracker_new.restype = ctypes.c_void_p
    loaded.tz_tracker_delete.argtypes = (ctypes.c_void_p,)
    loaded.tz_tracker_parameter.argtypes = (ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint16)
    loaded.tz_tracker_levels.argtypes = (ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32, *(ctypes.c_int,) * 4)
    loaded.tz_tracker_exchange.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_void_p)
    loaded.tz_tracker_exchange.restype = ctypes.c_uint64
    loaded.tz_tracker_flags.argtypes = (ctypes.c_void_p,)
    loaded.tz_tracker_flags.restype = ctypes.c_uint32
    return loaded


def run(conditions: Conditions, kind: Kind, step_counts: int = 1) -> Run:
    """Simulate; `step_counts` is the fixed step of the peers that have one, in counts of 480."""
    c = conditions
    exchanges = round(c.seconds / EXCHANGE_S)
    record_exchanges = round(c.record_s / EXCHANGE_S)
    rows = exchanges // record_exchanges
    fields = RECORD_FIELDS + c.channels
    record = np.zeros((rows, fields))
    drive = np.array(c.drive, dtype=np.float64)
    unit = np.linspace(-1.0, 1.0, c.channels) if c.channels > 1 else np.zeros(1)
    ohm, share = STRING_OHM * (1.0 - c.spread * unit), 1.0 + c.spread * unit
    parameters = np.array([c.parameters.get(p.identifier, p.default) for p in TRACKER_PARAMETERS], dtype=np.uint16)
    bench = _Bench(
        c.channels,
        kind,
        c.flux,
        step_counts,
        c.seed,
        c.noise_lsb,
        c.bus_mid_v,
        c.bus_swing_v,
        c.bus_swing_s,
        c.hot_start_k,
        c.drive_step_s,
        drive.ctypes.data,
        len(drive),
        ohm.ctypes.data,
        share.ctypes.data,
        c.broken_at_s,
        exchanges,
        record_exchanges,
        record.ctypes.data,
        parameters.ctypes.data,
        len(parameters),
        0.0,
        0,
    )
    library(c.channels).tz_mppt_run(ctypes.byref(bench))
    output_w, available_w, string_v, string_v2, open_v, hot_k, duty = record.T[:RECORD_FIELDS]
    channel_w = record[:, RECORD_FIELDS:]
    return Run(c.record_s, output_w, available_w, string_v, string_v2, open_v, hot_k, duty, channel_w, bench.hot_end_k, bench.clocks)
