"""`thermogen-sim site` as a process with real clients: power-up, pace, clock, burner, end and restart. The gateware is the real one."""

import contextlib
import json
import os
import selectors
import signal
import socket
import stat
import subprocess
import sys
import time

import pyarrow
import pytest
from pyarrow import parquet
from pymodbus import FramerType
from pymodbus.client import ModbusTcpClient
from thermogen_esf.hostlink import NodeFlag
from thermogen_esf.hostlink_codec import Request
from thermogen_esf.hostlink_seal import PUBLIC_KEY, SEAL_STATUS, CustodyState

pytestmark = pytest.mark.slow

T0 = 1_790_000_000
DEADLINE_S = 300


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Running:
    """A simulator process and what it said."""

    def __init__(self, tmp_path, *options):
        self.link = tmp_path / "link"
        self.run_dir = tmp_path / "run"
        self.rtu, self.clock = _free_port(), _free_port()
        command = [*(options if options[:1] == ("replay",) else ("site", *options)), "--name", "alpha"]
        command += ["--run-dir", self.run_dir, "--host-link", self.link, "--rtu", self.rtu, "--clock", self.clock, "--start", T0]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "thermogen_sim.command", *map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self._selector = selectors.DefaultSelector()
        self._selector.register(self.process.stdout, selectors.EVENT_READ)
        self._text = b""
        self.ready = self.line(lambda said: "ready" in said)

    def line(self, wanted):
        """The next line on stdout of which `wanted` is true."""
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            while b"\n" in self._text:
                line, _, self._text = self._text.partition(b"\n")
                said = json.loads(line)
                if wanted(said):
                    return said
            if self._selector.select(1.0):
                chunk = os.read(self.process.stdout.fileno(), 65536)
                if not chunk:
                    pytest.fail(f"ended: {self.process.stderr.read().decode()}")
                self._text += chunk
        return pytest.fail("nothing of the kind was said in time")

    def connect(self):
        """The host link's socket and a function that makes transactions over it."""
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(60)
        connection.connect(str(self.link))

        def transact(request):
            connection.sendall(len(request).to_bytes(4, "big") + request)
            answer = b""
            while len(answer) < 4 + len(request):
                answer += connection.recv(65536)
            return answer[4:]

        return connection, transact

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        code = self.process.wait(60)
        self.close()
        return code

    def close(self):
        self.process.kill()
        self.process.wait()
        self._selector.close()
        self.process.stdout.close()
        self.process.stderr.close()


@pytest.fixture
def simulator(tmp_path):
    running = []

    def start(*options):
        running.append(Running(tmp_path, *options))
        return running[-1]

    yield start
    for one in running:
        with contextlib.suppress(ValueError):
            one.close()


def test_a_site_from_power_up_to_an_orderly_end_and_on(simulator, host):
    first = simulator("--pace", "50")
    assert first.ready["site_time"] == T0

    connection, transact = first.connect()
    node = host(transact)
    assert node.status()["flags"] & NodeFlag.TIME_VALID == 0
    said = first.line(lambda said: "clocks" in said)
    assert said["site_time"] - T0 < 30, "ran ahead before its clock was set"
    assert not said["time_valid"]

    with socket.create_connection(("127.0.0.1", first.clock), timeout=60) as clock:
        lines = clock.makefile("rwb")
        assert json.loads(lines.readline())["class"] == "VERSION"
        lines.write(b'?WATCH={"enable":true,"json":true};\n')
        lines.flush()
        while (report := json.loads(lines.readline()))["class"] != "TPV":
            pass
        assert report["time"].startswith("2026-09-21T14:1")
        lines.close()
    node.start(T0 + 5)

    begun = first.line(lambda said: said.get("time_valid"))
    later = first.line(lambda said: said.get("site_time", 0) >= begun["site_time"] + 150)
    assert later["bus_mv"] > 46_000

    burner = ModbusTcpClient("127.0.0.1", port=first.rtu, framer=FramerType.RTU, timeout=30)
    assert burner.connect()
    read = burner.read_input_registers(0, count=10, device_id=1).registers
    burner.close()
    assert read[6] == 7 and 150 < read[8] <= 200 and 3 <= read[5] <= 200
    assert node.status()["time"] >= T0 + 100

    assert first.end() == 0
    connection.close()
    assert not first.link.exists()
    state = json.loads((first.run_dir / "plant.json").read_text())
    assert state["clean"] and state["site_time"] >= later["site_time"]

    second = simulator("--pace", "50", "--state", "cold")
    assert second.ready["site_time"] == state["site_time"]
    connection, transact = second.connect()
    assert host(transact).status()["flags"] & (NodeFlag.TIME_VALID | NodeFlag.ARMED) == 0, "the FPGA kept its registers without power"
    connection.close()
    assert second.line(lambda said: "clocks" in said)["hot_supply_degc"] > 170.0


