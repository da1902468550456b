"""A site's place in the trust list: its node, its keys, what bounds its claims, and who provisioned it.

The certificate is over board, VRF key and bitstream, so that whoever only holds the cloud's keys, or even the list's signatures on other
entries, cannot enrol a node that nobody has seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ... import merkle, vrf
from ...frames import site_identity
from ...signatures import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, SigningKey, verify
from ..canonical import Value, canonical
from ..check import Check, Reason, passed, refused
from ..document import Document
from ..errors import EvidenceError
from ..fluids import FLUIDS
from ..record import Record
from ..trust import NAME, PRODUCT_CLOCKS_PER_SITE_SECOND, SiteKey, valid_at
from .trust import FleetTrust, TrustError

PROVISIONING_CONTEXT = b"thermogen/provisioning/v1"


@dataclass(frozen=True)
class Enrolment(Document):
    """One site's entry. TrustError for fields that cannot be."""

    what: ClassVar[str] = "enrolment"
    error: ClassVar[type[EvidenceError]] = TrustError

    name: str
    operator: str
    board_serial: str
    vrf_key: bytes
    """ECVRF public key, 32 bytes, made in the node's FPGA."""
    gateware: bytes
    """SHA3-256 of the node's bitstream, 32 bytes."""
    public_key: bytes
    """ML-DSA-87 key of the site's daemon."""
    profile_hash: bytes
    """8 bytes, as seals name it."""
    calibration_hash: bytes
    """8 bytes, as seals name it."""
    nameplate_w: int
    channels: int
    hot_fluid: str
    cold_fluid: str
    clocks_per_site_second: int
    valid_from: int
    valid_to: int | None
    provisioner: str
    provisioned_at: int
    """Unix seconds."""
    certificate: bytes
    """The provisioner's ML-DSA-87 signature of `provisioning`, 4,627 bytes."""

    @property
    def identity(self) -> bytes:
        """The eight bytes by which frames, seals and draws name the site."""
        return site_identity(self.name)

    @property
    def provisioning(self) -> bytes:
        """What the certificate is over, in canonical JSON."""
        return provisioning(self.board_serial, self.vrf_key, self.gateware, self.provisioned_at)

    def values(self) -> dict[str, Value]:
        """The fields as JSON values."""
        return {
            "name": self.name,
            "operator": self.operator,
            "board_serial": self.board_serial,
            "vrf_key": self.vrf_key.hex(),
            "gateware": self.gateware.hex(),
            "public_key": self.public_key.hex(),
            "profile_hash": self.profile_hash.hex(),
            "calibration_hash": self.calibration_hash.hex(),
            "nameplate_w": self.nameplate_w,
            "channels": self.channels,
            "hot_fluid": self.hot_fluid,
            "cold_fluid": self.cold_fluid,
            "clocks_per_site_second": self.clocks_per_site_second,
            "valid_from": self.valid_from,
            "valid_to": self.valid_to,
            "provisioner": self.provisioner,
            "provisioned_at": self.provisioned_at,
            "certificate": self.certificate.hex(),
        }

    @classmethod
    def fields(cls, record: Record) -> dict[str, Any]:
        """The fields from JSON values."""
        vrf_key = record.octets("vrf_key", vrf.KEY_BYTES)
        if not vrf.is_key(vrf_key):
            raise TrustError(f"the VRF key {vrf_key.hex()} is not a point of the prime-order group")
        return {
            "name": record.text("name", pattern=NAME),
            "operator": record.text("operator", pattern=NAME),
            "board_serial": record.text("board_serial", 48, r"[A-Za-z0-9-]+"),
            "vrf_key": vrf_key,
            "gateware": record.octets("gateware", 32),
            "public_key": record.octets("public_key", PUBLIC_KEY_BYTES),
            "profile_hash": record.octets("profile_hash", 8),
            "calibration_hash": record.octets("calibration_hash", 8),
            "nameplate_w": record.integer("nameplate_w", 1, 1_000_000),
            "channels": record.integer("channels", 1, 108),
            "hot_fluid": _read_fluid(record, "hot_fluid"),
            "cold_fluid": _read_fluid(record, "cold_fluid"),
            "clocks_per_site_second": record.integer("clocks_per_site_second", 1, PRODUCT_CLOCKS_PER_SITE_SECOND),
            "valid_from": record.time("valid_from"),
            "valid_to": record.time_or_none("valid_to"),
            "provisioner": record.text("provisioner", pattern=NAME),
            "provisioned_at": record.time("provisioned_at"),
            "certificate": record.octets("certificate", SIGNATURE_BYTES),
        }

    @property
    def site_key(self) -> SiteKey:
        """The entry as the rules of a batch take it."""
        return SiteKey(
            self.name,
            self.public_key,
            self.valid_from,
            self.valid_to,
            self.nameplate_w,
            self.channels,
            self.hot_fluid,
            self.cold_fluid,
            self.clocks_per_site_second,
        )


def provisioning(board_serial: str, vrf_key: bytes, gateware: bytes, time: int) -> bytes:
    """What whoever provisions a node signs, in canonical JSON: the board at hand made this key with this bitstream."""
    return canonical({"version": 1, "board_serial": board_serial, "vrf_key": vrf_key.hex(), "gateware": gateware.hex(), "time": time})


