"""Combinational loops of a synthesised netlist: none but those that a design declares.

The placer refuses every loop, or with `--ignore-loops` none at all, and then the timing of a loop that nobody meant would go unseen. A
design that has loops on purpose is placed with the option, and this is asked first: without the cells that may be in a loop there is none.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from .errors import CombinationalLoopError

_REGISTERS = ("FD1P3", "PDPSC", "DPSC", "DP16K", "OSCA", "PLL", "IDDR", "ODDR", "BB")
"""Beginnings of the names of cell types without a way from an input to an output that no clock interrupts, or through a pad only."""
_WRITTEN = {"DPR16X4": frozenset({"DI", "WAD", "WRE", "WCK"})}
"""Ports that a clock interrupts in cells that have a way through too."""


def check(netlist: Path, top: str, declared: tuple[str, ...]) -> None:
    """`declared` are beginnings of the names of cells that may be in a loop. Raises CombinationalLoopError for any other loop."""
    cells = json.loads(netlist.read_text(encoding="utf-8"))["modules"][top]["cells"]
    through = {name: cell for name, cell in cells.items() if not _interrupts(cell) and not name.startswith(declared)}
    driver = {bit: name for name, cell in through.items() for bit in _bits(cell, "output")}
    waits_for = {name: {driver[bit] for bit in _bits(cell, "input") if bit in driver} for name, cell in through.items()}
    try:
        TopologicalSorter(waits_for).prepare()
    except CycleError as error:
        raise CombinationalLoopError(error.args[1], declared) from error


def _interrupts(cell: Mapping[str, Any]) -> bool:
    kind: str = cell["type"]
    return kind.startswith(_REGISTERS) or cell["parameters"].get("REGOUTPUT") == "REGISTER"


def _bits(cell: Mapping[str, Any], direction: str) -> Iterator[object]:
    clocked = _WRITTEN.get(cell["type"], frozenset())
    for port, bits in cell["connections"].items():
        if cell["port_directions"][port] == direction and port not in clocked:
            yield from bits
