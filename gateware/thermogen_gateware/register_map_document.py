"""Writes docs/register-map.md from the tables of the host link: `python -m thermogen_gateware.register_map_document [FILE]`."""

from __future__ import annotations

import sys
from pathlib import Path

from thermogen_esf.hostlink import (
    CALIBRATION_BASE,
    CALIBRATION_WORDS,
    CHANNEL_GAIN_BASE,
    CHANNEL_GAIN_MAX,
    CHANNEL_GAIN_MIN,
    CHANNEL_GAIN_ONE,
    CHANNEL_GAIN_WORDS,
    CONTROL_REGISTERS,
    EPOCH_BASE,
    EPOCH_END,
    EPOCH_RECORD,
    EPOCH_RECORD_WORDS,
    EPOCH_RING,
    HOT_LIMIT_MAX,
    HOT_LIMIT_MIN,
    IMAGE_WORDS,
    LEAF_SLOTS,
    LOCKED_WHEN_ARMED,
    MAX_WRITE_WORDS,
    MODULE_HEARD,
    MODULE_PRESENT,
    MODULE_RUN,
    NO_CHANNEL,
    PARAMETER_BASE,
    PARAMETER_REGISTERS,
    PARAMETER_WORDS,
    RESTORE_BASE,
    RESTORE_REGISTERS,
    RESTORE_WORDS,
    STATUS_REGISTERS,
    TRIP_CLEAR_KEYS,
    TURNAROUND_BYTES,
    WRITABLE_IMAGE_WORDS,
    NodeFlag,
    Opcode,
    Status,
)
from thermogen_esf.layout import (
    CHANNEL_OFFSET,
    HEADER_OFFSET,
    RESERVED_BYTES,
    RESERVED_OFFSET,
    TELEMETRY_FIELDS,
)
from thermogen_esf.points import CHANNELS_PER_SITE, SITE_INPUTS
from thermogen_esf.tracker_parameters import TRACKER_PARAMETERS

from .calibration import DEFAULT_CALIBRATION
from .register_file import CURRENT_LIMIT
from .trip_causes import HOT_FATAL_RAW, HOT_THROTTLE_RAW

COMMAND = "python -m thermogen_gateware.register_map_document"
DEFAULT_FILE = Path("docs/register-map.md")

