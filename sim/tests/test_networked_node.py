# amaranth: UnusedElaboratable=no
"""The whole node with its network, compiled: a technician's quick start, by an unmodified client and the daemon's own transactions, and
the ready-made examples of docs/scada/ as they are."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from amaranth.back import rtlil
from amaranth.hdl import Module
from amaranth.lib import wiring
from thermogen_esf.hostlink_codec import Request
from thermogen_esf.hostlink_network import (
    DEFAULT_SETTINGS,
    EVENT_ACK,
    EVENT_BASE,
    NETWORK_SETTINGS,
    NETWORK_STATUS,
    NETWORK_STATUS_BASE,
    NETWORK_STATUS_WORDS,
    LinkFlag,
    NetworkMode,
    OverrideFlag,
)
from thermogen_esf.layout import MAGIC
from thermogen_esf.scada import EVENT_RING, EVENT_WORDS, WRITABLE, WriteKind, read_event
from thermogen_gateware.network.noise_key import RINGS
from thermogen_gateware.networked_node import NetworkedNode
from thermogen_gateware.node import CLOCK_HZ, Node
from thermogen_gateware.power_path import PowerPath
from thermogen_gateware.scada.events import RESERVE
from thermogen_gateware.scada.registers import COUNTED
from thermogen_sim.network_harness import CompiledNetwork, with_fcs
from thermogen_sim.network_library import TOP, network_library
from thermogen_sim.tap import available, tap_namespace
from thermogen_sim.tcp.client import MODBUS_PORT
from thermogen_sim.tcp.packets import IPV4_TYPE, TCP, ethernet, ipv4
from thermogen_sim.tcp.segment import Flag, Segment
from thermogen_sim.tcp.station import segment_of

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not available(), reason="a TAP device needs root and /dev/net/tun")]

CLOCKS_PER_SECOND = 100_000
CLOCKS_PER_SITE_SECOND = 10_000
SCLK_CLOCKS = 4
LAPTOP, NODE, MOVED = 0xC0A8_5401, 0xC0A8_545A, 0xC0A8_545B
TIMEOUT_S = 5


class Standing(wiring.Component):
    """The power path's ports, and nothing that moves behind them."""

    def __init__(self):
        super().__init__(PowerPath(CLOCK_HZ, 12, 1, CLOCKS_PER_SITE_SECOND).signature)

    def elaborate(self, _platform):
        m = Module()
        m.d.sync += self.ready.eq(self.pulse)
        return m


@pytest.fixture(scope="module")
def library():
    node = Node(CLOCKS_PER_SITE_SECOND, power_path=Standing(), network=True, clocks_per_second=CLOCKS_PER_SECOND)
    return network_library(rtlil.convert(NetworkedNode(node), name=TOP, emit_src=False))


@pytest.fixture
def network(library):
    made = CompiledNetwork(library)
    made["host_cs_n"] = 1
    made.run(1000)
    yield made
    made.close()


@pytest.fixture
def daemon(network, host):
    return linux_side(network, host)


