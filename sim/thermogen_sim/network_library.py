"""A top with RMII pins, compiled with its PHY into a library, for `network_harness.py`.

Any top will do whose RTLIL has `rxd`, `crs_dv`, `txd` and `tx_en`; `rx_er`, `phy_reset_n` and the management pins (`mdc`, `mdio_i`,
`mdio_o`, `mdio_oe`) are wired to the PHY where they are there. All other ports can be read, and inputs written, by name.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .compiler import (
    FLAGS,
    NATIVE,
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
from .errors import CompilationError

TOP = "tz_ethernet"
WORD_BITS = 32
_SOURCES = ("lan8720.hpp", "network.cc")
_NEEDED = frozenset({"clk", "rxd", "crs_dv", "txd", "tx_en"})
_MANAGEMENT = frozenset({"mdc", "mdio_i", "mdio_o", "mdio_oe"})


@dataclass(frozen=True)
class Port:
    """A port of the top."""

    number: int
    width: int
    is_input: bool

    @property
    def words(self) -> int:
        """Of 32 bits."""
        return -(-self.width // WORD_BITS)


@dataclass(frozen=True)
class NetworkLibrary:
    """The compiled library, and what can be read and written in it."""

    path: Path
    ports: Mapping[str, Port]


def ports_of(rtlil: str) -> dict[str, Port]:
    """The ports of the module TOP, by name."""
    head = re.search(rf"^module \\{TOP}$(.*?)^end$", rtlil, re.MULTILINE | re.DOTALL)
    if head is None:
        raise CompilationError(f"the RTLIL has no module {TOP}")
    found = re.findall(r"^  wire (?:width (\d+) )?(input|output) \d+ +(?:signed +)?\\(\S+)$", head[1], re.MULTILINE)
    return {
        name: Port(number, int(width or 1), direction == "input") for number, (width, direction, name) in enumerate(found) if name != "rst"
    }


def network_library(rtlil: str, progress: Progress = lambda _step: None) -> NetworkLibrary:
    """Compile; `rtlil` has the top as a module named TOP (`rtlil.convert(top, name=TOP, emit_src=False)`)."""
    ports = ports_of(rtlil)
    if not ports.keys() >= _NEEDED:
        raise CompilationError(f"a top on a PHY needs the ports {', '.join(sorted(_NEEDED - ports.keys()))} too")
    compiler = _compiler()
    definitions = [
        *(["-DTZ_RX_ER"] if "rx_er" in ports else []),
        *(["-DTZ_PHY_RESET"] if "phy_reset_n" in ports else []),
        *(["-DTZ_MDIO"] if ports.keys() >= _MANAGEMENT else []),
    ]
    digest = _digest(
        rtlil,
        *definitions,
        *_translation(),
        Path(__file__).read_bytes(),
        _compiler_version(compiler),
        platform.machine(),
        *FLAGS,
        *((NATIVE / source).read_bytes() for source in _SOURCES),
    )

    def build(scratch: Path, output: Path) -> None:
        progress("translating the network to C++")
        _write_cxxrtl(rtlil, TOP, scratch, "network")
        header = (scratch / "network.h").read_text()
        (scratch / "network_ports.hpp").write_text(_accessors(ports, header))
        include = ["-I", str(_cxxrtl_headers()), "-I", str(scratch), "-I", str(NATIVE)]
        flags = [*FLAGS, *definitions, "-pthread"]
        sources = [str(scratch / "network.cc"), str(NATIVE / "network.cc")]
        progress("compiling the network")
        _finish(_run([compiler, *flags, *include, "-shared", "-o", str(output), *sources]), "the network")

    return NetworkLibrary(_cached("network", digest, build), ports)


def _accessors(ports: Mapping[str, Port], header: str) -> str:
    writes, reads = [], []
    for name, port in ports.items():
        member = "p_" + name.replace("_", "__")
        # A part of the design that nothing depends on is gone from the generated code.
        there = re.search(rf"\b(out_)?{member}\b", header) is not None
        for word in range(port.words if there else 0):
            case = f"case {port.number} << 8 | {word}:"
            if port.is_input:
                writes.append(f"    {case} design.{member}.data[{word}] = value; break;")
                reads.append(f"    {case} return design.{member}.data[{word}];")
            else:
                reads.append(f"    {case} return design.out_{member}().data[{word}];")
    registered = {name: "return curr." in line for name in ("txd", "tx_en") for line in _reader(header, name)}
    return "\n".join(
        (
            "#pragma once",
            f'#include "network.h"\nnamespace {{\nusing PortsOf = {TOP}::p_{TOP.replace("_", "__")};',
            f"constexpr bool kTxdRegistered = {str(registered['txd']).lower()}, kTxEnRegistered = {str(registered['tx_en']).lower()};",
            "inline void port_set(PortsOf& design, uint32_t port, uint32_t word, uint32_t value) {\n  switch (port << 8 | word) {",
            *writes,
            "  }\n}\ninline uint32_t port_get(PortsOf& design, uint32_t port, uint32_t word) {\n  switch (port << 8 | word) {",
            *reads,
            "  }\n  return 0;\n}\n}\n",
        )
    )


def _reader(header: str, name: str) -> list[str]:
    return re.findall(rf"^.* &out_p_{name.replace('_', '__')}\(\) const .*$", header, re.MULTILINE)
