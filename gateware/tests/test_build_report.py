"""Judging a build: nothing passes that was not checked against our own targets."""

import json
from pathlib import Path

import pytest
from thermogen_gateware.build.design import ClockTarget
from thermogen_gateware.build.errors import ClockWithoutTargetError, ReportError, TargetWithoutClockError
from thermogen_gateware.build.report import OUTSIDE, Area, Timing, aliases, area, critical_path, load, net_name, timing

CLK = ClockTarget("clk", 50e6)


def report(fmax=None, utilization=None, paths=()):
    return {"fmax": fmax or {}, "utilization": utilization or {}, "critical_paths": list(paths)}


def judge(fmax, names=None):
    clocks, _ = timing(report(fmax), (CLK,), names or {}, Path("report.json"))
    return clocks


def test_the_tools_own_constraint_does_not_decide():
    # 55 MHz meets the 12 MHz that the tool believes in, not our 50 MHz with a quarter to spare.
    (clock,) = judge({"clk$glb_clk": {"achieved": 55.0, "constraint": 12.0}})
    assert not clock.met
    assert clock.margin == pytest.approx(0.10)


def test_a_design_that_asks_for_less_margin_is_judged_by_that():
    report_of = report({"clk": {"achieved": 55.0}})
    for margin, met in ((0.25, False), (0.10, True)):
        clocks, _ = timing(report_of, (ClockTarget("clk", 50e6, margin),), {}, Path("report.json"))
        assert [clock.met for clock in clocks] == [met]


@pytest.mark.parametrize(("achieved", "met"), [(62.5, True), (62.4, False), (40.0, False)])
def test_a_clock_needs_a_quarter_more_than_it_is_used_at(achieved, met):
    assert Timing("clk", 50.0, achieved).met is met


def test_a_clock_that_nobody_set_a_target_for_is_an_error():
    fmax = {"clk": {"achieved": 100.0}, "watch_clk$glb_clk": {"achieved": 100.0}}
    with pytest.raises(ClockWithoutTargetError, match="watch_clk"):
        judge(fmax)


def test_a_target_whose_clock_is_not_in_the_report_is_an_error():
    with pytest.raises(TargetWithoutClockError, match="no clock clk"):
        judge({})


def test_of_two_nets_of_one_clock_the_slower_counts():
    fmax = {"clk": {"achieved": 90.0}, "clk$glb_clk": {"achieved": 70.0}}
    (clock,) = judge(fmax)
    assert clock.achieved_mhz == 70.0


@pytest.mark.parametrize(
    ("net", "name"), [("clk", "clk"), ("clk$glb_clk", "clk"), ("clk_$glb_clk", "clk"), ("pll.clk", "pll.clk"), ("a_clk$glb_clk", "a_clk")]
)
def test_nets_are_recognised_under_the_names_that_placers_give_them(net, name):
    assert net_name(net) == name


def test_a_clock_is_recognised_by_any_of_its_names(tmp_path):
    netlist = tmp_path / "top.json"
    wires = {"clk": {"bits": [2]}, "node.tree.clk": {"bits": [2]}, "bus": {"bits": [2, 3]}, "watch_clk": {"bits": [9]}}
    netlist.write_text(json.dumps({"modules": {"top": {"netnames": wires}}}), encoding="utf-8")
    names = aliases(netlist)
    assert names["node.tree.clk"] == {"clk", "node.tree.clk"}
    (clock,) = judge({"node.tree.clk$glb_clk": {"achieved": 70.0}}, names)
    assert clock.clock == "clk"
    with pytest.raises(ClockWithoutTargetError, match="watch_clk"):
        judge({"watch_clk$glb_clk": {"achieved": 70.0}}, names)


@pytest.mark.parametrize("content", ["", "[]", '{"modules": {}}', '{"modules": {"top": {"netnames": {"a": 1}}}}'])
def test_a_netlist_of_another_shape_is_an_error_that_names_the_file(content, tmp_path):
    (tmp_path / "top.json").write_text(content, encoding="utf-8")
    with pytest.raises(ReportError, match=r"top\.json"):
        aliases(tmp_path / "top.json")


def test_area_has_the_families_names_and_leaves_out_what_the_part_has_not(tmp_path):
    cells = area(
        report(
            utilization={
                "OXIDE_COMB": {"used": 10, "available": 32256},
                "LRAM_CORE": {"used": 1, "available": 2},
                "DCC": {"used": 1, "available": 62},
                "MULT18_CORE": {"used": 0, "available": 0},
            }
        ),
        tmp_path,
    )
    assert cells == {"COMB": Area(10, 32256), "LRAM": Area(1, 2)}


@pytest.mark.parametrize("utilization", [{}, {"SOMETHING": {"used": 1, "available": 2}}, {"OXIDE_FF": {"used": 1}}, {"OXIDE_FF": 3}])
def test_an_area_that_is_not_understood_is_an_error(utilization, tmp_path):
    with pytest.raises(ReportError, match=r"requirements\.lock"):
        area(report(utilization=utilization), tmp_path)


def test_a_frequency_that_is_not_understood_is_an_error():
    with pytest.raises(ReportError, match="fmax of clk"):
        judge({"clk": {"constraint": 12.0}})


@pytest.mark.parametrize("content", ["", "{", "[]", '{"fmax": {}}', '{"fmax": [], "utilization": {}}'])
def test_a_report_of_another_shape_is_an_error_that_names_the_file(content, tmp_path):
    path = tmp_path / "report.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ReportError, match=r"report\.json"):
        load(path)


def test_a_missing_report_is_an_error(tmp_path):
    with pytest.raises(ReportError, match="cannot be read"):
        load(tmp_path / "report.json")


def test_the_slowest_path_adds_up_and_names_our_source():
    sources = ["/share/cells.v:3", "thermogen_gateware/tracker.py:77"]
    wire = {
        "delay": 1.25,
        "type": "routing",
        "from": {"cell": "a", "port": "Q"},
        "to": {"cell": "b" * 99, "port": "D"},
        "net": "sum[3]",
        "sources": sources,
    }
    nothing = {"delay": 0, "type": "setup", "to": {"cell": "b", "port": "D"}}
    other = {"from": "posedge clk", "to": "<async>", "path": []}
    own = {"from": "posedge clk$glb_clk", "to": "posedge clk$glb_clk", "path": [wire, nothing, wire]}
    path = critical_path(report(paths=[other, own]), ["clk$glb_clk"])
    first, second = path.steps
    assert (path.ns, path.routing_ns, path.sources) == (2.5, 2.5, ["thermogen_gateware/tracker.py:77"])
    assert first.split()[:4] == ["1.25", "1.25", "ns", "routing"]
    assert second.split()[:2] == ["2.50", "1.25"]
    assert second.endswith(".D thermogen_gateware/tracker.py:77")
    assert len(second) < 120
    assert path.begins == "a.Q"
    assert path.ends.endswith("….D")


def test_what_runs_from_pin_to_pin_is_told_apart_from_what_a_clock_governs():
    wire = {"delay": 4.0, "type": "routing", "to": {"cell": "gate", "port": "O"}, "sources": []}
    into = {"from": "<async>", "to": "posedge clk", "path": [wire, wire, wire]}
    through = {"from": "<async>", "to": "<async>", "path": [wire, wire]}
    assert critical_path(report(paths=[into, through]), [OUTSIDE]).ns == 8.0
    assert critical_path(report(paths=[into]), [OUTSIDE]) is None