STATUS_MEANING = {
    "magic": "`TZ`",
    "map_version": "of this map",
    "gateware_version": "major u8, minor u8, patch u16",
    "clocks_per_site_second": "50,000,000 in products",
    "channels": "power channels that were built",
    "flags": "see below",
    "time": "site time, Unix seconds UTC",
    "leaf_next": "sequence of the next leaf",
    "leaf_oldest": "sequence of the oldest leaf that was not acknowledged; `leaf_next` where there is none",
    "epochs_sealed": "since power-up; counts mod 65,536",
    "faults": (
        "as in telemetry, but now; CHANNEL_OVERCURRENT and REVERSE_CURRENT: a channel is off for it, or everything where `flags` say "
        "TRIPPED and `trip_cause` has the bit"
    ),
    "trip_cause": (
        "fault bits that tripped first, of the last trip; all `trip_*` stay until the next one. REVERSE_CURRENT is a channel's where "
        "`trip_channel` names one, else the bus current's"
    ),
    "trip_bus_mv": "bus voltage at the last trip, mV",
    "trip_time": "site time of the last trip",
    "trip_clocks": "`clocks` at the last trip",
    "trip_bus_current": "newest bus current at the last trip, as the point",
    "trip_hot_supply": "newest hot supply temperature at the last trip, as the point",
    "trip_ground_fault": "newest ground fault current at the last trip, as the point",
    "trip_channel": f"the channel that the last trip is about; {NO_CHANNEL:#06x} where it is about none",
    "source_hash": "first 8 bytes of the hash of what the gateware was made from; 0 in a simulation",
    "clocks": "node clocks since reset",
    "module_identity": "a word a slot, slot 0 first: type u8, version u8; 0 where no module answers",
    "module_status": (
        f"a word a slot: the module's status byte; {MODULE_PRESENT:#06x} it answers, {MODULE_HEARD:#06x} it hears the node, "
        f"{MODULE_RUN:#06x} its run wire is 1"
    ),
    "module_bootstraps": "a word a slot: bootstrap pulses since its power-up, 65,535 where more",
    "lifetime_energy": "`electrical_energy` of this boot and what was restored, mJ",
    "lifetime_bus_energy": "`bus_energy` of this boot and what was restored, mJ, signed",
    "lifetime_gas": "`gas_volume` of this boot and what was restored",
}
CONTROL_MEANING = {
    "time_set": ("site time: the second that is running", "not 0; once armed, not before the present time"),
    "sequence_start": ("sequence of the first leaf", "before `arm` only"),
    "arm": ("from now on leaves are made and identity is fixed, until power-off", "1"),
    "enable": ("whether the channels may switch", "0, 1"),
    "leaf_ack": (
        "leaves before this sequence are stored; their slots may be used again",
        "at most `leaf_next`; one that is behind changes nothing",
    ),
    "trip_clear": (
        f"{TRIP_CLEAR_KEYS[0]:#06x}, then {TRIP_CLEAR_KEYS[1]:#06x}, nothing else written between: clears a trip, "
        "and channels that are off for over-current or reverse current, where the cause is gone",
        "the two keys",
    ),
    "current_limit_ma": (
        f"greatest output current of a channel; {CURRENT_LIMIT.default:,} after power-up; the parameter of that name",
        f"{CURRENT_LIMIT.minimum:,} … {CURRENT_LIMIT.maximum:,}",
    ),
    "heartbeat": ("for 5 s the link light is on and the tracker is not autonomous", "any"),
    "hot_throttle": (
        f"hot supply above which the tracker is conservative, as the point; {HOT_THROTTLE_RAW:,} after power-up",
        f"{HOT_LIMIT_MIN:,} … {HOT_LIMIT_MAX:,}, before `arm`",
    ),
    "hot_fatal": (
        f"hot supply that trips, as the point; {HOT_FATAL_RAW:,} after power-up",
        f"{HOT_LIMIT_MIN:,} … {HOT_LIMIT_MAX:,}, before `arm`",
    ),
}
STATUS_CODE_MEANING = {
    Status.OK: "done",
    Status.BAD_CRC: "the request was damaged",
    Status.BAD_OPCODE: "no such opcode",
    Status.BAD_ADDRESS: "nothing there, no such count, or a slot that no leaf is in",
    Status.REFUSED: "there, but not writable, not now, or not with this value",
    Status.BUSY: "this leaf's slot is being overwritten: ask again",
}
FLAG_MEANING = {
    NodeFlag.TIME_VALID: "the time was set since power-up",
    NodeFlag.ARMED: "leaves are made",
    NodeFlag.TRIPPED: "a trip is latched",
    NodeFlag.MODULE_PRESENT: "a power module answers",
    NodeFlag.PULSE_GOOD: "the pulse began this second",
    NodeFlag.AUTONOMOUS: "the tracker is conservative: no heartbeat, or the hot supply above `hot_throttle`",
    NodeFlag.NETWORK: "the node has its own network port: the registers of [network-registers.md](network-registers.md) are there",
    NodeFlag.SEALS: "the node has a key of its own: the registers of [seal-registers.md](seal-registers.md) are there",
    NodeFlag.COUNTER_SATURATED: "a counter would have left its range and stands still, until power-off",
}


def document() -> str:
    """The document's text."""
    sections = (_introduction, _image, _status, _controls, _calibration, _restore, _epochs, _gains, _parameters)
    return "\n".join([*(line for section in sections for line in section()), ""])


