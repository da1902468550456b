"""What `make bench` says of the network's area, with and without a bitstream's report, and what it sets the daemon's memory beside."""

from __future__ import annotations

import io
import json
import os

import pytest
from rich.console import Console
from thermogen_scripts.bench import table
from thermogen_scripts.benchmarks.memory import libraries_of, mib_of_libraries, resident_mib
from thermogen_scripts.benchmarks.modbus import areas

CORES = {
    "node.network.modbus": {"total": {"COMB": 4_836, "FF": 2_000, "EBR": 8}},
    "node.network.interface": {"total": {"COMB": 2_194}},
    "node.network.modbus.tcp": {"total": {"COMB": 3_844}},
    "node.power_path": {"total": {"COMB": 900}},
}


def shown(rows):
    text = io.StringIO()
    Console(file=text, width=140).print(table(rows))
    return text.getvalue()


@pytest.fixture
def report(tmp_path):
    def written(designs):
        path = tmp_path / "report.json"
        path.write_text(json.dumps({"designs": designs}))
        return path

    return written


def test_each_layer_of_the_report_has_its_row(report):
    rows = areas(report({"node": {"cores": CORES}, "pcm": {}}))
    assert {row.subject: row.value for row in rows} == {
        path: core["total"]["COMB"] for path, core in CORES.items() if path != "node.power_path"
    }
    assert "4,836" in shown(rows)


@pytest.mark.parametrize(
    "designs", [{"pcm": {"cores": {}}}, {"node": {}}, {"node": {"cores": {"node.power_path": CORES["node.power_path"]}}}]
)
def test_a_report_without_the_node_s_network_is_said_to_be_missing(report, designs):
    (row,) = areas(report(designs))
    assert row.value is None
    assert "make build-bitstream" in shown([row])


def test_without_a_report_the_row_says_what_to_run(tmp_path):
    (row,) = areas(tmp_path / "report.json")
    assert row.value is None
    assert "make build-bitstream" in shown([row])


def test_the_daemon_s_memory_is_set_beside_its_libraries_and_nothing_of_ours():
    libraries = libraries_of("thermogen_edge.command")
    assert {"construct", "cryptography", "paho.mqtt.client", "pymodbus", "sqlite3"} <= set(libraries)
    assert not [name for name in libraries if name.startswith("thermogen")]
    bare, beside = mib_of_libraries("json"), mib_of_libraries("thermogen_edge.command")
    assert 5 < bare < beside < 200
    assert resident_mib(os.getpid()) > bare
