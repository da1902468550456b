"""What whoever is near the trust list can try."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from thermogen_esf.evidence.attestation.log import trust_entry
from thermogen_esf.evidence.attestation.proof_bundle import EnrolledBytes, ProofBundle
from thermogen_esf.evidence.attestation.proof_verification import verify_proof
from thermogen_esf.evidence.attestation.signed import Signed
from thermogen_esf.evidence.attestation.statement import Opinion, Statement
from thermogen_esf.evidence.attestation.trust import TRUST_CONTEXT

from ..attested_day import AttestedDay
from ..enrolling import Fleet, signing_key
from ..node import SealingNode
from .trial import Attack, Judged, Trial, World, by_the_cloud, judged_bundle, said, verified


def _own_roots(world: World) -> Trial:
    """The cloud makes root keys and a list of its own: the verifier's pin is another."""
    day = world.honest
    others = tuple(replace(key, public_key=signing_key(f"eve {key.name}").public_key) for key in day.fleet.root.keys)
    report = verify_proof(day.bundle().encode(), replace(day.fleet.root, keys=others), day.frames())
    wrong = report.first_wrong
    return Trial(said(day), str(day.outcome.state), Judged(report.believed, f"step {report.steps[-1].title}: {wrong and wrong.reason}"))


def _too_few(day: AttestedDay) -> tuple[ProofBundle, dict[str, Any]]:
    keys = [signing_key("cloud-1"), signing_key("rita")]
    return day.bundle(trust=Signed.by(day.fleet.trust.encode(), keys, TRUST_CONTEXT).encode()), {}


def _sybil(world: World) -> Trial:
    """The cloud makes a site of its own that agrees in place of another: no list that the roots signed has it."""
    day = world.honest
    sybil = SealingNode.named("tz-sybil")
    fleet = Fleet([*day.fleet.nodes, sybil], {**day.fleet.operators, sybil.name: "operator-1"}, day.fleet.changes)
    entry = fleet.entry(sybil)
    claims = day.recomputed.claims
    said_by_it = Statement(day.drawing, sybil.identity, sybil.draw(day.drawing), Opinion.AGREE, None, None, claims, day.drawn.time)
    bundle = day.bundle()
    enrolments = (*bundle.enrolments, EnrolledBytes(entry.index, entry.proof, entry.enrolment.encode()))
    signed = said_by_it.sign(signing_key(sybil.name)).encode()
    statements = (*bundle.statements[:-1], replace(bundle.statements[-1], witness=len(enrolments) - 1, signed=signed))
    return Trial(said(day), str(day.outcome.state), judged_bundle(day, replace(bundle, enrolments=enrolments, statements=statements)))


def _enrolled_with(**changes: Any) -> Any:
    """A list that k holders signed, with something in the first site's entry that they should not have signed."""

    def run(world: World) -> Trial:
        day = world.day(world.fleet(**changes))
        day.measure()
        day.witness()
        return Trial(said(day), str(day.outcome.state), verified(day))

    return run


def _superseded(world: World) -> Trial:
    """A newer list is frozen before the beacon, and the cloud uses the one before it; somebody knows the newer one's revision."""
    day = world.day()
    day.measure()
    newer = replace(day.fleet.trust, revision=day.fleet.trust.revision + 1, previous=day.fleet.trust.hash)
    day.log.append(trust_entry(newer.hash))
    day.witness()
    bundle = day.bundle()
    kept = judged_bundle(day, bundle, least_revision=newer.revision)
    return Trial(said(day), str(day.outcome.state), judged_bundle(day, bundle), kept=kept)


ATTACKS = (
    Attack("own-root-keys", "root keys and a list of the cloud's own", "cloud", _own_roots),
    Attack("too-few-roots", "a list signed by the cloud and one of two root keys", "cloud, one root key", by_the_cloud(_too_few)),
    Attack(
        "superseded-list",
        "a list is used that a newer one in the log had superseded before the beacon",
        "cloud",
        _superseded,
        "a bundle cannot show which list was the newest: the verifier gives its revision",
    ),
    Attack("sybil", "a witness that no list enrols", "cloud", _sybil),
    Attack("not-provisioned", "a list enrols a board that nobody certified", "k root keys", _enrolled_with(board_serial="TZN-never-seen")),
    Attack("other-bitstream", "a list enrols a bitstream that it does not name", "k root keys", _enrolled_with(gateware=bytes(32))),
    Attack("unknown-provisioner", "a list enrols by a provisioner whom it does not name", "k root keys", _enrolled_with(provisioner="eve")),
)
