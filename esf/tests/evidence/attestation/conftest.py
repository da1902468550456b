"""A fleet in software: nodes that seal and draw as the gateware does, operators, root keys, and the trust list that names them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from hashlib import sha3_256
from typing import Any

import pytest
from thermogen_esf.evidence.attestation.day import Day
from thermogen_esf.evidence.attestation.enrolment import (
    Enrolled,
    Enrolment,
    certify,
    enrolled,
    ordered,
    sites_root,
    vrf_keys,
    vrf_keys_root,
)
from thermogen_esf.evidence.attestation.seal import NO_PREVIOUS, Seal
from thermogen_esf.evidence.attestation.signed import Signed
from thermogen_esf.evidence.attestation.trust import TRUST_CONTEXT, FleetTrust, Gateware, NamedKey, RootKeys
from thermogen_esf.evidence.trust import ApproverKey
from thermogen_esf.frames import site_identity
from thermogen_esf.signatures import SigningKey
from thermogen_esf.vrf_inputs import SEAL_FIELDS, seal_input
from thermogen_sim.ecvrf import SoftwareProver

DAY = 20_700
"""In September 2026."""
NOW = DAY * 86_400
SINCE = NOW - 10_000_000
PROFILE, CALIBRATION = b"profile.", b"calibrat"
BITSTREAM = sha3_256(b"node.bit").digest()


@cache
def signing_key(name: str) -> SigningKey:
    """A person's, a site's or a cloud's key, which follows from its name."""
    return SigningKey.from_seed(sha3_256(name.encode()).digest())


@dataclass
class Node:
    """A node's seals, made one after the other."""

    name: str
    prover: SoftwareProver
    boot: int = 1
    link: bytes = NO_PREVIOUS
    seals: list[Seal] = field(default_factory=list)

    @classmethod
    def named(cls, name: str) -> Node:
        """A node whose key follows from its name."""
        return cls(name, SoftwareProver(sha3_256(name.encode()).digest()))

    @property
    def identity(self) -> bytes:
        """Of its site, 8 bytes."""
        return site_identity(self.name)

    def seal(self, epoch: int, root: bytes | None = None, **changes: Any) -> Seal:
        """The next seal."""
        values: dict[str, Any] = {
            "site": self.identity,
            "epoch": epoch,
            "boot_count": self.boot,
            "previous": self.link,
            "leaf_count": 90,
            "root": root or sha3_256(b"leaves %d" % epoch).digest(),
            "profile_hash": PROFILE,
            "calibration_hash": CALIBRATION,
            **changes,
        }
        octets = {name: value.to_bytes(SEAL_FIELDS[name], "big") if isinstance(value, int) else value for name, value in values.items()}
        seal = Seal(proof=self.prover.prove(seal_input(octets)), **values)
        self.link = seal.link
        self.seals.append(seal)
        return seal

    def reboot(self) -> None:
        """Power was lost."""
        self.boot += 1
        self.link = NO_PREVIOUS

    def day(self, number: int = DAY, epochs: int = 4) -> Day:
        """A day of the first so many epochs, closed by the first seal of the next."""
        made = tuple(self.seal(number * 96 + index) for index in range(epochs))
        return Day(made, self.seal((number + 1) * 96))


