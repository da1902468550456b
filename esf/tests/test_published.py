"""What is published stays where it is: addresses, numbers, widths and scales, in tables that only ever grow."""

import enum
import itertools

import pytest
from thermogen_esf import hostlink, hostlink_network, hostlink_seal, layout, points, scada
from thermogen_esf.frames import AlertCode, CommandCode, FrameFlag, FrameType, Result, RootSource, Severity
from thermogen_esf.points import POINT, POINT_BY_NUMBER, POINTS, SITE_INPUTS, Kind, Point, Source

PUBLISHED_POINTS = """
  1 channel_current          12 unsigned 1/500    -512/125  measured A
  2 channel_duty              9 unsigned 1/480    0         derived  -
  3 channel_state             3 enum     1        0         derived  -
 10 bus_voltage              16 unsigned 1/1000   0         measured V
 11 bus_current              16 signed   1/100    0         measured A
 12 ground_fault_current     16 unsigned 1/10     0         measured mA
 13 hot_supply_temperature   16 signed   1/50     0         measured degC
 14 hot_return_temperature   16 signed   1/50     0         measured degC
 15 cold_supply_temperature  16 signed   1/50     0         measured degC
 16 cold_return_temperature  16 signed   1/50     0         measured degC
 17 hot_flow                 16 unsigned 1/100    0         measured L/min
 18 cold_flow                16 unsigned 1/100    0         measured L/min
 19 gas_flow                 16 unsigned 1/1000   0         measured Mcf/d
 20 gas_pressure             16 unsigned 1/100    0         measured psi
 21 battery_current          16 signed   1/100    0         measured A
 30 electrical_energy        64 unsigned 1/1000   0         derived  J
 31 bus_energy               64 signed   1/1000   0         derived  J
 32 gas_volume               48 unsigned 1/86400  0         derived  cf
 33 channel_power            32 signed   1/1000   0         derived  W
 34 uptime                   32 unsigned 1        0         derived  s
 35 faults                   32 flags    1        0         derived  -
 36 module_link_errors       16 unsigned 1        0         derived  -
 37 host_link_errors         16 unsigned 1        0         derived  -
 38 leaves_lost              16 unsigned 1        0         derived  -
 39 gateware_version         32 version  1        0         constant -
 40 clocks_per_site_second   32 unsigned 1        0         constant -
 50 boot_count               16 unsigned 1        0         host     -
 51 ambient_temperature      16 signed   1/10     0         host     degC
 52 exhaust_temperature      16 signed   1/10     0         host     degC
 53 hot_pressure             16 unsigned 1/1000   0         host     bar
 54 cold_pressure            16 unsigned 1/1000   0         host     bar
 55 gas_temperature          16 signed   1/10     0         host     degC
 56 burner_modulation         8 unsigned 1/2      0         host     %
 57 burner_flags              8 flags    1        0         host     -
 58 site_alarms              16 flags    1        0         host     -
 59 battery_charge            8 unsigned 1/2      0         host     %
 60 site_state                8 enum     1        0         host     -
 61 load_power               16 unsigned 1        0         host     W
 62 buffer_frames            32 unsigned 1        0         host     -
 63 buffer_oldest_age        32 unsigned 1        0         host     s
 64 buffer_hours_left        16 unsigned 1        0         host     h
 65 uplink_state              8 enum     1        0         host     -
 66 uplink_reconnects         8 unsigned 1        0         host     -
 67 daemon_version           32 version  1        0         host     -
 68 calibration_hash         64 bytes    1        0         derived  -
 69 profile_hash             64 bytes    1        0         host     -
"""
"""number, identifier, bits, kind, scale, offset, source, unit"""

PUBLISHED_TELEMETRY = """
350 2 bus_voltage
352 2 bus_current
354 2 ground_fault_current
356 2 hot_supply_temperature
358 2 hot_return_temperature
360 2 cold_supply_temperature
362 2 cold_return_temperature
364 2 hot_flow
366 2 cold_flow
368 2 gas_flow
370 2 gas_pressure
372 2 battery_current
374 8 electrical_energy
382 8 bus_energy
390 6 gas_volume
396 4 channel_power
400 4 uptime
404 4 faults
408 2 module_link_errors
410 2 host_link_errors
412 2 leaves_lost
414 4 gateware_version
418 4 clocks_per_site_second
422 2 boot_count
424 2 ambient_temperature
426 2 exhaust_temperature
428 2 hot_pressure
430 2 cold_pressure
432 2 gas_temperature
434 1 burner_modulation
435 1 burner_flags
436 2 site_alarms
438 1 battery_charge
439 1 site_state
440 2 load_power
442 4 buffer_frames
446 4 buffer_oldest_age
450 2 buffer_hours_left
452 1 uplink_state
453 1 uplink_reconnects
454 4 daemon_version
458 8 calibration_hash
466 8 profile_hash
"""
"""byte offset, bytes, identifier"""

