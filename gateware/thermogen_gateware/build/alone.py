"""One core alone on the LIFCL, synthesised as the node is: what it takes before anything is placed, in seconds instead of minutes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from amaranth.back import rtlil

from . import workarounds
from .design import TOP
from .synthesis import lifcl, lifcl_files
from .toolchain import YOSYS, run_tool

COMB, FF, EBR, MULTIPLIERS = "COMB", "FF", "EBR", "DSP"
_CELLS: dict[str, tuple[str, int]] = {
    **dict.fromkeys(("LUT4", "INV"), (COMB, 1)),
    **dict.fromkeys(("CCU2", "WIDEFN9"), (COMB, 2)),
    "DPR16X4": (COMB, 4),
    **dict.fromkeys(("FD1P3BX", "FD1P3DX", "FD1P3IX", "FD1P3JX"), (FF, 1)),
    **dict.fromkeys(("PDP16K", "PDPSC16K", "DP16K"), (EBR, 1)),
    "MULT9X9": (MULTIPLIERS, 1),
    "MULT18X18": (MULTIPLIERS, 1),
    "MULT18X36": (MULTIPLIERS, 2),
    "MULT36X36": (MULTIPLIERS, 4),
}
"""How many places of which kind a cell takes. A distributed RAM's four are what the placer makes of it; constants take none."""

_SCRIPT = f"""\
read_rtlil {TOP}.il
delete w:$verilog_initial_trigger
{{before}}
synth_nexus -noiopad -top {TOP} {{options}}
{{after}}
write_json {TOP}.json
"""


def area_alone(core: Any, folder: Path) -> Mapping[str, int]:
    """COMB, FF, EBR and multipliers of 18 by 18 of an Amaranth component, worked on in an empty `folder`; BuildError where a tool fails."""
    (folder / f"{TOP}.il").write_text(rtlil.convert(core, name=TOP, emit_src=False))
    for name, content in lifcl_files().items():
        (folder / name).write_text(content)
    lines = lifcl(TOP)
    script = _SCRIPT.format(
        # Its ports end inside the chip, without the buffers of pins.
        before=lines.before.replace("begin:map_gates", "begin:map_gates -noiopad"),
        options=lines.options,
        after=lines.after,
    )
    (folder / f"{TOP}.ys").write_text(script)
    with workarounds.inside(folder):
        run_tool("yosys", (*YOSYS, "-qq", "-l", f"{TOP}.rpt", f"{TOP}.ys"), Path(f"{TOP}.rpt"), [Path(f"{TOP}.json")])
    cells = json.loads((folder / f"{TOP}.json").read_text())["modules"][TOP]["cells"].values()
    return counted(Counter(cell["type"] for cell in cells))


def counted(types: Mapping[str, int]) -> Mapping[str, int]:
    """Places of each kind for so many cells of each type."""
    total = dict.fromkeys((COMB, FF, EBR, MULTIPLIERS), 0)
    for kind, cells in types.items():
        if kind in _CELLS:
            place, each = _CELLS[kind]
            total[place] += each * cells
    return total