@dataclass
class Fleet:
    """Nodes of operators, and everybody who signs for them."""

    nodes: list[Node]
    operators: dict[str, str]
    """By site name."""
    changes: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Fields of an enrolment to replace, by site name."""

    @classmethod
    def of(cls, count: int, operators: int) -> Fleet:
        """So many nodes, dealt to so many operators."""
        nodes = [Node.named(f"tz-{number:04}") for number in range(count)]
        return cls(nodes, {node.name: f"operator-{number % operators}" for number, node in enumerate(nodes)})

    def enrolment(self, node: Node) -> Enrolment:
        """A node's entry."""
        provisioner, since, serial = signing_key("provisioner"), SINCE - 1_000, f"TZN-{node.name[3:]}"
        certificate = certify(serial, node.prover.public_key, BITSTREAM, since, provisioner)
        entry = Enrolment(
            name=node.name,
            operator=self.operators[node.name],
            board_serial=serial,
            vrf_key=node.prover.public_key,
            gateware=BITSTREAM,
            public_key=signing_key(node.name).public_key,
            profile_hash=PROFILE,
            calibration_hash=CALIBRATION,
            nameplate_w=1_140,
            channels=12,
            hot_fluid="therminol-vp1",
            cold_fluid="ethylene-glycol-50",
            clocks_per_site_second=50_000_000,
            valid_from=SINCE,
            valid_to=None,
            provisioner="provisioner",
            provisioned_at=since,
            certificate=certificate,
        )
        return replace(entry, **self.changes.get(node.name, {}))

    @cached_property
    def entries(self) -> tuple[Enrolled, ...]:
        """All entries with their proofs."""
        return enrolled(ordered(self.enrolment(node) for node in self.nodes))

    def entry(self, node: Node) -> Enrolled:
        """A node's entry with its proof."""
        return next(each for each in self.entries if each.enrolment.name == node.name)

    @cached_property
    def root(self) -> RootKeys:
        """The pin: two of three."""
        return RootKeys(2, tuple(NamedKey(name, signing_key(name).public_key, SINCE - 2_000, None) for name in ("rita", "ruth", "rolf")))

    @cached_property
    def trust(self) -> FleetTrust:
        """The list."""
        return FleetTrust(
            revision=1,
            previous=None,
            root_keys=self.root.hash,
            valid_from=SINCE - 2_000,
            valid_to=NOW + 100 * 86_400,
            demonstration=False,
            operators=tuple(sorted(set(self.operators.values()))),
            gateware=(Gateware("node-0.3", BITSTREAM, SINCE - 2_000, None),),
            provisioners=(NamedKey("provisioner", signing_key("provisioner").public_key, SINCE - 2_000, None),),
            clouds=(NamedKey("cloud-1", signing_key("cloud-1").public_key, SINCE - 2_000, None),),
            approvers=(ApproverKey("alice", "approver", signing_key("alice").public_key, SINCE - 2_000, None),),
            site_count=len(self.entries),
            sites_root=sites_root([each.enrolment for each in self.entries]),
            vrf_keys_root=vrf_keys_root(vrf_keys([each.enrolment for each in self.entries])),
        )

    def signed_trust(self, *names: str) -> Signed:
        """The list, signed by these."""
        return Signed.by(self.trust.encode(), [signing_key(name) for name in names or ("rita", "ruth")], TRUST_CONTEXT)


@cache
def _fleet(count: int, operators: int) -> Fleet:
    fleet = Fleet.of(count, operators)
    assert fleet.entries and fleet.trust
    return fleet


@pytest.fixture
def fleet() -> Fleet:
    """Five sites of five operators; nothing sealed yet."""
    known = _fleet(5, 5)
    fresh = Fleet(known.nodes, dict(known.operators))
    fresh.nodes = [Node.named(node.name) for node in known.nodes]
    fresh.__dict__.update(entries=known.entries, trust=known.trust, root=known.root)
    return fresh


@pytest.fixture
def node() -> Node:
    """A node that has sealed nothing yet."""
    return Node.named("tz-test-01")


@pytest.fixture
def other() -> Node:
    """Another one."""
    return Node.named("tz-test-02")


@pytest.fixture(scope="session")
def new_node() -> Callable[[str], Node]:
    """Makes a node by its name."""
    return Node.named


@pytest.fixture
def new_fleet() -> Callable[[int, int], Fleet]:
    """Makes a fleet of so many sites and operators, its list not written yet."""
    return Fleet.of


@pytest.fixture
def keys() -> Callable[[str], SigningKey]:
    """Anybody's signing key."""
    return signing_key


@pytest.fixture
def now() -> int:
    """Unix seconds at the beginning of the day that is sealed."""
    return NOW
