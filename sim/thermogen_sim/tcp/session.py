"""A session as a technician's laptop has it, between this machine's kernel with pymodbus and the compiled stack, recorded.

ARP, a ping, the handshake, reads, an exception, writes, the device's identification, and the end. Needs root and /dev/net/tun (`tap.py`).
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from amaranth.back import rtlil

from ..capture import recorded
from ..network_harness import CompiledNetwork
from ..network_library import TOP, network_library
from ..tap import tap_namespace
from .network_top import NetworkTop
from .station import NODE, settle

CLOCKS_PER_SECOND = 200_000
_TIMEOUT_S = 300
_CLIENT = """
from pymodbus.client import ModbusTcpClient
with ModbusTcpClient("192.0.2.2", timeout=60) as client:
    assert client.read_holding_registers(0, count=125).registers == list(range(125))
    assert client.read_input_registers(7, count=2).registers == [0xFFF8, 0xFFF7]
    assert client.read_discrete_inputs(0, count=9).bits[:9] == [False, True, False, True, False, True, False, True, False]
    assert client.read_holding_registers(299, count=2).exception_code == 2
    assert not client.write_register(5, 0xABCD).isError()
    assert not client.write_registers(10, [1, 2, 3]).isError()
    assert client.read_holding_registers(5, count=8).registers == [0xABCD, 6, 7, 8, 9, 1, 2, 3]
    assert not client.write_coil(3, True).isError()
    assert client.read_coils(0, count=8).bits == [False, False, False, True, False, False, False, False]
    assert client.read_device_information(read_code=2, object_id=0).information[1] == b"TZ-NODE"
"""


def record(path: Path) -> None:
    """Have the session and write it to `path` (pcap). Raises CalledProcessError when the client was not served."""
    network = CompiledNetwork(network_library(rtlil.convert(NetworkTop(CLOCKS_PER_SECOND), name=TOP, emit_src=False)))
    settle(network, NODE)
    with (
        tap_namespace("192.0.2.1/24") as namespace,
        recorded(namespace.descriptor, path) as descriptor,
        network.serve(descriptor, CLOCKS_PER_SECOND),
    ):
        namespace.run("ping", "-c", "1", "-W", "60", "192.0.2.2", timeout_s=_TIMEOUT_S)
        namespace.run(sys.executable, "-c", _CLIENT, timeout_s=_TIMEOUT_S)
        end = time.monotonic() + _TIMEOUT_S
        while network["used"] and time.monotonic() < end:  # until the last acknowledgement is there
            time.sleep(0.05)
    network.close()