def certify(board_serial: str, vrf_key: bytes, gateware: bytes, time: int, key: SigningKey) -> bytes:
    """The provisioner's signature, 4,627 bytes."""
    return key.sign(provisioning(board_serial, vrf_key, gateware, time), PROVISIONING_CONTEXT)


@dataclass(frozen=True, slots=True)
class Enrolled:
    """An enrolment and the proof that it lies under a trust list's root."""

    enrolment: Enrolment
    index: int
    proof: tuple[bytes, ...]


def ordered(enrolments: Iterable[Enrolment]) -> tuple[Enrolment, ...]:
    """Enrolments in the list's order; TrustError where two have one name, identity, board or key: what the root keys' holders check."""
    entries = tuple(sorted(enrolments, key=lambda each: each.name))
    for what in ("name", "identity", "board_serial", "vrf_key", "public_key"):
        seen: dict[object, str] = {}
        for each in entries:
            value = getattr(each, what)
            if value in seen:
                raise TrustError(f"{seen[value]} and {each.name} have the same {what.replace('_', ' ')}: every site needs its own")
            seen[value] = each.name
    return entries


def sites_root(entries: Sequence[Enrolment]) -> bytes:
    """The root over ordered enrolments."""
    return merkle.root([each.encode() for each in entries])


def vrf_keys(entries: Sequence[Enrolment]) -> tuple[tuple[bytes, bytes], ...]:
    """Identity and VRF key of ordered enrolments."""
    return tuple((each.identity, each.vrf_key) for each in entries)


def vrf_keys_root(keys: Sequence[tuple[bytes, bytes]]) -> bytes:
    """The root over identities and VRF keys in the list's order."""
    return merkle.root([identity + key for identity, key in keys])


def enrolled(entries: Sequence[Enrolment]) -> tuple[Enrolled, ...]:
    """Ordered enrolments, each with its proof."""
    leaves = [each.encode() for each in entries]
    return tuple(Enrolled(each, index, tuple(merkle.inclusion_proof(leaves, index))) for index, each in enumerate(entries))


def judge_enrolment(entry: Enrolled, trust: FleetTrust, time: int) -> list[Check]:
    """Whether a site is enrolled in a list that is believed, and its node provisioned, at a time."""
    site = entry.enrolment
    return [_listed(entry, trust), _valid_site(site, trust, time), _gateware(site, trust, time), _certificate(site, trust)]


def _listed(entry: Enrolled, trust: FleetTrust) -> Check:
    name, site = "site enrolled", entry.enrolment
    if not merkle.verify_inclusion(site.encode(), entry.index, trust.site_count, entry.proof, trust.sites_root):
        return refused(name, Reason.UNKNOWN_SITE, f"{site.name} is not entry {entry.index} of the list's {trust.site_count} sites")
    return passed(name, f"{site.name} is entry {entry.index} of {trust.site_count}", index=entry.index, sites=trust.site_count)


def _valid_site(site: Enrolment, trust: FleetTrust, time: int) -> Check:
    name = "site and operator valid"
    if site.operator not in trust.operators:
        return refused(name, Reason.UNKNOWN_SITE, f"the list has no operator {site.operator}, to whom {site.name} is said to belong")
    if not valid_at(site, time):
        return refused(name, Reason.KEY_NOT_VALID, f"{site.name} is valid from {site.valid_from} to {site.valid_to}, used at {time}")
    if site.clocks_per_site_second != PRODUCT_CLOCKS_PER_SITE_SECOND and not trust.demonstration:
        return refused(name, Reason.WRONG_CLOCKS, f"{site.name} is simulated and the list is not a demonstration list")
    return passed(name, f"{site.name} of {site.operator}")


def _gateware(site: Enrolment, trust: FleetTrust, time: int) -> Check:
    name = "gateware believed"
    known = next((each for each in trust.gateware if each.hash == site.gateware and valid_at(each, time)), None)
    if known is None:
        return refused(name, Reason.UNKNOWN_GATEWARE, f"the bitstream {site.gateware.hex()} of {site.name} is not believed at {time}")
    return passed(name, f"{known.name}, {known.hash.hex()}")


def _certificate(site: Enrolment, trust: FleetTrust) -> Check:
    name = "node provisioned"
    at = site.provisioned_at
    key = next((each for each in trust.provisioners if each.name == site.provisioner and valid_at(each, at)), None)
    if key is None:
        return refused(name, Reason.UNKNOWN_KEY, f"no provisioner {site.provisioner} is in the list at {at}")
    if not verify(key.public_key, site.provisioning, site.certificate, PROVISIONING_CONTEXT):
        text = (
            f"not {key.name}'s certificate of board {site.board_serial}, VRF key {site.vrf_key.hex()} and bitstream {site.gateware.hex()}"
        )
        return refused(name, Reason.NOT_PROVISIONED, text)
    return passed(name, f"board {site.board_serial} by {key.name} at {at}", provisioned_s=at)


def _read_fluid(record: Record, name: str) -> str:
    fluid = record.text(name)
    if fluid not in FLUIDS:
        raise TrustError(f"{name} {fluid!r} is not known; known are {', '.join(sorted(FLUIDS))}")
    return fluid
