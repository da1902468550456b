"""A picture of area by core: one bar a core, as long as its share of the chip, dark where the logic is its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .cores import Core
from .report import Area
from .summary import logic_of, shown_cores, worded

OWN, INSIDE = "#1f5a8a", "#a9c8e2"
ROOM_FOR_WORDS = 1.9
"""Width of the axes as a multiple of the longest bar: the cells are written beside the bars."""


def draw(title: str, cores: Sequence[Core], area: Mapping[str, Area], target: Path) -> None:
    """Write `target`, a PNG. Equal figures give equal bytes with the same matplotlib."""
    logic = logic_of(area)
    available = area[logic].available
    whole = Core("", {}, {kind: cells.used for kind, cells in area.items()})
    rows = [("whole design", whole), *(("  " * (core.depth + 1) + (core.name or "(top)"), core) for core in shown_cores(cores, area))]
    figure = Figure(figsize=(9.5, 1.1 + 0.25 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for row, (_, core) in enumerate(rows):
        length = 100 * core.total.get(logic, 0) / available
        axes.barh(row, length, color=INSIDE)
        axes.barh(row, 100 * core.own.get(logic, 0) / available, color=OWN)
        axes.annotate(worded(core.total), (length, row), (5, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_yticks(range(len(rows)), [f"{label:26}" for label, _ in rows], fontfamily="monospace", fontsize=8)
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.set_xlim(0, max(1.0, ROOM_FOR_WORDS * 100 * area[logic].used / available))
    axes.xaxis.set_major_formatter("{x:.0f} %")
    axes.set_xlabel(f"of the chip's {available:,} {logic}; dark: its own, light: of the cores inside it", fontsize=8)
    axes.set_title(title, fontsize=10, loc="left")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    figure.savefig(target, dpi=130, metadata={"Software": None})
