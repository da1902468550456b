"""Judging a build: nothing passes that was not checked against our own targets."""

import json

import pytest
from thermogen_gateware.build.design import ClockTarget
from thermogen_gateware.build.errors import ClockWithoutTargetError, ReportError, TargetWithoutClockError
from thermogen_gateware.build.report import Area, Timing, area, clock_name, critical_path, load, timing

CLK = ClockTarget("clk", 50e6)


def report(fmax=None, utilization=None, paths=()):
    return {"fmax": fmax or {}, "utilization": utilization or {}, "critical_paths": list(paths)}


def test_the_tools_own_constraint_does_not_decide(tmp_path):
    # 55 MHz meets the 12 MHz that the tool believes in, not our 50 MHz with a quarter to spare.
    (clock,) = timing(report({"clk$glb_clk": {"achieved": 55.0, "constraint": 12.0}}), (CLK,), tmp_path)
    assert not clock.met
    assert clock.margin == pytest.approx(0.10)


@pytest.mark.parametrize(("achieved", "met"), [(62.5, True), (62.4, False), (40.0, False)])
def test_a_clock_needs_a_quarter_more_than_it_is_used_at(achieved, met):
    assert Timing("clk", 50.0, achieved).met is met


def test_a_clock_that_nobody_set_a_target_for_is_an_error(tmp_path):
    fmax = {"clk": {"achieved": 100.0}, "watch_clk$glb_clk": {"achieved": 100.0}}
    with pytest.raises(ClockWithoutTargetError, match="watch_clk"):
        timing(report(fmax), (CLK,), tmp_path)


def test_a_target_whose_clock_is_not_in_the_report_is_an_error(tmp_path):
    with pytest.raises(TargetWithoutClockError, match="no clock clk"):
        timing(report(), (CLK,), tmp_path)


def test_of_two_nets_of_one_clock_the_slower_counts(tmp_path):
    fmax = {"clk": {"achieved": 90.0}, "clk$glb_clk": {"achieved": 70.0}}
    (clock,) = timing(report(fmax), (CLK,), tmp_path)
    assert clock.achieved_mhz == 70.0


@pytest.mark.parametrize(
    ("net", "name"),
    [("clk", "clk"), ("clk$glb_clk", "clk"), ("clk_$glb_clk", "clk"), ("pll.clk", "pll.clk"), ("watch_clk$glb_clk", "watch_clk")],
)
def test_clock_nets_are_recognised_under_the_names_that_tools_give_them(net, name):
    assert clock_name(net) == name


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


def test_a_frequency_that_is_not_understood_is_an_error(tmp_path):
    with pytest.raises(ReportError, match="fmax of clk"):
        timing(report({"clk": {"constraint": 12.0}}), (CLK,), tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"fmax": {}}', '{"fmax": [], "utilization": {}}'])
def test_a_report_of_another_shape_is_an_error_that_names_the_file(content, tmp_path):
    path = tmp_path / "report.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ReportError, match=r"report\.json"):
        load(path)


def test_a_missing_report_is_an_error(tmp_path):
    with pytest.raises(ReportError, match="cannot be read"):
        load(tmp_path / "report.json")


def test_the_slowest_path_names_cells_and_delays():
    step = {"delay": 1.25, "type": "routing", "from": {"cell": "a", "port": "Q"}, "to": {"cell": "b", "port": "D"}, "net": "sum[3]"}
    other = {"from": "posedge clk", "to": "<async>", "path": []}
    own = {"from": "posedge clk$glb_clk", "to": "posedge clk$glb_clk", "path": [step]}
    (line,) = critical_path(json.loads(json.dumps(report(paths=[other, own]))), "clk")
    assert "1.25 ns" in line
    assert "a.Q → b.D" in line
    assert "sum[3]" in line