def _introduction() -> list[str]:
    return [
        "# The register map of the controller node",
        "",
        "Generated from `thermogen_esf.hostlink` and `thermogen_esf.layout`; a test fails when it is stale. Write it again with",
        f"`{COMMAND}`.",
        "",
        "Words of 16 bits, big-endian. SPI mode 0, most significant bit first, SCLK at most one eighth of the 50 MHz clock, one request",
        "for each assertion of chip select:",
        "",
        "    request     opcode u8, tag u8, address u16, count u16, [count words], CRC-32C u32 of all before it",
        f"    turnaround  {TURNAROUND_BYTES} bytes of no meaning",
        "    response    status u8, tag u8, [data when status is OK], CRC-32C u32 of status, tag and data",
        "",
        "| opcode | value | address | count | data |",
        "| --- | --- | --- | --- | --- |",
        f"| READ | {Opcode.READ:#04x} | first word | words, all of one of image, status, epochs and parameters | the words |",
        f"| WRITE | {Opcode.WRITE:#04x} | first word | 1 … {MAX_WRITE_WORDS}, then the words | |",
        f"| LEAF | {Opcode.LEAF:#04x} | slot: sequence mod {LEAF_SLOTS} | 0 | 506 bytes |",
        "",
        "| status | value | meaning |",
        "| --- | --- | --- |",
        *[f"| {status.name} | {status:#04x} | {STATUS_CODE_MEANING[status]} |" for status in Status],
        "",
        "A WRITE is applied when chip select rises after the whole response, and only if every word of it can be. A transaction that is",
        "damaged, refused or cut short changes nothing but `host_link_errors`. Everything that one transaction reads is of the moment at",
        "which its request was complete. A leaf whose slot is overwritten while it is read ends with a wrong CRC.",
    ]


def _image() -> list[str]:
    rows = [
        f"| {_words(offset, size)} | `{name}` | {'host' if name == 'site' else 'gateware'} | {_writable(offset)} |"
        for name, offset, size in _header_fields()
    ]
    rows.append(f"| {_words(CHANNEL_OFFSET, 3 * CHANNELS_PER_SITE)} | channels 0 … {CHANNELS_PER_SITE - 1}, 24 bits each | gateware | |")
    rows += [
        f"| {_words(placed.offset, placed.size)} | `{placed.point.identifier}` | {placed.point.source.value} | {_writable(placed.offset)} |"
        for placed in TELEMETRY_FIELDS
    ]
    rows.append(f"| {_words(RESERVED_OFFSET, RESERVED_BYTES)} | reserved, 0 | | |")
    return [
        "",
        f"## Image: 0x000 … {IMAGE_WORDS - 1:#05x}",
        "",
        "The telemetry frame of the last whole site second, without its CRC: word n is bytes 2n and 2n + 1. What is written to it appears",
        "with the next second. Units, ranges and scales are in [points.md](points.md), every byte in [esf-frames.md](esf-frames.md).",
        "",
        "| word | what | says who | written |",
        "| --- | --- | --- | --- |",
        *rows,
    ]


def _header_fields() -> list[tuple[str, int, int]]:
    ends = [*list(HEADER_OFFSET.values())[1:], CHANNEL_OFFSET]
    return [(name, offset, end - offset) for (name, offset), end in zip(HEADER_OFFSET.items(), ends, strict=True)]


def _words(offset: int, size: int) -> str:
    first, last = offset // 2, (offset + size - 1) // 2
    half = " (upper half)" if size == 1 and offset % 2 == 0 else " (lower half)" if size == 1 else ""
    return f"{first:#05x}{half}" if first == last else f"{first:#05x} … {last:#05x}"


def _writable(offset: int) -> str:
    word = offset // 2
    if word not in WRITABLE_IMAGE_WORDS:
        return ""
    return "before `arm`" if word in LOCKED_WHEN_ARMED else "at any time"


def _status() -> list[str]:
    return [
        "",
        f"## Status: {STATUS_REGISTERS['magic'][0]:#05x} on, read only",
        "",
        "| word | register | words | meaning |",
        "| --- | --- | --- | --- |",
        *[f"| {address:#05x} | `{name}` | {size} | {STATUS_MEANING[name]} |" for name, (address, size) in STATUS_REGISTERS.items()],
        "",
        "| flag | bit | meaning |",
        "| --- | --- | --- |",
        *[f"| {flag.name} | {flag.bit_length() - 1} | {FLAG_MEANING[flag]} |" for flag in NodeFlag],
    ]


