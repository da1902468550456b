"""A client whose every segment is made by hand: it does what TCP says only where it is told to."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from .bench import OWN_IP, Sent, TcpBench
from .segment import Flag, Segment

MODBUS_PORT = 502


def adu(transaction: int, pdu: bytes, unit: int = 1, length: int | None = None, protocol: int = 0) -> bytes:
    """A MODBUS TCP frame."""
    return struct.pack(">HHHB", transaction, protocol, len(pdu) + 1 if length is None else length, unit) + pdu


@dataclass
class Client:
    """One connection of one client."""

    bench: TcpBench
    ip: int = 0x0A00_0002
    port: int = 40000
    seq: int = 0x1000_0000
    ack: int = 0
    window: int = 65535
    mac: int = 0x0200_0000_0002
    received: bytes = b""
    last: Sent | None = None
    transaction: int = field(default=0)

    def segment(self, flags: Flag, data: bytes = b"", options: bytes = b"", seq: int | None = None, ack: int | None = None) -> Segment:
        """One with this client's numbers."""
        return Segment(
            self.port,
            MODBUS_PORT,
            self.seq if seq is None else seq,
            self.ack if ack is None else ack,
            flags,
            self.window,
            data,
            options,
        )

    def put(self, flags: Flag = Flag.ACK, data: bytes = b"", bad: bool = False, **numbers: int | bytes) -> Segment:
        """Send one; the client's own numbers stay."""
        segment = self.segment(flags, data, **numbers)  # type: ignore[arg-type]
        self.bench.put(segment.encode(self.ip, OWN_IP), self.ip, self.mac, bad=bad)
        return segment

    def send(self, data: bytes, flags: Flag = Flag.ACK | Flag.PSH) -> None:
        """Send data and count it as sent."""
        self.put(flags, data)
        self.seq = (self.seq + len(data)) % 2**32

    def wait(self, clocks: int = 2_000_000) -> Segment:
        """The next segment for this client; it must come."""
        self.last = self.bench.wait(clocks)
        assert self.last is not None, "no answer"
        assert (self.last.ip, self.last.mac) == (self.ip, self.mac)
        segment = self.last.segment
        assert (segment.source, segment.destination) == (MODBUS_PORT, self.port)
        return segment

    def connect(self, options: bytes = b"\x02\x04\x05\xb4") -> Client:
        """The three-way handshake."""
        self.put(Flag.SYN, options=options, ack=0)
        answer = self.wait()
        assert answer.flags == Flag.SYN | Flag.ACK
        assert answer.ack == (self.seq + 1) % 2**32
        self.seq, self.ack = answer.ack, answer.end
        self.put()
        self.bench.run(2000)
        return self

    def take_data(self, clocks: int = 2_000_000) -> bytes:
        """Data of the next segment, which must be the next in order."""
        segment = self.wait(clocks)
        assert segment.flags & ~Flag.PSH == Flag.ACK, segment
        assert segment.seq == self.ack, segment
        self.ack = segment.end
        return segment.data

    def answer(self, clocks: int = 2_000_000) -> bytes:
        """One whole ADU, of as many segments as it takes."""
        while len(self.received) < 6 or len(self.received) < 6 + int.from_bytes(self.received[4:6]):
            self.received += self.take_data(clocks)
        size = 6 + int.from_bytes(self.received[4:6])
        answer, self.received = self.received[:size], self.received[size:]
        return answer

    def ask(self, pdu: bytes, unit: int = 1) -> bytes:
        """A request's answer: its PDU, header checked."""
        self.transaction = (self.transaction + 1) % 65536
        self.send(adu(self.transaction, pdu, unit))
        answer = self.answer()
        assert answer[:7] == struct.pack(">HHHB", self.transaction, 0, len(answer) - 6, unit)
        return answer[7:]
