"""Seeded nonsense for a node's network, from the di-bits of a frame up to MODBUS: peers that know enough to get into every corner.

Each frame is spoiled at one level and right below it, so that it arrives there: a MODBUS request with a wrong length comes in a good TCP
segment, a bad IP header in a frame with a right FCS. Frames that nothing is wrong with are among them.
"""

from __future__ import annotations

import enum
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from ..network_harness import with_fcs
from .client import MODBUS_PORT, adu
from .packets import ALL_STATIONS, ARP_TYPE, ICMP, IPV4_TYPE, TCP, UDP, arp, ethernet, icmp_echo, ipv4
from .segment import Flag, Segment

_MOST_PEERS = 200
_FUNCTIONS = (1, 2, 3, 4, 5, 6, 8, 15, 16, 17, 22, 23, 43)
_WORDS = (0, 1, 2, 124, 125, 126, 199, 299, 300, 2000, 0xFF00, 0xFFFF)
_FLAGS = {
    Flag.SYN: 12,
    Flag.ACK: 20,
    Flag.ACK | Flag.PSH: 40,
    Flag.ACK | Flag.FIN: 4,
    Flag.RST: 1,
    Flag.RST | Flag.ACK: 1,
    Flag.SYN | Flag.ACK: 1,
    Flag.SYN | Flag.FIN: 1,
    Flag(0): 1,
    Flag(0x3F): 1,
}


class Level(enum.StrEnum):
    """Where a frame is spoiled, if it is."""

    ETHERNET = "Ethernet"
    ARP = "ARP"
    IP = "IP"
    ICMP = "ICMP"
    TCP = "TCP"
    MODBUS = "MODBUS"


_WEIGHTS = {Level.ETHERNET: 20, Level.ARP: 5, Level.IP: 15, Level.ICMP: 5, Level.TCP: 25, Level.MODBUS: 30}


@dataclass(frozen=True)
class Wire:
    """A frame as the wire brings it, FCS included, and what else is wrong with it (arguments of `CompiledNetwork.inject`)."""

    level: Level
    wire: bytes
    flaws: dict[str, int] = field(default_factory=dict)


@dataclass
class _Peer:
    seq: int
    ack: int = 0
    connected: bool = False
    rest: bytes = b""
    """Of a request whose beginning was sent."""


