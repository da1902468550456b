"""A host on the node's wire with one connection, which does all right and measures in clocks how soon it is answered."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from ..network_harness import CompiledNetwork, SentFrame, with_fcs
from .client import MODBUS_PORT, adu
from .packets import IPV4_AT, IPV4_HEADER_BYTES, IPV4_TYPE, TCP, ethernet, ipv4
from .segment import Flag, Segment

LIMIT_CLOCKS = 20_000
"""So long an answer is waited for: 0.4 ms."""
_DRAIN_CLOCKS = 400


class UnservedError(Exception):
    """A client that did all right was not answered, or wrongly."""


@dataclass(frozen=True)
class Address:
    """Of a station: hardware and IPv4."""

    mac: bytes
    ip: int


NODE = Address(bytes.fromhex("0200c0000202"), 0xC000_0202)
LAPTOP = Address(bytes.fromhex("0200c0000201"), 0xC000_0201)
"""Addresses as good as any."""


def segment_of(frame: bytes) -> tuple[int, Segment] | None:
    """Whom a frame's segment is for, and the segment; None if it has none."""
    packet = frame[IPV4_AT:]
    if frame[12:14] != IPV4_TYPE.to_bytes(2) or packet[9] != TCP:
        return None
    source, destination = int.from_bytes(packet[12:16]), int.from_bytes(packet[16:20])
    return destination, Segment.decode(packet[IPV4_HEADER_BYTES : int.from_bytes(packet[2:4])], source, destination)


def settle(network: CompiledNetwork, node: Address) -> None:
    """Give the stack of `network_top.py` its address, and wait until it has a link and has said who it is."""
    network["mac"], network["ip"], network["netmask"] = int.from_bytes(node.mac), node.ip, 0xFFFF_FF00
    network["isn_key"] = 0x1122_3344_5566_7788
    network.run(100_000)
    while network.sent():
        pass
    while network.received() is not None:
        pass


class Station:
    """One connection of one host. `others` is handed each frame that is not for it."""

    def __init__(
        self,
        network: CompiledNetwork,
        node: Address,
        own: Address,
        port: int = 40000,
        seq: int = 1000,
        others: Callable[[SentFrame], None] = lambda _frame: None,
    ):
        self._network, self._node, self._own, self._port = network, node, own, port
        self._seq, self._ack, self._others = seq, 0, others
        self._transaction = 0

    def connect(self) -> int:
        """The handshake; clocks from the last di-bit of the SYN to the first of its answer."""
        answer, clocks = self._exchange(self._wire(Flag.SYN))
        if answer.flags != Flag.SYN | Flag.ACK:
            raise UnservedError(f"a SYN was answered by {answer.flags!r}")
        self._seq, self._ack = answer.ack, answer.end
        self._acknowledge()
        return clocks

    def ask(self, pdu: bytes) -> tuple[bytes, int]:
        """The answer's PDU, its header checked, and clocks from the request's last di-bit to the answer's first."""
        segment, clocks = self._exchange(self.request(pdu))
        answer = self.accept(segment)
        self._acknowledge()
        return answer, clocks

    def request(self, pdu: bytes) -> bytes:
        """A request's frame, which acknowledges what was accepted."""
        self._transaction = (self._transaction + 1) % 65536
        return self._wire(Flag.ACK | Flag.PSH, adu(self._transaction, pdu))

    def accept(self, answer: Segment) -> bytes:
        """The PDU of the last request's answer, its header checked."""
        if answer.data[:7] != struct.pack(">HHHB", self._transaction, 0, len(answer.data) - 6, 1):
            raise UnservedError(f"a request was answered by {answer.data.hex()}")
        self._seq, self._ack = answer.ack, answer.end
        return answer.data[7:]

    def say(self, stream: bytes) -> None:
        """Bytes of the connection, whatever they are; what is answered is not looked at."""
        self._network.inject(self._wire(Flag.ACK | Flag.PSH, stream))
        self._seq = (self._seq + len(stream)) % 2**32
        self._drain()

    def reset(self) -> None:
        """Go away at once."""
        self._network.inject(self._wire(Flag.RST))
        self._drain()

    def _wire(self, flags: Flag, data: bytes = b"") -> bytes:
        segment = Segment(self._port, MODBUS_PORT, self._seq, self._ack, flags, data=data).encode(self._own.ip, self._node.ip)
        packet = ipv4(segment, TCP, self._own.ip, self._node.ip)
        return with_fcs(ethernet(packet, IPV4_TYPE, self._node.mac, self._own.mac))

    def _acknowledge(self) -> None:
        self._network.inject(self._wire(Flag.ACK))
        self._drain()

    def _drain(self) -> None:
        while self._network.received() is None:
            self._network.run(_DRAIN_CLOCKS)

    def _exchange(self, wire: bytes) -> tuple[Segment, int]:
        self._network.inject(wire)
        end = self._network.clocks + 4 * len(wire) + LIMIT_CLOCKS
        while self._network.clocks < end:
            sent = self._network.wait_sent(end - self._network.clocks)
            if sent is None:
                break
            found = segment_of(sent.frame) if sent.intact else None
            if found is None or found[0] != self._own.ip or found[1].destination != self._port:
                self._others(sent)
                continue
            received = self._network.received()
            if received is None:
                raise UnservedError("an answer came before its request")
            return found[1], sent.first_clock - received
        raise UnservedError(f"no answer within {LIMIT_CLOCKS} clocks")
