"""The node's network side over the host link: its settings, how it stands, and the events of SCADA's writes."""

from __future__ import annotations

import secrets
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from thermogen_esf.hostlink_network import (
    EVENT_ACK,
    EVENT_BASE,
    NETWORK_BASE,
    NETWORK_SETTINGS,
    NETWORK_SETTINGS_WORDS,
    NETWORK_STATUS,
    NETWORK_STATUS_BASE,
    NETWORK_STATUS_WORDS,
)
from thermogen_esf.scada import EVENT_RING, EVENT_WORDS

from .host_link.client import HostLinkClient

_WORD_BITS = 16


@dataclass(frozen=True, slots=True)
class NetworkStatus:
    """How the network side stands; events `events_oldest` … `events_next` - 1 wait."""

    link_flags: int
    connections: int
    live_ip: int
    override_flags: int
    override_remaining_s: int
    override_ip: int
    events_next: int
    events_oldest: int


class NodeNetwork:
    """Speaks with a node that has one; raises HostLinkError subclasses only."""

    def __init__(self, link: HostLinkClient) -> None:
        self._link = link

    def status(self) -> NetworkStatus:
        """All of it, of one instant."""
        words = self._link.read(NETWORK_STATUS_BASE, NETWORK_STATUS_WORDS)
        return NetworkStatus(
            **{name: _number(words, address - NETWORK_STATUS_BASE, size) for name, (address, size) in NETWORK_STATUS.items()}
        )

    def set(self, settings: Mapping[str, Sequence[int]]) -> list[str]:
        """Writes the entries that are not what the node has, so that one that lives on is not disturbed; the names of what was written.

        A node that has another MAC has lost its power, and gets a new secret for its initial sequence numbers. That comes first: a
        daemon that dies in between does it again, and never leaves a node that has its MAC and no secret.
        """
        words = self._link.read(NETWORK_BASE, NETWORK_SETTINGS_WORDS)
        wrong = []
        for name, entries in settings.items():
            address, size, _ = NETWORK_SETTINGS[name]
            for place, value in enumerate(entries):
                start = address + place * size
                if _number(words, start - NETWORK_BASE, size) != value:
                    wrong.append((name, start, _words(value, size)))
        if any(name == "mac" for name, _, _ in wrong):
            self._set_key()
        for _, start, entry in wrong:
            self._link.write(start, entry)
        return [name for name, _, _ in wrong]

    def _set_key(self) -> None:
        address, size, _ = NETWORK_SETTINGS["isn_key"]
        self._link.write(address, _words(secrets.randbits(_WORD_BITS * size), size))

    def events(self, first: int, stop: int) -> list[bytes]:
        """Events `first` … `stop` - 1, as the node keeps them."""
        events = []
        while first != stop:
            slot = first % EVENT_RING
            count = min((stop - first) & 0xFFFF_FFFF, EVENT_RING - slot)
            words = self._link.read(EVENT_BASE + slot * EVENT_WORDS, count * EVENT_WORDS)
            content = struct.pack(f">{len(words)}H", *words)
            events += [content[start : start + 2 * EVENT_WORDS] for start in range(0, len(content), 2 * EVENT_WORDS)]
            first = (first + count) & 0xFFFF_FFFF
        return events

    def acknowledge(self, stored_up_to: int) -> None:
        """Says that the events before this number are on disk."""
        self._link.write(EVENT_ACK[0], _words(stored_up_to, EVENT_ACK[1]))


def _number(words: Sequence[int], start: int, size: int) -> int:
    value = 0
    for word in words[start : start + size]:
        value = value << _WORD_BITS | word
    return value


def _words(value: int, size: int) -> list[int]:
    return [value >> _WORD_BITS * (size - 1 - place) & 0xFFFF for place in range(size)]
