"""The numbers in frames that stand for something. A published number never changes its meaning."""

from __future__ import annotations

import enum


class FrameType(enum.IntEnum):
    """What a frame is."""

    TELEMETRY = 1
    COMMAND = 2
    ALERT = 3
    BATCH = 4
    RECEIPT = 5
    ACKNOWLEDGEMENT = 6
    WRITES = 7


class FrameFlag(enum.IntFlag):
    """Flags in every frame's header. Bits without a name are 0: a bit that a reader does not know could change what the frame means."""

    LIVE = 1 << 7
    """The newest telemetry, for display: never evidence, for the bit changes the leaf's hash."""


class CommandCode(enum.IntEnum):
    """What a command asks for. A site answers `UNKNOWN` to a code that it does not know, so that decoding lets every code pass."""

    RESEND_BATCHES = 1
    """Arguments: first and last epoch index."""
    SET_CURRENT_LIMIT = 2
    """Arguments: limit of a channel in mA, 0."""
    SET_ENABLE = 3
    """Arguments: 1 to produce or 0 to stop, 0."""
    CLEAR_TRIP = 4
    """Arguments: `trip_cause` and `trip_time` of the trip that is to be cleared, as the site reported them."""


class Result(enum.IntEnum):
    """What became of a command."""

    DONE = 0
    EXPIRED = 1
    REFUSED = 2
    UNKNOWN = 3
    REPEATED = 4


class RootSource(enum.IntEnum):
    """Who computed a batch's Merkle root."""

    GATEWARE = 1
    HOST = 2
    """Recomputed from the leaves, because power failed before the gateware sealed the epoch."""


class Severity(enum.IntEnum):
    """How bad an alert is."""

    WARNING = 1
    CRITICAL = 2
    FATAL = 3


class AlertCode(enum.IntEnum):
    """What an alert is about. A reader shows a code that it does not know as a number."""

    # The plant.
    HOT_SIDE_TOO_HOT = 1
    COLD_SIDE_TOO_HOT = 2
    HOT_FLOW_LOW = 3
    COLD_FLOW_LOW = 4
    HOT_PRESSURE_HIGH = 5
    FLAME_LOST = 6
    GAS_LEAK = 7
    SMOKE = 8
    HOT_ZONE_DOOR_OPEN = 9
    HOT_PUMP_FAILED = 10
    COLD_PUMP_FAILED = 11
    TEMPERATURE_WARNING = 12
    # The power path.
    BUS_WARNING = 20
    BUS_SHED = 21
    BUS_TRIP = 22
    LOW_VOLTAGE = 23
    BATTERY_CRITICAL = 24
    GROUND_FAULT = 25
    CHANNEL_OVERCURRENT = 26
    REVERSE_CURRENT = 27
    CURRENT_SUM_MISMATCH = 28
    """The channels' currents and the bus shunt disagree: the site's energy is not to be trusted until somebody has looked."""
    TRIP_LATCHED = 29
    """The gateware has switched everything off; value is `trip_cause`, threshold `trip_time`: what CLEAR_TRIP takes."""
    TRIP_CLEAR_FAILED = 30
    """A trip was to be cleared and its cause is not gone."""
    # The node's insides.
    CONVERTER_FAULT = 40
    MODULE_LINK_FAULT = 41
    HOST_LINK_FAULT = 42
    FIELD_BUS_FAULT = 43
    """The burner's controller does not answer on Modbus."""
    CLOCK_DEGRADED = 44
    NODE_RESTARTED = 45
    HEARTBEAT_LOST = 46
    """The gateware did not hear the daemon for 5 s and went on by itself, conservatively."""
    EMERGENCY_WATCHDOG = 47
    """The gateware's measuring stood still for 100 ms."""
    MODULE_KILLED = 48
    """A power module has latched a stop that the node did not order."""
    OTHER_CALIBRATION = 49
    """The node measures with another calibration than the profile's: what it seals is refused until it is power-cycled. Value and threshold
    are the first four bytes of the hash that the node says and of the profile's."""
    # The record.
    ROOT_MISMATCH = 60
    """The Merkle root over the stored leaves is not the one that the gateware sealed."""
    LEAVES_LOST = 61
    RECORD_SET_ASIDE = 62
    """A stored record was corrupt; it was put aside and the rest carries on."""
    BUFFER_FILLING = 63
    BUFFER_FULL = 64
    SEALS_LOST = 65
    """The gateware's seals of some epochs are gone; value is the epoch up to which. Those epochs earn nothing. As a warning: they may
    be gone."""
    # The link to the cloud.
    RECEIPT_REFUSED = 80
    """A receipt was not signed by a pinned key or names no batch of the site."""
    COMMAND_REFUSED = 81
    """A command was not signed by a pinned key or is not allowed."""
