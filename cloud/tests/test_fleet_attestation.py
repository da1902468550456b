"""A fleet end to end: five daemons' duties as witnesses, the cloud's receiver side, a mint, and a stranger who believes it.

What a broker would carry is handed over in this process; everything on either side of it is the product's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from thermogen_cloud.drawings import Drawings
from thermogen_cloud.intake import Intake
from thermogen_cloud.registry import AttestedMintState
from thermogen_edge.alerts import Alerts
from thermogen_edge.attestation_trust import AttestationTrust
from thermogen_edge.buffer import Buffer
from thermogen_edge.buffer.outbox import Outbox
from thermogen_edge.sealer import SealCollector
from thermogen_edge.witness_duty import WitnessDuty
from thermogen_esf.evidence.attestation.proof_verification import verify_proof
from thermogen_esf.frames import decode, frame_hash
from thermogen_sim.fleet.enrolling import signing_key
from thermogen_sim.fleet.node import SealingNode
from thermogen_sim.fleet.sealer import ModelSealer

from .attesting_fleet import DAY, FIRST
from .test_attested_minting import Minting


@dataclass
class Daemon:
    """What a site's daemon does about attestation, with a model in place of its node."""

    node: SealingNode
    buffer: Buffer
    fleet: Fleet

    def __post_init__(self) -> None:
        sealer, outbox = ModelSealer(self.node), Outbox(self.buffer.database)
        trust = AttestationTrust(self.fleet.made.attesting.fleet.trust, self.fleet.sites)
        self.outbox, self.collector = outbox, SealCollector(sealer, outbox, self.node.identity, self._alerts())
        key = signing_key(self.node.name)
        self.duty = WitnessDuty(self.node.identity, key, sealer, trust, outbox, self._ask, lambda: self.fleet.made.attesting.now)

    def _alerts(self) -> Alerts:
        return Alerts(self.buffer, self.node.identity, lambda _frame: None)

    def _ask(self, kind: str, message: bytes) -> bool:
        assert kind == "fetch"
        self.fleet.drawings.fetch(self.node.name, message)
        return True


class Fleet:
    """Six daemons around a cloud."""

    def __init__(self, made: Minting, folder: Any) -> None:
        self.made = made
        cloud, attesting = made.cloud, made.attesting
        self.sites = {each.enrolment.name: each.enrolment for each in attesting.fleet.entries}
        self.intake = Intake(cloud.registry, cloud.key, cloud.trust, lambda: attesting.now, attesting.attestor)
        self.drawings = Drawings(attesting.attestor, cloud.registry, self._deliver)
        self.daemons = {node.name: Daemon(node, Buffer(folder / f"{node.name}.sqlite", 10_000_000), self) for node in attesting.fleet.nodes}

    def _deliver(self, site: str, leaf: str, payload: bytes) -> None:
        duty = self.daemons[site].duty
        {"drawing": duty.announced, "published": duty.published}[leaf](payload)

    def upload(self) -> None:
        """Every outbox goes to the cloud, and its receipts back."""
        for name, daemon in self.daemons.items():
            daemon.collector.collect()
            for _, kind, message in daemon.outbox.waiting(99):
                receipt = {"seals": self.intake.seals, "statement": self.intake.statement}[kind](name, message)
                assert receipt is not None and decode(receipt).batch_hash == frame_hash(message)  # type: ignore[union-attr]
                assert daemon.outbox.receipted(frame_hash(message))

    def close(self) -> None:
        for daemon in self.daemons.values():
            daemon.duty.close()
            daemon.buffer.close()


@pytest.fixture
def fleet(cloud, tmp_path):
    made = Fleet(Minting(cloud, tmp_path / "attesting"), tmp_path)
    yield made
    made.close()


def test_a_day_goes_from_seals_to_a_credit_that_a_stranger_believes(fleet, wait):
    made, attesting = fleet.made, fleet.made.attesting
    made.attested_before()
    enrolment = attesting.fleet.entry(attesting.node).enrolment
    hashes = {name: int.from_bytes(getattr(enrolment, name), "big") for name in ("profile_hash", "calibration_hash")}
    for epoch in range(FIRST, FIRST + 3):
        batch = attesting.site.epoch(epoch, bend=lambda _sequence, _raw: hashes)
        made.cloud.receive(batch, made.site)
        frame = decode(batch)
        attesting.node.seal(epoch, root=frame.root, leaf_count=len(frame.leaves))
        fleet.upload()
    attesting.node.seal(FIRST + 96)
    fleet.upload()
    attesting.round()
    for node in attesting.fleet.nodes[1:]:
        node.seal(FIRST + 96)
    fleet.upload()
    attesting.round()
    fleet.drawings.announce()

    def said():
        for daemon in fleet.daemons.values():
            daemon.duty.step()
        return sum(len(daemon.outbox.waiting(9)) for daemon in fleet.daemons.values()) == 5

    wait(said, "five witnesses speak")
    fleet.upload()
    attesting.round()
    attesting.round(300)
    made.minting.round()
    assert attesting.states() == [(1, "attested")] and made.row.state is AttestedMintState.MINTED
    assert verify_proof(made.row.bundle, attesting.fleet.root, made.minting.frames(made.site, DAY)).believed