PUBLISHED_REGISTERS = """
status  0x100  1 magic
status  0x101  1 map_version
status  0x102  2 gateware_version
status  0x104  2 clocks_per_site_second
status  0x106  1 channels
status  0x107  1 flags
status  0x108  2 time
status  0x10a  2 leaf_next
status  0x10c  2 leaf_oldest
status  0x10e  1 epochs_sealed
status  0x10f  2 faults
status  0x111  2 trip_cause
status  0x113  1 trip_bus_mv
status  0x114  2 trip_time
status  0x116  4 trip_clocks
status  0x11a  1 trip_bus_current
status  0x11b  1 trip_hot_supply
status  0x11c  1 trip_ground_fault
status  0x11d  1 trip_channel
status  0x11e  4 source_hash
status  0x122  4 clocks
status  0x126  3 module_identity
status  0x129  3 module_status
status  0x12c  3 module_bootstraps
status  0x12f  4 lifetime_energy
status  0x133  4 lifetime_bus_energy
status  0x137  3 lifetime_gas
control 0x140  2 time_set
control 0x142  2 sequence_start
control 0x144  1 arm
control 0x145  1 enable
control 0x146  2 leaf_ack
control 0x148  1 trip_clear
control 0x149  1 current_limit_ma
control 0x14a  1 heartbeat
control 0x14b  1 hot_throttle
control 0x14c  1 hot_fatal
restore 0x168  4 lifetime_energy
restore 0x16c  4 lifetime_bus_energy
restore 0x170  3 lifetime_gas
network 0x340  1 network_mode
network 0x341  2 ip
network 0x343  2 mask
network 0x345  2 gateway
network 0x347  3 mac
network 0x34a  1 word_order
network 0x34b  1 writable
network 0x34c  8 isn_key
network 0x354 16 preferred
network 0x364 16 writers
netstat 0x380  1 link_flags
netstat 0x381  1 connections
netstat 0x382  2 live_ip
netstat 0x384  1 override_flags
netstat 0x385  1 override_remaining_s
netstat 0x386  2 override_ip
netstat 0x388  2 events_next
netstat 0x38a  2 events_oldest
sealstat 0x800  1 custody_state
sealstat 0x801  1 proof_state
sealstat 0x802  1 proof_error
sealstat 0x803  1 battery_low
sealstat 0x804  2 boot_count
sealstat 0x806  2 last_epoch
sealstat 0x808  1 seals
sealstat 0x809  1 draws
sealstat 0x80a  1 seals_kept
seal     0x820   1 make_key
seal     0x840  34 draw_request
seal     0x880 125 seal
seal     0x900 114 draw
seal     0x980  16 public_key
seal     0x8000  93 first_in_ring
seal     0xff80  93 last_in_ring
epoch   0x000  2 epoch
epoch   0x002  2 first_sequence
epoch   0x004  1 count
epoch   0x005  1 boot_count
epoch   0x006  2 sealed_at
epoch   0x008 16 root
"""
"""table, word address (within the record for epochs), words, name"""

