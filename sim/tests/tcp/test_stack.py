"""The whole stack at its RMII pins, frame by frame: from a request's last di-bit to its answer's first."""

from __future__ import annotations

import struct

import pytest
from amaranth.back import rtlil
from thermogen_sim.network_harness import CompiledNetwork, with_fcs
from thermogen_sim.network_library import TOP, network_library
from thermogen_sim.tcp.client import MODBUS_PORT, adu
from thermogen_sim.tcp.segment import Flag, Segment, checksum

from .network_top import NetworkTop

pytestmark = pytest.mark.slow
CLOCKS_PER_SECOND = 200_000
OUR_MAC, OUR_IP = bytes.fromhex("0200c0000202"), 0xC0000202
THEIR_MAC, THEIR_IP = bytes.fromhex("0200c0000201"), 0xC0000201
AIM_CLOCKS = 25
"""Half a microsecond."""


class Station:
    """A host on the wire with one connection."""

    def __init__(self, network: CompiledNetwork):
        self._network = network
        self._seq, self._ack = 1000, 0
        answer, _ = self._exchange(Flag.SYN)
        assert answer.flags == Flag.SYN | Flag.ACK
        self._seq, self._ack = answer.ack, answer.end
        self._network.inject(self._wire(Flag.ACK))
        self._network.run(3000)

    def _wire(self, flags: Flag, data: bytes = b"") -> bytes:
        segment = Segment(40000, MODBUS_PORT, self._seq, self._ack, flags, data=data).encode(THEIR_IP, OUR_IP)
        head = struct.pack(">BBHHHBBHII", 0x45, 0, 20 + len(segment), 0, 0x4000, 64, 6, 0, THEIR_IP, OUR_IP)
        head = head[:10] + struct.pack(">H", checksum(head)) + head[12:]
        return with_fcs(OUR_MAC + THEIR_MAC + b"\x08\x00" + head + segment)

    def _exchange(self, flags: Flag, data: bytes = b"") -> tuple[Segment, int]:
        while self._network.received() is not None:
            pass
        sent = self._network.exchange(self._wire(flags, data))
        assert sent is not None
        assert sent.intact
        packet = sent.frame[14:]
        length = int.from_bytes(packet[2:4])
        assert checksum(packet[:20]) == 0
        received = self._network.received()
        assert received is not None
        return Segment.decode(packet[20:length], OUR_IP, THEIR_IP), sent.first_clock - received

    def ask(self, pdu: bytes) -> tuple[bytes, int]:
        """The answer's PDU and its latency in clocks."""
        answer, clocks = self._exchange(Flag.ACK | Flag.PSH, adu(1, pdu))
        self._seq, self._ack = answer.ack, answer.end
        self._network.inject(self._wire(Flag.ACK))
        self._network.run(3000)
        return answer.data[7:], clocks


@pytest.fixture(scope="module")
def library():
    return network_library(rtlil.convert(NetworkTop(CLOCKS_PER_SECOND), name=TOP, emit_src=False))


@pytest.fixture
def station(library):
    network = CompiledNetwork(library)
    network["mac"], network["ip"], network["netmask"] = int.from_bytes(OUR_MAC), OUR_IP, 0xFFFFFF00
    network["isn_key"] = 0x1122334455667788
    network.run(100_000)
    while network.sent():
        pass
    yield Station(network)
    network.close()


def test_latency_at_the_pins(station):
    clocks = {}
    for count in (1, 2, 10, 60, 100, 125):
        answer, clocks[count] = station.ask(struct.pack(">BHH", 3, 0, count))
        assert answer == struct.pack(f">BB{count}H", 3, 2 * count, *range(count))
    assert station.ask(struct.pack(">BHH", 3, 176, 125))[0] == b"\x83\x02"
    assert max(clocks[count] for count in clocks if count <= 100) <= AIM_CLOCKS
    assert clocks[125] <= 2 * AIM_CLOCKS
    written = [station.ask(b"\x10" + struct.pack(">HHB", 0, count, 2 * count) + bytes(2 * count))[1] for count in (1, 123)]
    assert max(written) <= AIM_CLOCKS
    print(clocks, written)  # noqa: T201  shown with -s
