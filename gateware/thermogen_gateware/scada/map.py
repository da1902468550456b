"""The MODBUS map: which register, coil and discrete input lies where. One table; gateware, documents and tests are made from it.

Input and holding registers show the same words at the same addresses, so that a client that knows only one of the two functions sees
everything; what SCADA may write is among the holding registers of the block `setpoints`. Addresses here are zero-based, as they are on
the wire. A published address never moves: `gateware/tests/scada/published_addresses.txt` is compared with this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from thermogen_esf.hostlink import MODULE_SLOTS, NodeFlag
from thermogen_esf.hostlink_network import LinkFlag, OverrideFlag, WordOrder
from thermogen_esf.points import BurnerFlag, Fault, SiteAlarm, TimeQuality
from thermogen_esf.scada import WRITABLES, Writable

from .registers_declared import Block, Origin, Register, Word, block, constant, counter, gap, header, live, point, second

SCADA_MAP_VERSION = 1
WORD_ORDER_TEST = 0x0102_0304

_MODULES: dict[str, Any] = {"count": MODULE_SLOTS}


def _setpoint(writable: Writable) -> Register:
    return Register(
        writable.identifier,
        "u16",
        writable.meaning,
        Origin.LIVE,
        unit=writable.unit,
        scale=Fraction(writable.scale).limit_denominator(1_000),
        minimum=writable.minimum * Fraction(writable.scale).limit_denominator(1_000),
        maximum=writable.maximum * Fraction(writable.scale).limit_denominator(1_000),
        writable=True,
    )


BLOCKS: tuple[Block, ...] = (
    block(
        0,
        "identity",
        "Who answers, and how",
        constant("magic", "u16", "0x545A, `TZ`: a Thermogen Zero node answers"),
        constant("map_version", "u16", "of this map"),
        live("word_order", "u16", "which word of a wider value comes first", values=WordOrder),
        constant("channels", "u16", "power channels that were built"),
        point("gateware_version"),
        point("clocks_per_site_second"),
        constant("source_hash", "u64", "first 8 bytes of the hash of what the gateware was made from"),
        header("site", "u64", "first 8 bytes of SHA3-256 of the site's name: the node's serial"),
        constant("word_order_test", "u32", "0x01020304 where a client's word order is the node's"),
        point("daemon_version"),
        point("calibration_hash"),
        point("profile_hash"),
        point("boot_count"),
    ),
    block(
        100,
        "site",
        "What was measured in the last whole site second",
        header("image_time", "u32", "site time of the second, Unix seconds UTC", unit="s"),
        point("channel_power"),
        point("uptime"),
        header("time_quality", "u16", "how far the time can be trusted", values=TimeQuality),
        point("site_state"),
        point("bus_voltage"),
        point("bus_current"),
        point("ground_fault_current"),
        point("hot_supply_temperature"),
        point("hot_return_temperature"),
        point("cold_supply_temperature"),
        point("cold_return_temperature"),
        point("hot_flow"),
        point("cold_flow"),
        point("gas_flow"),
        point("gas_pressure"),
        point("battery_current"),
        point("ambient_temperature"),
        point("exhaust_temperature"),
        point("hot_pressure"),
        point("cold_pressure"),
        point("gas_temperature"),
        point("burner_modulation"),
        point("burner_flags"),
        point("site_alarms"),
        point("battery_charge"),
        point("load_power"),
    ),
    block(
        200,
        "energies",
        "What was counted",
        point("electrical_energy"),
        point("bus_energy"),
        point("gas_volume"),
        second("lifetime_energy", "u64", "electrical energy of all boots", "J", Fraction(1, 1000)),
        second("lifetime_bus_energy", "i64", "energy through the bus shunt, of all boots", "J", Fraction(1, 1000)),
        second("lifetime_gas", "u64", "gas consumed in all boots", "cf", Fraction(1, 86_400)),
    ),
    block(
        300,
        "state",
        "State, faults and the last trip; the record",
        point("faults", Origin.LIVE),
        second("trip_cause", "u32", "what tripped first, of the last trip; all `trip_*` stay until the next", values=Fault),
        second("trip_time", "u32", "site time of the last trip", "s"),
        live("flags", "u16", "how the node stands", values=NodeFlag),
        second("trip_bus_mv", "u16", "bus voltage at the last trip", "V", Fraction(1, 1000)),
        second("trip_bus_current", "i16", "bus current at the last trip", "A", Fraction(1, 100)),
        second("trip_hot_supply", "i16", "hot supply temperature at the last trip", "degC", Fraction(1, 50)),
        second("trip_ground_fault", "u16", "ground fault current at the last trip", "mA", Fraction(1, 10)),
        second("trip_channel", "u16", "the channel that the last trip is about; 65,535 where it is about none"),
        point("module_link_errors"),
        point("host_link_errors"),
        point("leaves_lost"),
        gap(1),
        header("image_sequence", "u32", "sequence of the next leaf"),
        point("buffer_frames"),
        point("buffer_oldest_age"),
        point("buffer_hours_left"),
        point("uplink_state"),
        point("uplink_reconnects"),
    ),
    block(
        400,
        "modules",
        "The power modules, slot 0 first",
        second("module_identity", "u16", "type u8, version u8; 0 where no module answers", **_MODULES),
        second("module_status", "u16", "its status byte; bit 15 it answers, 14 it hears the node, 13 its run wire is 1", **_MODULES),
        second("module_bootstraps", "u16", "bootstrap pulses since its power-up, 65,535 where more", **_MODULES),
    ),
    block(
        450,
        "network",
        "This network port",
        second("link_flags", "u16", "how the link stands", values=LinkFlag),
        second("connections", "u16", "TCP connections that are open"),
        second("live_ip", "u32", "IPv4 address now"),
        second("live_mask", "u32", "network mask now"),
        second("live_gateway", "u32", "gateway now; 0 for none"),
        second("lease_s", "u32", "what is left of the DHCP lease", "s"),
        counter("frames_received", "whole Ethernet frames, whoever they were for"),
        counter("frames_damaged", "frames with a wrong check sum or an error of the line, cut, or too long"),
        counter("frames_dropped", "packets with a wrong IP header, fragments, and echo requests without a buffer"),
        counter("frames_sent", "Ethernet frames sent"),
        counter("tcp_accepted", "connections accepted"),
        counter("tcp_refused", "resets to who had no connection"),
        counter("tcp_retransmitted", "segments sent again"),
        counter("modbus_requests", "requests answered"),
        counter("modbus_exceptions", "of them with an exception"),
        counter("scada_writes", "requests that wrote"),
    ),
    block(
        600,
        "override",
        "How SCADA's override stands",
        live("override_flags", "u16", "what SCADA has taken, and whether it may", values=OverrideFlag),
        live("override_remaining_s", "u16", "until it ends without a heartbeat; 0 where there is none", "s"),
        live("override_ip", "u32", "IPv4 address of who wrote last; 0 before the first write"),
        live("own_enable", "u16", "whether the node itself lets the channels run"),
        live("own_current_limit_ma", "u16", "the node's own limit of a channel's current", "A", Fraction(1, 1000)),
        live("own_site_power_limit", "u16", "the node's own limit of the power of all channels", "W", 10),
    ),
    block(700, "setpoints", "What SCADA may write; read, they are what is in force", *map(_setpoint, WRITABLES)),
    block(1000, "channel_current", "Each channel's output current", point("channel_current", Origin.CHANNEL)),
    block(1200, "channel_duty", "Each channel's duty", point("channel_duty", Origin.CHANNEL)),
    block(1400, "channel_state", "Each channel's state", point("channel_state", Origin.CHANNEL)),
)


@dataclass(frozen=True, slots=True)
class Bit:
    """A coil or a discrete input: bit `place` of the value `vector`."""

    address: int
    identifier: str
    meaning: str
    vector: str
    place: int


def _bits(base: int, vector: str, flags: type[Fault | NodeFlag | OverrideFlag | LinkFlag | BurnerFlag | SiteAlarm]) -> list[Bit]:
    return [
        Bit(
            base + flag.bit_length() - 1,
            f"{vector}.{flag.name.lower()}",
            str(flag.name).lower().replace("_", " "),
            vector,
            flag.bit_length() - 1,
        )
        for flag in flags
    ]


DISCRETE_VECTORS: dict[str, tuple[int, int]] = {
    # vector: (first address, discrete inputs)
    "faults": (0, 32),
    "flags": (32, 16),
    "override_flags": (48, 16),
    "link_flags": (64, 16),
    "burner_flags": (80, 8),
    "effective_enable": (88, 8),
    "site_alarms": (96, 16),
}
"""What the discrete inputs are bits of. Those without a name are declared gaps, read as 0."""
DISCRETE_COUNT = 112

DISCRETE_INPUTS: tuple[Bit, ...] = (
    *_bits(0, "faults", Fault),
    *_bits(32, "flags", NodeFlag),
    *_bits(48, "override_flags", OverrideFlag),
    *_bits(64, "link_flags", LinkFlag),
    *_bits(80, "burner_flags", BurnerFlag),
    Bit(88, "effective_enable", "the channels may run: node and SCADA agree", "effective_enable", 0),
    *_bits(96, "site_alarms", SiteAlarm),
)

COILS: tuple[Bit, ...] = tuple(
    Bit(writable.coil, writable.identifier, writable.meaning, writable.identifier, 0) for writable in WRITABLES if writable.coil is not None
)

REGISTERS: tuple[Register, ...] = tuple(register for each in BLOCKS for register in each.registers if register.origin is not Origin.GAP)
WORDS: dict[int, Word] = {address: word for each in BLOCKS for register in each.registers for address, word in register.sources()}
"""Where the word at each address comes from; an address that is not here is an illegal one."""

WIDE: dict[int, frozenset[int]] = {
    words: frozenset(address for register in REGISTERS if register.words == words for address, _ in register.sources()) for words in (2, 4)
}
"""Addresses of values of two and of four words: those that the word order is about."""


def _widths(origin: Origin) -> dict[str, int]:
    return {register.identifier: 16 * register.size for register in REGISTERS if register.origin is origin}


LIVE_WIDTHS = _widths(Origin.LIVE)
SECOND_WIDTHS = _widths(Origin.SECOND)
"""Bits of what is live, and of what is taken at each site second."""
COUNTERS: tuple[str, ...] = tuple(_widths(Origin.COUNTER))
KEPT_WORDS = 512
"""What comes from the second's memory lies below: its address there is the one on the wire."""

assert all(address < KEPT_WORDS for address, word in WORDS.items() if word.origin not in (Origin.LIVE, Origin.CHANNEL, Origin.GAP))
