"""Ethernet frames and IPv4 packets as bytes, made independently of the gateware: right by default, and each field as one wants it."""

from __future__ import annotations

import struct

from .segment import checksum

ICMP, TCP, UDP = 1, 6, 17
IPV4_TYPE, ARP_TYPE = 0x0800, 0x0806
IPV4_AT, IPV4_HEADER_BYTES = 14, 20
ALL_STATIONS = b"\xff" * 6
_ETHERNET_OF_IPV4 = b"\x00\x01\x08\x00\x06\x04"


def ethernet(payload: bytes, kind: int, destination: bytes, source: bytes) -> bytes:
    """A frame without padding and FCS; `network_harness.with_fcs` adds both."""
    return destination + source + struct.pack(">H", kind) + payload


def ipv4(
    payload: bytes,
    protocol: int,
    source: int,
    destination: int,
    *,
    version: int = 4,
    words: int | None = None,
    length: int | None = None,
    fragment: int = 0x4000,
    ttl: int = 64,
    options: bytes = b"",
    damage: int = 0,
) -> bytes:
    """A packet; `words` and `length` are what the header says, `damage` is what its checksum is wrong by (exclusive or)."""
    words = 5 + len(options) // 4 if words is None else words
    length = IPV4_HEADER_BYTES + len(options) + len(payload) if length is None else length
    head = struct.pack(">BBHHHBBHII", version << 4 | words, 0, length, 0x1234, fragment, ttl, protocol, 0, source, destination) + options
    return head[:10] + struct.pack(">H", checksum(head) ^ damage) + head[12:] + payload


def icmp_echo(identifier: int, number: int, data: bytes, *, kind: int = 8, code: int = 0, damage: int = 0) -> bytes:
    """An echo request; kind 0 is the answer."""
    head = struct.pack(">BBHHH", kind, code, 0, identifier, number)
    return head[:2] + struct.pack(">H", checksum(head + data) ^ damage) + head[4:] + data


def arp(operation: int, sender: bytes, sender_ip: int, target: bytes, target_ip: int, *, addresses: bytes = _ETHERNET_OF_IPV4) -> bytes:
    """A packet; `addresses` are the kinds and lengths of its addresses."""
    return addresses + struct.pack(">H6sI6sI", operation, sender, sender_ip, target, target_ip)
