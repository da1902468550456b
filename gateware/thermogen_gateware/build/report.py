"""Read what the tools reported, and judge it by our own targets.

The place-and-route report has `utilization` {cell type: {used, available}} and `fmax` {clock net: {achieved, constraint}} in MHz. Its own
verdict is not used (see workaround D).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .design import MARGIN, ClockTarget
from .errors import ClockWithoutTargetError, ReportError, TargetWithoutClockError

AREA_NAMES = {
    # cell type of the tool: name that the family's engineers use
    "OXIDE_COMB": "COMB",
    "OXIDE_FF": "FF",
    "OXIDE_EBR": "EBR",
    "LRAM_CORE": "LRAM",
    "MULT18_CORE": "DSP",
    "PLL_CORE": "PLL",
    "SEIO33_CORE": "IO",
    "ICESTORM_LC": "LC",
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

    @property
    def margin(self) -> float:
        """How much faster than needed, as a share of the need: 0.25 is a quarter."""
        return self.achieved_mhz / self.target_mhz - 1

    @property
    def met(self) -> bool:
        """Whether the clock has the margin that a product needs."""
        return self.margin >= MARGIN


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


def timing(report: Mapping[str, Any], targets: tuple[ClockTarget, ...], path: Path) -> list[Timing]:
    """Each target with what was achieved. A clock without a target and a target without a clock are errors, never a pass."""
    achieved: dict[str, float] = {}
    for net, entry in report["fmax"].items():
        try:
            mhz = float(entry["achieved"])
        except (KeyError, TypeError, ValueError) as error:
            raise ReportError(path, f"fmax of {net} has no achieved frequency") from error
        clock = clock_name(net)
        achieved[clock] = min(mhz, achieved.get(clock, mhz))
    declared = {target.clock: target for target in targets}
    if unknown := sorted(set(achieved) - set(declared)):
        raise ClockWithoutTargetError(unknown, sorted(declared))
    result = []
    for clock, target in declared.items():
        if clock not in achieved:
            raise TargetWithoutClockError(clock, sorted(achieved))
        result.append(Timing(clock, target.hz / 1e6, achieved[clock]))
    return result


def clock_name(net: str) -> str:
    """The design's name of a clock net: without what the placers append when they put it on a global network.

    nextpnr-nexus appends `$glb_clk`, nextpnr-ice40 `_$glb_clk`.
    """
    return re.sub(r"_?\$glb_clk$", "", net)


def critical_path(report: Mapping[str, Any], clock: str) -> list[str]:
    """The slowest path inside `clock`'s domain: one line a step, with its delay in ns, cells, and our source line where known."""
    for path in report.get("critical_paths", []):
        ends = {clock_name(str(path.get(end, "")).partition(" ")[2]) for end in ("from", "to")}
        if ends == {clock}:
            return [_step(step) for step in path.get("path", [])]
    return []


def _step(step: Mapping[str, Any]) -> str:
    source, sink = step.get("from", {}), step.get("to", {})
    line = f"{float(step.get('delay', 0)):6.2f} ns {step.get('type', '?'):8} {source.get('cell', '?')}.{source.get('port', '?')}"
    line += f" → {sink.get('cell', '?')}.{sink.get('port', '?')}"
    return line + (f"  ({step['net']})" if step.get("net") else "")
