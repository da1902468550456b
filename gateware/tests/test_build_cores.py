"""Area by core: every placed cell is counted once, where its name says that it comes from."""

import json

import pytest
from thermogen_gateware.build.cores import Core, Hierarchy, by_core
from thermogen_gateware.build.errors import ReportError
from thermogen_gateware.build.picture import draw
from thermogen_gateware.build.report import Area
from thermogen_gateware.build.summary import shown_cores

SOURCE = r"""
module \top.node.tracker.U$0
  wire width 4 \x
end
module \top.node.tracker
  wire input 0 \clk
  wire width 8 output 1 \duty
  cell \top.node.tracker.U$0 \U$0
  end
end
module \top.node.record
  wire width 8 input 0 \duty
  wire width 8 \kept
end
module \top.node
  wire width 8 \duty$3
  wire width 8 \sum
  wire \tracker_speed
  cell \top.node.tracker \tracker$12
    connect \duty \duty$3 [7:0]
  end
  cell \top.node.record \record
    connect \duty \duty$3 [7:0]
  end
  cell \SB_MAC16 \multiplier
    connect \O \sum
  end
end
module \top
  cell \top.node \node
  end
end
"""


@pytest.fixture
def placed(tmp_path):
    """Writes a placed design of `cells`, name to type; and inputs by cell, and nets by name."""

    def write(cells, inputs=None, nets=None):
        inputs, nets = inputs or {}, nets or {}
        entries = {
            name: {"type": kind, "connections": {"I": inputs.get(name, []), "O": []}, "port_directions": {"I": "input", "O": "output"}}
            for name, kind in cells.items()
        }
        top = {"cells": entries, "netnames": {name: {"bits": [bit]} for name, bit in nets.items()}}
        (tmp_path / "placed.json").write_text(json.dumps({"modules": {"top": top}}), encoding="utf-8")
        (tmp_path / "top.il").write_text(SOURCE, encoding="utf-8")
        return by_core(tmp_path / "placed.json", tmp_path / "top.il")

    return write


def test_instances_are_those_of_modules_and_not_of_primitives():
    assert set(Hierarchy(SOURCE).instances) == {"", "node", "node.tracker$12", "node.tracker$12.U$0", "node.record"}


@pytest.mark.parametrize(
    ("name", "core"),
    [
        ("node.record.kept_SB_DFF_Q_3_DFFLC", "node.record"),
        ("node.record.duty_SB_DFF_Q", "node.tracker"),  # an input: driven by the tracker
        ("node.duty$3_SB_LUT4_O", "node.tracker"),  # a wire between two cores
        ("node.tracker$12.duty[2]", "node.tracker"),
        ("node.tracker_speed_LC", "node"),  # a signal of the node, not its tracker
        ("node.nothing_LC", "node"),
        ("nothing", ""),
    ],
)
def test_a_signal_belongs_to_the_core_that_drives_it_by_whatever_name_it_goes(name, core):
    assert Hierarchy(SOURCE).core_of(name) == core


def test_a_cell_is_counted_at_the_innermost_core_that_its_name_is_in_and_at_all_round_it(placed):
    cores = placed(
        {
            "node.sum_SB_LUT4_O_LC": "ICESTORM_LC",
            "node.tracker$12.duty_DFFLC": "ICESTORM_LC",
            "node.tracker$12.U$0.x_LC": "ICESTORM_LC",
            "node.tracker_speed_LC": "ICESTORM_LC",  # a signal of the node, not its tracker
            "node.store.0.0_RAM": "ICESTORM_RAM",
            "clk_LC": "ICESTORM_LC",
            "gbuf": "SB_GB",
        }
    )
    assert cores == [
        Core("", {"LC": 1}, {"LC": 1}),
        Core("node", {"LC": 2, "EBR": 1}, {"LC": 4, "EBR": 1}),
        Core("node.tracker", {"LC": 2}, {"LC": 2}),
    ]


def test_a_cell_that_the_placer_added_belongs_to_the_core_whose_net_it_takes_in(placed):
    cores = placed({"$nextpnr_LC_1": "ICESTORM_LC", "$nextpnr_LC_2": "ICESTORM_LC"}, {"$nextpnr_LC_1": [7]}, {"node.tracker$12.sum_CO": 7})
    assert cores == [Core("", {"LC": 1}, {"LC": 1}), Core("node", {}, {"LC": 1}), Core("node.tracker", {"LC": 1}, {"LC": 1})]


def test_pins_are_one_part(placed):
    assert placed({"pin_a.buf0": "SB_IO", "pin_b.buf0": "SB_IO"}) == [Core("pins", {"IO": 2}, {"IO": 2})]


@pytest.mark.parametrize("content", ["", "[]", '{"modules": {}}', '{"modules": {"top": {"cells": {"a": 1}, "netnames": {}}}}'])
def test_a_design_of_another_shape_is_an_error_that_names_the_file(content, tmp_path):
    (tmp_path / "placed.json").write_text(content, encoding="utf-8")
    (tmp_path / "top.il").write_text(SOURCE, encoding="utf-8")
    with pytest.raises(ReportError, match=r"placed\.json"):
        by_core(tmp_path / "placed.json", tmp_path / "top.il")


def test_small_cores_are_left_out_unless_they_have_a_memory():
    area = {"LC": Area(100, 1000)}
    cores = [Core("big", {}, {"LC": 90}), Core("small", {}, {"LC": 4}), Core("ram", {}, {"LC": 4, "EBR": 1})]
    assert [core.name for core in shown_cores(cores, area)] == ["big", "ram"]


def test_the_picture_is_the_same_each_time(tmp_path):
    area = {"LC": Area(100, 1000), "EBR": Area(1, 32)}
    cores = [Core("node", {"LC": 40}, {"LC": 100, "EBR": 1}), Core("node.tracker", {"LC": 60}, {"LC": 60})]
    for name in ("a.png", "b.png"):
        draw("node", cores, area, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert len((tmp_path / "a.png").read_bytes()) > 5_000
