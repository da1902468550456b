"""The ways round the tools' traps: each changes what it is for and nothing else."""

from pathlib import Path

import pytest
from thermogen_gateware.build import workarounds


def test_bus_bits_get_braces_and_single_ports_stay():
    constraints = (
        "ldc_set_location -site {P19} [get_ports module__cipo__io[3]]\n"
        "ldc_set_port -iobuf {IO_TYPE=LVCMOS33} [get_ports module__cipo__io[3]]\n"
        "ldc_set_location -site {L13} [get_ports clk50__io]\n"
    )
    assert workarounds.brace_bus_ports(constraints) == (
        "ldc_set_location -site {P19} [get_ports {module__cipo__io[3]}]\n"
        "ldc_set_port -iobuf {IO_TYPE=LVCMOS33} [get_ports {module__cipo__io[3]}]\n"
        "ldc_set_location -site {L13} [get_ports clk50__io]\n"
    )
    assert workarounds.brace_bus_ports(workarounds.brace_bus_ports(constraints)) == workarounds.brace_bus_ports(constraints)


def test_clock_constraints_go_and_pins_stay():
    assert workarounds.without_clocks("set_io a B5\nset_frequency clk12_0__io 12.0\n# note\n") == "set_io a B5\n# note\n"
    assert workarounds.without_clocks('ldc_set_port x\ncreate_clock -name "c" -period 20.0 [get_ports "c"]\n') == "ldc_set_port x\n"


def test_the_placer_is_asked_for_the_margin_too():
    assert workarounds.frequency_arguments(50e6, 0.25) == ("--freq", "62.500")


def test_sources_are_named_relative_to_where_they_come_from():
    rtlil = 'attribute \\src "/home/a/gateware/x.py:1|/home/a/venv/amaranth/y.py:2"\nwire "/home/b/x.py:3"\n'
    relative = workarounds.relative_sources(rtlil, (Path("/home/a/gateware"), Path("/home/a/venv")))
    assert relative == 'attribute \\src "x.py:1|amaranth/y.py:2"\nwire "/home/b/x.py:3"\n'


def test_the_working_folder_is_given_back_even_after_a_failure(tmp_path):
    before = Path.cwd()
    with pytest.raises(OSError), workarounds.inside(tmp_path):
        assert Path.cwd() == tmp_path.resolve()
        raise OSError
    assert Path.cwd() == before
