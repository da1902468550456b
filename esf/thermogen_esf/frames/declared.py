"""Every frame, declared: what lies where, in construct's terms. All integers are big-endian.

A frame is the header, the body of its type and a CRC-32C of everything before it. The encoder, the decoder, the columnar
decoder of batches and the published document all come from these declarations. Descriptions (`* "…"`) are for the document and for errors.
"""

from __future__ import annotations

from typing import Any

from construct import (
    Array,
    BitsInteger,
    BitStruct,
    Bytes,
    BytesInteger,
    Const,
    ExprValidator,
    GreedyBytes,
    Int8ub,
    Int16sb,
    Int16ub,
    Int32sb,
    Int32ub,
    Int64sb,
    Int64ub,
    OneOf,
    PascalString,
    Prefixed,
    SizeofError,
    Struct,
    this,
)

from ..layout import CHANNEL_OFFSET, HEADER_BYTES, LEAF_BYTES, MAGIC, RESERVED_BYTES, RESERVED_OFFSET, TELEMETRY_BYTES, TELEMETRY_FIELDS
from ..merkle import HASH_BYTES
from ..points import CHANNELS_PER_SITE, POINT, Kind, Point, TimeQuality
from ..scada import EVENT_RING, EVENT_WORDS, WriteKind
from ..signatures import KEY_ID_BYTES, SIGNATURE_BYTES
from .codes import FrameFlag, FrameType, Result, RootSource, Severity

VERSION = 1
SITE_BYTES = 8
CRC_BYTES = 4
MAX_LEAVES = 90
"""Leaves of one epoch: 900 s, one each 10 s."""
MAX_ALERTS = 64
MAX_TEXT_BYTES = 120
EVENT_BYTES = 2 * EVENT_WORDS


def _at_most(subcon: Any, limit: int) -> Any:
    return ExprValidator(subcon, lambda value, _context: value <= limit)


def _names(values: Any) -> str:
    return ", ".join(f"{value.value} {value.name.lower().replace('_', ' ')}" for value in values)


_TEXT = PascalString(_at_most(Int8ub, MAX_TEXT_BYTES), "utf8")
_HASH = Bytes(HASH_BYTES)

HEADER = Struct(
    "magic" / Const(MAGIC, Int16ub) * "`TZ`",
    "type" / OneOf(Int8ub, frozenset(FrameType)) * _names(FrameType),
    "version" / Const(VERSION, Int8ub) * "of the frame format",
    "length" / Int32ub * "of the whole frame in bytes, CRC included",
    "site" / Bytes(SITE_BYTES) * "first 8 bytes of SHA3-256 of the site's name in UTF-8",
    "sequence" / Int32ub * "number of the frame among those of its type and sender",
    "time" / Int32ub * "Unix seconds, UTC",
    "time_quality" / OneOf(Int8ub, frozenset(TimeQuality)) * _names(TimeQuality),
    "flags" / ExprValidator(Int8ub, lambda value, _context: value & ~FrameFlag.LIVE == 0) * "bit 7: live, for display only; others 0",
)

CHANNEL_FIELDS: tuple[tuple[str, int], ...] = tuple((name, POINT[f"channel_{name}"].width) for name in ("current", "duty", "state"))
"""Name and bits of what a channel has, from the most significant bit on."""

CHANNEL = BitStruct(*(name / BitsInteger(bits) for name, bits in CHANNEL_FIELDS))

_UNSIGNED = {8: Int8ub, 16: Int16ub, 32: Int32ub, 48: BytesInteger(6), 64: Int64ub}
_SIGNED = {16: Int16sb, 32: Int32sb, 64: Int64sb}


def _integer(point: Point) -> Any:
    return (_SIGNED if point.kind is Kind.SIGNED else _UNSIGNED)[point.width]


TELEMETRY = Struct(
    "channels" / Array(CHANNELS_PER_SITE, CHANNEL) * "each channel 24 bits: current 12, duty 9, state 3",
    *(placed.point.identifier / _integer(placed.point) * placed.point.name for placed in TELEMETRY_FIELDS),
    "reserved" / Bytes(RESERVED_BYTES) * "sent as 0, not looked at by receivers, covered by the hash",
)
"""The body of a telemetry frame. Header and body are the leaf, 506 bytes."""

_position = CHANNEL_OFFSET + TELEMETRY.channels.sizeof()
for _placed in TELEMETRY_FIELDS:
    assert _position == _placed.offset, _placed.point.identifier
    _position += _placed.size
assert _position == RESERVED_OFFSET and HEADER.sizeof() == HEADER_BYTES and HEADER_BYTES + TELEMETRY.sizeof() == LEAF_BYTES

_SIGNATURE = (
    "key_id" / Bytes(KEY_ID_BYTES) * "first 8 bytes of SHA3-256 of the signer's public key",
    "signature" / Bytes(SIGNATURE_BYTES) * "ML-DSA-87 of all the frame's bytes before this field",
)

COMMAND = Struct(
    "code" / Int16ub * "1 resend batches, 2 set current limit, 3 set enable",
    "ttl_s" / Int32ub * "the command's life ends at the header's time plus this many seconds of site time",
    "arguments" / Array(2, Int64sb) * "1: first and last epoch; 2: mA, 0; 3: 0 or 1, 0",
    *_SIGNATURE,
)

