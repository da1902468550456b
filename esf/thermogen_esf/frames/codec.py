"""Frames from bytes and to bytes.

Decoding is total: any bytes give a frame or a FrameError. First the two fields that say where a frame ends, then its CRC, then the rest.
Nothing is set aside for a length or a count before it is known that the bytes are there, and no more than MAX_FRAME_BYTES are looked at.
Decoding is also exact: `encode(decode(data)) == data`, so that a frame has one representation and its hash one meaning.
"""

from __future__ import annotations

import hashlib
from dataclasses import fields
from typing import Any

from construct import ConstructError

from ..crc import crc32c
from ..layout import HEADER_BYTES, HEADER_OFFSET, MAGIC
from ..signatures import KEY_ID_BYTES, SIGNATURE_BYTES
from .codes import FrameType, Result, RootSource, Severity
from .declared import BODIES, CRC_BYTES, FRAME_BYTES, MAX_FRAME_BYTES, MIN_FRAME_BYTES
from .errors import ChecksumError, EncodeError, FrameError, FrameTypeError, MagicError, OversizedError, TrailingBytesError, TruncatedError
from .header import Header, build_header, parse_header
from .messages import Acknowledgement, Alert, Batch, Command, Frame, Receipt, Writes
from .reading import read_fields
from .telemetry import Telemetry

_MAGIC_BYTES = MAGIC.to_bytes(2, "big")
_LENGTH = slice(HEADER_OFFSET["length"], HEADER_OFFSET["length"] + 4)
_ALERT_LENGTH_BYTES = 2


def decode(data: bytes) -> Frame:
    """The frame that `data` is, from its first byte to its last. FrameError where it is none."""
    length = envelope(data)
    if len(data) > length:
        raise TrailingBytesError(
            length, "length", f"the frame ends here, {len(data) - length} bytes follow; split_capture reads several frames"
        )
    check_crc(data)
    frame_type, _, header = parse_header(data)
    low, high = FRAME_BYTES[frame_type]
    if not low <= length <= high:
        kind = TruncatedError if length < low else OversizedError
        raise kind(_LENGTH.start, "length", f"{length} bytes, {frame_type.name.lower()} has {low}" + ("" if low == high else f" to {high}"))
    if frame_type is FrameType.TELEMETRY:
        return Telemetry(data[:-CRC_BYTES])
    values, offsets, end = read_fields(BODIES[frame_type], data[:-CRC_BYTES], HEADER_BYTES)
    if end != length - CRC_BYTES:
        raise TrailingBytesError(end, "length", f"{frame_type.name.lower()} ends here, {length - CRC_BYTES - end} bytes before its CRC")
    return _frame(frame_type, header, values, offsets)


def envelope(data: bytes) -> int:
    """The length of the frame that `data` begins with; a FrameError where it does not begin as a frame or ends before it."""
    if data[:2] != _MAGIC_BYTES[: len(data)]:
        raise MagicError(0, "magic", f"{data[:2].hex()} is not {_MAGIC_BYTES.hex()}, `TZ`")
    if len(data) < _LENGTH.stop:
        raise TruncatedError(len(data), "header", f"{len(data)} bytes are not even a header of {HEADER_BYTES}")
    length = int.from_bytes(data[_LENGTH], "big")
    if length > MAX_FRAME_BYTES:
        raise OversizedError(_LENGTH.start, "length", f"{length} bytes, no frame has more than {MAX_FRAME_BYTES}")
    if length < MIN_FRAME_BYTES:
        raise TruncatedError(_LENGTH.start, "length", f"{length} bytes, no frame has fewer than {MIN_FRAME_BYTES}")
    if length > len(data):
        raise TruncatedError(len(data), "length", f"the frame says {length} bytes, {len(data)} are there")
    return length


def check_crc(data: bytes) -> None:
    """ChecksumError where the last four bytes are not the CRC of those before."""
    stated = int.from_bytes(data[-CRC_BYTES:], "big")
    computed = crc32c(memoryview(data)[:-CRC_BYTES])
    if stated != computed:
        raise ChecksumError(len(data) - CRC_BYTES, "crc", f"{stated:08x} is stated, the bytes have {computed:08x}")


def encode(frame: Frame) -> bytes:
    """The frame's bytes. EncodeError where a field holds what its declaration does not allow, or a signature is missing."""
    if isinstance(frame, Telemetry):
        return with_crc(frame.leaf)
    values = {field.name: getattr(frame, field.name) for field in fields(frame) if field.name != "header"}
    if isinstance(frame, Batch):
        values.update(count=len(frame.leaves), alert_count=len(frame.alerts), alerts=[encode(alert) for alert in frame.alerts])
    if isinstance(frame, Writes):
        values.update(count=len(frame.events))
    if "signature" in values and (len(frame.key_id) != KEY_ID_BYTES or len(frame.signature) != SIGNATURE_BYTES):  # type: ignore[union-attr]
        raise EncodeError("signature", "the frame is not signed yet; use sign_frame")
    body = build_body(frame.type, values)
    return with_crc(build_header(frame.type, HEADER_BYTES + len(body) + CRC_BYTES, frame.header) + body)


def build_body(frame_type: FrameType, values: dict[str, Any]) -> bytes:
    """A body by its declaration. EncodeError names the field."""
    try:
        body: bytes = BODIES[frame_type].build(values)
    except ConstructError as error:
        raise EncodeError((error.path or "body").split(" -> ")[-1], str(error).splitlines()[0]) from None
    return body


def with_crc(data: bytes) -> bytes:
    """The bytes and their CRC."""
    return data + crc32c(data).to_bytes(CRC_BYTES, "big")


def frame_hash(data: bytes) -> bytes:
    """What names a batch: SHA3-256 of the whole frame's bytes, CRC included."""
    return hashlib.sha3_256(data).digest()


def _frame(frame_type: FrameType, header: Header, values: dict[str, Any], offsets: dict[str, int]) -> Frame:
    if frame_type is FrameType.BATCH:
        alerts = _alerts(values.pop("alerts"), offsets["alerts"])
        for counted in ("count", "alert_count", "reserved"):
            del values[counted]
        values.update(root_source=RootSource(values["root_source"]), leaves=tuple(values["leaves"]))
        return Batch(header=header, alerts=alerts, **values)
    if frame_type is FrameType.ALERT:
        values.update(severity=Severity(values["severity"]), raised=bool(values["raised"]))
        return Alert(header=header, **values)
    if frame_type is FrameType.COMMAND:
        values["arguments"] = tuple(values["arguments"])
        return Command(header=header, **values)
    if frame_type is FrameType.RECEIPT:
        return Receipt(header=header, **values)
    if frame_type is FrameType.WRITES:
        del values["count"]
        values["events"] = tuple(values["events"])
        return Writes(header=header, **values)
    values["result"] = Result(values["result"])
    return Acknowledgement(header=header, **values)


def _alerts(each: list[bytes], offset: int) -> tuple[Alert, ...]:
    alerts = []
    for number, data in enumerate(each):
        offset += _ALERT_LENGTH_BYTES
        field = f"alerts[{number}]"
        try:
            alert = decode(data)
        except FrameError as error:
            raise error.within(offset, field) from None
        if not isinstance(alert, Alert):
            raise FrameTypeError(offset + HEADER_OFFSET["type"], f"{field}.type", f"{alert.type.name.lower()} where an alert belongs")
        alerts.append(alert)
        offset += len(data)
    return tuple(alerts)
