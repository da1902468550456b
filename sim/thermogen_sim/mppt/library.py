"""The tracker's gateware, the strings and the peers, compiled into one library for a number of channels."""

from __future__ import annotations

import hashlib
import platform
from pathlib import Path

from ..compiler import (
    FLAGS,
    Progress,
    _cached,
    _compiler,
    _compiler_version,
    _cxxrtl_headers,
    _digest,
    _finish,
    _run,
    _translation,
    _write_cxxrtl,
)

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
    compiler = _compiler()
    source = tracker_rtlil(channels)
    digest = _digest(
        source,
        *_translation(),
        _compiler_version(compiler),
        platform.machine(),
        *FLAGS,
        *(path.read_bytes() for path in sorted(NATIVE.iterdir())),
    )

    def build(scratch: Path, output: Path) -> None:
        progress(f"compiling a tracker of {channels} channels")
        _write_cxxrtl(source, "tz_tracker", scratch, "tracker")
        include = ["-I", str(_cxxrtl_headers()), "-I", str(scratch), "-I", str(NATIVE)]
        sources = [str(scratch / "tracker.cc"), str(NATIVE / "bench.cc")]
        _finish(_run([compiler, *FLAGS, *include, "-shared", "-o", str(output), *sources]), "the tracker")

    return _cached("mppt", digest, build)
