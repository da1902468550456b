"""MODBUS TCP: the gateware at its pins in clocks, and software servers over loopback in wall time. Compare shapes, not values.

The gateware's client is cycle-driven and takes no time of its own; the software's is a program beside them on the same processor.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from amaranth.back import rtlil
from thermogen_sim.network_harness import CompiledNetwork
from thermogen_sim.network_library import TOP, network_library
from thermogen_sim.tcp.measurement import CLOCK_HZ, WIRE_LIMIT_PER_S, latencies, transactions_per_s
from thermogen_sim.tcp.network_top import NetworkTop
from thermogen_sim.tcp.station import NODE, settle

from .measurement import Row

TOPIC, AREA_TOPIC = "MODBUS TCP", "area of the network"
CLIENTS = (1, 8)
TRANSACTIONS = 4_000
LOAD_S = 2.0
REPORT = Path("build/report.json")
_CLOCKS_PER_SECOND = 200_000
_SOURCE = Path(__file__).parent / "native" / "modbus_peer.cc"
_PYMODBUS = """
import sys
from pymodbus.server import StartTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice
device = SimDevice(1, [SimData(0, count=300, values=0, datatype=DataType.REGISTERS)])
print("ready", flush=True)
StartTcpServer(device, address=("127.0.0.1", int(sys.argv[1])))
"""


def measure() -> list[Row]:
    """Latency and transactions of the compiled stack, transactions of libmodbus and pymodbus, and the area of each layer."""
    library = network_library(rtlil.convert(NetworkTop(_CLOCKS_PER_SECOND), name=TOP, emit_src=False))

    def network() -> CompiledNetwork:
        made = CompiledNetwork(library)
        settle(made, NODE)
        return made

    clocks = latencies(network())
    registers = {name: value for name, value in clocks.items() if name.split()[0] in {"3", "4", "6", "16", "22", "23"}}
    rows = []
    for what, found in (("registers", registers), ("any request", clocks)):
        for kind, name in (("least", min(found, key=found.__getitem__)), ("most", max(found, key=found.__getitem__))):
            value = found[name]
            subject = f"answer to {what}, {kind} (function {name.strip()})"
            rows.append(Row(TOPIC, subject, value, "clocks", f"{1e6 * value / CLOCK_HZ:.2f} µs"))
    ours = {clients: transactions_per_s(network(), clients, TRANSACTIONS) for clients in CLIENTS}
    rows += [_rate_row("the gateware", clients, rate, ours, f"{rate / WIRE_LIMIT_PER_S:.1%} of the wire") for clients, rate in ours.items()]
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "modbus_peer"
        subprocess.run(["g++", "-O2", "-o", program, _SOURCE, "-lmodbus"], check=True)
        servers: dict[str, list[str | Path]] = {
            "libmodbus's server": [program, "serve"],
            "pymodbus's server": [sys.executable, "-c", _PYMODBUS],
        }
        for name, server in servers.items():
            with _served(server) as port:
                rates = {clients: _load(program, port, clients) for clients in CLIENTS}
            rows += [_rate_row(name, clients, rate, rates, "wall time, loopback") for clients, rate in rates.items()]
    return rows + areas()


def _rate_row(who: str, clients: int, rate: float, rates: dict[int, float], ratio: str) -> Row:
    shape = f"; {rate / rates[CLIENTS[0]]:.2f}x of 1 client" if clients != CLIENTS[0] else ""
    return Row(TOPIC, f"{who}, {clients} client{'s' * (clients > 1)}", rate, "reads/s", ratio + shape)


@contextmanager
def _served(command: Sequence[str | Path]) -> Iterator[int]:
    """A server's port on loopback, connections being accepted."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    with subprocess.Popen([*command, str(port)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        try:
            assert server.stdout is not None
            server.stdout.readline()
            _connected(server, port)
            yield port
        finally:
            server.terminate()


def _connected(server: subprocess.Popen[bytes], port: int) -> None:
    """pymodbus says nothing once it listens, so it is asked."""
    while server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=10).close()
        except ConnectionRefusedError:
            continue
        return
    raise ChildProcessError(f"the server on port {port} ended at once, exit code {server.returncode}")


def _load(program: Path, port: int, clients: int) -> float:
    done = subprocess.run([program, "load", str(port), str(clients), str(LOAD_S)], check=True, capture_output=True, text=True)
    return float(done.stdout)


def areas(report: Path = REPORT) -> list[Row]:
    """Of the last `make build-bitstream`, the network's cores one level deep; where it did not build them, a row that says so."""
    node = json.loads(report.read_text())["designs"].get("node", {}) if report.exists() else {}
    rows = []
    for path, core in node.get("cores", {}).items():
        parts = path.split(".")
        if not {"interface", "modbus"} & set(parts[-2:]):
            continue
        total = core["total"]
        rows.append(Row(AREA_TOPIC, path, total.get("COMB", 0), "COMB", f"{total.get('FF', 0):,} FF, {total.get('EBR', 0)} EBR"))
    return rows or [Row(AREA_TOPIC, "not measured: run `make build-bitstream` first", None, "COMB")]