PUBLISHED_CODES = {
    points.ChannelState: {"ABSENT": 0, "OFF": 1, "SEEK": 2, "TRACK": 3, "HOLD": 4, "LIMIT": 5, "FAULT": 6},
    points.SiteState: {"BLACK_START": 0, "WARMING_UP": 1, "PRODUCING": 2, "THROTTLE": 3, "ISLAND_MODE": 4, "SAFE_SHUTDOWN": 5, "FAULT": 6},
    points.TimeQuality: {"UNSET": 0, "FREE_RUNNING": 1, "PULSE": 2, "DEGRADED": 3},
    points.UplinkState: {"DOWN": 0, "CONNECTED": 1},
    points.Fault: {
        "BUS_WARNING": 1,
        "BUS_SHED": 2,
        "BUS_TRIP": 4,
        "BUS_COMPARATOR": 8,
        "MODULE_LINK": 16,
        "SITE_CONVERTER": 32,
        "MODULE_CONVERTER": 64,
        "PULSE_MISSING": 128,
        "PULSE_OUT_OF_TOLERANCE": 256,
        "LEAVES_LOST": 512,
        "CHANNEL_OVERCURRENT": 1024,
        "REVERSE_CURRENT": 2048,
        "GROUND_FAULT": 4096,
        "OVER_TEMPERATURE": 8192,
        "HEARTBEAT_LOST": 16384,
        "EMERGENCY_WATCHDOG": 32768,
        "CURRENT_SUM_MISMATCH": 65536,
        "MODULE_KILLED": 131072,
    },
    points.BurnerFlag: {"RUNNING": 1, "FLAME": 2, "GAS_VALVE_OPEN": 4},
    points.SiteAlarm: {"GAS_LEAK": 1, "SMOKE": 2, "HOT_ZONE_DOOR_OPEN": 4, "HOT_PUMP_FAILED": 8, "COLD_PUMP_FAILED": 16},
    FrameType: {"TELEMETRY": 1, "COMMAND": 2, "ALERT": 3, "BATCH": 4, "RECEIPT": 5, "ACKNOWLEDGEMENT": 6, "WRITES": 7},
    FrameFlag: {"LIVE": 128},
    CommandCode: {"RESEND_BATCHES": 1, "SET_CURRENT_LIMIT": 2, "SET_ENABLE": 3, "CLEAR_TRIP": 4},
    Result: {"DONE": 0, "EXPIRED": 1, "REFUSED": 2, "UNKNOWN": 3, "REPEATED": 4},
    RootSource: {"GATEWARE": 1, "HOST": 2},
    Severity: {"WARNING": 1, "CRITICAL": 2, "FATAL": 3},
    AlertCode: {
        "HOT_SIDE_TOO_HOT": 1,
        "COLD_SIDE_TOO_HOT": 2,
        "HOT_FLOW_LOW": 3,
        "COLD_FLOW_LOW": 4,
        "HOT_PRESSURE_HIGH": 5,
        "FLAME_LOST": 6,
        "GAS_LEAK": 7,
        "SMOKE": 8,
        "HOT_ZONE_DOOR_OPEN": 9,
        "HOT_PUMP_FAILED": 10,
        "COLD_PUMP_FAILED": 11,
        "TEMPERATURE_WARNING": 12,
        "BUS_WARNING": 20,
        "BUS_SHED": 21,
        "BUS_TRIP": 22,
        "LOW_VOLTAGE": 23,
        "BATTERY_CRITICAL": 24,
        "GROUND_FAULT": 25,
        "CHANNEL_OVERCURRENT": 26,
        "REVERSE_CURRENT": 27,
        "CURRENT_SUM_MISMATCH": 28,
        "TRIP_LATCHED": 29,
        "TRIP_CLEAR_FAILED": 30,
        "CONVERTER_FAULT": 40,
        "MODULE_LINK_FAULT": 41,
        "HOST_LINK_FAULT": 42,
        "FIELD_BUS_FAULT": 43,
        "CLOCK_DEGRADED": 44,
        "NODE_RESTARTED": 45,
        "HEARTBEAT_LOST": 46,
        "EMERGENCY_WATCHDOG": 47,
        "MODULE_KILLED": 48,
        "OTHER_CALIBRATION": 49,
        "ROOT_MISMATCH": 60,
        "LEAVES_LOST": 61,
        "RECORD_SET_ASIDE": 62,
        "BUFFER_FILLING": 63,
        "BUFFER_FULL": 64,
        "SEALS_LOST": 65,
        "RECEIPT_REFUSED": 80,
        "COMMAND_REFUSED": 81,
    },
    hostlink.Opcode: {"READ": 1, "WRITE": 2, "LEAF": 3},
    hostlink.Status: {"OK": 0, "BAD_CRC": 1, "BAD_OPCODE": 2, "BAD_ADDRESS": 3, "REFUSED": 4, "BUSY": 5},
    hostlink.NodeFlag: {
        "TIME_VALID": 1,
        "ARMED": 2,
        "TRIPPED": 4,
        "MODULE_PRESENT": 8,
        "PULSE_GOOD": 16,
        "AUTONOMOUS": 32,
        "COUNTER_SATURATED": 64,
        "NETWORK": 128,
        "SEALS": 256,
    },
    hostlink_seal.CustodyState: {
        "STARTING": 0,
        "MAKING_KEY": 1,
        "READY": 2,
        "WIPED": 3,
        "DAMAGED": 4,
        "NO_ENTROPY": 5,
        "NO_MEMORY": 6,
    },
    hostlink_seal.ProofState: {"IDLE": 0, "SEALING": 1, "DRAWING": 2},
    hostlink_seal.ProofError: {"NONE": 0, "NOT_READY": 1, "EPOCH_REFUSED": 2, "NO_POINT": 3, "MISSED": 4},
}


def rows(table: str) -> list[list[str]]:
    return [line.split() for line in table.strip().splitlines()]


