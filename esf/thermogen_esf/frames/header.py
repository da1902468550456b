"""What every frame begins with."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

from ..layout import HEADER_BYTES, MAGIC
from ..points import TimeQuality
from .codes import FrameFlag, FrameType
from .declared import FRAME_BYTES, HEADER, SITE_BYTES, VERSION
from .errors import EncodeError, FrameTypeError, MagicError, VersionError
from .reading import compile_fixed, read_fields

_COMPILED = compile_fixed(HEADER)
NO_FLAGS = FrameFlag(0)
_MAGIC_BYTES = MAGIC.to_bytes(2, "big")


def site_identity(name: str) -> bytes:
    """What frames call a site: the first 8 bytes of SHA3-256 of its name in UTF-8."""
    return hashlib.sha3_256(name.encode("utf-8")).digest()[:SITE_BYTES]


@dataclass(frozen=True, slots=True)
class Header:
    """Who says it and when. Type and length are the frame's own; `time` is in Unix seconds, UTC."""

    site: bytes
    sequence: int
    time: int
    time_quality: TimeQuality
    flags: FrameFlag = NO_FLAGS

    @property
    def live(self) -> bool:
        """Whether the frame is for display only."""
        return FrameFlag.LIVE in self.flags


def parse_header(data: bytes) -> tuple[FrameType, int, Header]:
    """Type, length and header of bytes that are long enough; a FrameError where a value is not allowed."""
    _, frame_type, _, length, site, sequence, time, quality, flags = _COMPILED.unpack(data)
    if data[:2] != _MAGIC_BYTES:
        raise MagicError(0, "magic", f"{data[:2].hex()} is not {_MAGIC_BYTES.hex()}, `TZ`")
    if data[3] != VERSION:
        raise VersionError(3, "version", f"{data[3]} is not {VERSION}; a newer decoder may know it")
    if frame_type not in FRAME_BYTES:
        known = ", ".join(f"{int(each)} {each.name.lower()}" for each in FRAME_BYTES)
        raise FrameTypeError(2, "type", f"{frame_type} is none of {known}; a newer decoder may know it")
    if quality not in _QUALITIES or flags not in _FLAGS:
        read_fields(HEADER, data, 0)  # says which and why
    return FrameType(frame_type), length, Header(site, sequence, time, _QUALITIES[quality], _FLAGS[flags])


_QUALITIES = {int(quality): quality for quality in TimeQuality}
_FLAGS = {int(flags): flags for flags in (NO_FLAGS, FrameFlag.LIVE)}


def build_header(frame_type: FrameType, length: int, header: Header) -> bytes:
    """The header's 26 bytes. EncodeError where a value does not fit."""
    if len(header.site) != SITE_BYTES:
        raise EncodeError("site", f"{len(header.site)} bytes instead of {SITE_BYTES}; take site_identity(name)")
    if header.flags not in _FLAGS.values():
        raise EncodeError("flags", f"{int(header.flags):#04x} has bits without a meaning")
    for name in ("sequence", "time"):
        if not 0 <= getattr(header, name) < 1 << 32:
            raise EncodeError(name, f"{getattr(header, name)} does not fit 32 bits")
    try:
        return _COMPILED.pack(
            {
                "magic": MAGIC,
                "type": frame_type,
                "version": VERSION,
                "length": length,
                "site": header.site,
                "sequence": header.sequence,
                "time": header.time,
                "time_quality": TimeQuality(header.time_quality),
                "flags": header.flags,
            }
        )
    except (struct.error, ValueError) as error:
        raise EncodeError("time_quality", str(error)) from None


assert _COMPILED.layout.size == HEADER_BYTES
