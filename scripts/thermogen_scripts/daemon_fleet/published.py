"""A day's proof bundle as the cloud's own code puts it together from its directory, whether anything was minted of the day or not."""

from __future__ import annotations

import time

from thermogen_cloud.attestation_log import AttestationLog
from thermogen_cloud.attestation_trust import AttestationTrust
from thermogen_cloud.attesting import Attestor
from thermogen_cloud.directory import CloudDirectory
from thermogen_cloud.initialise import read_key
from thermogen_cloud.methodology_choices import MethodologyChoices
from thermogen_cloud.proofs import gather_again
from thermogen_cloud.registry import AttestedMint, Registry

from ..processes import ProcessError
from .world import FleetWorld


def bundle_and_frames(world: FleetWorld, site: str, day: int) -> tuple[bytes, bytes]:
    """Bundle and companion of a site's attested day. The cloud must have been stopped: its log is written by one process."""
    directory = CloudDirectory(world.cloud_directory)
    trust = AttestationTrust.load(directory)
    assert trust is not None, "the ceremony had it adopted"
    registry = Registry(directory.registry)
    try:
        methodologies = MethodologyChoices(directory)
        log = AttestationLog(registry, trust.root.hash, read_key(directory.cloud_key))
        attestor = Attestor(registry, log, trust, methodologies, lambda: int(time.time()))
        attestor.round()
        with registry.reading() as session:
            row = session.get(AttestedMint, (site, day))
        identity = trust.newest.by_name[site].enrolment.identity
        attempt = next((each for each in attestor.attempts(identity, day) if row is not None and each.attempt == row.attempt), None)
        evidence = None
        if row is not None and attempt is not None:
            evidence = gather_again(registry, attestor, methodologies, attempt, row.signed)
        if row is None or evidence is None:
            raise ProcessError(f"day {day} of {site} has no attestation, or not all that it rests on")
        return evidence.signed(row.signed), evidence.frames
    finally:
        registry.close()
