"""Read what the tools reported, and judge it by our own targets.

The place-and-route report has `utilization` {cell type: {used, available}} and `fmax` {clock net: {achieved, constraint}} in MHz. Its own
verdict is not used (see workaround D).
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .design import MARGIN, TOP, ClockTarget
from .errors import ClockWithoutTargetError, ReportError, TargetWithoutClockError

AREA_NAMES = {
    # cell type of the tool: name that the family's engineers use
    "OXIDE_COMB": "COMB",
    "ICESTORM_LC": "LC",
    "OXIDE_FF": "FF",
    "OXIDE_EBR": "EBR",
    "LRAM_CORE": "LRAM",
    "MULT18_CORE": "DSP",
    "PLL_CORE": "PLL",
    "SEIO33_CORE": "IO",
    "ICESTORM_RAM": "EBR",
    "ICESTORM_DSP": "DSP",
    "ICESTORM_PLL": "PLL",
    "SB_IO": "IO",
}
"""Cell types shown, in the order of the table; the rest (clock buffers, configuration blocks) says little about how full a chip is."""


@dataclass(frozen=True)
class Area:
    """Cells of one type."""

    used: int
    available: int


@dataclass(frozen=True)
class Timing:
    """One clock, as it must run and as it can."""

    clock: str
    target_mhz: float
    achieved_mhz: float
    required_margin: float = MARGIN

    @property
    def margin(self) -> float:
        """How much faster than needed, as a share of the need: 0.25 is a quarter."""
        return self.achieved_mhz / self.target_mhz - 1

    @property
    def met(self) -> bool:
        """Whether the clock has the margin that its design asks for."""
        return self.margin >= self.required_margin


def load(path: Path) -> dict[str, Any]:
    """The report at `path`; raises ReportError when it is not one."""
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReportError(path, f"cannot be read ({error})") from error
    if not isinstance(report, dict) or not all(isinstance(report.get(part), dict) for part in ("fmax", "utilization")):
        raise ReportError(path, "has no fmax and utilization")
    return report


def area(report: Mapping[str, Any], path: Path) -> dict[str, Area]:
    """Cells used and available by the name that engineers use, in the table's order."""
    cells: dict[str, Area] = {}
    try:
        for cell_type, name in AREA_NAMES.items():
            entry = report["utilization"].get(cell_type)
            if entry is not None and int(entry["available"]) > 0:
                cells[name] = Area(int(entry["used"]), int(entry["available"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ReportError(path, f"utilization of {cell_type} is not used and available") from error
    if not cells:
        raise ReportError(path, "utilization names no cell type of a known family")
    return cells


def aliases(netlist: Path) -> dict[str, frozenset[str]]:
    """The names that each single wire of a synthesised netlist has, by each of its names.

    A clock has a name in every part of the design that it reaches; which one a tool shows is its own choice.
    """
    try:
        wires = json.loads(netlist.read_text(encoding="utf-8"))["modules"][TOP]["netnames"]
        names_of_bit: dict[object, set[str]] = {}
        for name, wire in wires.items():
            if len(wire["bits"]) == 1:
                names_of_bit.setdefault(wire["bits"][0], set()).add(name)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ReportError(netlist, "is not a netlist as yosys writes it") from error
    return {name: frozenset(names) for names in names_of_bit.values() for name in names}


def timing(
    report: Mapping[str, Any], targets: tuple[ClockTarget, ...], names: Mapping[str, frozenset[str]], path: Path
) -> tuple[list[Timing], dict[str, str]]:
    """Each target with what was achieved, and the targets' clocks by the name that the report has for them.

    A clock without a target and a target without a clock are errors, never a pass.
    """
    declared = {target.clock: target for target in targets}
    achieved: dict[str, float] = {}
    clock_of: dict[str, str] = {}
    unknown = []
    for net, entry in report["fmax"].items():
        try:
            mhz = float(entry["achieved"])
        except (KeyError, TypeError, ValueError) as error:
            raise ReportError(path, f"fmax of {net} has no achieved frequency") from error
        own = net_name(net)
        matching = sorted(names.get(own, frozenset((own,))) & set(declared))
        if len(matching) != 1:
            unknown.append(own)
            continue
        (clock,) = matching
        clock_of[net] = clock
        achieved[clock] = min(mhz, achieved.get(clock, mhz))
    if unknown:
        raise ClockWithoutTargetError(sorted(unknown), sorted(declared))
    for clock in declared:
        if clock not in achieved:
            raise TargetWithoutClockError(clock, sorted(achieved))
    return [Timing(clock, target.hz / 1e6, achieved[clock], target.margin) for clock, target in declared.items()], clock_of


def net_name(net: str) -> str:
    """A net as the netlist calls it: without what the placers append when they put it on a global network.

    nextpnr-nexus appends `$glb_clk`, nextpnr-ice40 `_$glb_clk`.
    """
    return re.sub(r"_?\$glb_clk$", "", net)


CELL_NAME_LENGTH = 48
"""Of a cell's name as it is shown: synthesisers append a word for every step, the front says whose it is."""

OUTSIDE = "<async>"
"""What the report calls an end of a path that no clock governs: a pin."""


@dataclass(frozen=True)
class CriticalPath:
    """The slowest way between two flip-flops of a clock, or between two pins."""

    begins: str
    """The pin of the cell that it leaves."""
    ends: str
    """The pin of the cell that it arrives at."""
    ns: float
    routing_ns: float
    """Of that, in wires."""
    sources: list[str]
    """Our lines that it runs through, in order, each once."""
    steps: list[str]
    """One line for each step that takes time: ns from the start, ns of the step, its kind, the pin it leads to, and our source line."""


def critical_path(report: Mapping[str, Any], nets: Collection[str]) -> CriticalPath | None:
    """The slowest path between flip-flops on the clock nets `nets`; with OUTSIDE in place of a net, the slowest from pin to pin.

    The latter is how long an input takes that acts on outputs without a clock, without the pins' own buffers.
    """
    for path in report.get("critical_paths", []):
        if {str(path.get(end, "")).rpartition(" ")[2] for end in ("from", "to")} <= set(nets):
            steps = [step for step in path.get("path", []) if float(step.get("delay", 0)) > 0]
            delays = [float(step["delay"]) for step in steps]
            return CriticalPath(
                begins=_pin(path["path"][0].get("from", {})),
                ends=_pin(path["path"][-1].get("to", {})),
                ns=sum(delays),
                routing_ns=sum(delay for step, delay in zip(steps, delays, strict=True) if step.get("type") == "routing"),
                sources=list(dict.fromkeys(source for step in steps if (source := _source(step)))),
                steps=[_step(step, delay, sum(delays[: at + 1])) for at, (step, delay) in enumerate(zip(steps, delays, strict=True))],
            )
    return None


def _source(step: Mapping[str, Any]) -> str:
    # The tools' own libraries are under /share; what remains is relative to our rooms.
    return next((source for source in step.get("sources") or [] if not source.startswith("/")), "")


def _step(step: Mapping[str, Any], delay: float, total: float) -> str:
    return f"{total:6.2f} {delay:5.2f} ns {step.get('type', '?'):8} {_pin(step.get('to', {}))} {_source(step)}".rstrip()


def _pin(end: Mapping[str, Any]) -> str:
    cell = str(end.get("cell", "?"))
    if len(cell) > CELL_NAME_LENGTH:
        cell = cell[: CELL_NAME_LENGTH - 1] + "…"
    return f"{cell}.{end.get('port', '?')}"
