"""Whom this site believes as a witness: the pinned root keys, the list that they signed, and every enrolment, from a directory.

root.json           the pin
trust.signed        the list, as `thermogen-esf trust combine` wrote it
enrolments/*.json   every site's
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from thermogen_esf.evidence.attestation.enrolment import Enrolment, enrolled, judge_enrolment, ordered
from thermogen_esf.evidence.attestation.signed import Signed
from thermogen_esf.evidence.attestation.trust import FleetTrust, RootKeys, judge_trust
from thermogen_esf.evidence.errors import EvidenceError

from .errors import EdgeError


class AttestationTrustError(EdgeError):
    """The directory does not hold a list that its root keys signed, over the enrolments beside it."""


@dataclass(frozen=True)
class AttestationTrust:
    """The list and its sites by name."""

    trust: FleetTrust
    sites: dict[str, Enrolment]


def load_attestation_trust(directory: Path, now: int) -> AttestationTrust:
    """Reads and judges the directory as a verifier would; AttestationTrustError, or OSError where a file cannot be read."""
    try:
        root = RootKeys.parse((directory / "root.json").read_bytes())
        signed = Signed.parse((directory / "trust.signed").read_bytes())
        paths = sorted((directory / "enrolments").glob("*.json"))
        entries = enrolled(ordered(Enrolment.parse(path.read_bytes()) for path in paths))
    except EvidenceError as error:
        raise AttestationTrustError(f"{directory}: {error}: give root.json, trust.signed and enrolments/ of one trust list") from error
    trust, checks = judge_trust(signed, root, now)
    if trust is not None:
        checks += [check for each in entries for check in judge_enrolment(each, trust, now)]
    wrong = next((check for check in checks if check.passed is False), None)
    if trust is None or wrong is not None or len(entries) != trust.site_count:
        why = f"{len(entries)} enrolments are there" if wrong is None else f"{wrong.name}: {wrong.detail}"
        raise AttestationTrustError(f"{directory}: the list is not believed ({why}): get the newest, with all its enrolments")
    return AttestationTrust(trust, {each.enrolment.name: each.enrolment for each in entries})
