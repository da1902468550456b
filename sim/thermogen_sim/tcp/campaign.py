"""A run of nonsense against a compiled node's network at its pins, and what is held against it.

All that the node sends is looked at: whole frames with right sums and a gap before them, to somebody who asked, an echo only of what
was asked right. No register is written that nobody may write. After every thousand frames a client that does all right has to be served
within its time. In the end no place of a connection is taken.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from ..network_harness import CompiledNetwork, SentFrame
from .nonsense import Level, Nonsense, Wire
from .packets import ALL_STATIONS, ARP_TYPE, ICMP, IPV4_AT, IPV4_HEADER_BYTES, IPV4_TYPE, TCP
from .segment import Flag, Segment, checksum
from .station import LAPTOP, NODE, Address, Station, UnservedError, segment_of, settle

CLEAN_EVERY = 1000
PREAMBLE_DI_BITS, GAP_DI_BITS = 32, 48
_WRITTEN, _READ_ONLY, _REGISTERS = 20, 200, 100
_FRAME_OVERHEAD_BYTES = 20
"""Preamble and gap."""
_SILENCE_SECONDS = 60
"""Keep-alive has given up everybody by then: 30 s, and three probes 5 s apart."""
_CLEAN = Address(bytes.fromhex("0200c00002fa"), 0xC000_02FA)


class FoundError(Exception):
    """The node did what it must not; `wires` are the frames since a clean client was served last."""

    def __init__(self, what: str, wires: list[Wire]):
        super().__init__(what)
        self.wires = wires


@dataclass
class Summary:
    """What a run came to."""

    frames: Counter[Level] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    clean_clients: int = 0
    slowest_handshake: int = 0
    slowest_answer: int = 0
    clocks: int = 0


class Campaign:
    """One node of `network_top.py`, elaborated with `clocks_per_second`, and what is thrown at it."""

    def __init__(self, network: CompiledNetwork, clocks_per_second: int, seed: int):
        self._network, self._clocks_per_second = network, clocks_per_second
        self._nonsense = Nonsense(NODE.mac, NODE.ip, seed)
        self._wires: list[Wire] = []
        self._asked = {(one.mac, one.ip) for one in (LAPTOP, _CLEAN)}
        self._echoes: set[bytes] = set()
        self._on_the_wire = 0
        self._last_clock = -GAP_DI_BITS - 1
        self.summary = Summary()
        settle(network, NODE)

    def run(self, frames: int, progress: Callable[[Summary], None] = lambda _summary: None) -> Summary:
        """So many frames, then silence. Raises FoundError."""
        for number in range(1, frames + 1):
            wire = self._nonsense.frame()
            self.put(wire)
            self.pass_time(4 * (len(wire.wire) + _FRAME_OVERHEAD_BYTES))
            if number % CLEAN_EVERY == 0 or number == frames:
                self.serve_a_clean_client()
                progress(self.summary)
        self.fall_silent()
        return self.summary

    def put(self, wire: Wire) -> None:
        """One frame onto the wire."""
        self._wires.append(wire)
        self.summary.frames[wire.level] += 1
        frame = wire.wire[:-4]
        if frame[12:14] == IPV4_TYPE.to_bytes(2) and len(frame) > IPV4_AT + IPV4_HEADER_BYTES:
            self._asked.add((frame[6:12], int.from_bytes(frame[26:30])))
            self._expect_echo(frame[IPV4_AT:])
        elif frame[12:14] == ARP_TYPE.to_bytes(2):
            self._asked.add((frame[22:28], int.from_bytes(frame[28:32])))
        self._network.inject(wire.wire, **wire.flaws)
        self._on_the_wire += 1

    def pass_time(self, clocks: int) -> None:
        """All that is sent is looked at."""
        self._network.run(clocks)
        while sent := self._network.sent():
            self._look(sent)
        while self._network.received() is not None:
            self._on_the_wire -= 1
        self._hold(not self._network["trespassed"], "a register was written that nobody may write")

    def serve_a_clean_client(self) -> None:
        """Connects, reads, writes and goes while what was left behind is still being dealt with."""
        number = self.summary.clean_clients = self.summary.clean_clients + 1
        # A client's time begins with the end of its own frame.
        while self._on_the_wire:
            self.pass_time(_FRAME_OVERHEAD_BYTES)
        station = Station(self._network, NODE, _CLEAN, 30_000 + number % 20_000, number * 7919 % 2**32, self._look)
        written = struct.pack(">BHH", 6, _WRITTEN, number % 65536)
        values = struct.pack(f">BB{_REGISTERS}H", 3, 2 * _REGISTERS, *range(_READ_ONLY, _READ_ONLY + _REGISTERS))
        try:
            self.summary.slowest_handshake = max(self.summary.slowest_handshake, station.connect())
            for pdu, wanted in (
                (struct.pack(">BHH", 3, _READ_ONLY, _REGISTERS), values),
                (written, written),
                (struct.pack(">BHH", 3, _WRITTEN, 1), b"\x03\x02" + written[-2:]),
            ):
                answer, clocks = station.ask(pdu)
                self.summary.slowest_answer = max(self.summary.slowest_answer, clocks)
                self._hold(answer == wanted, f"a clean client read {answer.hex()} instead of {wanted.hex()}")
            station.reset()
        except UnservedError as error:
            raise FoundError(str(error), self._wires) from error
        self._wires.clear()
        self.summary.clocks = self._network.clocks

    def fall_silent(self) -> None:
        """Nobody sends any more: all places become free."""
        for _ in range(_SILENCE_SECONDS):
            self.pass_time(self._clocks_per_second)
        self._hold(self._network["used"] == 0, f"places are lost: {self._network['used']:#x}")

    def _hold(self, condition: bool, what: str) -> None:
        if not condition:
            raise FoundError(what, self._wires)

    def _expect_echo(self, packet: bytes) -> None:
        header, length = (packet[0] & 15) * 4, int.from_bytes(packet[2:4])
        if packet[9] == ICMP and header + 8 <= length <= len(packet) and not checksum(packet[header:length]):
            self._echoes.add(packet[header + 4 : length])

    def _look(self, sent: SentFrame) -> None:
        """Whatever the node sends."""
        frame = sent.frame
        self._hold(sent.intact, f"a damaged frame was sent: {sent.wire.hex()}")
        self._hold(sent.preamble_di_bits == PREAMBLE_DI_BITS, f"a preamble of {sent.preamble_di_bits} di-bits")
        gap = sent.first_clock - self._last_clock - 1
        self._hold(gap >= GAP_DI_BITS, f"a gap of {gap} di-bits")
        self._last_clock = sent.last_clock
        self._hold(frame[6:12] == NODE.mac, f"sent from another address: {frame.hex()}")
        if frame[12:14] == ARP_TYPE.to_bytes(2):
            self._look_at_arp(frame)
        else:
            self._look_at_ipv4(frame)

    def _look_at_arp(self, frame: bytes) -> None:
        self._hold(frame[22:32] == NODE.mac + NODE.ip.to_bytes(4), f"ARP says who we are not: {frame.hex()}")
        if frame[20:22] == b"\0\2":
            self._hold((frame[:6], int.from_bytes(frame[38:42])) in self._asked, f"an ARP answer that nobody asked for: {frame.hex()}")
            self.summary.answers["ARP answers"] += 1
        else:
            self._hold(frame[:6] == ALL_STATIONS, f"an ARP question to one: {frame.hex()}")
            self.summary.answers["ARP questions"] += 1

    def _look_at_ipv4(self, frame: bytes) -> None:
        packet = frame[IPV4_AT:]
        destination, length = int.from_bytes(packet[16:20]), int.from_bytes(packet[2:4])
        right = packet[0] == 0x45 and not checksum(packet[:IPV4_HEADER_BYTES]) and packet[12:16] == NODE.ip.to_bytes(4)
        self._hold(right and IPV4_HEADER_BYTES <= length <= len(packet), f"a wrong IP header: {frame.hex()}")
        self._hold((frame[:6], destination) in self._asked, f"to somebody who never asked: {frame.hex()}")
        payload = packet[IPV4_HEADER_BYTES:length]
        if packet[9] == ICMP:
            echoed = payload[:2] == b"\0\0" and not checksum(payload) and payload[4:] in self._echoes
            self._hold(echoed, f"an echo of nothing: {frame.hex()}")
            self.summary.answers["echoes"] += 1
            return
        self._hold(packet[9] == TCP, f"what layer is this: {frame.hex()}")
        try:
            found = segment_of(frame)
        except ValueError as error:
            raise FoundError(f"a wrong segment, {error}: {frame.hex()}", self._wires) from error
        assert found is not None
        self.summary.answers[_kind(found[1])] += 1
        self._nonsense.learn(*found)


def _kind(segment: Segment) -> str:
    """What a segment of the node is, by the first request that it answers."""
    if segment.flags & Flag.RST:
        return "resets"
    if segment.flags & Flag.SYN:
        return "handshakes"
    if segment.flags & Flag.FIN:
        return "ends"
    if not segment.data:
        return "bare acknowledgements"
    if len(segment.data) < 8:
        return "pieces of answers"
    return "exceptions" if segment.data[7] & 0x80 else "MODBUS answers"
