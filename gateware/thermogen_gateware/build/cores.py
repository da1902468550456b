"""Area by core: which part of the hierarchy each placed cell belongs to.

The flow flattens a design before it optimises it, so a cell says only by its name where it comes from: yosys names what it makes after the
nearest named signal. A signal that leaves its core has a name in every core that it passes, and yosys keeps one of them; so an input is
followed back through the hierarchy to the core that drives it. Each placed cell is counted once, so the parts add up to the whole exactly.
Not exact is where: logic between two named signals is counted with one of them, so the border between two cores is blurred by the
logic on it, and a core whose inputs are constant or unused shrinks. What the placer added for a carry's way out is counted at the
core whose net it takes in. Of the node's flip-flops in release 0.1.0 92 % are counted where they are written.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
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


def by_core(placed: Path, source: Path) -> list[Core]:
    """The cores that have cells, each before those inside it; `placed` is the placer's JSON, `source` Amaranth's RTLIL.

    Raises ReportError when `placed` is not of the shape that the placer writes.
    """
    try:
        design = json.loads(placed.read_text(encoding="utf-8"))["modules"][TOP]
        own = _attribute(design["cells"], _net_names(design["netnames"]), Hierarchy(source.read_text(encoding="utf-8")))
    except OSError as error:
        raise ReportError(placed, f"cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReportError(placed, "is not a placed design") from error
    return _with_totals(own)


@dataclass
class _Module:
    """What one module of the RTLIL says about where its signals come from."""

    inputs: set[str] = field(default_factory=set)
    wires: set[str] = field(default_factory=set)
    instances: dict[str, str] = field(default_factory=dict)
    """Module by instance."""
    ports: dict[tuple[str, str], str] = field(default_factory=dict)
    """Signal by instance and port."""
    driven_by: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Instance and port by signal."""
    assigned: dict[str, str] = field(default_factory=dict)
    """Signal by signal that it is connected to."""


class Hierarchy:
    """A design before it is flattened: its instances, and where each of its signals is driven."""

    def __init__(self, rtlil: str) -> None:
        self._modules = _parse(rtlil)
        self.instances: dict[str, str] = {}
        """Module by path; the top's path is empty."""
        self._find("", TOP)

    def _find(self, path: str, module: str) -> None:
        self.instances[path] = module
        for instance, kind in self._modules[module].instances.items():
            self._find(f"{path}.{instance}" if path else instance, kind)

    def core_of(self, name: str) -> str:
        """The core that a cell or net of this name in the flattened design belongs to; empty for the top."""
        if name.startswith("pin_"):
            return PINS
        path = self._path(name)
        signal = name[len(path) + 1 if path else 0 :]
        wires = self._modules[self.instances[path]].wires
        while signal and signal not in wires:
            # yosys appends a word for each step from the signal, and the placer one of its own.
            signal = signal[: max(signal.rfind(separator) for separator in "_$[.")] if re.search(r"[_$\[.]", signal) else ""
        home = self._driver(path, signal) if signal else path
        # Names that Amaranth invented, and numbers that it appended to tell names apart, mean nothing to a reader.
        return re.sub(r"\$\d+(?=\.|$)", "", re.sub(r"(\.U\$\d+)+$", "", home))

    def _path(self, name: str) -> str:
        end = len(name)
        while (end := name.rfind(".", 0, end)) > 0:
            if name[:end] in self.instances:
                return name[:end]
        return ""

    def _driver(self, path: str, signal: str) -> str:
        """Where a signal is driven; a signal put together of several is taken to be driven where that happens."""
        seen = set()
        while (path, signal) not in seen:
            seen.add((path, signal))
            module = self._modules[self.instances[path]]
            if signal in module.inputs and path:
                path, _, instance = path.rpartition(".")
                signal = self._modules[self.instances[path]].ports.get((instance, signal), "")
            elif signal in module.driven_by:
                instance, signal = module.driven_by[signal]
                path = f"{path}.{instance}" if path else instance
            else:
                signal = module.assigned.get(signal, signal)
        return path


_SIGNAL = r"\\(\S+)(?: \[\d+(?::\d+)?\])?"


def _parse(rtlil: str) -> dict[str, _Module]:
    modules: dict[str, _Module] = {}
    outputs: dict[str, set[str]] = {}
    connections: list[tuple[_Module, str, str, str, str]] = []
    module, instance, kind = _Module(), "", ""
    for line in rtlil.splitlines():
        if match := re.match(r"module \\(\S+)", line):
            module = modules[match[1]] = _Module()
            outputs[match[1]] = set()
            into = outputs[match[1]]
        elif match := re.match(r"  wire (?:width \d+ )?(?:(input|output) \d+ +)?.*\\(\S+)$", line):
            module.wires.add(match[2])
            if match[1]:
                (module.inputs if match[1] == "input" else into).add(match[2])
        elif match := re.match(r"  cell \\(\S+) \\(\S+)", line):
            kind, instance = match[1], match[2]
            module.instances[instance] = kind
        elif re.match(r"  cell ", line):
            instance = ""
        elif instance and (match := re.match(rf"    connect \\(\S+) {_SIGNAL}$", line)):
            connections.append((module, instance, kind, match[1], match[2]))
        elif match := re.match(rf"  connect {_SIGNAL} {_SIGNAL}$", line):
            module.assigned[match[1]] = match[2]
    for parent, instance, kind, port, signal in connections:
        parent.ports[instance, port] = signal
        if port in outputs.get(kind, ()):
            parent.driven_by[signal] = (instance, port)
    for module in modules.values():
        module.instances = {name: kind for name, kind in module.instances.items() if kind in modules}
    return modules


def _net_names(netnames: Mapping[str, Any]) -> dict[int, str]:
    """One name for each net: the first that is not of the placer's own making."""
    names: dict[int, str] = {}
    for name, entry in netnames.items():
        for bit in entry["bits"]:
            if isinstance(bit, int) and (bit not in names or names[bit].startswith("$")):
                names[bit] = name
    return names


def _attribute(cells: Mapping[str, Any], nets: Mapping[int, str], hierarchy: Hierarchy) -> dict[str, Counter[str]]:
    own: dict[str, Counter[str]] = {}
    for name, cell in cells.items():
        kind = AREA_NAMES.get(cell["type"])
        if kind is None:
            continue
        path = hierarchy.core_of(name)
        if not path and name.startswith("$"):
            inputs = (
                nets.get(bit, "") for port, bits in cell["connections"].items() if cell["port_directions"][port] == "input" for bit in bits
            )
            path = next((home for home in map(hierarchy.core_of, inputs) if home), "")
        own.setdefault(path, Counter())[kind] += 1
    return own


def _with_totals(own: Mapping[str, Counter[str]]) -> list[Core]:
    total: dict[str, Counter[str]] = {}
    for path, cells in own.items():
        parts = path.split(".")
        for length in range(1, len(parts) + 1):
            total.setdefault(".".join(parts[:length]), Counter()).update(cells)
    return [Core(path, _in_order(own.get(path, {})), _in_order(total[path])) for path in sorted(total, key=lambda path: path.split("."))]


def _in_order(cells: Mapping[str, int]) -> dict[str, int]:
    return {kind: cells[kind] for kind in dict.fromkeys(AREA_NAMES.values()) if kind in cells}
