"""Seeded nonsense at TCP and MODBUS level; after every thousand frames a clean client must be served within its time."""

from __future__ import annotations

import random
import struct

import pytest
from thermogen_sim.tcp.bench import OWN_IP, Space, TcpBench
from thermogen_sim.tcp.client import Client, adu
from thermogen_sim.tcp.nonsense import Nonsense
from thermogen_sim.tcp.segment import Flag, Segment

SERVED_CLOCKS = 20_000
"""A clean client's handshake and each of its answers: 0.4 ms."""


class Fuzzer:
    """The peers of `nonsense.py`, past the layers below TCP."""

    def __init__(self, bench: TcpBench, seed: int):
        self._bench = bench
        self._chance = random.Random(seed)
        self._nonsense = Nonsense(bytes(6), OWN_IP, seed)

    def frame(self) -> None:
        """One segment to the server."""
        ip, segment = self._nonsense.spoiled_segment()
        self._bench.put(segment, ip, bad=self._chance.random() < 0.03)
        if self._chance.random() < 0.3:
            self._bench.run(self._chance.randrange(3000))
        while sent := self._bench.take():
            self._nonsense.learn(sent.ip, sent.segment)


def clean_client_is_served(bench: TcpBench, number: int) -> None:
    """A client that does all right connects, reads, writes and closes while what the fuzzer left is still being dealt with."""
    client = Client(bench, ip=0x0A0000FA, port=30000 + number % 20000, seq=number * 7919)

    def wait() -> Segment:
        end = bench.clocks + SERVED_CLOCKS
        while bench.clocks < end:
            sent = bench.wait(end - bench.clocks)
            if sent and (sent.ip, sent.segment.destination) == (client.ip, client.port):
                return sent.segment
        raise AssertionError("a clean client was not served in its time")

    client.put(Flag.SYN, ack=0)
    answer = wait()
    assert answer.flags == Flag.SYN | Flag.ACK
    client.seq, client.ack = answer.ack, answer.end
    client.put()
    expected = struct.pack(">5H", *(bench[Space.INPUT_REGISTERS, at] for at in range(5)))
    for pdu, wanted in ((b"\x04\x00\x00\x00\x05", b"\x04\x0a" + expected), (b"\x06\x00\x14\x12\x34", b"\x06\x00\x14\x12\x34")):
        client.send(adu(number % 65536, pdu))
        answer = wait()
        assert answer.data == adu(number % 65536, wanted)
        client.ack = answer.end
    assert bench[Space.HOLDING_REGISTERS, 20] == 0x1234
    client.put(Flag.RST)


def fuzz(bench: TcpBench, frames: int, seed: int) -> None:
    fuzzer = Fuzzer(bench, seed)
    for number in range(1, frames + 1):
        fuzzer.frame()
        if number % 1000 == 0:
            bench[Space.HOLDING_REGISTERS, 20] = 0
            bench.drain(500)
            clean_client_is_served(bench, number)
            assert bench.faults == 0
            assert bench.counts.overfull == 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_nonsense_leaves_the_server_of_use(bench, seed):
    fuzz(bench, 4_000, seed)


@pytest.mark.slow
@pytest.mark.soak
def test_a_million_frames_of_nonsense(bench):
    fuzz(bench, 1_000_000, 3)
