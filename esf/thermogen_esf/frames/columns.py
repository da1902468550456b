"""All leaves of a batch at once, one column for each point: what verification reads instead of 90 frames one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from ..layout import FIELD, HEADER_BYTES, LEAF_BYTES, TELEMETRY_BYTES
from ..points import TimeQuality
from .codes import FrameFlag, FrameType
from .declared import HEADER, TELEMETRY
from .errors import FrameError
from .header import Header, build_header
from .reading import compile_fixed
from .telemetry import Channel, Telemetry, unpack_channels

_LEAF = compile_fixed(HEADER, TELEMETRY)
_BEGINNING_BYTES = 8
_BEGINNING = build_header(FrameType.TELEMETRY, TELEMETRY_BYTES, Header(bytes(8), 0, 0, TimeQuality.UNSET))[:_BEGINNING_BYTES]
"""Magic, type, version and length, the same in every leaf."""
_QUALITIES = frozenset(int(quality) for quality in TimeQuality)
_FLAGS = frozenset((0, int(FrameFlag.LIVE)))


@dataclass(frozen=True, slots=True)
class Columns:
    """Raw values of successive leaves: entry i of each column is leaf i's."""

    site: tuple[bytes, ...]
    sequence: tuple[int, ...]
    time: tuple[int, ...]
    time_quality: tuple[int, ...]
    flags: tuple[int, ...]
    raw: Mapping[str, tuple[int, ...]]
    """By point identifier."""
    channel_bytes: tuple[bytes, ...]

    def __len__(self) -> int:
        return len(self.sequence)

    def channels(self, leaf: int) -> tuple[Channel, ...]:
        """All 108 channels of one leaf."""
        return unpack_channels(self.channel_bytes[leaf])


def decode_batch_columns(leaves: Sequence[bytes]) -> Columns:
    """The leaves as columns. A leaf that `Telemetry(leaf)` refuses is refused with the same error, its field within `leaves[n]`."""
    for number, leaf in enumerate(leaves):
        if len(leaf) != LEAF_BYTES or leaf[:_BEGINNING_BYTES] != _BEGINNING:
            _refuse(leaves, number)
    columns = _LEAF.columns(b"".join(leaves))
    for name, allowed in (("time_quality", _QUALITIES), ("flags", _FLAGS)):
        for number, value in enumerate(columns[name]):
            if value not in allowed:
                _refuse(leaves, number)
    return Columns(
        site=columns["site"],
        sequence=columns["sequence"],
        time=columns["time"],
        time_quality=columns["time_quality"],
        flags=columns["flags"],
        raw=MappingProxyType({identifier: columns[identifier] for identifier in FIELD}),
        channel_bytes=columns["channels"],
    )


def _refuse(leaves: Sequence[bytes], number: int) -> None:
    try:
        Telemetry(leaves[number])
    except FrameError as error:
        raise error.within(number * LEAF_BYTES, f"leaves[{number}]") from None


assert HEADER_BYTES + TELEMETRY.sizeof() == _LEAF.layout.size == LEAF_BYTES
