"""The TCP and MODBUS server compiled, with the wire and the registers of `native/tcp_bench.cc` around it."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from ..compiler import core_library

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
    return core_library("tcp", server_rtlil(clocks_per_tick, keep_alive_s), NATIVE / "tcp_bench.cc")
