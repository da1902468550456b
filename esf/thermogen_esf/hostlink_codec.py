"""Host-link transactions as bytes, for both ends: what `hostlink` describes.

The host side builds the bytes to send and reads the bytes that came back; the node side reads what was sent and builds the answer. Two
kinds of failure differ in what to do: a DamagedError says nothing about the request, so send it again; a RefusedError is the node's answer.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from .crc import crc32c
from .hostlink import LEAF_SLOTS, MAX_WRITE_WORDS, TURNAROUND_BYTES, Opcode, Status
from .layout import LEAF_BYTES

_HEAD = struct.Struct(">BBHH")
_CRC_BYTES = 4
_STATUS_BYTES = 2
_WORDS = 1 << 16


class HostLinkFrameError(ValueError):
    """A host-link transaction that is not as it should be."""


class DamagedError(HostLinkFrameError):
    """The bytes are short, fail their CRC or belong to another request."""


class RefusedError(HostLinkFrameError):
    """The node got the request, or a damaged one, and answered something else than OK."""

    def __init__(self, status: Status, request: Request) -> None:
        super().__init__(f"the node answered {status.name} to {request}")
        self.status = status


class RequestError(HostLinkFrameError):
    """What was sent is no request; `status` is how a node answers it and `tag` what it answers with."""

    def __init__(self, status: Status, tag: int, problem: str) -> None:
        super().__init__(problem)
        self.status = status
        self.tag = tag


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `count` is in 16-bit words; `words` are what a WRITE writes. Make one with `read`, `write` or `leaf`."""

    opcode: Opcode
    tag: int
    address: int
    count: int
    words: tuple[int, ...] = ()

    @classmethod
    def read(cls, tag: int, address: int, count: int) -> Request:
        """A request for `count` words from word `address` on."""
        if not count >= 1 or not 0 <= address <= _WORDS - count:
            raise ValueError(f"READ of {count} words at {address:#x} lies outside the 16-bit word addresses")
        return cls(Opcode.READ, tag & 0xFF, address, count)

    @classmethod
    def write(cls, tag: int, address: int, words: Sequence[int]) -> Request:
        """A request to write 1 to 64 words of 16 bits from word `address` on."""
        if not 1 <= len(words) <= MAX_WRITE_WORDS or not 0 <= address <= _WORDS - len(words):
            raise ValueError(f"WRITE of {len(words)} words at {address:#x}: a request takes 1 to {MAX_WRITE_WORDS}")
        if any(not 0 <= word < _WORDS for word in words):
            raise ValueError(f"WRITE at {address:#x}: words are 0 to {_WORDS - 1}")
        return cls(Opcode.WRITE, tag & 0xFF, address, len(words), tuple(words))

    @classmethod
    def leaf(cls, tag: int, sequence: int) -> Request:
        """A request for the leaf of a sequence number; the slot may hold another one by now."""
        return cls(Opcode.LEAF, tag & 0xFF, sequence % LEAF_SLOTS, 0)

    @property
    def data_bytes(self) -> int:
        """Bytes of data in the answer when its status is OK."""
        return {Opcode.READ: 2 * self.count, Opcode.WRITE: 0, Opcode.LEAF: LEAF_BYTES}[self.opcode]

    def __str__(self) -> str:
        return (
            f"LEAF of slot {self.address}"
            if self.opcode is Opcode.LEAF
            else f"{self.opcode.name} of {self.count} words at {self.address:#05x}"
        )


def build_request(request: Request) -> bytes:
    """The request's own bytes, CRC included."""
    return _with_crc(
        _HEAD.pack(request.opcode, request.tag, request.address, request.count) + struct.pack(f">{len(request.words)}H", *request.words)
    )


def build_transaction(request: Request) -> bytes:
    """All bytes that the host sends: the request, then zeros while the node turns round and answers."""
    return build_request(request) + bytes(TURNAROUND_BYTES + _STATUS_BYTES + request.data_bytes + _CRC_BYTES)


def parse_request(sent: bytes) -> Request:
    """The request that a node finds in what was sent, the host's trailing zeros included. RequestError where it is none."""
    if len(sent) < _HEAD.size:
        raise RequestError(Status.BAD_CRC, sent[1] if len(sent) > 1 else 0, f"{len(sent)} bytes are no request")
    code, tag, address, count = _HEAD.unpack_from(sent)
    content = 2 * count if code == Opcode.WRITE else 0
    if code == Opcode.WRITE and not 1 <= count <= MAX_WRITE_WORDS:
        raise RequestError(Status.BAD_ADDRESS, tag, f"WRITE of {count} words, a request takes 1 to {MAX_WRITE_WORDS}")
    end = _HEAD.size + content
    if not _crc_holds(sent, end):
        raise RequestError(Status.BAD_CRC, tag, "the request's CRC is wrong")
    if code not in _OPCODES:
        raise RequestError(Status.BAD_OPCODE, tag, f"opcode {code:#04x} is none of {', '.join(opcode.name for opcode in Opcode)}")
    if code == Opcode.LEAF and (address >= LEAF_SLOTS or count):
        raise RequestError(Status.BAD_ADDRESS, tag, f"LEAF of slot {address}, count {count}: there are {LEAF_SLOTS} slots, the count is 0")
    return Request(Opcode(code), tag, address, count, struct.unpack_from(f">{content // 2}H", sent, _HEAD.size))


def build_response(status: Status, tag: int, data: bytes = b"") -> bytes:
    """A node's answer, which begins after the turnaround. Data belong to status OK only."""
    if data and status is not Status.OK:
        raise ValueError(f"{status.name} carries no data")
    return _with_crc(bytes((status, tag)) + data)


def parse_response(request: Request, received: bytes) -> bytes:
    """The data of the answer, out of all bytes that were received during the transaction. DamagedError or RefusedError."""
    answer = received[len(build_request(request)) + TURNAROUND_BYTES :]
    end = _STATUS_BYTES + request.data_bytes
    if answer[:1] == bytes((Status.OK,)) and _crc_holds(answer, end):
        if answer[1] != request.tag:
            raise DamagedError(f"the answer to {request} has tag {answer[1]} instead of {request.tag}; ask again")
        return answer[_STATUS_BYTES:end]
    if _crc_holds(answer, _STATUS_BYTES) and answer[0] in _REFUSALS:
        raise RefusedError(Status(answer[0]), request)
    raise DamagedError(f"the answer to {request} fails its CRC; ask again, and check wiring and clock rate if this goes on")


def words(data: bytes) -> tuple[int, ...]:
    """The 16-bit words of a READ's data."""
    return struct.unpack(f">{len(data) // 2}H", data)


_OPCODES = frozenset(Opcode)
_REFUSALS = frozenset(Status) - {Status.OK}


def _with_crc(data: bytes) -> bytes:
    return data + crc32c(data).to_bytes(_CRC_BYTES, "big")


def _crc_holds(data: bytes, end: int) -> bool:
    return len(data) >= end + _CRC_BYTES and data[end : end + _CRC_BYTES] == crc32c(data[:end]).to_bytes(_CRC_BYTES, "big")
