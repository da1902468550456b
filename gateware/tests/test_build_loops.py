"""Loops of a netlist: those that are declared are let through, any other ends the build."""

from __future__ import annotations

import json

import pytest
from thermogen_gateware.build import loops
from thermogen_gateware.build.errors import CombinationalLoopError


def cell(kind, output, *inputs, **parameters):
    connections = {"Z": [output], **{f"I{number}": [bit] for number, bit in enumerate(inputs)}}
    directions = {port: "output" if port == "Z" else "input" for port in connections}
    return {"type": kind, "connections": connections, "port_directions": directions, "parameters": parameters}


def check(tmp_path, cells, declared=()):
    netlist = tmp_path / "top.json"
    netlist.write_text(json.dumps({"modules": {"top": {"cells": cells}}}))
    loops.check(netlist, "top", declared)


RING = {"noise.inverter_0": cell("LUT4", 3, 5, 2), "noise.inverter_1": cell("LUT4", 4, 3), "noise.inverter_2": cell("LUT4", 5, 4)}


def test_a_loop_that_nobody_declared_is_named(tmp_path):
    with pytest.raises(CombinationalLoopError, match=r"noise\.inverter_[012] → .*`loops`, which has none"):
        check(tmp_path, RING)


def test_a_declared_loop_is_let_through_and_hides_no_other(tmp_path):
    check(tmp_path, RING, ("noise.inverter_",))
    other = {"sum": cell("CCU2", 6, 7, 5), "carry": cell("LUT4", 7, 6)}
    with pytest.raises(CombinationalLoopError, match=r"(sum|carry) → "):
        check(tmp_path, RING | other, ("noise.inverter_",))


@pytest.mark.parametrize("register", [cell("FD1P3IX", 6, 7), cell("PDPSC16K", 6, 7), cell("MULT18X18", 6, 7, REGOUTPUT="REGISTER")])
def test_a_way_through_a_register_is_no_loop(tmp_path, register):
    check(tmp_path, {"register": register, "sum": cell("CCU2", 7, 6)})


def test_a_multiplier_without_a_register_is_a_way(tmp_path):
    with pytest.raises(CombinationalLoopError):
        check(tmp_path, {"product": cell("MULT18X18", 6, 7, REGOUTPUT="BYPASS"), "sum": cell("CCU2", 7, 6)})


def test_a_small_memory_is_a_way_from_its_read_address_only(tmp_path):
    memory = {
        "type": "DPR16X4",
        "connections": {"RAD": [6, "0"], "DI": [8], "WAD": [8], "WRE": [8], "WCK": [9], "DO": [7]},
        "port_directions": {"RAD": "input", "DI": "input", "WAD": "input", "WRE": "input", "WCK": "input", "DO": "output"},
        "parameters": {},
    }
    check(tmp_path, {"memory": memory, "writes": cell("LUT4", 8, 7)})
    with pytest.raises(CombinationalLoopError):
        check(tmp_path, {"memory": memory, "reads": cell("LUT4", 6, 7)})
