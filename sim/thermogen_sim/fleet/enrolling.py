"""Who enrols, signs and vouches in a fleet: operators, root keys, a provisioner, a cloud, and the trust list that names them.

Every key follows from its owner's name, so that a fleet is the same each time. None of them is worth anything outside a simulation.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from hashlib import sha3_256
from typing import Any

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
from thermogen_esf.evidence.attestation.signed import Signed
from thermogen_esf.evidence.attestation.trust import TRUST_CONTEXT, FleetTrust, Gateware, RootKeys
from thermogen_esf.evidence.trust import ApproverKey, NamedKey
from thermogen_esf.signatures import SigningKey

from .node import CALIBRATION, DAY, PROFILE, SealingNode

NOW = DAY * 86_400
SINCE = NOW - 10_000_000
BITSTREAM = sha3_256(b"node.bit").digest()


@cache
def signing_key(name: str) -> SigningKey:
    """A person's, a site's or a cloud's key, which follows from its name."""
    return SigningKey.from_seed(sha3_256(name.encode()).digest())


@dataclass
class Fleet:
    """Nodes of operators, and everybody who signs for them."""

    nodes: list[SealingNode]
    operators: dict[str, str]
    """By site name."""
    changes: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Fields of an enrolment to replace, by site name."""

    @classmethod
    def of(cls, count: int, operators: int, seed: int = 0) -> Fleet:
        """So many nodes, dealt to so many operators."""
        nodes = [SealingNode.named(f"tz-{number:04}", seed) for number in range(count)]
        return cls(nodes, {node.name: f"operator-{number % operators}" for number, node in enumerate(nodes)})

    def enrolment(self, node: SealingNode) -> Enrolment:
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

    def entry(self, node: SealingNode) -> Enrolled:
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
            approvers=tuple(
                ApproverKey(name, role, signing_key(name).public_key, SINCE - 2_000, None)
                for name, role in (("alice", "approver"), ("anna", "auditor"))
            ),
            site_count=len(self.entries),
            sites_root=sites_root([each.enrolment for each in self.entries]),
            vrf_keys_root=vrf_keys_root(vrf_keys([each.enrolment for each in self.entries])),
        )

    def signed_trust(self, *names: str) -> Signed:
        """The list, signed by these."""
        return Signed.by(self.trust.encode(), [signing_key(name) for name in names or ("rita", "ruth")], TRUST_CONTEXT)
