"""The compiled stack at its pins, in clocks: how soon a request is answered, and how many are in a second."""

from __future__ import annotations

import struct
from collections import Counter

from ..network_harness import CompiledNetwork
from .station import LAPTOP, NODE, Address, Station, UnservedError, segment_of

CLOCK_HZ = 50_000_000
CLOCKS_PER_BYTE = 4
_FRAME_BYTES = 8 + 14 + 4 + 12
"""Preamble, Ethernet header, FCS and gap."""
_TCP_IP_BYTES = 40
_REQUEST_BYTES = 12
"""Of MODBUS: a read's header and PDU."""
_READ_ONE = struct.pack(">BHH", 3, 0, 1)
_LIMIT_CLOCKS = 1_000_000
WIRE_LIMIT_PER_S = CLOCK_HZ / (CLOCKS_PER_BYTE * (_FRAME_BYTES + _TCP_IP_BYTES + _REQUEST_BYTES))
"""One-register reads that fit on a wire of 100 Mb/s: a request with its headers, preamble and gap is longer than its answer."""


def requests() -> dict[str, bytes]:
    """PDUs of all function codes at their least, middle and most quantities, for the registers of `network_top.py`."""

    def read(function: int, *counts: int) -> dict[str, bytes]:
        return {f"{function:2} × {count}": struct.pack(">BHH", function, 0, count) for count in counts}

    def write_registers(count: int) -> bytes:
        return struct.pack(">BHHB", 16, 0, count, 2 * count) + bytes(2 * count)

    def both(reads: int, writes: int) -> bytes:
        return struct.pack(">BHHHHB", 23, 0, reads, 0, writes, 2 * writes) + bytes(2 * writes)

    return {
        **read(1, 1, 16, 64),
        **read(2, 1, 100, 1000, 2000),
        **read(3, 1, 2, 10, 60, 100, 110, 125),
        **read(4, 1, 60, 125),
        " 5": b"\x05\x00\x01\xff\x00",
        " 6": b"\x06\x00\x01\x12\x34",
        " 8": b"\x08\x00\x00\x12\x34",
        "15 × 64": b"\x0f\x00\x00\x00\x40\x08" + bytes(8),
        "16 × 1": write_registers(1),
        "16 × 123": write_registers(123),
        "17": b"\x11",
        "22": b"\x16\x00\x01\xff\x00\x00\x12",
        "23 × 1, 1": both(1, 1),
        "23 × 125, 121": both(125, 121),
        "43/14 basic": b"\x2b\x0e\x01\x00",
        "43/14 regular": b"\x2b\x0e\x02\x00",
        " 3 at no register": struct.pack(">BHH", 3, 299, 2),
        " 3 × 126": struct.pack(">BHH", 3, 0, 126),
        "99": b"\x63",
    }


def latencies(network: CompiledNetwork) -> dict[str, int]:
    """Clocks from the last di-bit of each request's FCS to the first of its answer's preamble, the transmitter idle."""
    station = Station(network, NODE, LAPTOP)
    station.connect()
    found = {name: station.ask(pdu)[1] for name, pdu in requests().items()}
    station.reset()
    return found


def transactions_per_s(network: CompiledNetwork, clients: int, transactions: int) -> float:
    """One-register reads of so many clients in a second of the node's clock; each client asks again as soon as it has its answer.

    `network` is of no use afterwards: requests are on their way. Raises UnservedError when one client gets less than half of another's.
    """
    stations = {_address(number).ip: Station(network, NODE, _address(number), 42_000) for number in range(clients)}
    for station in stations.values():
        station.connect()
    for station in stations.values():
        network.inject(station.request(_READ_ONE))
    done: Counter[int] = Counter()
    begun = network.clocks
    while done.total() < transactions:
        sent = network.wait_sent(_LIMIT_CLOCKS)
        if sent is None:
            raise UnservedError(f"no answer within {_LIMIT_CLOCKS} clocks")
        found = segment_of(sent.frame)
        if found is None or not found[1].data:
            continue
        ip, segment = found
        stations[ip].accept(segment)
        network.inject(stations[ip].request(_READ_ONE))
        done[ip] += 1
        while network.received() is not None:
            pass
    seconds = (network.clocks - begun) / CLOCK_HZ
    if min(done.values()) < max(done.values()) // 2:
        raise UnservedError(f"clients were not served alike: {sorted(done.values())}")
    return done.total() / seconds


def _address(number: int) -> Address:
    ip = (NODE.ip & 0xFFFF_FF00) + 16 + number
    return Address(b"\x02\x00" + ip.to_bytes(4), ip)
