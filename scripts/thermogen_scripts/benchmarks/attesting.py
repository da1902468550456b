"""How many attested days one process verifies per CPU second, what of it is cryptography, and how bundle and time grow with the epochs."""

from __future__ import annotations

from collections.abc import Callable
from unittest import mock

from thermogen_esf import signatures, vrf
from thermogen_esf.evidence.attestation.proof_verification import verify_proof
from thermogen_sim.ecvrf import SoftwareProver
from thermogen_sim.fleet.attested_day import AttestedDay
from thermogen_sim.fleet.enrolling import Fleet

from .measurement import Row, rate_per_s

TOPIC = "attestation"
SITES = 40
EPOCHS = (1, 8, 32, 96)


def measure() -> list[Row]:
    """Days of a fleet's first site, witnessed by those who are drawn, with and without their frames; simulated nodes throughout."""
    fleet = Fleet.of(SITES, SITES)
    fleet.changes = {fleet.nodes[0].name: {"nameplate_w": 1_140 * 9}}
    rows = _proofs()
    whole = 1.0
    for epochs in EPOCHS:
        day = _day(fleet, epochs)
        bundle, frames = day.bundle().encode(), day.frames()
        for size, what in ((len(bundle), "bundle"), (len(frames), "companion")):
            rows.append(Row(TOPIC, f"{what} of {epochs} epochs, {len(day.statements)} statements", size / 1e3, "kB"))
        rate = rate_per_s(lambda bundle=bundle, frames=frames: verify_proof(bundle, fleet.root, frames))  # type: ignore[misc]
        rows.append(Row(TOPIC, f"verifying a day of {epochs} epochs with its frames", 1e3 / rate, "ms CPU"))
        whole = rate
    signed = _calls(lambda: verify_proof(bundle, fleet.root, frames))
    signature, proof = _each(day)
    share = whole * (signed["signatures"] / signature + signed["proofs"] / proof)
    summary = rate_per_s(lambda: verify_proof(bundle, fleet.root))
    checked = f"{signed['signatures']} signatures, {signed['proofs']} proofs"
    return [
        *rows,
        Row(TOPIC, "whole days verified with their frames", whole, "/s", f"{summary / whole:.1f} times as many without"),
        Row(TOPIC, "of it, cryptography", 100 * share, "%", checked),
    ]


def _day(fleet: Fleet, epochs: int) -> AttestedDay:
    for node in fleet.nodes:
        node.seals.clear()
        node.reboot()
    day = AttestedDay(fleet, epochs=epochs)
    day.measure()
    day.witness()
    energy = day.outcome.energy_mj
    assert energy is not None, day.outcome
    day.history_mj = (energy,) * 30
    del day.outcome
    return day


def _proofs() -> list[Row]:
    prover = SoftwareProver(bytes(32))
    proof = prover.prove(b"epoch")
    return [
        Row(TOPIC, "ECVRF proofs in software, PyNaCl", rate_per_s(lambda: prover.prove(b"epoch")), "/s"),
        Row(TOPIC, "ECVRF proofs verified", rate_per_s(lambda: vrf.verify(prover.public_key, b"epoch", proof)), "/s"),
    ]


def _each(day: AttestedDay) -> tuple[float, float]:
    """Signatures and proofs verified per CPU second."""
    node, signed, _ = day.statements[0]
    key = day.fleet.entry(node).enrolment.public_key
    context, signature = b"thermogen/statement/v1", signed.signatures[0].signature
    seal = day.day.seals[0]
    return (
        rate_per_s(lambda: signatures.verify(key, signed.document, signature, context)),
        rate_per_s(lambda: vrf.verify(day.node.prover.public_key, seal.alpha, seal.proof)),
    )


def _calls(verification: Callable[[], object]) -> dict[str, int]:
    """How many signatures and proofs a verification checks."""
    places = (
        "thermogen_esf.evidence.attestation.signed.verify",
        "thermogen_esf.evidence.attestation.enrolment.verify",
        "thermogen_esf.frames.signing.verify",
    )
    with mock.patch("thermogen_esf.vrf.verify", wraps=vrf.verify) as proofs:
        counted = [mock.patch(place, wraps=signatures.verify) for place in places]
        made = [each.start() for each in counted]
        verification()
        for each in counted:
            each.stop()
        return {"signatures": sum(each.call_count for each in made), "proofs": proofs.call_count}
