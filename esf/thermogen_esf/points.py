"""The points: every quantity of a site, declared once.

A point says what a quantity is: its identifier, its number on the wire, unit, range, fixed-point scale, width and who says so.
Where it is used (a telemetry offset, a register, a label) is a table in the room that owns that use, keyed by the identifier.

Physical value = raw × scale + offset. Ranges are in the physical unit and say what is believable, not what fits the width.
Sources: the sensors and limits of the power generating combustor; the electrical values follow from its 48 V bus, 5 mohm
shunts and 12-bit converters.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from fractions import Fraction

CHANNELS_PER_SITE = 108
"""Channels of a controller node: three power modules of 36."""

PWM_COUNTS = 480
"""Counts of one 100 kHz PWM period at the module's 48 MHz."""


class Source(enum.Enum):
    """Who says what a point's value is."""

    MEASURED = "measured"
    """Sampled by the gateware's own converters."""
    DERIVED = "derived"
    """Computed by the gateware from what it measured or counted, or of what it measures with."""
    HOST = "host"
    """Written by the daemon: believed only as far as the daemon is."""
    CONSTANT = "constant"
    """Fixed when the gateware was built."""


class Kind(enum.Enum):
    """How the raw bits are read."""

    UNSIGNED = "unsigned"
    SIGNED = "signed"
    ENUM = "enum"
    FLAGS = "flags"
    VERSION = "version"
    BYTES = "bytes"


class ChannelState(enum.IntEnum):
    """State of one power channel (3 bits)."""

    ABSENT = 0
    OFF = 1
    SEEK = 2
    TRACK = 3
    HOLD = 4
    LIMIT = 5
    FAULT = 6


class SiteState(enum.IntEnum):
    """State of the site controller."""

    BLACK_START = 0
    WARMING_UP = 1
    PRODUCING = 2
    THROTTLE = 3
    ISLAND_MODE = 4
    SAFE_SHUTDOWN = 5
    FAULT = 6


class TimeQuality(enum.IntEnum):
    """How far a frame's time can be trusted."""

    UNSET = 0
    FREE_RUNNING = 1
    """Set once by the host; counted by the crystal because the pulse is missing."""
    PULSE = 2
    """Counted by the 1 Hz pulse, which agrees with the crystal within 200 ppm."""
    DEGRADED = 3
    """The pulse disagrees with the crystal."""


class UplinkState(enum.IntEnum):
    """State of the site's link to the cloud."""

    DOWN = 0
    CONNECTED = 1


class Fault(enum.IntFlag):
    """Faults that the gateware raises. Two do not say by themselves what is off: CHANNEL_OVERCURRENT and REVERSE_CURRENT are a
    channel's that alone was switched off; where a trip is latched for them (`trip_cause`) a channel did not obey, or the bus current ran
    backwards, and everything is off.
    """

    BUS_WARNING = 1 << 0
    BUS_SHED = 1 << 1
    BUS_TRIP = 1 << 2
    BUS_COMPARATOR = 1 << 3
    MODULE_LINK = 1 << 4
    SITE_CONVERTER = 1 << 5
    MODULE_CONVERTER = 1 << 6
    PULSE_MISSING = 1 << 7
    PULSE_OUT_OF_TOLERANCE = 1 << 8
    LEAVES_LOST = 1 << 9
    CHANNEL_OVERCURRENT = 1 << 10
    REVERSE_CURRENT = 1 << 11
    GROUND_FAULT = 1 << 12
    OVER_TEMPERATURE = 1 << 13
    HEARTBEAT_LOST = 1 << 14
    EMERGENCY_WATCHDOG = 1 << 15
    CURRENT_SUM_MISMATCH = 1 << 16
    MODULE_KILLED = 1 << 17


class BurnerFlag(enum.IntFlag):
    """Discrete inputs of the burner's controller."""

    RUNNING = 1 << 0
    FLAME = 1 << 1
    GAS_VALVE_OPEN = 1 << 2


class SiteAlarm(enum.IntFlag):
    """Discrete alarms of the site, as the burner's controller reports them."""

    GAS_LEAK = 1 << 0
    SMOKE = 1 << 1
    HOT_ZONE_DOOR_OPEN = 1 << 2
    HOT_PUMP_FAILED = 1 << 3
    COLD_PUMP_FAILED = 1 << 4


