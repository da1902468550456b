"""How the node's own network port is set, and who may write over it: texts into the node's registers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Interface, IPv4Network, NetmaskValueError

from thermogen_esf.hostlink_network import DEFAULT_SETTINGS, PREFERRED_CLIENTS, WRITERS, NetworkMode, WordOrder
from thermogen_esf.scada import WRITABLE_BIT, WRITABLE_DEFAULT

_MAC_PREFIX = b"\x02\x54\x5a"
"""Locally administered, and `TZ`."""
_MAC_BYTES = 6


@dataclass(frozen=True, slots=True)
class ScadaSettings:
    """The node's network settings, as its registers take them; `mac` None stands for one that follows from the site's name."""

    mode: NetworkMode
    address: IPv4Interface
    gateway: IPv4Address | None
    mac: int | None
    preferred: tuple[IPv4Address, ...]
    writers: tuple[IPv4Network, ...]
    writable: int
    word_order: WordOrder

    def registers(self, site: bytes) -> dict[str, list[int]]:
        """The entries of each register, by name; `site` is the site's identity. Entries that are not used are 0."""
        mac = int.from_bytes(_MAC_PREFIX + hashlib.sha3_256(site).digest()[:3], "big") if self.mac is None else self.mac
        preferred = [int(client) for client in self.preferred]
        writers = [int(network.network_address) << 32 | int(network.netmask) for network in self.writers]
        return {
            "mac": [mac],
            "ip": [int(self.address.ip)],
            "mask": [int(self.address.netmask)],
            "gateway": [int(self.gateway) if self.gateway else 0],
            "network_mode": [self.mode],
            "word_order": [self.word_order],
            "writable": [self.writable],
            "preferred": preferred + [0] * (PREFERRED_CLIENTS - len(preferred)),
            "writers": writers + [0] * (WRITERS - len(writers)),
        }


class _WrongTextError(Exception):
    """What is wrong with a text, as advice."""


def read_scada_settings(text: Callable[[str], str], refuse: Callable[[str, str, str], Exception]) -> ScadaSettings:
    """The settings that `text` gives by variable; raises what `refuse` makes of a variable, its value and the advice."""

    def read(variable: str, parse: Callable[[str], object]) -> object:
        value = text(variable)
        try:
            return parse(value)
        except _WrongTextError as error:
            raise refuse(variable, value, str(error)) from error

    return ScadaSettings(
        mode=read("THERMOGEN_NODE_MODE", _mode),  # type: ignore[arg-type]
        address=read("THERMOGEN_NODE_ADDRESS", _interface),  # type: ignore[arg-type]
        gateway=read("THERMOGEN_NODE_GATEWAY", lambda value: _address(value) if value else None),  # type: ignore[arg-type]
        mac=read("THERMOGEN_NODE_MAC", _mac),  # type: ignore[arg-type]
        preferred=read("THERMOGEN_SCADA_PREFERRED", _preferred),  # type: ignore[arg-type]
        writers=read("THERMOGEN_SCADA_WRITERS", _writers),  # type: ignore[arg-type]
        writable=read("THERMOGEN_SCADA_WRITABLE", _writable),  # type: ignore[arg-type]
        word_order=read("THERMOGEN_SCADA_WORD_ORDER", _word_order),  # type: ignore[arg-type]
    )


def _mode(value: str) -> NetworkMode:
    modes = {mode.name.lower(): mode for mode in NetworkMode}
    if value not in modes:
        raise _WrongTextError("give `dhcp` or `fixed`")
    return modes[value]


def _interface(value: str) -> IPv4Interface:
    try:
        interface = IPv4Interface(value)
    except (AddressValueError, NetmaskValueError, ValueError) as error:
        raise _WrongTextError(f"give an address with its prefix, as 192.168.84.90/24 ({error})") from error
    if "/" not in value or not 1 <= interface.network.prefixlen <= 30:
        raise _WrongTextError("give an address with its prefix of 1 to 30, as 192.168.84.90/24")
    return interface


def _address(value: str) -> IPv4Address:
    try:
        return IPv4Address(value)
    except AddressValueError as error:
        raise _WrongTextError(f"give an IPv4 address ({error})") from error


def _mac(value: str) -> int | None:
    if not value:
        return None
    parts = value.split(":")
    try:
        octets = bytes(int(part, 16) for part in parts if len(part) == 2)
    except ValueError:
        octets = b""
    if len(parts) != _MAC_BYTES or len(octets) != _MAC_BYTES or octets[0] & 1:
        raise _WrongTextError("give six bytes, as 02:54:5a:12:34:56, the first one even")
    mac = int.from_bytes(octets, "big")
    if mac == DEFAULT_SETTINGS["mac"]:
        raise _WrongTextError("give another one: this is what every node has that has lost its power")
    return mac


def _listed(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def _preferred(value: str) -> tuple[IPv4Address, ...]:
    clients = tuple(_address(part) for part in _listed(value))
    if len(clients) > PREFERRED_CLIENTS:
        raise _WrongTextError(f"give at most {PREFERRED_CLIENTS} addresses")
    return clients


def _writers(value: str) -> tuple[IPv4Network, ...]:
    try:
        networks = tuple(IPv4Network(part) for part in _listed(value))
    except (AddressValueError, NetmaskValueError, ValueError) as error:
        raise _WrongTextError(f"give addresses or networks, as 192.168.84.20 or 192.168.84.0/24 ({error})") from error
    if len(networks) > WRITERS or any(network.prefixlen == 0 for network in networks):
        raise _WrongTextError(f"give at most {WRITERS} addresses or networks, none of them everybody")
    return networks


def _writable(value: str) -> int:
    if not value:
        return WRITABLE_DEFAULT
    names = _listed(value)
    if not set(names) <= set(WRITABLE_BIT):
        raise _WrongTextError(f"give names of {', '.join(WRITABLE_BIT)}")
    return sum(WRITABLE_BIT[name] for name in set(names))


def _word_order(value: str) -> WordOrder:
    orders = {order.name.lower().replace("_", "-"): order for order in WordOrder}
    if value not in orders:
        raise _WrongTextError(f"give `{'` or `'.join(orders)}`")
    return orders[value]