class Nonsense:
    """A stream of frames to the station with `mac` and `ip`. `learn` tells it what the station answered."""

    def __init__(self, mac: bytes, ip: int, seed: int):
        self._mac, self._ip = mac, ip
        self._chance = random.Random(seed)  # noqa: S311  not for secrets
        self._peers: dict[tuple[int, int], _Peer] = {}
        self._makers: dict[Level, Callable[[], Wire]] = {
            Level.ETHERNET: self._of_ethernet,
            Level.ARP: self._of_arp,
            Level.IP: self._of_ip,
            Level.ICMP: self._of_icmp,
            Level.TCP: self._of_tcp,
            Level.MODBUS: self._of_modbus,
        }

    def frame(self) -> Wire:
        """The next one."""
        (level,) = self._chance.choices(list(_WEIGHTS), list(_WEIGHTS.values()))
        return self._makers[level]()

    def learn(self, ip: int, segment: Segment) -> None:
        """A segment of the station to `ip`: mostly believed, so that conversations get somewhere."""
        peer = self._peers.get((ip, segment.destination))
        if peer is None or self._chance.random() > 0.97:
            return
        if segment.flags & Flag.RST:
            peer.connected, peer.rest, peer.seq = False, b"", self._chance.getrandbits(32)
            return
        peer.seq, peer.ack, peer.connected = segment.ack, segment.end, not segment.flags & Flag.FIN

    # MODBUS.

    def _pdu(self) -> bytes:
        chance = self._chance
        if chance.random() < 0.4:  # nothing is wrong with this one
            return struct.pack(">BHH", chance.choice((1, 2, 3, 4, 6)), chance.randrange(60), 1 + chance.randrange(4))
        function = chance.choice([*_FUNCTIONS, chance.randrange(256)])
        words = [chance.choice([*_WORDS, chance.getrandbits(16)]) for _ in range(4)]
        body = struct.pack(">4H", *words)[: chance.choice([4, 4, 4, 6, 8])]
        if function in (15, 16, 23):
            data = chance.randbytes(chance.choice([1, 2, 4, 16, 240, 246]))
            if chance.random() < 0.7:
                quantity = len(data) // 2 if function != 15 else 8 * len(data)
                body = struct.pack(">HH", words[0] % 80, max(1, quantity))
                body = struct.pack(">HH", words[0] % 200, 1 + words[1] % 100) + body if function == 23 else body
            body += bytes([len(data) & 0xFF]) + data
        elif function == 43:
            body = bytes((chance.choice((14, 13)), chance.choice((1, 2, 3, 4, chance.randrange(256))), chance.randrange(10)))
        return (bytes([function]) + body)[:253]

    def stream(self) -> bytes:
        """Bytes of a connection: requests, more or less."""
        chance = self._chance
        stream = b"".join(
            adu(
                chance.getrandbits(16),
                self._pdu(),
                length=chance.randrange(300) if chance.random() < 0.03 else None,
                protocol=1 if chance.random() < 0.01 else 0,
            )
            for _ in range(chance.choice([0, 1, 1, 1, 2, 5]))
        )
        if chance.random() < 0.02:
            stream = stream[chance.randrange(len(stream) + 1) :]
        if chance.random() < 0.02:
            stream += chance.randbytes(chance.randrange(600))
        return stream[:512]

    def _piece(self, peer: _Peer) -> bytes:
        """What a peer sends next: all that it has to say, or the beginning."""
        stream = peer.rest or self.stream()
        cut = self._chance.randrange(len(stream) + 1) if self._chance.random() < 0.3 else len(stream)
        peer.rest = stream[cut:]
        return stream[:cut]

    def _of_modbus(self) -> Wire:
        connected = [key for key, peer in self._peers.items() if peer.connected]
        if not connected:
            return self._segment_wire(Level.MODBUS, self._new_peer(), Flag.SYN, options=b"\x02\x04\x05\xb4")
        key = self._chance.choice(connected)
        peer = self._peers[key]
        data = self._piece(peer)
        wire = self._segment_wire(Level.MODBUS, key, Flag.ACK | Flag.PSH, data)
        peer.seq += len(data)
        return wire

    # TCP.

    def _new_peer(self) -> tuple[int, int]:
        chance = self._chance
        stranger = self._ip & 0xFFFF_0000 | 0x4000 | chance.getrandbits(14)
        key = chance.choice([*(4 * [self._host()]), stranger]), 1024 + chance.randrange(3)
        self._peers.setdefault(key, _Peer(chance.getrandbits(32)))
        if len(self._peers) > _MOST_PEERS:
            del self._peers[next(iter(self._peers))]
        return key

    def segment(self, key: tuple[int, int], flags: Flag, data: bytes = b"", options: bytes = b"", window: int = 65535) -> Segment:
        """With the peer's own numbers."""
        peer = self._peers[key]
        return Segment(key[1], MODBUS_PORT, peer.seq % 2**32, peer.ack % 2**32, flags, window, data, options)

    def _segment_wire(self, level: Level, key: tuple[int, int], flags: Flag, data: bytes = b"", options: bytes = b"") -> Wire:
        segment = self.segment(key, flags, data, options, self._chance.choice([*(10 * [65535]), 0, 1, 100, 300]))
        return self._packet(level, segment.encode(key[0], self._ip), TCP, key[0])

    def spoiled_segment(self) -> tuple[int, bytes]:
        """A segment with whatever may be wrong with one, and whose it is."""
        chance = self._chance
        key = self._new_peer() if chance.random() < 0.5 or not self._peers else chance.choice(list(self._peers))
        flags = chance.choices(list(_FLAGS), list(_FLAGS.values()))[0]
        data = self.stream() if flags & Flag.PSH else b""
        made = self.segment(key, flags, data)
        seq, ack = made.seq, made.ack
        if chance.random() < 0.2:
            seq += chance.choice([-1, 1, -len(data), 511, 512, 513, chance.getrandbits(32)])
        if chance.random() < 0.2:
            ack += chance.choice([-1, 1, 259, 70_000, -70_000, chance.getrandbits(32)])
        options = chance.choice([b"", b"", b"\x02\x04" + chance.randbytes(2), chance.randbytes(chance.randrange(40))])
        window = chance.choice([65535, 65535, 0, 1, 100, 300])
        port = MODBUS_PORT if chance.random() < 0.97 else chance.getrandbits(16)
        bytes_ = bytearray(Segment(key[1], port, seq % 2**32, ack % 2**32, flags, window, data, options).encode(key[0], self._ip))
        if chance.random() < 0.05:
            bytes_[chance.randrange(len(bytes_))] ^= 1 << chance.randrange(8)
        if chance.random() < 0.02:
            del bytes_[chance.randrange(len(bytes_)) :]
        return key[0], bytes(bytes_)

    def _of_tcp(self) -> Wire:
        ip, payload = self.spoiled_segment()
        return self._packet(Level.TCP, payload, TCP, ip)

    # Below.

    def _source_mac(self, ip: int) -> bytes:
        return b"\x02\x00" + ip.to_bytes(4)

    def _packet(self, level: Level, payload: bytes, protocol: int, source: int) -> Wire:
        packet = ipv4(payload, protocol, source, self._ip)
        return Wire(level, with_fcs(ethernet(packet, IPV4_TYPE, self._mac, self._source_mac(source))))

    def _host(self) -> int:
        return (self._ip & 0xFFFF_FF00) + 16 + self._chance.randrange(4)

    def _of_icmp(self) -> Wire:
        chance = self._chance
        data = chance.randbytes(chance.choice([0, 1, 17, 18, 19, 56, chance.randrange(300), 1472]))
        kind, code = chance.choice([8, 8, 8, 0, 3, 5, chance.randrange(256)]), chance.choice([0, 0, 0, chance.randrange(256)])
        payload = icmp_echo(chance.getrandbits(16), chance.getrandbits(16), data, kind=kind, code=code, damage=chance.choice([0, 0, 0, 1]))
        if chance.random() < 0.1:
            payload = payload[: chance.randrange(len(payload))]
        return self._packet(Level.ICMP, payload, ICMP, self._host())

    def _of_arp(self) -> Wire:
        chance = self._chance
        sender = self._host()
        mac = self._source_mac(sender)
        fields = bytearray(arp(chance.choice([1, 1, 1, 2, chance.getrandbits(16)]), mac, sender, bytes(6), self._ip))
        if chance.random() < 0.4:
            fields[chance.randrange(len(fields))] = chance.randrange(256)
        if chance.random() < 0.1:
            fields = fields[: chance.randrange(len(fields))]
        return Wire(Level.ARP, with_fcs(ethernet(bytes(fields), ARP_TYPE, chance.choice([ALL_STATIONS, self._mac]), mac)))

    def _of_ip(self) -> Wire:
        chance = self._chance
        source = chance.choice([self._host(), self._host(), self._ip, 0, 0xFFFF_FFFF, 0x7F00_0001, 0xE000_0001, chance.getrandbits(32)])
        destination = chance.choice([self._ip, self._ip, self._ip, 0xFFFF_FFFF, self._ip | 0xFF, 0xE000_0001, chance.getrandbits(32)])
        payload, protocol = chance.choice(
            [
                (icmp_echo(chance.getrandbits(16), 0, chance.randbytes(chance.randrange(80))), ICMP),
                (self.spoiled_segment()[1], TCP),
                (struct.pack(">HHHH", 67, 68, 300, 0) + chance.randbytes(chance.randrange(300)), UDP),
                (chance.randbytes(chance.randrange(200)), chance.randrange(256)),
            ]
        )
        spoiled: dict[str, int] = {}
        for name, value in (
            ("version", chance.randrange(16)),
            ("words", chance.randrange(16)),
            ("length", chance.choice([chance.getrandbits(16), 20 + len(payload) + chance.randrange(-30, 30)]) & 0xFFFF),
            ("fragment", chance.choice([0x2000, 0x0001, 0x8000, chance.getrandbits(16)])),
            ("ttl", chance.choice([0, 1])),
            ("damage", 1 << chance.randrange(16)),
        ):
            if chance.random() < 0.2:
                spoiled[name] = value
        options = chance.randbytes(4 * chance.randrange(11)) if chance.random() < 0.2 else b""
        packet = ipv4(payload, protocol, source, destination, options=options, **spoiled)
        return Wire(Level.IP, with_fcs(ethernet(packet, IPV4_TYPE, self._mac, self._source_mac(self._host()))))

    def _of_ethernet(self) -> Wire:
        """Something right above, spoiled on the wire; or no frame of anything."""
        chance = self._chance
        good = self._makers[chance.choice([Level.ARP, Level.ICMP, Level.TCP, Level.MODBUS])]()
        frame, fcs = bytearray(good.wire[:-4]), good.wire[-4:]
        way = chance.randrange(9)
        if way == 0:
            frame[chance.randrange(len(frame))] ^= 1 << chance.randrange(8)
            return Wire(Level.ETHERNET, bytes(frame) + fcs)
        if way == 1:
            return Wire(Level.ETHERNET, bytes(frame) + bytes(4 * [fcs[0] ^ chance.randrange(1, 256)]))
        if way == 2:
            return Wire(Level.ETHERNET, good.wire[: chance.randrange(len(good.wire))])
        if way == 3:
            frame[:6] = chance.choice([chance.randbytes(6), ALL_STATIONS, b"\x01\x00\x5e\x00\x00\x01", frame[6:12]])
        elif way == 4:
            frame[6:12] = chance.choice([self._mac, ALL_STATIONS, bytes(6), chance.randbytes(6)])
        elif way == 5:
            frame[12:14] = struct.pack(">H", chance.choice([0x8100, 0x86DD, 0x88CC, 46, 1500, chance.getrandbits(16)]))
        elif way == 6:
            longest = chance.choice([100, 100, 100, 100, 100, 1518, 1600, 3000])
            frame = bytearray(chance.choice([self._mac, ALL_STATIONS]) + chance.randbytes(chance.randrange(8, longest)))
        flaws = {}
        if way > 6:
            for name, value in (
                ("preamble_di_bits", chance.choice([0, 1, 7, 15, 63])),
                ("silent_di_bits", chance.randrange(20)),
                ("toggling_nibbles", chance.randrange(17)),
                ("dribble_di_bits", chance.randrange(1, 8)),
                ("error_at_byte", chance.randrange(len(good.wire))),
                ("gap_di_bits", chance.choice([4, 20, 40, 47, 400])),
            ):
                if chance.random() < 0.4:
                    flaws[name] = value
            return Wire(Level.ETHERNET, good.wire, flaws)
        return Wire(Level.ETHERNET, with_fcs(bytes(frame)))
