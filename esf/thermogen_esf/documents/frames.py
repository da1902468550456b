"""docs/esf-frames.md: every byte of every frame, with worked examples that the tests read back."""

from __future__ import annotations

import enum
from typing import Any

from construct import SizeofError

from .. import merkle
from ..crc import crc32c
from ..describing import Line, describe
from ..frames import (
    MAX_ALERTS,
    MAX_FRAME_BYTES,
    MAX_LEAVES,
    AlertCode,
    Batch,
    CommandCode,
    Frame,
    FrameType,
    Telemetry,
    encode,
    frame_context,
    frame_hash,
)
from ..frames.declared import BODIES, CRC, CRC_BYTES, EVENT_BYTES, FRAME_BYTES, HEADER
from ..layout import (
    CHANNEL_BYTES,
    CHANNEL_OFFSET,
    FIELD,
    HEADER_BYTES,
    LEAF_BYTES,
    RESERVED_BYTES,
    RESERVED_OFFSET,
    TELEMETRY_BYTES,
    TELEMETRY_FIELDS,
)
from ..points import CHANNELS_PER_SITE, PWM_COUNTS, ChannelState, Kind, Source
from ..scada import EVENT_RING, WriteKind
from ..signatures import KEY_ID_BYTES, PUBLIC_KEY_BYTES, SEED_BYTES, SIGNATURE_BYTES
from .examples import CLOUD_SEED, SITE, SITE_SEED, examples
from .markdown import annotated_bytes, table

BUDGET_BYTES = 512
"""A telemetry frame stays under this."""

_PURPOSE = {
    FrameType.TELEMETRY: f"""
A site at one instant, every 10 s of site time at t % 10 = 0, describing the time before it. Its first {LEAF_BYTES} bytes are the leaf,
serialised and hashed by the gateware: leaf hash = SHA3-256(0x00 ‖ leaf). With the flag *live* it is for display only, and can never
verify, because the bit changes the hash.""",
    FrameType.COMMAND: """
What the cloud asks of a site. The header's sequence is the command's number: a site executes a key's command at most once, and never after
the header's time plus `ttl_s`, in site time. A site answers a code that it does not know with *unknown*.""",
    FrameType.ALERT: """
Something that a person should know. Not signed on its own: the batch that carries it is. A reader shows a code that it does not know as a
number.""",
    FrameType.BATCH: """
One epoch of a site under one signature. The header's sequence is the site's batch number, from 0 and without gaps; the header's time is
when the epoch was sealed. The batch's hash is SHA3-256 of the whole frame, CRC included; `previous` chains it to the batch before. The
Merkle tree over the leaves has the shape of RFC 9162, section 2.1, over SHA3-256: a node is SHA3-256(0x01 ‖ left ‖ right).""",
    FrameType.RECEIPT: """
The cloud's word that it has stored a batch durably. It does not say that the batch is believed. The header's sequence is the receipt's
number.""",
    FrameType.ACKNOWLEDGEMENT: """
A site's answer to a command.""",
    FrameType.WRITES: f"""
What SCADA wrote to the site over MODBUS TCP, recorded by the gateware and signed by the site; up to {EVENT_RING} events a frame. An event
is {EVENT_BYTES} bytes: site time u32, the client's IPv4 address u32, the holding register's address u16 (for a coil too), its value
before u16 and after u16, and one u16 with the kind in its upper 4 bits ({
        ", ".join(f"{kind.value} {kind.name.lower()}" for kind in WriteKind)
    }) and in its lower 12 how many writes it stands for: writes of the heartbeat that follow each other from one client are one
event, 4,095 or more of them as 4,095. Addresses are in [scada-map.md](scada-map.md).""",
}


def frames_document() -> str:
    """The document's text."""
    worked = {frame.type: frame for frame in examples()}
    sections = [
        "# Frames",
        "Written by `thermogen-esf document` from `esf/thermogen_esf/frames/declared.py`; do not edit.",
        """\
What crosses between a site and the cloud. All integers are big-endian; signed ones are two's complement. A frame is a header, a body by
its type, and a CRC.""",
        _types(),
        """\
What the design calls `TZTelemetry`, `TZCommand` and `TZAlert` is [telemetry](#telemetry), [command](#command) and [alert](#alert), types 1
to 3 behind the magic `TZ`.""",
        *_rules(),
        *_header(),
    ]
    for frame_type in FrameType:
        sections += _frame(frame_type, worked[frame_type])
    sections += ["## Alert codes", _symbols(AlertCode), "## Command codes", _symbols(CommandCode)]
    return "\n\n".join(sections) + "\n"