def test_a_parquet_series_drives_the_load_the_weather_and_the_gas(simulator, host, tmp_path):
    rows = {"time": [T0, T0 + 3600], "gas_flow_mcf_d": [1.5, 1.5], "ambient_degc": [-12.5, -12.5], "load_w": [345.0, 345.0]}
    parquet.write_table(pyarrow.table(rows), tmp_path / "series.parquet")
    running = simulator("replay", tmp_path / "series.parquet", "--pace", "max")
    connection, transact = running.connect()
    host(transact).start(T0)
    said = running.line(lambda said: said.get("site_time", 0) >= T0 + 60)
    assert said["load_w"] == 345.0
    assert said["gas_mcf_d"] == pytest.approx(1.5, abs=0.01)
    burner = ModbusTcpClient("127.0.0.1", port=running.rtu, framer=FramerType.RTU, timeout=30)
    assert burner.connect()
    read = burner.read_input_registers(0, count=10, device_id=1).registers
    burner.close()
    assert -125 + 0x10000 in read, "the ambient sensor"
    connection.close()


def test_the_pace_holds_for_a_host_that_sets_the_clock_at_once(simulator, host):
    running = simulator("--pace", "20")
    connection, transact = running.connect()
    host(transact).start(T0)
    first = running.line(lambda said: said.get("time_valid"))
    begun = time.monotonic()
    last = running.line(lambda said: said.get("site_time", 0) >= first["site_time"] + 100)
    assert (last["site_time"] - first["site_time"]) / (time.monotonic() - begun) > 5.0
    connection.close()


def test_killed_at_full_speed_it_goes_on_later_than_anyone_saw(simulator, host):
    seen = T0
    for _ in range(2):
        running = simulator("--pace", "max")
        assert running.ready["site_time"] >= seen
        connection, transact = running.connect()
        host(transact).start(running.ready["site_time"])
        seen = running.line(lambda said: said.get("clocks", 0) > 3_000_000)["site_time"]
        running.end(signal.SIGKILL)
        connection.close()
        assert running.link.exists()
    final = simulator("--pace", "max")
    assert final.ready["site_time"] >= seen


def test_a_nodes_key_and_counters_outlive_a_killed_process(simulator, host):
    keys = []
    for boot in (1, 2):
        running = simulator("--seal", "--pace", "max")
        connection, transact = running.connect()
        node = host(transact)
        node.start(running.ready["site_time"])
        while node.ask(Request.read(1, *SEAL_STATUS["custody_state"])) != CustodyState.READY.to_bytes(2, "big"):
            running.line(lambda said: "clocks" in said)
        keys.append(node.ask(Request.read(1, *PUBLIC_KEY)))
        assert int.from_bytes(node.ask(Request.read(1, *SEAL_STATUS["boot_count"])), "big") == boot
        running.end(signal.SIGKILL)
        connection.close()
    assert keys[0] == keys[1] != bytes(32)
    assert stat.S_IMODE((running.run_dir / "key-part.bin").stat().st_mode) == 0o600


def test_a_port_in_use_is_told_on_stderr(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = ["site", "--name", "a", "--run-dir", tmp_path / "run", "--host-link", tmp_path / "link", "--clock", port]
        command = [sys.executable, "-m", "thermogen_sim.command", *map(str, command)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert ended.returncode == 1
    assert f"clock port {port} on 127.0.0.1 is in use" in ended.stderr
    assert "Traceback" not in ended.stderr
