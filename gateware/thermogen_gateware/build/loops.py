"""Combinational loops of a synthesised netlist: none but those that a design declares.

The placer refuses every loop, or with `--ignore-loops` none at all, and then the timing of a loop that nobody meant would go unseen. A
design that has loops on purpose is placed with the option, and this is asked first: every loop is of cells that may be in one alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from .errors import CombinationalLoopError

_REGISTERS = ("FD1P3IX", "FD1P3JX", "PDPSC", "DPSC", "DP16K", "OSCA", "PLL", "IDDR", "ODDR", "BB")
"""Beginnings of the names of cell types without a way from an input to an output that no clock interrupts, or through a pad only."""
_CLOCKED = {
    "DPR16X4": frozenset({"DI", "WAD", "WRE", "WCK"}),
    "FD1P3BX": frozenset({"D", "SP", "CK"}),
    "FD1P3DX": frozenset({"D", "SP", "CK"}),
}
"""Ports that a clock interrupts in cells that have a way through too: a read address, or an asynchronous preset or clear."""


def check(netlist: Path, top: str, declared: tuple[str, ...]) -> None:
    """`declared` are beginnings of the names of cells that may be in a loop with each other. Raises CombinationalLoopError for any other
    loop, one through a declared cell and another included."""
    cells = json.loads(netlist.read_text(encoding="utf-8"))["modules"][top]["cells"]
    through = {name: cell for name, cell in cells.items() if not _interrupts(cell)}
    driver = {bit: name for name, cell in through.items() for bit in _bits(cell, "output")}
    waits_for = {name: {driver[bit] for bit in _bits(cell, "input") if bit in driver} for name, cell in through.items()}
    ring = _rings({name: waits_for[name] for name in through if name.startswith(declared)})
    # Each declared loop as one cell: what is a loop now has another cell in it.
    joined: dict[str, set[str]] = {}
    for name, before in waits_for.items():
        joined.setdefault(ring.get(name, name), set()).update(ring.get(each, each) for each in before)
    for one in ring.values():
        joined[one].discard(one)
    try:
        TopologicalSorter(joined).prepare()
    except CycleError as error:
        raise CombinationalLoopError(error.args[1], declared) from error


def _rings(waits_for: Mapping[str, set[str]]) -> dict[str, str]:
    """For each of these cells one that stands for all that are in a loop with it; itself where none is."""
    behind = {name: _reachable(name, waits_for) for name in waits_for}
    return {name: min({name} | {other for other in reached if name in behind[other]}) for name, reached in behind.items()}


def _reachable(start: str, waits_for: Mapping[str, set[str]]) -> set[str]:
    reached: set[str] = set()
    ahead = [start]
    while ahead:
        new = {name for name in waits_for[ahead.pop()] if name in waits_for} - reached
        reached |= new
        ahead.extend(new)
    return reached


def _interrupts(cell: Mapping[str, Any]) -> bool:
    kind: str = cell["type"]
    return kind.startswith(_REGISTERS) or cell["parameters"].get("REGOUTPUT") == "REGISTER"


def _bits(cell: Mapping[str, Any], direction: str) -> Iterator[object]:
    clocked = _CLOCKED.get(cell["type"], frozenset())
    for port, bits in cell["connections"].items():
        if cell["port_directions"][port] == direction and port not in clocked:
            yield from bits