def linux_side(network, host):
    """The Linux side, on the host link."""

    def transact(sent):
        taken = 0
        network["host_cs_n"] = 0
        for bit in range(8 * len(sent)):
            network["host_copi"] = sent[bit // 8] >> (7 - bit % 8) & 1
            network.run(SCLK_CLOCKS)
            taken = taken << 1 | network["host_cipo"]
            network["host_sclk"] = 1
            network.run(SCLK_CLOCKS)
            network["host_sclk"] = 0
        network["host_cs_n"] = 1
        network.run(200)
        return taken.to_bytes(len(sent), "big")

    made = host(transact)
    made.settle = lambda name, *words: made.ask(Request.write(1, NETWORK_SETTINGS[name][0], list(words)))
    return made


def status(daemon):
    data = daemon.ask(Request.read(2, NETWORK_STATUS_BASE, NETWORK_STATUS_WORDS))
    return {
        name: int.from_bytes(data[2 * (address - NETWORK_STATUS_BASE) :][: 2 * words], "big")
        for name, (address, words) in NETWORK_STATUS.items()
    }


def python(namespace, program, *arguments):
    try:
        return namespace.run(sys.executable, "-c", program, *map(str, arguments), timeout_s=120)
    except subprocess.CalledProcessError as error:
        raise AssertionError(error.stderr) from error


IDENTITY = """
import sys
from pymodbus.client import ModbusTcpClient
client = ModbusTcpClient("192.168.84.90", timeout=20)
assert client.connect()
print(*client.read_holding_registers(0, count=20).registers)
assert client.write_register(704, 60).exception_code == 1
assert client.read_holding_registers(704, count=1).registers == [1200]
assert client.read_device_information(read_code=1, object_id=0).information[1] == b"TZ-NODE"
client.close()
"""

CAP = """
import sys, time
from pymodbus.client import ModbusTcpClient
timeout_s, wall_s = int(sys.argv[1]), float(sys.argv[2])
client = ModbusTcpClient("192.168.84.91", timeout=20)
assert client.connect()
def read(address, count=1):
    return client.read_holding_registers(address, count=count).registers
assert not client.write_registers(700, [1, timeout_s]).isError()
assert client.write_register(704, 0xFFFF).exception_code == 3
assert client.write_register(705, 0xA5C3).exception_code == 2
assert not client.write_register(704, 60).isError()
assert read(704) == [60]
begun = time.monotonic()
assert 0 < read(601)[0] <= timeout_s
assert client.read_discrete_inputs(48, count=1).bits[0]
while read(704) == [60]:
    assert time.monotonic() < begun + wall_s
assert read(704) == [1200] and read(601) == [0]
assert not client.read_discrete_inputs(48, count=1).bits[0]
print(*read(460, 20))
client.close()
"""


def until(condition, network, clocks):
    end = network.clocks + clocks
    while not condition():
        assert network.clocks < end, f"not within {clocks} clocks"
        network.run(CLOCKS_PER_SECOND // 10)


def test_an_address_what_answers_a_cap_and_its_end(network, daemon):
    # Nobody answers DHCP: after 28 s the fixed address is used.
    until(lambda: status(daemon)["live_ip"] == NODE, network, 40 * CLOCKS_PER_SECOND)
    assert network.clocks > 28 * CLOCKS_PER_SECOND
    assert status(daemon)["link_flags"] == LinkFlag.LINK_UP | LinkFlag.ADDRESS_VALID
    with tap_namespace("192.168.84.1/24") as namespace:
        with network.serve(namespace.descriptor, CLOCKS_PER_SECOND):
            identity = [int(word) for word in python(namespace, IDENTITY).split()]
        assert identity[0] == MAGIC and identity[16:18] == [0x0102, 0x0304]
        assert status(daemon)["override_flags"] == 0

        daemon.settle("network_mode", NetworkMode.FIXED)
        daemon.settle("ip", MOVED >> 16, MOVED & 0xFFFF)
        daemon.settle("writers", LAPTOP >> 16, LAPTOP & 0xFFFF, 0xFFFF, 0xFFFF)
        with network.serve(namespace.descriptor, CLOCKS_PER_SECOND):
            counts = [int(word) for word in python(namespace, CAP, TIMEOUT_S, 60).split()]
    shown = status(daemon)
    assert shown["live_ip"] == MOVED and shown["override_flags"] == OverrideFlag.WRITES_ALLOWED
    events = [
        read_event(list(struct.unpack(f">{EVENT_WORDS}H", daemon.ask(Request.read(3, EVENT_BASE + EVENT_WORDS * number, EVENT_WORDS)))))
        for number in range(shown["events_next"])
    ]
    assert {event.ip for event in events} == {LAPTOP}
    told = [(event.kind, event.address, event.old, event.new) for event in events if event.kind != WriteKind.HEARTBEATS]
    cap = WRITABLE["site_power_limit"].address
    assert (WriteKind.WRITE, cap, 1200, 60) in told
    assert told[-1][0] is WriteKind.EXPIRED

    # Counters are of the last site second; two connections were made, all requests answered, three of them with an exception.
    count = dict(zip(COUNTED, (high << 16 | low for high, low in zip(counts[::2], counts[1::2], strict=True)), strict=False))
    assert count["tcp_accepted"] == 2
    assert count["modbus_requests"] > 10
    assert count["modbus_exceptions"] == 3
    assert count["frames_damaged"] == 0
    assert count["frames_received"] >= count["modbus_requests"]
    assert count["frames_sent"] >= count["modbus_requests"]


SYN = Segment(40_000, MODBUS_PORT, 1_000, 0, Flag.SYN)
NODE_MAC, LAPTOP_MAC = DEFAULT_SETTINGS["mac"].to_bytes(6), bytes.fromhex("0200c0000201")


SYN_FRAME = with_fcs(ethernet(ipv4(SYN.encode(LAPTOP, NODE), TCP, LAPTOP, NODE), IPV4_TYPE, NODE_MAC, LAPTOP_MAC))


def first_sequence_number(library, host, seed, isn_key=None):
    """That of a node's answer to a SYN, its noise being that of the seed and all else to the clock the same."""
    noise = random.Random(seed)
    network = CompiledNetwork(library, negotiation_clocks=5_000)
    network["host_cs_n"] = 1
    try:
        network.run(1)
        while network["gathers_noise"]:
            assert network.clocks < 5 * CLOCKS_PER_SECOND
            network["noise"] = noise.getrandbits(RINGS)
            network.run(50)
        daemon = linux_side(network, host)
        daemon.settle("network_mode", NetworkMode.FIXED)
        if isn_key is not None:
            daemon.settle("isn_key", *isn_key)
        assert status(daemon)["link_flags"] & LinkFlag.LINK_UP
        while network.sent():
            pass
        answer = network.exchange(SYN_FRAME)
        found = segment_of(answer.frame)
        assert found is not None and found[1].flags == Flag.SYN | Flag.ACK
        return found[1].seq
    finally:
        network.close()


def test_two_power_ups_give_different_sequence_numbers_without_a_daemon(library, host):
    first = first_sequence_number(library, host, seed=1)
    assert first == first_sequence_number(library, host, seed=1)
    assert first != first_sequence_number(library, host, seed=2)
    # What the daemon gives comes on top: who knows it knows no number yet.
    key = [0x1357, 0x2468, 0, 0, 0, 0, 0, 0]
    with_key = first_sequence_number(library, host, seed=1, isn_key=key)
    assert first != with_key != first_sequence_number(library, host, seed=2, isn_key=key)


def answers_to_a_syn(network):
    network.inject(SYN_FRAME)
    network.run(1_000)
    return [found[1].flags for found in map(segment_of, (sent.frame for sent in iter(network.sent, None))) if found]


def test_no_segment_is_believed_before_there_is_a_key(library, host):
    # The PHY passes frames on as soon as it has a link; that it has one the node asks for a while later.
    network = CompiledNetwork(library, negotiation_clocks=CLOCKS_PER_SECOND)
    network["host_cs_n"] = 1
    network.run(1000)
    try:
        daemon = linux_side(network, host)
        daemon.settle("network_mode", NetworkMode.FIXED)
        assert status(daemon)["live_ip"] == NODE
        assert network["gathers_noise"], "the key was there before anybody could call"
        heard = 0
        while network["gathers_noise"]:
            assert network.clocks < 5 * CLOCKS_PER_SECOND
            heard += network.link
            early = answers_to_a_syn(network)
            assert not (network["gathers_noise"] and early), "answered with a number that can be worked out"
        assert heard > 10, "nothing came that could have been believed"
        assert answers_to_a_syn(network) == [Flag.SYN | Flag.ACK]
    finally:
        network.close()


TOGETHER = """
import socket, struct

def adu(number, pdu):
    return struct.pack(">HHHB", number, 0, len(pdu) + 1, 1) + pdu

setpoints = struct.pack(">BHHB5H", 16, 700, 5, 10, 1, 60, 1, 2000, 100)
power = struct.pack(">BHH", 6, 704, 90)
heartbeat = struct.pack(">BHH", 6, 700, 2)
asked = [adu(number, pdu) for number, pdu in enumerate(3 * [setpoints, setpoints, power, heartbeat, power])]
with socket.create_connection(("192.168.84.90", 502), timeout=60) as connection:
    connection.sendall(b"".join(asked))
    answers = connection.makefile("rb")
    for _ in asked:
        length = struct.unpack(">HHH", answers.read(6))[2]
        print(answers.read(length)[1])
"""


def test_writes_that_come_in_one_segment_are_all_done(network, daemon):
    daemon.settle("network_mode", NetworkMode.FIXED)
    daemon.settle("writers", LAPTOP >> 16, LAPTOP & 0xFFFF, 0xFFFF, 0xFFFF)
    with tap_namespace("192.168.84.1/24") as namespace, network.serve(namespace.descriptor, CLOCKS_PER_SECOND):
        functions = [int(word) for word in python(namespace, TOGETHER).split()]
    assert functions == 3 * [16, 16, 6, 6, 6]
    set_points, runs_of_heartbeats = 4 + 4 + 1 + 1, 3
    assert status(daemon)["events_next"] == 3 * (set_points + runs_of_heartbeats)


EXAMPLES = Path(__file__).parents[2] / "docs" / "scada"
NODE_RED = Path(__file__).parents[2] / "build" / "node-red" / "node_modules"
PATIENCE_S = 300
"""Bound of every wait, and no measure of anything: a busy machine may take its time."""


@pytest.fixture
def wire(network, daemon):
    """A namespace with the node at its address as it comes, and the laptop in it allowed to write."""
    daemon.settle("network_mode", NetworkMode.FIXED)
    daemon.settle("writers", LAPTOP >> 16, LAPTOP & 0xFFFF, 0xFFFF, 0xFFFF)
    until(lambda: status(daemon)["link_flags"] & LinkFlag.LINK_UP, network, 5 * CLOCKS_PER_SECOND)
    assert status(daemon)["live_ip"] == NODE
    with tap_namespace("192.168.84.1/24") as namespace, network.serve(namespace.descriptor, CLOCKS_PER_SECOND):
        yield namespace


def writes(daemon):
    """Address and value of each write that the daemon was told of."""
    taken = (daemon.ask(Request.read(3, EVENT_BASE + EVENT_WORDS * number, EVENT_WORDS)) for number in range(status(daemon)["events_next"]))
    events = [read_event(list(struct.unpack(f">{EVENT_WORDS}H", data))) for data in taken]
    return [(event.address, event.new) for event in events if event.kind == WriteKind.WRITE]


POWER_CAP = (WRITABLE["site_power_limit"].address, 60)


UNTIL_BUSY = """
import sys
from pymodbus.client import ModbusTcpClient
most = int(sys.argv[1])
client = ModbusTcpClient("192.168.84.90", timeout=60)
assert client.connect()
assert not client.write_registers(700, [1, 3600]).isError()  # it does not end meanwhile
written = 0
while not (answer := client.write_register(703, written)).isError():
    written += 1
    assert written <= most
assert answer.exception_code == 6, answer
assert client.write_registers(702, [1, 2000, 60]).exception_code == 6
assert client.read_discrete_inputs(54, count=1).bits[0]
assert client.read_holding_registers(703, count=1).registers == [written - 1]
assert client.diag_read_device_busy_count().message == 2
assert not client.write_register(700, 1).isError()
print(written)
client.close()
"""
AFTER_BUSY = """
from pymodbus.client import ModbusTcpClient
client = ModbusTcpClient("192.168.84.90", timeout=60)
assert client.connect()
assert not client.read_discrete_inputs(54, count=1).bits[0]
assert not client.write_register(703, 1500).isError()
assert client.read_holding_registers(703, count=1).registers == [1500]
client.close()
"""


def test_writes_are_busy_while_the_daemon_takes_no_event_and_go_on_when_it_does(wire, daemon):
    written = int(python(wire, UNTIL_BUSY, EVENT_RING))
    heartbeat_and_timeout = 2
    assert written == EVENT_RING - RESERVE + 1 - heartbeat_and_timeout
    assert status(daemon)["override_flags"] & OverrideFlag.EVENTS_FULL
    # No write went unrecorded, and none that was refused is among them.
    timeout, current_limit = WRITABLE["override_timeout_s"].address, WRITABLE["current_limit_ma"].address
    assert writes(daemon) == [(timeout, 3600), *((current_limit, value) for value in range(written))]
    stored = status(daemon)["events_next"]
    daemon.ask(Request.write(4, EVENT_ACK[0], [stored >> 16, stored & 0xFFFF]))
    python(wire, AFTER_BUSY)
    assert not status(daemon)["override_flags"] & OverrideFlag.EVENTS_FULL


@pytest.mark.skipif(shutil.which("mbpoll") is None, reason="mbpoll is not installed; scripts/install-system-packages does it")
def test_the_mbpoll_lines_read_the_node_and_cap_its_power(wire, daemon, tmp_path):
    # The same program, more patient: a second may not be enough on a busy machine.
    patient = tmp_path / "mbpoll"
    patient.write_text(f'#!/bin/sh\nexec {shutil.which("mbpoll")} -o 10 "$@"\n')
    patient.chmod(0o755)
    command = wire.command(["env", f"PATH={tmp_path}:{os.environ['PATH']}", "sh", str(EXAMPLES / "mbpoll.sh"), "192.168.84.90"])
    ran = subprocess.run(command, text=True, capture_output=True, timeout=PATIENCE_S, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    shown = ran.stdout
    assert re.search(r"\[0\]:\s+0x545A", shown)
    assert re.search(r"\[102\]:\s+0", shown)
    assert re.search(r"\[704\]:\s+60\b", shown)
    assert POWER_CAP in writes(daemon)


def test_the_pymodbus_program_reads_the_node_and_holds_a_cap(wire, daemon):
    program = [sys.executable, str(EXAMPLES / "thermogen_scada.py"), "192.168.84.90", "--cap", "600", "--for", "1"]
    shown = wire.run(*program, timeout_s=PATIENCE_S)
    assert shown.startswith("power 0.0 W, bus 0.00 V")
    assert "limit in force: 600 W" in shown
    assert POWER_CAP in writes(daemon)


@pytest.mark.skipif(not NODE_RED.exists(), reason="Node-RED is not in build/node-red: `make interop` brings it with npm and runs this test")
def test_the_node_red_flow_shows_the_power_and_caps_it(wire, daemon, tmp_path):
    flow = json.loads((EXAMPLES / "node-red-flow.json").read_text())
    for node in flow:
        if node["type"] == "debug":
            node["console"] = "true"  # what the editor would show, on standard output
    (tmp_path / "flow.json").write_text(json.dumps(flow))
    (tmp_path / "node_modules").symlink_to(NODE_RED)
    (tmp_path / "package.json").write_text('{"name": "flow", "dependencies": {"node-red-contrib-modbus": "*"}}')
    (tmp_path / "settings.js").write_text('module.exports = {uiHost: "127.0.0.1", telemetry: {enabled: false}};')
    log = tmp_path / "log"
    command = ["node", str(NODE_RED / "node-red" / "red.js"), "--userDir", str(tmp_path), "--settings", str(tmp_path / "settings.js")]

    def shows(pattern):
        return lambda: re.search(pattern, log.read_text())

    with (
        log.open("w") as output,
        subprocess.Popen(
            wire.command([*command, str(tmp_path / "flow.json")]), stdout=output, stderr=output, env={**os.environ, "HOME": str(tmp_path)}
        ) as running,
    ):
        try:
            wait(shows(r"Started flows"), log)
            wait(shows(r"\[debug:W\][^\n]*\n?0\b"), log)
            press = (
                "import urllib.request as u; u.urlopen(u.Request('http://127.0.0.1:1880/inject/tz-cap', data=b'', method='POST')).read()"
            )
            python(wire, press)
            wait(lambda: POWER_CAP in writes(daemon), log)
        finally:
            running.terminate()
            running.wait(30)


def wait(condition, log):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, log.read_text()[-3000:]
        time.sleep(0.1)  # between two looks