def _controls() -> list[str]:
    return [
        "",
        f"## Controls: {CONTROL_REGISTERS['time_set'][0]:#05x} on, write only",
        "",
        "A register of two words is written whole, in one request.",
        "",
        "| word | register | words | meaning | takes |",
        "| --- | --- | --- | --- | --- |",
        *[
            f"| {address:#05x} | `{name}` | {size} | {CONTROL_MEANING[name][0]} | {CONTROL_MEANING[name][1]} |"
            for name, (address, size) in CONTROL_REGISTERS.items()
        ],
    ]


def _calibration() -> list[str]:
    rows = []
    for channel, identifier in enumerate(SITE_INPUTS):
        address = CALIBRATION_BASE + 2 * channel
        default = DEFAULT_CALIBRATION[identifier]
        rows.append(f"| {address:#05x}, {address + 1:#05x} | `{identifier}` | {default.gain} | {default.offset} |")
    return [
        "",
        f"## Calibration: {CALIBRATION_BASE:#05x} … {CALIBRATION_BASE + CALIBRATION_WORDS - 1:#05x}, write only, before `arm`",
        "",
        "Gain u16 and offset i16 of each site input, both in one request: value = sample × gain / 4096 + offset, in the point's raw unit.",
        "",
        "| words | input | gain after power-up | offset after power-up |",
        "| --- | --- | --- | --- |",
        *rows,
    ]


def _restore() -> list[str]:
    return [
        "",
        f"## Lifetime totals: {RESTORE_BASE:#05x} … {RESTORE_BASE + RESTORE_WORDS - 1:#05x}, write only, before `arm`, all in one request",
        "",
        "What the boots before this one counted; a total may take a quarter of its range. Leaves never hold them: see",
        "[decisions/0006](decisions/0006-nothing-is-restored-into-a-leaf.md).",
        "",
        "| word | register | words |",
        "| --- | --- | --- |",
        *[f"| {address:#05x} | `{name}` | {size} |" for name, (address, size) in RESTORE_REGISTERS.items()],
    ]


def _gains() -> list[str]:
    return [
        "",
        f"## Channel gains: {CHANNEL_GAIN_BASE:#05x} … {CHANNEL_GAIN_BASE + CHANNEL_GAIN_WORDS - 1:#05x}, write only, before `arm`",
        "",
        f"One word a channel: current = (sample − offset) × gain / {CHANNEL_GAIN_ONE:,}; {CHANNEL_GAIN_ONE:,} after power-up, within",
        f"{CHANNEL_GAIN_MIN:,} … {CHANNEL_GAIN_MAX:,}.",
    ]


def _parameters() -> list[str]:
    return [
        "",
        f"## Tracker parameters: {PARAMETER_BASE:#05x} … {PARAMETER_BASE + PARAMETER_WORDS - 1:#05x}, read and write at any time",
        "",
        "| word | parameter | one step | takes | after power-up | meaning |",
        "| --- | --- | --- | --- | --- | --- |",
        *[
            f"| {PARAMETER_REGISTERS[row.identifier]:#05x} | `{row.identifier}` | {row.scale:g} {row.unit} |"
            f" {row.minimum:,} … {row.maximum:,} | {row.default:,} | {row.meaning} |"
            for row in TRACKER_PARAMETERS
        ],
    ]


def _epochs() -> list[str]:
    return [
        "",
        f"## Epoch records: {EPOCH_BASE:#05x} … {EPOCH_END - 1:#05x}, read only",
        "",
        f"{EPOCH_RING} records of {EPOCH_RECORD_WORDS} words; the n-th epoch sealed since power-up, n from 0, has record",
        f"n mod {EPOCH_RING}. `epochs_sealed` counts an epoch when its record is whole. A record that was never written is 0.",
        "",
        "| word of the record | what | words |",
        "| --- | --- | --- |",
        *[f"| {start} | `{name}` | {size} |" for name, (start, size) in EPOCH_RECORD.items()],
    ]


if __name__ == "__main__":
    Path(sys.argv[1] if len(sys.argv) > 1 else DEFAULT_FILE).write_text(document(), encoding="utf-8")