def _types() -> str:
    rows = []
    for frame_type, (low, high) in FRAME_BYTES.items():
        name = frame_type.name.lower()
        signed = any(part.name == "signature" for part in BODIES[frame_type].subcons)
        context = f"`{frame_context(frame_type).decode()}`" if signed else "–"
        rows.append((int(frame_type), f"[{name}](#{name})", f"{low:,}" if low == high else f"{low:,} to {high:,}", context))
    return table(("type", "frame", "bytes", "signed under the context"), rows)


def _rules() -> list[str]:
    check = b"123456789"
    return [
        "## Reading a frame",
        f"""\
1. `magic` and `length` say where the frame ends. A length above {MAX_FRAME_BYTES:,} is refused before anything else is read.
2. The CRC is checked before any other field is looked at.
3. Version and type must be known, the length must be one that the type can have, and every field must hold what its table allows.
4. Nothing may be left over. Reading is exact: encoding what was read gives the same bytes.""",
        f"""\
CRC-32C (Castagnoli): polynomial 0x1EDC6F41, reflected, initial value and final exclusive-or 0xFFFFFFFF. Of the {len(check)} bytes
`{check.decode()}` it is 0x{crc32c(check):08x}.""",
        """\
A published offset never moves and a published number never changes its meaning. New telemetry goes into reserved bytes, which receivers
do not look at; anything else is a new version.""",
        "## Signatures",
        f"""\
ML-DSA-87 (FIPS 204), pure, with the context string of the table above. A key is a {SEED_BYTES}-byte seed, a public key has
{PUBLIC_KEY_BYTES:,} bytes, a signature {SIGNATURE_BYTES:,}. Signed are all bytes before `signature`, the header and `key_id` included.
`key_id` is the first {KEY_ID_BYTES} bytes of SHA3-256 of the public key; it says which pinned key to try, and nothing else.""",
        "## Worked examples",
        f"""\
An example names offset, bytes, field and meaning in each row; a long field goes on in rows without an offset, and `00 × 24` stands for 24
bytes 00. `thermogen-esf decode --hex` shows the same of any frame. Signatures are left 0 here, since a hedged signature is another one each
time; the keys have the seeds `{SITE_SEED.hex()}` (site) and
`{CLOUD_SEED.hex()}` (cloud). The same frames with signatures, whole, are in
`esf/tests/vectors/frames.json`.""",
    ]


def _header() -> list[str]:
    return ["## Header", f"The first {HEADER_BYTES} bytes of every frame.", _fields(HEADER.subcons, 0)]


def _frame(frame_type: FrameType, example: Frame) -> list[str]:
    low, high = FRAME_BYTES[frame_type]
    size = f"{low:,} bytes." if low == high else f"{low:,} to {high:,} bytes."
    name = frame_type.name.lower()
    data = encode(example)
    sections = [f"## {name.capitalize()}", size + _PURPOSE[frame_type], _fields([*BODIES[frame_type].subcons, CRC], HEADER_BYTES)]
    if isinstance(example, Telemetry):
        sections += _budget()
    sections += [f"### Worked example: {name}", _worked(example, data)]
    if isinstance(example, Telemetry):
        sections.append(f"The site is `{SITE}`. The leaf hash of this frame is `{merkle.leaf_hash(example.leaf).hex()}`.")
    if isinstance(example, Batch):
        sections.append(f"""\
The leaf is the telemetry frame above without its CRC, the alert is the frame above. The batch's hash is
`{frame_hash(data).hex()}`. A full epoch of {MAX_LEAVES} leaves without alerts has
{_full_epoch_bytes():,} bytes, of which the signature is {100 * SIGNATURE_BYTES / _full_epoch_bytes():.0f} %; the most that a batch can
have, with {MAX_ALERTS} of the longest alerts, is {high:,}.""")
    return sections


def _full_epoch_bytes() -> int:
    return FRAME_BYTES[FrameType.BATCH][0] + (MAX_LEAVES - 1) * LEAF_BYTES


def _fields(parts: list[Any], start: int) -> str:
    rows = []
    offset: int | None = start
    for part in parts:
        size = _size(part)
        rows.append(("…" if offset is None else offset, "…" if size is None else size, f"`{part.name}`", *_meaning(part, size)))
        offset = None if offset is None or size is None else offset + size
    return table(("offset", "bytes", "field", "form", "unit", "one count", "meaning"), rows)


def _size(part: Any) -> int | None:
    try:
        return int(part.sizeof())
    except SizeofError:
        return None


