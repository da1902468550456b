"""TCP segments as bytes, made and read independently of the gateware. Reference: RFC 9293 section 3.1, RFC 1071."""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass

HEADER = struct.Struct(">HHIIHHHH")


class Flag(enum.IntFlag):
    """Control bits."""

    FIN = 0x01
    SYN = 0x02
    RST = 0x04
    PSH = 0x08
    ACK = 0x10
    URG = 0x20


def checksum(data: bytes) -> int:
    """The Internet checksum."""
    padded = data + b"\x00" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return int(~total & 0xFFFF)


def pseudo_header(source: int, destination: int, size: int) -> bytes:
    """What the checksum covers besides the segment."""
    return struct.pack(">IIBBH", source, destination, 0, 6, size)


@dataclass(frozen=True)
class Segment:
    """A segment; ports, numbers and flags as on the wire."""

    source: int
    destination: int
    seq: int
    ack: int
    flags: Flag
    window: int = 65535
    data: bytes = b""
    options: bytes = b""

    def encode(self, source_ip: int, destination_ip: int) -> bytes:
        """With its checksum."""
        options = self.options + b"\x00" * (-len(self.options) % 4)
        words = (HEADER.size + len(options)) // 4
        head = (self.source, self.destination, self.seq % 2**32, self.ack % 2**32, words << 12 | self.flags, self.window)
        size = HEADER.size + len(options) + len(self.data)
        plain = HEADER.pack(*head, 0, 0) + options + self.data
        return HEADER.pack(*head, checksum(pseudo_header(source_ip, destination_ip, size) + plain), 0) + options + self.data

    @classmethod
    def decode(cls, payload: bytes, source_ip: int, destination_ip: int) -> Segment:
        """Raises ValueError if the checksum or the header's length is wrong."""
        source, destination, seq, ack, flags, window, _, _ = HEADER.unpack_from(payload)
        start = flags >> 12 << 2
        if start < HEADER.size or start > len(payload):
            raise ValueError(f"header of {start} bytes in {len(payload)}")
        if checksum(pseudo_header(source_ip, destination_ip, len(payload)) + payload):
            raise ValueError("wrong checksum")
        return cls(source, destination, seq, ack, Flag(flags & 0x3F), window, payload[start:], payload[HEADER.size : start])

    @property
    def end(self) -> int:
        """Sequence number after it."""
        return (self.seq + len(self.data) + bool(self.flags & Flag.SYN) + bool(self.flags & Flag.FIN)) % 2**32
