"""Where each point lies in a telemetry frame.

The gateware's register file holds this image, 16-bit big-endian words at half the byte offset, so one table places a point
for the leaf, the frame and the host link. All integers are big-endian. A published offset never moves.
"""

from __future__ import annotations

from dataclasses import dataclass

from .points import CHANNELS_PER_SITE, POINT, Point

MAGIC = 0x545A
"""`TZ`, the first two bytes of every frame."""

HEADER_BYTES = 26
"""magic u16, type u8, version u8, length u32 (CRC included), site 8 bytes, sequence u32, time u32 (Unix seconds, UTC),
time quality u8, flags u8."""

HEADER_OFFSET = {
    "magic": 0,
    "type": 2,
    "version": 3,
    "length": 4,
    "site": 8,
    "sequence": 16,
    "time": 20,
    "time_quality": 24,
    "flags": 25,
}

CHANNEL_OFFSET = HEADER_BYTES
CHANNEL_BYTES = 3
"""One channel: current in bits 23 to 12, duty in bits 11 to 3, state in bits 2 to 0."""

RESERVED_OFFSET = 474
RESERVED_BYTES = 32
LEAF_BYTES = RESERVED_OFFSET + RESERVED_BYTES
"""A telemetry frame without its CRC: what the gateware hashes."""
TELEMETRY_BYTES = LEAF_BYTES + 4


@dataclass(frozen=True, slots=True)
class Placed:
    """A point at its byte offset in the telemetry frame."""

    point: Point
    offset: int

    @property
    def size(self) -> int:
        """Bytes that the point takes."""
        return self.point.width // 8


_OFFSETS: tuple[tuple[str, int], ...] = (
    ("bus_voltage", 350),
    ("bus_current", 352),
    ("ground_fault_current", 354),
    ("hot_supply_temperature", 356),
    ("hot_return_temperature", 358),
    ("cold_supply_temperature", 360),
    ("cold_return_temperature", 362),
    ("hot_flow", 364),
    ("cold_flow", 366),
    ("gas_flow", 368),
    ("gas_pressure", 370),
    ("battery_current", 372),
    ("electrical_energy", 374),
    ("bus_energy", 382),
    ("gas_volume", 390),
    ("channel_power", 396),
    ("uptime", 400),
    ("faults", 404),
    ("module_link_errors", 408),
    ("host_link_errors", 410),
    ("leaves_lost", 412),
    ("gateware_version", 414),
    ("clocks_per_site_second", 418),
    ("boot_count", 422),
    ("ambient_temperature", 424),
    ("exhaust_temperature", 426),
    ("hot_pressure", 428),
    ("cold_pressure", 430),
    ("gas_temperature", 432),
    ("burner_modulation", 434),
    ("burner_flags", 435),
    ("site_alarms", 436),
    ("battery_charge", 438),
    ("site_state", 439),
    ("load_power", 440),
    ("buffer_frames", 442),
    ("buffer_oldest_age", 446),
    ("buffer_hours_left", 450),
    ("uplink_state", 452),
    ("uplink_reconnects", 453),
    ("daemon_version", 454),
    ("calibration_hash", 458),
    ("profile_hash", 466),
)

TELEMETRY_FIELDS: tuple[Placed, ...] = tuple(Placed(POINT[identifier], offset) for identifier, offset in _OFFSETS)
"""The site's points in frame order; the channels' 324 bytes lie before them."""

FIELD: dict[str, Placed] = {placed.point.identifier: placed for placed in TELEMETRY_FIELDS}

assert TELEMETRY_FIELDS[0].offset == CHANNEL_OFFSET + CHANNELS_PER_SITE * CHANNEL_BYTES