def _meaning(part: Any, size: int | None) -> tuple[str, str, str, str]:
    if part.name not in FIELD:
        return _FORMS.get(part.name, f"u{8 * (size or 0)}"), "", "", part.docs
    point = FIELD[part.name].point
    form = f"{'i' if point.kind is Kind.SIGNED else 'u'}{point.width}"
    scale = str(point.scale) if point.kind in (Kind.UNSIGNED, Kind.SIGNED) and point.scale != 1 else ""
    return form, point.unit, scale, f"[{point.number}](points.md) {point.name}, {point.source.value}"


_FORMS = {
    **dict.fromkeys(("site", "key_id", "signature", "root", "previous", "batch_hash", "reserved"), "bytes"),
    "channels": f"{CHANNELS_PER_SITE} × 24 bits",
    "arguments": "2 × i64",
    "value": "i64",
    "threshold": "i64",
    "text": "u8, UTF-8",
    "leaves": f"each {LEAF_BYTES} bytes",
    "alerts": "each u16, frame",
    "events": f"each {EVENT_BYTES} bytes",
}


def _budget() -> list[str]:
    rows: list[tuple[str, int, str]] = [
        ("header", HEADER_BYTES, ""),
        ("channels", CHANNELS_PER_SITE * CHANNEL_BYTES, f"{CHANNELS_PER_SITE} × {CHANNEL_BYTES}"),
    ]
    for source in Source:
        chosen = [placed for placed in TELEMETRY_FIELDS if placed.point.source is source]
        rows.append((f"points: {source.value}", sum(placed.size for placed in chosen), f"{len(chosen)} points"))
    rows += [("reserved", RESERVED_BYTES, f"offsets {RESERVED_OFFSET} to {LEAF_BYTES - 1}"), ("CRC", CRC_BYTES, "")]
    total = sum(size for _, size, _ in rows)
    assert total == TELEMETRY_BYTES
    rows.append(("**frame**", total, f"{BUDGET_BYTES - total} below the limit of {BUDGET_BYTES}"))
    channel = f"""\
One channel, at {CHANNEL_OFFSET} + {CHANNEL_BYTES} × number, is 24 bits: current in bits 23 to 12 (one count 0.002 A, 2048 is 0 A), duty in
bits 11 to 3 (of {PWM_COUNTS}), state in bits 2 to 0 ([ChannelState](points.md#channelstate))."""
    return [channel, "### Byte budget", table(("part", "bytes", "what"), rows)]


def _worked(example: Frame, data: bytes) -> str:
    lines = list(describe(example, data))
    if isinstance(example, Telemetry):
        lines = _whole_channels(example, lines)
    if isinstance(example, Batch):
        lines = _with_contents(example, lines)
    return annotated_bytes(data, lines)


def _whole_channels(example: Telemetry, lines: list[Line]) -> list[Line]:
    """One line for each channel that is there, one for all that are absent."""
    before = [line for line in lines if line.offset < CHANNEL_OFFSET]
    after = [line for line in lines if line.offset >= CHANNEL_OFFSET + CHANNELS_PER_SITE * CHANNEL_BYTES]
    present = sum(channel.state != ChannelState.ABSENT for channel in example.channels)
    channels = []
    for number in range(present):
        current, duty, state = (line for line in lines if line.field.startswith(f"channels[{number}]."))
        meaning = f"{current.shown} A, duty {duty.shown}, {state.shown}"
        channels.append(Line(current.offset, CHANNEL_BYTES, f"channels[{number}]", "", meaning))
    absent = CHANNEL_OFFSET + present * CHANNEL_BYTES
    rest = Line(absent, after[0].offset - absent, f"channels[{present}] and on", "", "ABSENT")
    return [*before, *channels, rest, *after]


def _with_contents(batch: Batch, lines: list[Line]) -> list[Line]:
    """The lines of a batch with the leaves and the alerts in their place, each whole."""
    start = next(line.offset + line.size for line in lines if line.field == "previous")
    contents = []
    for number, leaf in enumerate(batch.leaves):
        contents.append(Line(start, len(leaf), f"leaves[{number}]", "", "a telemetry frame without its CRC"))
        start += len(leaf)
    for number, alert in enumerate(batch.alerts):
        size = len(encode(alert))
        contents.append(Line(start, 2, f"alerts[{number}]", size, f"length {size}"))
        contents.append(Line(start + 2, size, f"alerts[{number}]", "", "an alert frame"))
        start += 2 + size
    return sorted([*lines, *contents], key=lambda line: line.offset)


def _symbols(values: type[enum.IntEnum]) -> str:
    return table(("code", "name"), ((int(value), value.name) for value in values))