def test_a_published_point_never_changes() -> None:
    for number, identifier, width, kind, scale, offset, source, unit in rows(PUBLISHED_POINTS):
        point = POINT_BY_NUMBER[int(number)]
        now = (point.identifier, point.width, point.kind.value, str(point.scale), str(point.offset), point.source.value, point.unit or "-")
        assert now == (identifier, int(width), kind, scale, offset, source, unit)


def test_every_point_is_published() -> None:
    """A new point is added to the table above in the change that declares it."""
    assert [point.number for point in POINTS] == [int(row[0]) for row in rows(PUBLISHED_POINTS)]


def test_a_published_offset_never_moves() -> None:
    now = [(placed.offset, placed.size, placed.point.identifier) for placed in layout.TELEMETRY_FIELDS]
    assert now == [(int(offset), int(size), identifier) for offset, size, identifier in rows(PUBLISHED_TELEMETRY)]


def test_the_telemetry_frame_has_no_overlap_and_no_gap_that_is_not_declared() -> None:
    header = [*layout.HEADER_OFFSET.values(), layout.HEADER_BYTES]
    assert [after - offset for offset, after in itertools.pairwise(header)] == [2, 1, 1, 4, 8, 4, 4, 1, 1]
    position = layout.CHANNEL_OFFSET + points.CHANNELS_PER_SITE * layout.CHANNEL_BYTES
    for placed in layout.TELEMETRY_FIELDS:
        assert placed.offset == position, placed.point.identifier
        position += placed.size
    assert position == layout.RESERVED_OFFSET
    assert layout.RESERVED_BYTES >= 32
    assert layout.LEAF_BYTES == layout.RESERVED_OFFSET + layout.RESERVED_BYTES
    assert layout.TELEMETRY_BYTES == layout.LEAF_BYTES + 4 < 512


def test_every_point_of_the_site_is_in_the_frame_once() -> None:
    placed = [field.point.identifier for field in layout.TELEMETRY_FIELDS]
    assert sorted(placed) == sorted(point.identifier for point in POINTS if point.count == 1)
    assert sum(point.width for point in POINTS if point.count > 1) == 8 * layout.CHANNEL_BYTES


