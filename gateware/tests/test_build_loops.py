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


def test_a_loop_through_a_declared_cell_and_another_is_none_that_was_declared(tmp_path):
    mixed = {"noise.inverter_0": cell("LUT4", 3, 4), "sum": cell("LUT4", 4, 3)}
    with pytest.raises(CombinationalLoopError, match=r"sum"):
        check(tmp_path, mixed, ("noise.inverter_",))
    shared = RING | {"noise.inverter_0": cell("LUT4", 3, 5, 6), "sum": cell("LUT4", 6, 4)}
    with pytest.raises(CombinationalLoopError, match=r"sum"):
        check(tmp_path, shared, ("noise.inverter_",))


def test_what_lies_between_two_declared_loops_is_in_none(tmp_path):
    second = {"noise.inverter_3": cell("LUT4", 8, 9, 7), "noise.inverter_4": cell("LUT4", 9, 8)}
    check(tmp_path, RING | {"between": cell("LUT4", 7, 5)} | second, ("noise.inverter_",))


@pytest.mark.parametrize("register", [cell("FD1P3IX", 6, 7), cell("PDPSC16K", 6, 7), cell("MULT18X18", 6, 7, REGOUTPUT="REGISTER")])
def test_a_way_through_a_register_is_no_loop(tmp_path, register):
    check(tmp_path, {"register": register, "sum": cell("CCU2", 7, 6)})


def test_a_multiplier_without_a_register_is_a_way(tmp_path):
    with pytest.raises(CombinationalLoopError):
        check(tmp_path, {"product": cell("MULT18X18", 6, 7, REGOUTPUT="BYPASS"), "sum": cell("CCU2", 7, 6)})


def asynchronous(kind, port, reset, data, output):
    ports = {"D": data, "CK": 1, "SP": "1", port: reset}
    directions = {**dict.fromkeys(ports, "input"), "Q": "output"}
    return {
        "type": kind,
        "connections": {name: [bit] for name, bit in (ports | {"Q": output}).items()},
        "port_directions": directions,
        "parameters": {},
    }


@pytest.mark.parametrize(("kind", "port"), [("FD1P3DX", "CD"), ("FD1P3BX", "PD")])
def test_an_asynchronous_reset_is_a_way_and_the_registers_data_is_none(tmp_path, kind, port):
    check(tmp_path, {"register": asynchronous(kind, port, reset=8, data=6, output=7), "next": cell("LUT4", 6, 7)})
    with pytest.raises(CombinationalLoopError):
        check(tmp_path, {"register": asynchronous(kind, port, reset=6, data=8, output=7), "clears": cell("LUT4", 6, 7)})


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
