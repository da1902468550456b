"""What a frame says, field by field, for people and for programs: the content of `thermogen-esf decode` and of the worked examples."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

from .frames import Alert, AlertCode, CommandCode, Frame, FrameFlag, FrameType, Result, RootSource, Severity, Telemetry, Writes
from .frames.declared import BODIES, CRC, CRC_BYTES, HEADER
from .frames.reading import read_fields
from .layout import CHANNEL_BYTES, CHANNEL_OFFSET, FIELD, HEADER_BYTES
from .points import POINT, POINT_BY_NUMBER, ChannelState, Kind, Point, TimeQuality
from .scada import WRITABLE_BY_ADDRESS, WriteKind, event_of

_MOST_DECIMALS = 6
_ROUNDED_DECIMALS = 4
_SHOWN_BYTES = 32

_ENUMERATIONS: dict[str, type[enum.IntEnum] | type[enum.IntFlag]] = {
    "type": FrameType,
    "time_quality": TimeQuality,
    "flags": FrameFlag,
    "severity": Severity,
    "result": Result,
    "root_source": RootSource,
}


@dataclass(frozen=True, slots=True)
class Line:
    """One field: where it lies, its raw value (bytes as hexadecimal) and what that means. `value` is physical, in `unit`."""

    offset: int
    size: int
    field: str
    raw: int | str | list[int]
    shown: str
    unit: str = ""
    value: Fraction | None = None

    def as_json(self) -> dict[str, Any]:
        """For programs: `value` is the nearest double, `raw` is exact."""
        content: dict[str, Any] = {"offset": self.offset, "bytes": self.size, "raw": self.raw}
        if self.value is None:
            return content if self.shown == str(self.raw) else {**content, "text": self.shown}
        return {**content, "value": float(self.value), "unit": self.unit}


def describe(frame: Frame, data: bytes) -> Iterator[Line]:
    """The lines of a frame and the bytes that it was decoded from. Channels come as `channels[n].current` and so on.

    The leaves and alerts of a batch are left out: they are frames themselves.
    """
    for declaration, start, skipped in ((HEADER, 0, ()), (BODIES[frame.type], HEADER_BYTES, ("channels", "leaves", "alerts"))):
        values, offsets, end = read_fields(declaration, data[:-CRC_BYTES], start)
        ends = [*list(offsets.values())[1:], end]
        for (name, value), after in zip(values.items(), ends, strict=True):
            if name == "channels" and isinstance(frame, Telemetry):
                yield from _channels(frame)
            elif name == "events" and isinstance(frame, Writes):
                yield from _events(frame, offsets[name])
            elif name not in skipped:
                yield _line(frame, name, value, offsets[name], after - offsets[name])
    stated = data[-CRC_BYTES:]
    yield Line(len(data) - CRC_BYTES, CRC_BYTES, str(CRC.name), int.from_bytes(stated, "big"), f"0x{stated.hex()}")


def decimals_of(value: Fraction) -> int | None:
    """How many decimals write the value exactly; None where six do not."""
    return next((count for count in range(_MOST_DECIMALS + 1) if (value * 10**count).denominator == 1), None)


def decimal_text(value: Fraction, decimals: int) -> str:
    """The value, rounded to so many decimals."""
    whole, part = divmod(round(abs(value) * 10**decimals), 10**decimals)
    sign = "-" if value < 0 and (whole or part) else ""
    return f"{sign}{whole}.{part:0{decimals}d}" if decimals else f"{sign}{whole}"


def physical_text(point: Point, raw: int) -> str:
    """The physical value with as many decimals as one count of it needs, or four where it cannot be written exactly."""
    decimals = decimals_of(point.scale)
    return decimal_text(point.physical(raw), _ROUNDED_DECIMALS if decimals is None else decimals)


def printable(text: str) -> str:
    """Text from elsewhere with everything that a terminal might obey, or that hides, written out."""
    return "".join(character if character.isprintable() else character.encode("unicode_escape").decode("ascii") for character in text)


def symbol(values: type[enum.IntEnum] | type[enum.IntFlag], raw: int) -> str:
    """The name of a raw value, the names of its bits, or the number where it has none."""
    if issubclass(values, enum.IntFlag):
        names = [str(flag.name) for flag in values if raw & flag]
        unnamed = raw & ~sum(values)
        return " ".join(names + ([f"{unnamed:#x}"] if unnamed else [])) or "none"
    return values(raw).name if raw in set(values) else f"{raw} (no name)"


def point_text(point: Point, raw: int) -> str:
    """A point's raw value as people read it, without its unit."""
    if point.values is not None:
        return symbol(point.values, raw)
    if point.kind is Kind.VERSION:
        return version_text(raw)
    if point.kind is Kind.BYTES:
        return f"{raw:0{point.width // 4}x}"
    return physical_text(point, raw)


