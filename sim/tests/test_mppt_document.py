"""docs/mppt.md speaks of the tracker that is here, and of the scenarios that are declared."""

from pathlib import Path

from thermogen_sim.mppt.library import tracker_hash
from thermogen_sim.mppt.scenarios import scenarios

DOCUMENT = (Path(__file__).parents[2] / "docs" / "mppt.md").read_text(encoding="utf-8")


def test_the_figures_are_of_the_present_gateware():
    assert f"netlist `{tracker_hash()}`" in DOCUMENT, "the tracker has changed since it was measured: run `make bench-mppt`"


def test_every_scenario_has_its_row():
    missing = [scenario.name for scenario in scenarios() if f"\n| {scenario.name} |" not in DOCUMENT]
    assert not missing, "run `make bench-mppt`"
