"""Telemetry: a frame that is its leaf's bytes, with views on what they say."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from types import MappingProxyType
from typing import ClassVar, NamedTuple

from ..layout import (
    CHANNEL_BYTES,
    CHANNEL_OFFSET,
    FIELD,
    HEADER_BYTES,
    HEADER_OFFSET,
    LEAF_BYTES,
    RESERVED_BYTES,
    TELEMETRY_BYTES,
    TELEMETRY_FIELDS,
)
from ..points import CHANNELS_PER_SITE, POINT
from .codes import FrameFlag, FrameType
from .declared import CHANNEL_FIELDS, TELEMETRY
from .errors import EncodeError, FieldError, FrameTypeError, OversizedError, TruncatedError
from .header import Header, build_header, parse_header
from .reading import compile_fixed

_BODY = compile_fixed(TELEMETRY)
_CURRENT_BITS, _DUTY_BITS, _STATE_BITS = (bits for _, bits in CHANNEL_FIELDS)


_NOTHING = bytes(RESERVED_BYTES)


class Channel(NamedTuple):
    """The raw values of one power channel: current (12 bits), duty (9 bits), state (3 bits, a ChannelState or 7, which nobody sends)."""

    current: int
    duty: int
    state: int


def unpack_channels(data: bytes) -> tuple[Channel, ...]:
    """Channels from their 3 bytes each."""
    words = (int.from_bytes(data[at : at + CHANNEL_BYTES], "big") for at in range(0, len(data), CHANNEL_BYTES))
    duty_mask, state_mask = (1 << _DUTY_BITS) - 1, (1 << _STATE_BITS) - 1
    return tuple(Channel(word >> _DUTY_BITS + _STATE_BITS, word >> _STATE_BITS & duty_mask, word & state_mask) for word in words)


def pack_channels(channels: Sequence[Channel]) -> bytes:
    """The 3 bytes of each channel. EncodeError where a value does not fit."""
    packed = bytearray()
    for number, channel in enumerate(channels):
        for (name, bits), value in zip(CHANNEL_FIELDS, channel, strict=True):
            if not 0 <= value < 1 << bits:
                raise EncodeError(f"channels[{number}].{name}", f"{value} does not fit {bits} bits")
        word = (channel.current << _DUTY_BITS | channel.duty) << _STATE_BITS | channel.state
        packed += word.to_bytes(CHANNEL_BYTES, "big")
    return bytes(packed)


@dataclass(frozen=True)
class Telemetry:
    """A site at one instant. `leaf` is the frame without its CRC, 506 bytes: what the gateware hashes.

    Making one from bytes checks the header and raises a FrameError; the values are read when they are asked for. Raw values that mean
    nothing to this version (a site state of 99) are kept as they came.
    """

    type: ClassVar[FrameType] = FrameType.TELEMETRY
    leaf: bytes
    header: Header = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.leaf) < LEAF_BYTES:
            raise TruncatedError(len(self.leaf), "leaf", f"{len(self.leaf)} bytes of {LEAF_BYTES}")
        if len(self.leaf) > LEAF_BYTES:
            raise OversizedError(LEAF_BYTES, "leaf", f"{len(self.leaf)} bytes, a leaf has {LEAF_BYTES}")
        frame_type, length, header = parse_header(self.leaf)
        if frame_type is not FrameType.TELEMETRY:
            raise FrameTypeError(HEADER_OFFSET["type"], "type", f"{frame_type.name.lower()} where telemetry belongs")
        if length != TELEMETRY_BYTES:
            raise FieldError(HEADER_OFFSET["length"], "length", f"{length} instead of {TELEMETRY_BYTES}")
        object.__setattr__(self, "header", header)

    @classmethod
    def of(cls, header: Header, raw: Mapping[str, int], channels: Sequence[Channel] = (), reserved: bytes = _NOTHING) -> Telemetry:
        """A frame from raw values by point identifier; what is left out is 0, channels left out are absent.

        EncodeError for an unknown identifier, a value that does not fit or more than 108 channels.
        """
        if unknown := raw.keys() - FIELD.keys():
            raise EncodeError(min(unknown), "is not a point of the telemetry frame")
        if len(channels) > CHANNELS_PER_SITE:
            raise EncodeError("channels", f"{len(channels)} channels, a frame has {CHANNELS_PER_SITE}")
        if len(reserved) != RESERVED_BYTES:
            raise EncodeError("reserved", f"{len(reserved)} bytes, a frame has {RESERVED_BYTES}")
        values = {identifier: raw.get(identifier, 0) for identifier in FIELD}
        packed = pack_channels(channels).ljust(CHANNELS_PER_SITE * CHANNEL_BYTES, b"\0")
        try:
            body = _BODY.pack({"channels": packed, **values, "reserved": reserved})
        except (struct.error, OverflowError) as error:
            raise _misfit(values) from error
        return cls(build_header(FrameType.TELEMETRY, TELEMETRY_BYTES, header) + body)

    @cached_property
    def raw(self) -> Mapping[str, int]:
        """The raw value of each of the site's points, by identifier."""
        values = dict(zip(_BODY.names, _BODY.unpack(self.leaf, HEADER_BYTES), strict=True))
        return MappingProxyType({placed.point.identifier: values[placed.point.identifier] for placed in TELEMETRY_FIELDS})

    @cached_property
    def channels(self) -> tuple[Channel, ...]:
        """All 108 channels, raw."""
        return unpack_channels(self.leaf[CHANNEL_OFFSET : CHANNEL_OFFSET + CHANNELS_PER_SITE * CHANNEL_BYTES])

    @property
    def reserved(self) -> bytes:
        """The bytes that mean nothing yet."""
        return self.leaf[-RESERVED_BYTES:]

    def value(self, identifier: str) -> Fraction:
        """The physical value of a point, exactly, in the point's unit; KeyError for a point that the frame does not have."""
        return POINT[identifier].physical(self.raw[identifier])

    def as_live(self) -> Telemetry:
        """The same values, marked as for display only."""
        at = HEADER_OFFSET["flags"]
        return Telemetry(self.leaf[:at] + bytes((self.leaf[at] | FrameFlag.LIVE,)) + self.leaf[at + 1 :])


def _misfit(values: Mapping[str, int]) -> EncodeError:
    for identifier, value in values.items():
        low, high = POINT[identifier].raw_limits
        if not isinstance(value, int) or not low <= value <= high:
            return EncodeError(identifier, f"raw value {value} is not a whole number from {low} to {high}")
    return EncodeError("telemetry", "a value does not fit")
