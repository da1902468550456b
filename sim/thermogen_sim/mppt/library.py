"""The tracker's gateware, the strings and the peers, compiled into one library for a number of channels."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ..compiler import Progress, core_library

NATIVE = Path(__file__).parent / "native"


def tracker_rtlil(channels: int) -> str:
    """RTLIL of a tracker of one module with so many channels."""
    from amaranth.back import rtlil
    from thermogen_gateware.tracker import Tracker

    tracker = Tracker(channels)  # type: ignore[no-untyped-call]
    return str(rtlil.convert(tracker, name="tz_tracker", emit_src=False))


def tracker_hash() -> str:
    """Of the gateware that the published figures are of: its first 16 hexadecimal digits."""
    return hashlib.sha256(tracker_rtlil(1).encode()).hexdigest()[:16]


def bench_library(channels: int, progress: Progress = lambda _step: None) -> Path:
    """The library of `native/bench.cc` with a tracker of so many channels."""
    return core_library("tracker", tracker_rtlil(channels), NATIVE / "bench.cc", progress=progress)