@dataclass(frozen=True, slots=True)
class Point:
    """One quantity of a site.

    `number` is the point's name on the wire and never changes; `width` is in bits; `count` is the number of instances
    (108 for what each channel has).
    """

    identifier: str
    number: int
    name: str
    unit: str
    minimum: Fraction
    maximum: Fraction
    scale: Fraction
    width: int
    source: Source
    kind: Kind = Kind.UNSIGNED
    offset: Fraction = Fraction(0)
    count: int = 1
    values: type[enum.IntEnum] | type[enum.IntFlag] | None = None

    def physical(self, raw: int) -> Fraction:
        """The physical value, in `unit`, of a raw fixed-point value."""
        return raw * self.scale + self.offset

    def raw(self, physical: Fraction | float) -> int:
        """The raw value nearest to a physical one; ValueError where it does not fit the width."""
        value = round((Fraction(physical) - self.offset) / self.scale)
        low, high = self.raw_limits
        if not low <= value <= high:
            raise ValueError(
                f"{self.identifier}: {float(physical)} {self.unit} does not fit {self.width} bits; give a value within its range"
            )
        return value

    @property
    def raw_limits(self) -> tuple[int, int]:
        """Least and greatest raw value that the width holds."""
        if self.kind is Kind.SIGNED:
            return -(1 << (self.width - 1)), (1 << (self.width - 1)) - 1
        return 0, (1 << self.width) - 1


def _quantity(
    number: int,
    identifier: str,
    name: str,
    unit: str,
    limits: tuple[int | Fraction, int | Fraction],
    scale: Fraction | int,
    width: int,
    source: Source,
    kind: Kind = Kind.UNSIGNED,
    offset: Fraction | int = 0,
    count: int = 1,
) -> Point:
    low, high = limits
    return Point(
        identifier, number, name, unit, Fraction(low), Fraction(high), Fraction(scale), width, source, kind, Fraction(offset), count
    )


def _symbols(
    number: int,
    identifier: str,
    name: str,
    values: type[enum.IntEnum] | type[enum.IntFlag],
    width: int,
    source: Source,
    count: int = 1,
) -> Point:
    kind = Kind.FLAGS if issubclass(values, enum.IntFlag) else Kind.ENUM
    high = (1 << width) - 1 if kind is Kind.FLAGS else max(values)
    return Point(identifier, number, name, "", Fraction(0), Fraction(high), Fraction(1), width, source, kind, count=count, values=values)


def _opaque(number: int, identifier: str, name: str, width: int, source: Source, kind: Kind = Kind.BYTES) -> Point:
    return Point(identifier, number, name, "", Fraction(0), Fraction((1 << width) - 1), Fraction(1), width, source, kind)


_MEASURED, _DERIVED, _HOST, _CONSTANT = Source.MEASURED, Source.DERIVED, Source.HOST, Source.CONSTANT
_SIGNED = Kind.SIGNED
_LOOP_KELVIN = Fraction(1, 50)
_CHANNEL_AMPERE = Fraction(2, 1000)
_MIDSCALE = 2048

