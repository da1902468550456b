"""`make bench-mppt`: how much of the available energy the tracker harvests, beside others; table, docs/mppt.md, docs/mppt.png."""

from __future__ import annotations

import multiprocessing
import os
import sys
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from thermogen_sim.errors import CompilationError, CompilerMissingError
from thermogen_sim.mppt.area import SIZES, cost
from thermogen_sim.mppt.bench import library
from thermogen_sim.mppt.figures import TRACKERS, Figures, measure
from thermogen_sim.mppt.report import document, plot, ripple_row, rows, step_row
from thermogen_sim.mppt.scenarios import Scenario, scenarios

DOCUMENT = Path("docs/mppt.md")
PLOT = Path("docs/mppt.png")


def table(listed: tuple[Scenario, ...], figures: list[Figures]) -> Table:
    """The figures as a person reads them."""
    shown = Table(title="make bench-mppt: energy harvested, % of what was available")
    for heading in ("scenario", "aim", *(tracker.name for tracker in TRACKERS), ""):
        shown.add_column(heading, justify="left" if heading in {"scenario", ""} else "right")
    for row in rows(listed, figures):
        shown.add_row(*row)
    shown.add_section()
    shown.add_row("s to 99 % after a step", "", *step_row(figures), "")
    shown.add_row("ripple of string voltage, % rms", "", *ripple_row(figures), "")
    return shown


def main() -> int:
    """Compiles, runs every tracker through every scenario, writes; exit code 1 when the gateware cannot be compiled."""
    progress = Console(stderr=True)
    listed = scenarios()
    try:
        for channels in sorted({scenario.conditions.channels for scenario in listed}):
            progress.print(f"compiling the tracker with {channels} channels")
            library(channels)
        # Longest first; the gateware takes ten times what a peer does.
        jobs = sorted(
            ((scenario, tracker) for tracker in TRACKERS for scenario in listed),
            key=lambda job: -job[0].conditions.seconds * (10 if job[1] is TRACKERS[0] else 1),
        )
        # Started afresh, not forked: the compiler has left threads of its own in this process, and their locks.
        with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
            sizes = [pool.submit(cost, *size) for size in SIZES]
            runs = [pool.submit(measure, *job) for job in jobs]
            pending: list[Future[Any]] = [*sizes, *runs]
            for done, future in enumerate(as_completed(pending), 1):
                result = future.result()
                what = f"{result.scenario}: {result.tracker}" if isinstance(result, Figures) else f"area with {result.channels} channels"
                progress.print(f"{done:3d} of {len(pending)}  {what}")
        figures = [run.result() for run in runs]
        costs = [size.result() for size in sizes]
    except (CompilationError, CompilerMissingError) as error:
        progress.print(f"bench-mppt: {error}")
        return 1
    Console(width=170).print(table(listed, figures))
    DOCUMENT.write_text(document(listed, figures, costs), encoding="utf-8")
    plot(listed, figures, PLOT)
    progress.print(f"written: {DOCUMENT}, {PLOT}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