def moment_text(unix_s: int) -> str:
    """Unix seconds as a date and time, UTC."""
    return f"{datetime.fromtimestamp(unix_s, UTC):%Y-%m-%dT%H:%M:%SZ}"


def ip_text(raw: int) -> str:
    """An IPv4 address."""
    return ".".join(str(byte) for byte in raw.to_bytes(4, "big"))


def version_text(raw: int) -> str:
    """A version of 32 bits: major and minor 8 bits each, patch 16."""
    return f"{raw >> 24}.{raw >> 16 & 0xFF}.{raw & 0xFFFF}"


def _channels(frame: Telemetry) -> Iterator[Line]:
    current, duty = POINT["channel_current"], POINT["channel_duty"]
    for number, channel in enumerate(frame.channels):
        offset, field = CHANNEL_OFFSET + number * CHANNEL_BYTES, f"channels[{number}]"
        for point, name, raw in ((current, "current", channel.current), (duty, "duty", channel.duty)):
            yield Line(offset, CHANNEL_BYTES, f"{field}.{name}", raw, point_text(point, raw), point.unit, point.physical(raw))
        yield Line(offset, CHANNEL_BYTES, f"{field}.state", channel.state, symbol(ChannelState, channel.state))


def _events(frame: Writes, offset: int) -> Iterator[Line]:
    for number, data in enumerate(frame.events):
        event = event_of(data)
        written = WRITABLE_BY_ADDRESS.get(event.address)
        what = f" {written.identifier} {event.old} to {event.new}" if written else ""
        times = f", {event.count} times" if event.kind is WriteKind.HEARTBEATS else ""
        shown = f"{moment_text(event.time_s)} {ip_text(event.ip)} {event.kind.name.lower()}{what}{times}"
        yield Line(offset + number * len(data), len(data), f"events[{number}]", data.hex(), shown)


def _line(frame: Frame, name: str, value: Any, offset: int, size: int) -> Line:
    point = _point_of(frame, name)
    if point is None:
        return Line(offset, size, name, value.hex() if isinstance(value, bytes) else value, _shown(frame, name, value, size))
    quantity = point.kind in (Kind.UNSIGNED, Kind.SIGNED)
    return Line(offset, size, name, value, point_text(point, value), point.unit, point.physical(value) if quantity else None)


def _point_of(frame: Frame, name: str) -> Point | None:
    """The point whose raw value the field holds, if any."""
    if isinstance(frame, Telemetry) and name in FIELD:
        return POINT[name]
    if isinstance(frame, Alert) and name in ("value", "threshold"):
        return POINT_BY_NUMBER.get(frame.point)
    return None


def _shown(frame: Frame, name: str, value: Any, size: int) -> str:
    if isinstance(value, bytes):
        return value.hex() if size <= _SHOWN_BYTES else f"{size} bytes"
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    values = _CODES.get(frame.type) if name == "code" else _ENUMERATIONS.get(name)
    return symbol(values, value) if values else _SPECIAL.get(name, str)(value)


def _point_name(number: int) -> str:
    point = POINT_BY_NUMBER.get(number)
    return point.identifier if point else str(number)


_CODES: dict[FrameType, type[enum.IntEnum]] = {FrameType.COMMAND: CommandCode, FrameType.ALERT: AlertCode}
_SPECIAL: dict[str, Callable[[int], str]] = {
    "magic": lambda value: value.to_bytes(2, "big").decode("ascii"),
    "time": moment_text,
    "point": _point_name,
}
