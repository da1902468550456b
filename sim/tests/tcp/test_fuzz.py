"""Seeded nonsense at TCP and MODBUS level; after every thousand frames a clean client must be served within its time."""

from __future__ import annotations

import random
import struct

import pytest
from thermogen_sim.tcp.bench import OWN_IP, Space, TcpBench
from thermogen_sim.tcp.client import MODBUS_PORT, Client, adu
from thermogen_sim.tcp.segment import Flag, Segment

SERVED_CLOCKS = 20_000
"""A clean client's handshake and each of its answers: 0.4 ms."""
FLAGS = [
    Flag.SYN,
    Flag.ACK,
    Flag.ACK | Flag.PSH,
    Flag.ACK | Flag.FIN,
    Flag.RST,
    Flag.RST | Flag.ACK,
    Flag.SYN | Flag.ACK,
    Flag.SYN | Flag.FIN,
    Flag(0),
    Flag(0x3F),
]


class Fuzzer:
    """Peers that know a little of TCP: enough to get into every corner, not enough to be of use."""

    def __init__(self, bench: TcpBench, seed: int):
        self._bench = bench
        self._chance = random.Random(seed)
        self._peers: dict[tuple[int, int], list[int]] = {}

    def _pdu(self) -> bytes:
        chance = self._chance
        function = chance.choice([1, 2, 3, 4, 5, 6, 8, 15, 16, 17, 22, 23, 43, chance.randrange(256)])
        words = [chance.choice([0, 1, 2, 124, 125, 126, 199, 299, 300, 2000, 0xFF00, 0xFFFF, chance.getrandbits(16)]) for _ in range(4)]
        body = struct.pack(">4H", *words)[: chance.choice([4, 4, 4, 6, 8])]
        if function in (15, 16, 23):
            data = chance.randbytes(chance.choice([1, 2, 4, 16, 240, 246]))
            if chance.random() < 0.7:
                quantity = len(data) // 2 if function != 15 else 8 * len(data)
                body = struct.pack(">HH", words[0] % 80, max(1, quantity))
                body = struct.pack(">HH", words[0] % 200, 1 + words[1] % 100) + body if function == 23 else body
            body += bytes([len(data) & 0xFF]) + data
        return (bytes([function]) + body)[:253]

    def _data(self) -> bytes:
        chance = self._chance
        stream = b"".join(
            adu(
                chance.getrandbits(16),
                self._pdu(),
                length=chance.randrange(300) if chance.random() < 0.05 else None,
                protocol=1 if chance.random() < 0.01 else 0,
            )
            for _ in range(chance.choice([0, 1, 1, 1, 2, 5]))
        )
        if chance.random() < 0.2:
            cut = chance.randrange(len(stream) + 1)
            stream = stream[cut:] if chance.random() < 0.3 else stream[:cut]
        if chance.random() < 0.05:
            stream += chance.randbytes(chance.randrange(600))
        return stream[: chance.choice([512, 536, 1400])]

    def frame(self) -> None:
        """One frame to the server."""
        chance = self._chance
        key = chance.choice([0x0A000010 + chance.randrange(4), chance.getrandbits(32)]), 1024 + chance.randrange(6)
        numbers = self._peers.setdefault(key, [chance.getrandbits(32), 0])
        if len(self._peers) > 200:
            del self._peers[next(iter(self._peers))]
        flags = chance.choices(FLAGS, [10, 20, 60, 4, 1, 1, 1, 1, 1, 1])[0]
        data = self._data() if flags & Flag.PSH else b""
        seq, ack = numbers
        if chance.random() < 0.1:
            seq += chance.choice([-1, 1, -len(data), 511, 512, 513, chance.getrandbits(32)])
        if chance.random() < 0.1:
            ack += chance.choice([-1, 1, 259, 70_000, -70_000, chance.getrandbits(32)])
        options = chance.choice([b"", b"\x02\x04" + chance.randbytes(2), chance.randbytes(chance.randrange(40))])
        window = chance.choice([65535, 65535, 0, 1, 100, 300])
        segment = Segment(key[1], MODBUS_PORT, seq % 2**32, ack % 2**32, flags, window, data, options)
        wire = bytearray(segment.encode(key[0], OWN_IP))
        if chance.random() < 0.05:
            wire[chance.randrange(len(wire))] ^= 1 << chance.randrange(8)
        if chance.random() < 0.02:
            del wire[chance.randrange(len(wire)) :]
        self._bench.put(bytes(wire), key[0], bad=chance.random() < 0.03)
        if chance.random() < 0.3:
            self._bench.run(chance.randrange(3000))
        while sent := self._bench.take():
            self._learn(sent.ip, sent.segment)

    def _learn(self, ip: int, segment: Segment) -> None:
        numbers = self._peers.get((ip, segment.destination))
        if numbers and self._chance.random() < 0.9:
            numbers[:] = [segment.ack, segment.end]


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