POINTS: tuple[Point, ...] = (
    # Every channel: 24 bits.
    _quantity(
        1,
        "channel_current",
        "channel output current",
        "A",
        (-4, 4),
        _CHANNEL_AMPERE,
        12,
        _MEASURED,
        offset=-_MIDSCALE * _CHANNEL_AMPERE,
        count=CHANNELS_PER_SITE,
    ),
    _quantity(2, "channel_duty", "channel duty", "", (0, 1), Fraction(1, PWM_COUNTS), 9, _DERIVED, count=CHANNELS_PER_SITE),
    _symbols(3, "channel_state", "channel state", ChannelState, 3, _DERIVED, count=CHANNELS_PER_SITE),
    # The twelve inputs of the node's own converter, in its channel order.
    _quantity(10, "bus_voltage", "bus voltage", "V", (0, 65), Fraction(1, 1000), 16, _MEASURED),
    _quantity(11, "bus_current", "bus current", "A", (-320, 320), Fraction(1, 100), 16, _MEASURED, _SIGNED),
    _quantity(12, "ground_fault_current", "ground fault current", "mA", (0, 1000), Fraction(1, 10), 16, _MEASURED),
    _quantity(13, "hot_supply_temperature", "hot supply temperature", "degC", (0, 450), _LOOP_KELVIN, 16, _MEASURED, _SIGNED),
    _quantity(14, "hot_return_temperature", "hot return temperature", "degC", (0, 450), _LOOP_KELVIN, 16, _MEASURED, _SIGNED),
    _quantity(15, "cold_supply_temperature", "cold supply temperature", "degC", (0, 100), _LOOP_KELVIN, 16, _MEASURED, _SIGNED),
    _quantity(16, "cold_return_temperature", "cold return temperature", "degC", (0, 100), _LOOP_KELVIN, 16, _MEASURED, _SIGNED),
    _quantity(17, "hot_flow", "hot loop flow", "L/min", (0, 500), Fraction(1, 100), 16, _MEASURED),
    _quantity(18, "cold_flow", "cold loop flow", "L/min", (0, 500), Fraction(1, 100), 16, _MEASURED),
    _quantity(19, "gas_flow", "gas flow", "Mcf/d", (0, 60), Fraction(1, 1000), 16, _MEASURED),
    _quantity(20, "gas_pressure", "gas pressure", "psi", (0, 50), Fraction(1, 100), 16, _MEASURED),
    _quantity(21, "battery_current", "battery current", "A", (-320, 320), Fraction(1, 100), 16, _MEASURED, _SIGNED),
    # What the gateware derives, counts or is.
    _quantity(30, "electrical_energy", "electrical energy of all channels", "J", (0, 10**13), Fraction(1, 1000), 64, _DERIVED),
    _quantity(31, "bus_energy", "energy through the bus shunt", "J", (-(10**13), 10**13), Fraction(1, 1000), 64, _DERIVED, _SIGNED),
    _quantity(32, "gas_volume", "gas consumed", "cf", (0, 3_000_000_000), Fraction(1, 86_400), 48, _DERIVED),
    _quantity(33, "channel_power", "power of all channels", "W", (-20_000, 20_000), Fraction(1, 1000), 32, _DERIVED, _SIGNED),
    _quantity(34, "uptime", "site seconds since power-up", "s", (0, 2**32 - 1), 1, 32, _DERIVED),
    _symbols(35, "faults", "gateware faults", Fault, 32, _DERIVED),
    _quantity(36, "module_link_errors", "bad frames on the module link", "", (0, 65_535), 1, 16, _DERIVED),
    _quantity(37, "host_link_errors", "bad requests on the host link", "", (0, 65_535), 1, 16, _DERIVED),
    _quantity(38, "leaves_lost", "leaves overwritten before they were stored", "", (0, 65_535), 1, 16, _DERIVED),
    _opaque(39, "gateware_version", "gateware version", 32, _CONSTANT, Kind.VERSION),
    _quantity(40, "clocks_per_site_second", "clocks per site second", "", (1, 50_000_000), 1, 32, _CONSTANT),
    # What the daemon writes.
    _quantity(50, "boot_count", "boots of the node", "", (0, 65_535), 1, 16, _HOST),
    _quantity(51, "ambient_temperature", "ambient temperature", "degC", (-40, 60), Fraction(1, 10), 16, _HOST, _SIGNED),
    _quantity(52, "exhaust_temperature", "burner exhaust temperature", "degC", (0, 800), Fraction(1, 10), 16, _HOST, _SIGNED),
    _quantity(53, "hot_pressure", "hot loop pressure", "bar", (0, 10), Fraction(1, 1000), 16, _HOST),
    _quantity(54, "cold_pressure", "cold loop pressure", "bar", (0, 6), Fraction(1, 1000), 16, _HOST),
    _quantity(55, "gas_temperature", "gas temperature", "degC", (-40, 60), Fraction(1, 10), 16, _HOST, _SIGNED),
    _quantity(56, "burner_modulation", "burner modulation", "%", (0, 100), Fraction(1, 2), 8, _HOST),
    _symbols(57, "burner_flags", "burner inputs", BurnerFlag, 8, _HOST),
    _symbols(58, "site_alarms", "site alarms", SiteAlarm, 16, _HOST),
    _quantity(59, "battery_charge", "battery state of charge", "%", (0, 100), Fraction(1, 2), 8, _HOST),
    _symbols(60, "site_state", "site state", SiteState, 8, _HOST),
    _quantity(61, "load_power", "load power", "W", (0, 65_535), 1, 16, _HOST),
    _quantity(62, "buffer_frames", "frames buffered", "", (0, 2**32 - 1), 1, 32, _HOST),
    _quantity(63, "buffer_oldest_age", "age of the oldest unreceipted frame", "s", (0, 2**32 - 1), 1, 32, _HOST),
    _quantity(64, "buffer_hours_left", "hours until the buffer is full", "h", (0, 65_535), 1, 16, _HOST),
    _symbols(65, "uplink_state", "uplink state", UplinkState, 8, _HOST),
    _quantity(66, "uplink_reconnects", "uplink reconnections", "", (0, 255), 1, 8, _HOST),
    _opaque(67, "daemon_version", "daemon version", 32, _HOST, Kind.VERSION),
    # By the gateware itself since register map 4; the daemon wrote it before.
    _opaque(68, "calibration_hash", "first 8 bytes of the SHA3-256 of the calibration as loaded", 64, _DERIVED),
    # Written by the daemon.
    _opaque(69, "profile_hash", "first 8 bytes of the profile's SHA3-256", 64, _HOST),
)

POINT: dict[str, Point] = {point.identifier: point for point in POINTS}
"""Points by identifier."""

POINT_BY_NUMBER: dict[int, Point] = {point.number: point for point in POINTS}
"""Points by number on the wire."""

SITE_INPUTS: tuple[str, ...] = tuple(point.identifier for point in POINTS if 10 <= point.number <= 21)
"""The twelve inputs of the node's converter, by converter channel."""
