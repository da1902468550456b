"""The trust list: whom a verifier believes about what.

A canonical JSON file that names the keys of sites, clouds and approvers with the time each is valid. Whoever verifies pins one file;
its SHA3-256 is the pin's fingerprint. A key is never taken from anywhere else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar, Protocol

from ..frames import site_identity
from ..signatures import PUBLIC_KEY_BYTES, key_id
from .canonical import Value
from .document import Document
from .errors import EvidenceError
from .fluids import FLUIDS
from .record import Record

PRODUCT_CLOCKS_PER_SITE_SECOND = 50_000_000
"""Clocks of a site second in every product; another value only runs in a simulator."""

ROLE_APPROVER = "approver"
"""The role whose signature approves a mint."""

MAX_ENTRIES = 10_000
NAME = r"[a-z0-9][a-z0-9._@-]{0,47}"
"""Names are lower-case letters, digits and . _ @ -, so that no two look alike."""


class TrustError(EvidenceError):
    """A file that is not a trust list of version 1; verify against a file that the list's publisher gave you."""


class _Timed(Protocol):
    @property
    def valid_from(self) -> int: ...

    @property
    def valid_to(self) -> int | None: ...


class _Key(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def public_key(self) -> bytes: ...
    @property
    def valid_from(self) -> int: ...
    @property
    def valid_to(self) -> int | None: ...


@dataclass(frozen=True, slots=True)
class SiteKey:
    """A site's key and what bounds the site's claims; several keys of one site follow one another in time."""

    name: str
    public_key: bytes
    valid_from: int
    """Unix seconds, first valid."""
    valid_to: int | None
    """Unix seconds, last valid; None while the key is in use."""
    nameplate_w: int
    """Greatest electrical power of all channels, W."""
    channels: int
    """Channels that the site has, 1 to 108."""
    hot_fluid: str
    cold_fluid: str
    clocks_per_site_second: int = PRODUCT_CLOCKS_PER_SITE_SECOND

    @property
    def identity(self) -> bytes:
        """The eight bytes by which the site's frames name it."""
        return site_identity(self.name)

    @property
    def key_id(self) -> bytes:
        """The eight bytes by which a frame names the key."""
        return key_id(self.public_key)


@dataclass(frozen=True, slots=True)
class NamedKey:
    """An ML-DSA-87 key, whose it is and when it is valid (Unix seconds, both ends included; None: still)."""

    name: str
    public_key: bytes
    valid_from: int
    valid_to: int | None

    @property
    def key_id(self) -> bytes:
        """First eight bytes of the key's SHA3-256."""
        return key_id(self.public_key)


@dataclass(frozen=True, slots=True)
class ApproverKey:
    """A person's key and the role in which the person signs; only ROLE_APPROVER approves mints."""

    name: str
    role: str
    public_key: bytes
    valid_from: int
    valid_to: int | None

    @property
    def key_id(self) -> bytes:
        """First eight bytes of the key's SHA3-256."""
        return key_id(self.public_key)


def valid_at(key: _Timed, time: int) -> bool:
    """Whether a key, or what else has such a time, is valid at a time (Unix seconds), both ends included."""
    return key.valid_from <= time and (key.valid_to is None or time <= key.valid_to)


def validity(key: SiteKey | NamedKey | ApproverKey) -> str:
    """The key's time of validity for a person: `1790000000 to now on`."""
    return f"{key.valid_from} to {'now on' if key.valid_to is None else key.valid_to}"


@dataclass(frozen=True)
class TrustList(Document):
    """What a verifier pins. TrustError where the entries contradict one another."""

    what: ClassVar[str] = "trust list"
    error: ClassVar[type[EvidenceError]] = TrustError

    sites: tuple[SiteKey, ...]
    cloud: tuple[NamedKey, ...]
    """With which clouds sign receipts and bundles."""
    approvers: tuple[ApproverKey, ...]
    demonstration: bool
    """Whether demonstration credits are believed, and sites whose second has fewer clocks than a product's."""

    def __post_init__(self) -> None:
        super().__post_init__()
        everyone: list[SiteKey | NamedKey | ApproverKey] = [*self.sites, *self.cloud, *self.approvers]
        for key in everyone:
            if key.valid_to is not None and key.valid_to < key.valid_from:
                raise TrustError(f"the key of {key.name} ends at {key.valid_to}, before it begins at {key.valid_from}")
        _refuse_shared_keys(everyone)
        _refuse_shared_identities(self.sites)
        _refuse_overlaps("site", ((key.name, key) for key in self.sites))
        _refuse_overlaps("approver", ((f"{key.name} as {key.role}", key) for key in self.approvers))
        for site in self.sites:
            if site.clocks_per_site_second != PRODUCT_CLOCKS_PER_SITE_SECOND and not self.demonstration:
                raise TrustError(
                    f"site {site.name} has {site.clocks_per_site_second} clocks a site second; only a demonstration list may name"
                    f" another value than a product's {PRODUCT_CLOCKS_PER_SITE_SECOND}"
                )

    def values(self) -> dict[str, Value]:
        """The fields as JSON values."""
        return {
            "demonstration": self.demonstration,
            "sites": [_site_value(key) for key in self.sites],
            "cloud": [key_value(key) for key in self.cloud],
            "approvers": [{**key_value(key), "role": key.role} for key in self.approvers],
        }

    @classmethod
    def fields(cls, record: Record) -> dict[str, Any]:
        """The fields from JSON values."""
        return {
            "demonstration": record.boolean("demonstration"),
            "sites": tuple(_read_site(entry) for entry in record.records("sites", MAX_ENTRIES)),
            "cloud": tuple(read_named_key(entry) for entry in record.records("cloud", MAX_ENTRIES)),
            "approvers": tuple(read_approver(entry) for entry in record.records("approvers", MAX_ENTRIES)),
        }

    @property
    def fingerprint(self) -> bytes:
        """SHA3-256 of the file, 32 bytes: the pin."""
        return self.hash

    def site_key(self, identifier: bytes) -> SiteKey | None:
        """The site key whose key identifier (8 bytes) this is."""
        return next((key for key in self.sites if key.key_id == identifier), None)

    def sites_named(self, identity: bytes) -> tuple[SiteKey, ...]:
        """All keys of the site whose identity (8 bytes) this is."""
        return tuple(key for key in self.sites if key.identity == identity)

    def cloud_key(self, identifier: bytes) -> NamedKey | None:
        """The cloud key whose key identifier (8 bytes) this is."""
        return next((key for key in self.cloud if key.key_id == identifier), None)

    def approver_keys(self, name: str) -> tuple[ApproverKey, ...]:
        """All keys of a person, in every role and time."""
        return tuple(key for key in self.approvers if key.name == name)


def _refuse_shared_keys(keys: Iterable[SiteKey | NamedKey | ApproverKey]) -> None:
    # One key in two hands would let a cloud approve its own mints, or one site speak for another.
    seen: dict[bytes, str] = {}
    for key in keys:
        if key.key_id in seen:
            raise TrustError(f"{seen[key.key_id]} and {key.name} share key {key.key_id.hex()}; every entry needs its own")
        seen[key.key_id] = key.name


def _refuse_shared_identities(sites: Iterable[SiteKey]) -> None:
    names: dict[bytes, str] = {}
    for site in sites:
        if names.setdefault(site.identity, site.name) != site.name:
            raise TrustError(f"sites {names[site.identity]} and {site.name} have the same identity {site.identity.hex()}; rename one")


def _refuse_overlaps(what: str, named: Iterable[tuple[str, _Key]]) -> None:
    by_name: dict[str, list[_Key]] = {}
    for name, key in named:
        by_name.setdefault(name, []).append(key)
    for name, keys in by_name.items():
        for one, other in combinations(keys, 2):
            first, second = sorted((one, other), key=lambda key: key.valid_from)
            if first.valid_to is None or first.valid_to >= second.valid_from:
                raise TrustError(f"{what} {name} has two keys valid at {second.valid_from}; end the old one before the new one begins")


def key_value(key: _Key) -> dict[str, Value]:
    """A key as JSON values."""
    return {"name": key.name, "public_key": key.public_key.hex(), "valid_from": key.valid_from, "valid_to": key.valid_to}


def _site_value(key: SiteKey) -> dict[str, Value]:
    return {
        **key_value(key),
        "nameplate_w": key.nameplate_w,
        "channels": key.channels,
        "hot_fluid": key.hot_fluid,
        "cold_fluid": key.cold_fluid,
        "clocks_per_site_second": key.clocks_per_site_second,
    }


def _read_site(record: Record) -> SiteKey:
    key = SiteKey(
        name=record.text("name", pattern=NAME),
        public_key=record.octets("public_key", PUBLIC_KEY_BYTES),
        valid_from=record.time("valid_from"),
        valid_to=record.time_or_none("valid_to"),
        nameplate_w=record.integer("nameplate_w", 1, 1_000_000),
        channels=record.integer("channels", 1, 108),
        hot_fluid=_read_fluid(record, "hot_fluid"),
        cold_fluid=_read_fluid(record, "cold_fluid"),
        clocks_per_site_second=record.integer("clocks_per_site_second", 1, PRODUCT_CLOCKS_PER_SITE_SECOND),
    )
    record.end()
    return key


def read_named_key(record: Record) -> NamedKey:
    """The whole of an entry."""
    key = NamedKey(*_read_key(record))
    record.end()
    return key


def read_approver(record: Record) -> ApproverKey:
    """The whole of an entry."""
    name, public_key, valid_from, valid_to = _read_key(record)
    approver = ApproverKey(name, record.text("role", pattern=NAME), public_key, valid_from, valid_to)
    record.end()
    return approver


def _read_key(record: Record) -> tuple[str, bytes, int, int | None]:
    return (
        record.text("name", pattern=NAME),
        record.octets("public_key", PUBLIC_KEY_BYTES),
        record.time("valid_from"),
        record.time_or_none("valid_to"),
    )


def _read_fluid(record: Record, name: str) -> str:
    fluid = record.text(name)
    if fluid not in FLUIDS:
        raise TrustError(f"{name} {fluid!r} is not known; known are {', '.join(sorted(FLUIDS))}")
    return fluid
