"""The half of `test_network_second_opinion.py` that cocotb runs inside the simulator: frames in at the RMII pins, IPv4 payloads out.

What is handed on is worked out here from RFC 791 (3.1), RFC 1122 (3.2.1), RFC 1071 and IEEE 802.3; that nothing is believed before
`commit`, and when it comes, is as `ports.py` says.
"""

import ipaddress
import random
import struct
from collections import Counter
from dataclasses import dataclass

import cocotb
from clock_bench import clock_and_reset
from cocotb.triggers import FallingEdge, ReadOnly
from mac_bench import PREAMBLE, di_bits, wire

SEED, FRAMES = 5, 114
OUR_MAC, TO_ALL_MAC = bytes.fromhex("02541a000001"), b"\xff" * 6
OUR_IP, TO_ALL_IP = bytes([192, 0, 2, 9]), b"\xff" * 4
ICMP, TCP, UDP = 1, 6, 17
SHORTEST_BYTES, COMMIT_CLOCKS, GAP_CLOCKS = 60, 3, 48
NOBODY = [ipaddress.ip_network(network) for network in ("0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3")]
"""Addresses that no packet comes from."""


def ones_complement(data):
    """RFC 1071: the checksum that makes the sum right; 0 for what has it in it."""
    padded = data + bytes(len(data) % 2)
    total = sum(struct.unpack(f">{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


@dataclass(frozen=True)
class Outcome:
    """What came of a frame: the payload that is to be believed and what is said with it, or what was counted."""

    payload: bytes | None = None
    protocol: int = 0
    mac: bytes = b""
    ip: bytes = b""
    checksum_good: bool = False
    to_all: bool = False
    header_error: bool = False
    fragment: bool = False


def expected(frame, intact):
    """Of a frame without its FCS; `intact` says that the FCS is right."""
    to, source, kind, packet = frame[:6], frame[6:12], frame[12:14], frame[14:]
    if not intact or kind != b"\x08\x00" or to not in (OUR_MAC, TO_ALL_MAC) or source[0] & 1:
        return Outcome()
    size, length = (packet[0] & 15) * 4, struct.unpack_from(">H", packet, 2)[0]
    header, ip, target, protocol = packet[:size], packet[12:16], packet[16:20], packet[9]
    if packet[0] >> 4 != 4 or size < 20 or not size <= length <= len(packet) or ones_complement(header):
        return Outcome(header_error=True)
    if struct.unpack_from(">H", packet, 6)[0] & 0x3FFF:
        return Outcome(fragment=True)
    host = ip != OUR_IP and not any(ipaddress.ip_address(ip) in network for network in NOBODY)
    for_us = target == OUR_IP if to == OUR_MAC else target == TO_ALL_IP and protocol == UDP
    payload = packet[size:length]
    if not host or not for_us or not payload:
        return Outcome()
    pseudo = b"" if protocol == ICMP else ip + target + struct.pack(">HH", protocol, len(payload))
    return Outcome(payload, protocol, source, ip, not ones_complement(pseudo + payload), target == TO_ALL_IP)


class Frames:
    """Seeded frames: most of them for us, each of the others with one thing that is not."""

    def __init__(self, seed):
        self._randomly = random.Random(seed)

    def _payload(self, protocol, ip, target):
        at, shortest = {ICMP: (2, 8), TCP: (16, 20), UDP: (6, 8)}[protocol]
        body = bytearray(self._randomly.randbytes(self._randomly.choice([shortest, 21, 27, 40, 77])))
        body[at : at + 2] = bytes(2)
        pseudo = b"" if protocol == ICMP else ip + target + struct.pack(">HH", protocol, len(body))
        body[at : at + 2] = struct.pack(">H", ones_complement(pseudo + body))
        return bytes(body)

    def next(self, flaw):
        """The frame without its FCS."""
        randomly = self._randomly
        ip, target, to = bytes([198, 51, 100, randomly.randrange(256)]), OUR_IP, OUR_MAC
        source = bytes([2]) + randomly.randbytes(5)
        protocol, kind, flags, version = randomly.choice([ICMP, TCP, UDP]), b"\x08\x00", randomly.choice([0, 0x4000]), 4
        options = randomly.randbytes(4 * randomly.choice([0, 0, 0, 1, 10]))
        match flaw:
            case "sender":
                ip = randomly.choice([OUR_IP, bytes([0, 1, 2, 3]), bytes([127, 0, 0, 1]), bytes([224, 0, 0, 1]), TO_ALL_IP])
            case "to all" | "to all but not UDP":
                to, target, protocol = TO_ALL_MAC, TO_ALL_IP, UDP if flaw == "to all" else TCP
            case "our address to all":
                to = TO_ALL_MAC
            case "another host":
                target = OUR_IP[:3] + bytes([OUR_IP[3] ^ 1 << randomly.randrange(8)])
            case "another card":
                to = OUR_MAC[:5] + bytes([OUR_MAC[5] ^ 1 << randomly.randrange(8)])
            case "group as source":
                source = bytes([source[0] | 1]) + source[1:]
            case "type":
                kind = randomly.choice([b"\x08\x06", b"\x86\xdd", b"\x08\x01"])
            case "fragment":
                flags = randomly.choice([0x2000, 1, 0x1FFF, 0x3001])
            case "version":
                version = randomly.choice([0, 5, 6, 12])
        payload = self._payload(protocol, ip, target)
        words, length = 5 + len(options) // 4, 20 + len(options) + len(payload)
        if flaw == "header words":
            words = randomly.randrange(5)
        if flaw == "length":
            length = randomly.choice([0, 19, 4 * words - 1, length + 200, 2048 + length, 0xFFFF])
        if flaw == "no payload":
            length = 4 * words
        header = bytearray(
            struct.pack(">BBHHHBBH", version << 4 | words, 0, length, randomly.randrange(0x10000), flags, 64, protocol, 0) + ip + target
        )
        header += options
        struct.pack_into(">H", header, 10, ones_complement(header))
        packet = header + payload
        if flaw == "header bit":
            packet[randomly.choice([1, 4, 5, 8, 10, 11])] ^= 1 << randomly.randrange(8)
        if flaw == "payload bit":
            packet[len(header) + randomly.randrange(len(payload))] ^= 1 << randomly.randrange(8)
        return (to + source + kind + bytes(packet)).ljust(SHORTEST_BYTES, self._randomly.choice([b"\0", b"\xa5"]))


FLAWS = (
    None,
    None,
    None,
    "sender",
    "to all",
    "to all but not UDP",
    "our address to all",
    "another host",
    "another card",
    "group as source",
    "type",
    "fragment",
    "version",
    "header words",
    "length",
    "no payload",
    "header bit",
    "payload bit",
    "frame bit",
)


async def receive(dut, data):
    """Drive a frame as it is on the wire; its Outcome."""
    pins = [(1, bit) for bit in PREAMBLE + di_bits(data)]
    last = len(pins) - 1
    payload, outcome, events = bytearray(), None, Counter()
    for clock, (crs_dv, rxd) in enumerate([*pins, *[(0, 0)] * GAP_CLOCKS]):
        dut.crs_dv.value, dut.rxd.value = crs_dv, rxd
        await ReadOnly()
        if dut.ingress__valid.value:
            assert outcome is None, "a byte after the verdict"
            assert bool(dut.ingress__first.value) == (not payload), "not the first byte is marked"
            payload.append(int(dut.ingress__byte.value))
        for name in ("header_error", "fragment"):
            events[name] += bool(getattr(dut, name).value)
        commit, drop = bool(dut.ingress__commit.value), bool(dut.ingress__drop.value)
        if commit or drop:
            assert commit != drop, "believed and dropped"
            assert payload, "a verdict on nothing"
            assert outcome is None, "two verdicts"
            assert last < clock <= last + COMMIT_CLOCKS, "the verdict is not at the frame's end"
            outcome = Outcome()
        if commit:
            peer = int(dut.ingress__peer.value).to_bytes(10, "little")
            assert int(dut.ingress__length.value) == len(payload)
            protocol, good, to_all = (int(pin.value) for pin in (dut.ingress__protocol, dut.checksum_good, dut.to_all))
            outcome = Outcome(bytes(payload), protocol, peer[:3:-1], peer[3::-1], bool(good), bool(to_all))
        await FallingEdge(dut.clk)
    assert outcome or not payload, "no verdict"
    assert max(events.values()) <= 1
    counted = {name: True for name, times in events.items() if times}
    assert not (counted and outcome and outcome.payload), "counted as wrong and believed"
    return Outcome(**counted) if counted else outcome or Outcome()


@cocotb.test()
async def what_is_for_us_and_right_is_handed_on_and_nothing_else(dut):
    for pin in (dut.rxd, dut.crs_dv, dut.rx_er):
        pin.value = 0
    dut.mac.value, dut.address.value, dut.addressed.value = int.from_bytes(OUR_MAC), int.from_bytes(OUR_IP), 1
    await clock_and_reset(dut)
    for _ in range(4):
        await FallingEdge(dut.clk)
    frames, randomly = Frames(SEED), random.Random(SEED)
    for number in range(FRAMES):
        flaw = FLAWS[number % len(FLAWS)]
        frame = frames.next(flaw)
        data = bytearray(wire(frame))
        if flaw == "frame bit":
            data[randomly.randrange(len(data))] ^= 1 << randomly.randrange(8)
        outcome, right = await receive(dut, bytes(data)), expected(frame, flaw != "frame bit")
        assert outcome == right, f"{number} ({flaw}): of {frame.hex()} came {outcome}, not {right}"
        if flaw in (None, "to all", "payload bit"):
            assert outcome.payload, "nothing came of a frame that was for us"
            assert outcome.checksum_good == (flaw != "payload bit")