ALERT = Struct(
    "code" / Int16ub * "what it is about, see the alert codes",
    "severity" / OneOf(Int8ub, frozenset(Severity)) * _names(Severity),
    "raised" / OneOf(Int8ub, frozenset((0, 1))) * "1 raised, 0 cleared",
    "point" / Int16ub * "number of the point that it is about, 0 for none",
    "value" / Int64sb * "the point's raw value",
    "threshold" / Int64sb * "the threshold that was crossed, as a raw value",
    "text" / _TEXT * f"one byte of length, at most {MAX_TEXT_BYTES}, and UTF-8 for people",
)

BATCH = Struct(
    "epoch" / Int32ub * "index of the quarter-hour: (time - 1) // 900 of each of its frames",
    "boot_count" / Int16ub * "boots of the node",
    "root_source" / OneOf(Int8ub, frozenset(RootSource)) * _names(RootSource),
    "reserved" / Const(0, Int8ub) * "0",
    "first_sequence" / Int32ub * "sequence of the first leaf",
    "count" / ExprValidator(Int16ub, lambda value, _context: 1 <= value <= MAX_LEAVES) * f"leaves, 1 to {MAX_LEAVES}",
    "alert_count" / _at_most(Int16ub, MAX_ALERTS) * f"alerts, 0 to {MAX_ALERTS}",
    "root" / _HASH * "Merkle root over the leaves",
    "previous" / _HASH * "SHA3-256 of the site's previous batch frame, CRC included; zeros for the first",
    "leaves" / Array(this.count, Bytes(LEAF_BYTES)) * "`count` telemetry frames without their CRC",
    "alerts" / Array(this.alert_count, Prefixed(Int16ub, GreedyBytes)) * "`alert_count` times: length u16 and an alert frame",
    *_SIGNATURE,
)

RECEIPT = Struct(
    "batch_hash" / _HASH * "SHA3-256 of the batch frame, CRC included",
    "epoch" / Int32ub * "of the batch; 0 where it could not be read",
    "first_sequence" / Int32ub * "of the batch's first leaf; 0 where it could not be read",
    "last_sequence" / Int32ub * "of the batch's last leaf; 0 where it could not be read",
    *_SIGNATURE,
)

ACKNOWLEDGEMENT = Struct(
    "command_sequence" / Int32ub * "sequence of the command",
    "result" / OneOf(Int8ub, frozenset(Result)) * _names(Result),
    "text" / _TEXT * f"one byte of length, at most {MAX_TEXT_BYTES}, and UTF-8 for people",
    *_SIGNATURE,
)


def _is_event(data: bytes, _context: Any) -> bool:
    return data[-2] >> 4 in frozenset(WriteKind)


WRITES = Struct(
    "boot_count" / Int16ub * "boots of the node",
    "first_event" / Int32ub * "number of the first event since the boot",
    "count" / ExprValidator(Int16ub, lambda value, _context: 1 <= value <= EVENT_RING) * f"events, 1 to {EVENT_RING}",
    "events" / Array(this.count, ExprValidator(Bytes(EVENT_BYTES), _is_event)) * "`count` events as the node kept them, see below",
    *_SIGNATURE,
)

CRC = "crc" / Int32ub * "CRC-32C of all bytes before it"

BODIES: dict[FrameType, Struct] = {
    FrameType.TELEMETRY: TELEMETRY,
    FrameType.COMMAND: COMMAND,
    FrameType.ALERT: ALERT,
    FrameType.BATCH: BATCH,
    FrameType.RECEIPT: RECEIPT,
    FrameType.ACKNOWLEDGEMENT: ACKNOWLEDGEMENT,
    FrameType.WRITES: WRITES,
}


_VARIABLE = {
    "text": (1, 1 + MAX_TEXT_BYTES),
    "leaves": (LEAF_BYTES, MAX_LEAVES * LEAF_BYTES),
    "events": (EVENT_BYTES, EVENT_RING * EVENT_BYTES),
}
"""Least and greatest bytes of the fields whose size varies; the alerts of a batch follow below."""


def _frame_bytes(body: Struct) -> tuple[int, int]:
    least = most = HEADER_BYTES + CRC_BYTES
    for part in body.subcons:
        try:
            low = high = part.sizeof()
        except SizeofError:
            low, high = _VARIABLE[str(part.name)]
        least, most = least + low, most + high
    return least, most


_VARIABLE["alerts"] = (0, MAX_ALERTS * (Int16ub.sizeof() + _frame_bytes(ALERT)[1]))

FRAME_BYTES: dict[FrameType, tuple[int, int]] = {frame_type: _frame_bytes(body) for frame_type, body in BODIES.items()}
"""Least and greatest length of a frame of each type, header and CRC included."""

MIN_FRAME_BYTES = min(low for low, _ in FRAME_BYTES.values())
MAX_FRAME_BYTES = max(high for _, high in FRAME_BYTES.values())

assert FRAME_BYTES[FrameType.TELEMETRY] == (TELEMETRY_BYTES, TELEMETRY_BYTES)