def test_words_of_the_image_belong_to_one_writer() -> None:
    """The host link writes 16-bit words: a word shared by a host-supplied and another point could not be protected."""
    owner: dict[int, bool] = {}
    for placed in layout.TELEMETRY_FIELDS:
        for byte in range(placed.offset, placed.offset + placed.size):
            assert owner.setdefault(byte // 2, placed.point.source is Source.HOST) == (placed.point.source is Source.HOST)
    assert {word for word, host in owner.items() if host} | set(hostlink.SITE_WORDS) == hostlink.WRITABLE_IMAGE_WORDS


def test_a_published_register_never_moves() -> None:
    tables = {
        "status": hostlink.STATUS_REGISTERS,
        "control": hostlink.CONTROL_REGISTERS,
        "restore": hostlink.RESTORE_REGISTERS,
        "network": {name: (address, size * entries) for name, (address, size, entries) in hostlink_network.NETWORK_SETTINGS.items()},
        "netstat": hostlink_network.NETWORK_STATUS,
        "sealstat": hostlink_seal.SEAL_STATUS,
        "seal": {
            "make_key": hostlink_seal.MAKE_KEY,
            "draw_request": hostlink_seal.DRAW_REQUEST,
            "seal": hostlink_seal.SEAL,
            "draw": hostlink_seal.DRAW,
            "public_key": hostlink_seal.PUBLIC_KEY,
            "first_in_ring": hostlink_seal.ring_slot(0),
            "last_in_ring": hostlink_seal.ring_slot(hostlink_seal.RING_SEALS),
        },
        "epoch": hostlink.EPOCH_RECORD,
    }
    now = [
        [name, f"{address:#05x}", str(words), register] for name, table in tables.items() for register, (address, words) in table.items()
    ]
    assert now == rows(PUBLISHED_REGISTERS)


@pytest.mark.parametrize(
    ("base", "words", "registers"),
    [
        (hostlink.STATUS_BASE, hostlink.STATUS_WORDS, hostlink.STATUS_REGISTERS),
        (hostlink.CONTROL_BASE, hostlink.CONTROL_WORDS, hostlink.CONTROL_REGISTERS),
        (hostlink.RESTORE_BASE, hostlink.RESTORE_WORDS, hostlink.RESTORE_REGISTERS),
        (hostlink_network.NETWORK_STATUS_BASE, hostlink_network.NETWORK_STATUS_WORDS, hostlink_network.NETWORK_STATUS),
        (hostlink_seal.SEAL_STATUS_BASE, hostlink_seal.SEAL_STATUS_WORDS, hostlink_seal.SEAL_STATUS),
    ],
    ids=["status", "control", "restore", "network", "seal"],
)
def test_registers_fill_their_block(base: int, words: int, registers: dict[str, tuple[int, int]]) -> None:
    position = base
    for name, (address, size) in registers.items():
        assert address == position, name
        position += size
    assert position == base + words


def test_register_blocks_do_not_overlap() -> None:
    blocks = [
        (0, hostlink.IMAGE_WORDS),
        (hostlink.STATUS_BASE, hostlink.STATUS_WORDS),
        (hostlink.CONTROL_BASE, hostlink.CONTROL_WORDS),
        (hostlink.CALIBRATION_BASE, hostlink.CALIBRATION_WORDS),
        (hostlink.RESTORE_BASE, hostlink.RESTORE_WORDS),
        (hostlink.EPOCH_BASE, hostlink.EPOCH_RING * hostlink.EPOCH_RECORD_WORDS),
        (hostlink.CHANNEL_GAIN_BASE, hostlink.CHANNEL_GAIN_WORDS),
        (hostlink.PARAMETER_BASE, hostlink.PARAMETER_WORDS),
        (hostlink_network.NETWORK_BASE, hostlink_network.NETWORK_SETTINGS_WORDS),
        (hostlink_network.NETWORK_STATUS_BASE, hostlink_network.NETWORK_STATUS_WORDS),
        (hostlink_network.EVENT_BASE, hostlink_network.EVENT_END - hostlink_network.EVENT_BASE),
        (hostlink_seal.SEAL_STATUS_BASE, hostlink_seal.SEAL_STATUS_WORDS),
        hostlink_seal.MAKE_KEY,
        hostlink_seal.DRAW_REQUEST,
        hostlink_seal.SEAL,
        hostlink_seal.DRAW,
        hostlink_seal.PUBLIC_KEY,
        hostlink_seal.ring_slot(0),
        hostlink_seal.ring_slot(1),
        hostlink_seal.ring_slot(hostlink_seal.RING_SEALS),
        (1 << 16, 0),
    ]
    for (start, size), (following, _) in itertools.pairwise(blocks):
        assert start + size <= following
    assert hostlink.EPOCH_END == 0x200
    record = max(address + words for address, words in hostlink.EPOCH_RECORD.values())
    assert record <= hostlink.EPOCH_RECORD_WORDS


@pytest.mark.parametrize("values", PUBLISHED_CODES, ids=lambda values: values.__name__)
def test_a_published_code_never_changes_its_meaning(values: type[enum.IntEnum] | type[enum.IntFlag]) -> None:
    assert {value.name: int(value) for value in values} == PUBLISHED_CODES[values]


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.identifier)
def test_a_point_holds_its_range(point: Point) -> None:
    """Every believable value fits the width, and comes back within half a count."""
    for physical in (point.minimum, point.maximum, (point.minimum + point.maximum) / 2):
        if point.kind in (Kind.UNSIGNED, Kind.SIGNED):
            assert abs(point.physical(point.raw(physical)) - physical) <= point.scale / 2


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.identifier)
def test_a_point_refuses_what_its_width_does_not_hold(point: Point) -> None:
    low, high = point.raw_limits
    assert (point.raw(point.physical(low)), point.raw(point.physical(high))) == (low, high)
    for raw in (low - 1, high + 1):
        with pytest.raises(ValueError, match=f"{point.identifier}.* does not fit {point.width} bits"):
            point.raw(point.physical(raw))


def test_identifiers_and_numbers_are_unique() -> None:
    assert len(POINT) == len(POINT_BY_NUMBER) == len(POINTS)


def test_the_converter_has_twelve_inputs() -> None:
    assert len(SITE_INPUTS) == 12
    assert all(POINT[identifier].source is Source.MEASURED and POINT[identifier].width == 16 for identifier in SITE_INPUTS)


PUBLISHED_WRITABLES = """
heartbeat          700 -
override_timeout_s 701 -
enable             702 0
current_limit_ma   703 -
site_power_limit   704 -
trip_clear         705 1
override_release   706 2
"""
"""identifier, holding register, coil; in the order of their bits in `writable`"""


def test_what_scada_may_write_never_moves() -> None:
    now = [[each.identifier, str(each.address), "-" if each.coil is None else str(each.coil)] for each in scada.WRITABLES]
    assert now == rows(PUBLISHED_WRITABLES)
    assert {kind.name: int(kind) for kind in scada.WriteKind} == {"WRITE": 1, "HEARTBEATS": 2, "EXPIRED": 3}
