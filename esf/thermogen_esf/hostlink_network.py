"""The host link's registers of the node's network side: how it is set, how it stands, and what SCADA wrote.

They are there where the node says `NodeFlag.NETWORK`; elsewhere their addresses are BAD_ADDRESS. What is written is kept while the daemon
is away, until power-off. A register, and an entry of a list, is written whole in one request and takes effect at once.
"""

from __future__ import annotations

import enum

from .scada import EVENT_RING, EVENT_WORDS, WRITABLE_DEFAULT

PREFERRED_CLIENTS = 8
WRITERS = 4


class NetworkMode(enum.IntEnum):
    """Where the node's address comes from."""

    FIXED = 0
    DHCP = 1
    """Asked for; the fixed one until and unless there is an answer."""


class WordOrder(enum.IntEnum):
    """Which word of a value of 32 or 64 bits has the lower MODBUS address."""

    HIGH_FIRST = 0
    LOW_FIRST = 1


class LinkFlag(enum.IntFlag):
    """Bits of `link_flags`."""

    LINK_UP = 1 << 0
    ADDRESS_VALID = 1 << 1
    FROM_DHCP = 1 << 2


class OverrideFlag(enum.IntFlag):
    """Bits of `override_flags`."""

    ALIVE = 1 << 0
    ENABLE = 1 << 1
    """SCADA has written `enable`, and so on for the others."""
    CURRENT_LIMIT = 1 << 2
    SITE_POWER_LIMIT = 1 << 3
    WRITES_ALLOWED = 1 << 4
    """Some client may write: an allow-list is set, or the panel enables writing."""
    PANEL_ENABLE = 1 << 5
    EVENTS_FULL = 1 << 6
    """Writes are refused as busy until the daemon has read events."""


NETWORK_BASE = 0x340
NETWORK_SETTINGS: dict[str, tuple[int, int, int]] = {
    # name: (word address, words of an entry, entries); read and write at any time
    "network_mode": (0x340, 1, 1),
    "ip": (0x341, 2, 1),
    "mask": (0x343, 2, 1),
    "gateway": (0x345, 2, 1),
    "mac": (0x347, 3, 1),
    "word_order": (0x34A, 1, 1),
    "writable": (0x34B, 1, 1),
    "isn_key": (0x34C, 8, 1),
    "preferred": (0x354, 2, PREFERRED_CLIENTS),
    "writers": (0x364, 4, WRITERS),
}
NETWORK_SETTINGS_WORDS = 0x34

DEFAULT_SETTINGS: dict[str, int] = {
    "network_mode": NetworkMode.DHCP,
    "ip": 0xC0A8_545A,
    "mask": 0xFFFF_FF00,
    "gateway": 0,
    "mac": 0x02_54_5A_00_00_01,
    "word_order": WordOrder.HIGH_FIRST,
    "writable": WRITABLE_DEFAULT,
}
"""After power-up: DHCP, else 192.168.84.90/24 (`TZ` in decimal); nobody is preferred and nobody may write. `isn_key` is 0, beside
the node's own noise, and is never read back."""

EVENT_ACK = (0x378, 2)
"""Write n: the events before number n are stored. An n beyond `events_next` is REFUSED."""

NETWORK_STATUS_BASE = 0x380
NETWORK_STATUS: dict[str, tuple[int, int]] = {
    # name: (word address, words); read only
    "link_flags": (0x380, 1),
    "connections": (0x381, 1),
    "live_ip": (0x382, 2),
    "override_flags": (0x384, 1),
    "override_remaining_s": (0x385, 1),
    "override_ip": (0x386, 2),
    "events_next": (0x388, 2),
    "events_oldest": (0x38A, 2),
}
NETWORK_STATUS_WORDS = 0x0C
"""The rest of what the network says is in the MODBUS map."""

STACK_STATUS: tuple[str, ...] = ("link_flags", "connections", "live_ip", "live_mask", "live_gateway", "lease_s")
"""What the network stack says of itself, besides its counters."""

EVENT_BASE = 0x400
EVENT_END = EVENT_BASE + EVENT_RING * EVENT_WORDS
"""Event n is at EVENT_BASE + (n mod EVENT_RING) × EVENT_WORDS; those from `events_oldest` to `events_next` - 1 are there."""
