"""Area by core: which part of the hierarchy each placed cell belongs to.

The flow flattens a design before it optimises it, so a cell says only by its name where it comes from: yosys names what it makes after the
nearest named signal, whose name begins with the instances that it is in. Each placed cell is counted where the longest prefix of its
name that is an instance ends, so the parts add up to the whole exactly. Flip-flops, memories and multipliers are exact. A look-up
table is counted where its signal is named: logic on the border of two cores, or merged from both, may be counted at the
neighbour, and one that the placer added for a carry's way out is counted at the core whose net it takes in. Measured on the power
module against a synthesis that keeps the hierarchy: no core differed by more than 10 % of its logic.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .design import TOP
from .errors import ReportError
from .report import AREA_NAMES

PINS = "pins"
"""Where the buffers of the board's pins are counted: one part, whatever their number."""


@dataclass(frozen=True)
class Core:
    """One instance of the hierarchy."""

    path: str
    """Instances from the top, joined with dots; the top itself is empty."""
    own: Mapping[str, int]
    """Cells by the names of `report.AREA_NAMES`, without those of the cores inside it."""
    total: Mapping[str, int]
    """The same with the cores inside it."""

    @property
    def depth(self) -> int:
        """0 for what is directly on the top."""
        return self.path.count(".")

    @property
    def name(self) -> str:
        """Its own name, without where it is."""
        return self.path.rpartition(".")[2]


def by_core(placed: Path, netlist: Path) -> list[Core]:
    """The cores that have cells, each before those inside it; `placed` is the placer's JSON, `netlist` Amaranth's RTLIL.

    Raises ReportError when `placed` is not of the shape that the placer writes.
    """
    try:
        design = json.loads(placed.read_text(encoding="utf-8"))["modules"][TOP]
        own = _attribute(design["cells"], _net_names(design["netnames"]), frozenset(instances(netlist.read_text(encoding="utf-8"))))
    except OSError as error:
        raise ReportError(placed, f"cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReportError(placed, "is not a placed design") from error
    return _with_totals(own)


def instances(rtlil: str) -> Iterable[str]:
    """Paths of all instances below the top, from a design before it is flattened."""
    inside: dict[str, list[tuple[str, str]]] = {}
    module = ""
    for line in rtlil.splitlines():
        if match := re.match(r"module \\(\S+)", line):
            module = match[1]
            inside[module] = []
        elif match := re.match(r"  cell \\(\S+) \\(\S+)", line):
            inside[module].append((match[1], match[2]))

    def below(module: str, path: str) -> Iterable[str]:
        for kind, name in inside.get(module, ()):
            if kind in inside:
                yield path + name
                yield from below(kind, f"{path}{name}.")

    return below(TOP, "")


def _net_names(netnames: Mapping[str, Any]) -> dict[int, str]:
    """One name for each net: the first that is not of the placer's own making."""
    names: dict[int, str] = {}
    for name, entry in netnames.items():
        for bit in entry["bits"]:
            if isinstance(bit, int) and (bit not in names or names[bit].startswith("$")):
                names[bit] = name
    return names


def _attribute(cells: Mapping[str, Any], nets: Mapping[int, str], paths: frozenset[str]) -> dict[str, Counter[str]]:
    own: dict[str, Counter[str]] = {}
    for name, cell in cells.items():
        kind = AREA_NAMES.get(cell["type"])
        if kind is None:
            continue
        path = _home(name, paths)
        if not path and name.startswith("$"):
            inputs = (
                nets.get(bit, "") for port, bits in cell["connections"].items() if cell["port_directions"][port] == "input" for bit in bits
            )
            path = next((home for home in (_home(net, paths) for net in inputs) if home), "")
        own.setdefault(path, Counter())[kind] += 1
    return own


def _home(name: str, paths: frozenset[str]) -> str:
    if name.startswith("pin_"):
        return PINS
    end = len(name)
    while (end := name.rfind(".", 0, end)) > 0:
        if name[:end] in paths:
            # Names that Amaranth invented, and numbers that it appended to tell names apart, mean nothing to a reader.
            return re.sub(r"\$\d+(?=\.|$)", "", re.sub(r"(\.U\$\d+)+$", "", name[:end]))
    return ""


def _with_totals(own: Mapping[str, Counter[str]]) -> list[Core]:
    total: dict[str, Counter[str]] = {}
    for path, cells in own.items():
        parts = path.split(".")
        for length in range(1, len(parts) + 1):
            total.setdefault(".".join(parts[:length]), Counter()).update(cells)
    return [Core(path, dict(own.get(path, {})), dict(total[path])) for path in sorted(total, key=lambda path: path.split("."))]
