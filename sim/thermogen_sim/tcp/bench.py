"""The compiled server as an object: IP payloads in, IP payloads out, and the registers behind it."""

from __future__ import annotations

import ctypes
import enum
from dataclasses import dataclass
from pathlib import Path

from .segment import Segment

OWN_IP = 0x0A00_0001
CLOCK_HZ = 50_000_000
_LIMIT_CLOCKS = 2_000_000
"""Bound of every wait: 40 ms."""


class Space(enum.IntEnum):
    """The registers' spaces."""

    COILS = 0
    DISCRETE_INPUTS = 1
    INPUT_REGISTERS = 2
    HOLDING_REGISTERS = 3


READABLE, WRITABLE = 1, 3


@dataclass(frozen=True)
class Sent:
    """A segment that the server sent: to whom, the clocks of its preamble's first di-bit and of its FCS's last."""

    segment: Segment
    ip: int
    mac: int
    begins: int
    ends: int


@dataclass(frozen=True)
class Counts:
    """What the registers have seen."""

    begins: int
    ends: int
    aborts: int
    applied: int
    overfull: int
    peer_ip: int


class TcpBench:
    """Time passes in `run`, `wait` and `settle` only."""

    def __init__(self, library: Path, isn_key: int = 0x0123_4567_89AB_CDEF):
        self._library = ctypes.CDLL(str(library.resolve()))
        u64, u32, size = ctypes.c_uint64, ctypes.c_uint32, ctypes.c_size_t
        pointer, text, whole, part = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint
        for name, result, arguments in (
            ("new", pointer, (u32, u64)),
            ("delete", None, (pointer,)),
            ("prefer", None, (pointer, part, u32)),
            ("clocks", u64, (pointer,)),
            ("faults", u64, (pointer,)),
            ("used", part, (pointer,)),
            ("hold", None, (pointer, whole)),
            ("put", None, (pointer, u64, u32, u64, whole, whole, text, size)),
            ("run", u64, (pointer, u64, whole)),
            ("take", whole, (pointer, text, pointer, pointer, pointer)),
            ("last_arrival", u64, (pointer,)),
            ("incoming", size, (pointer,)),
            ("register", None, (pointer, part, part, part, whole)),
            ("read", part, (pointer, part, part)),
            ("write", None, (pointer, part, part, part)),
            ("policy", None, (pointer, whole, whole, part, part)),
            ("counts", None, (pointer, pointer)),
        ):
            function = getattr(self._library, f"tz_tcp_{name}")
            function.restype, function.argtypes = result, arguments
            setattr(self, f"_{name}", function)
        self._bench = self._new(OWN_IP, isn_key)  # type: ignore[attr-defined]

    def _call(self, name: str, *arguments: object) -> int:
        return int(getattr(self, f"_{name}")(self._bench, *arguments) or 0)

    def close(self) -> None:
        """Free the model."""
        if self._bench:
            self._call("delete")
            self._bench = None

    @property
    def clocks(self) -> int:
        """Clocks so far."""
        return self._call("clocks")

    @property
    def faults(self) -> int:
        """What the server did that its ports do not allow, as bits: see `tcp_bench.cc`."""
        return self._call("faults")

    @property
    def connections(self) -> int:
        """How many places are taken."""
        return self._call("used").bit_count()

    @property
    def last_arrival(self) -> int:
        """The clock of the last di-bit that came."""
        return self._call("last_arrival")

    @property
    def counts(self) -> Counts:
        """What the registers have seen."""
        values = (ctypes.c_uint64 * 6)()
        self._call("counts", ctypes.addressof(values))
        return Counts(*values)

    def prefer(self, index: int, ip: int) -> None:
        """Put an address into the list of clients that never give way."""
        self._call("prefer", index, ip)

    def hold(self, held: bool) -> None:
        """Keep the transmitter busy with another layer."""
        self._call("hold", held)

    def put(self, payload: bytes, ip: int, mac: int = 0x0200_0000_0001, begins: int = 0, protocol: int = 6, bad: bool = False) -> None:
        """A payload arrives as soon as the wire is free; `bad`: its FCS is wrong."""
        self._call("put", begins, ip, mac, protocol, bad, payload, len(payload))

    def take(self) -> Sent | None:
        """The oldest segment that was sent, its checksum checked."""
        payload, ip, mac, times = ctypes.create_string_buffer(2048), ctypes.c_uint32(), ctypes.c_uint64(), (ctypes.c_uint64 * 2)()
        size = self._call("take", payload, ctypes.addressof(ip), ctypes.addressof(mac), ctypes.addressof(times))
        if size < 0:
            return None
        return Sent(Segment.decode(payload.raw[:size], OWN_IP, ip.value), ip.value, mac.value, times[0], times[1])

    def run(self, clocks: int) -> None:
        """Let time pass."""
        self._call("run", clocks, 0)

    def wait(self, clocks: int = _LIMIT_CLOCKS) -> Sent | None:
        """The next segment that is sent, if one is within so many clocks."""
        self._call("run", clocks, 1)
        return self.take()

    def drain(self, quiet_clocks: int = 4000) -> list[Sent]:
        """All that is sent until nothing has been for so long and nothing is left to come in."""
        sent: list[Sent] = []
        while (one := self.wait(quiet_clocks)) or self._call("incoming"):
            if one:
                sent.append(one)
        return sent

    def declare(self, space: Space, address: int, count: int = 1, access: int = WRITABLE) -> None:
        """Make registers be there."""
        self._call("register", space, address, count, access)

    def __getitem__(self, at: tuple[Space, int]) -> int:
        return self._call("read", *at)

    def __setitem__(self, at: tuple[Space, int], value: int) -> None:
        self._call("write", *at, value)

    def policy(self, allowed: bool = True, busy: bool = False, low: int = 0, high: int = 0xFFFF) -> None:
        """Whether writes are allowed, the file is busy, and the range of holding registers."""
        self._call("policy", allowed, busy, low, high)
