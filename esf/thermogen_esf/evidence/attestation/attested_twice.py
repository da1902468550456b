"""Whether a cloud attested a day a second time: another bundle that somebody kept shows it, whether or not that one would be believed.

An honest cloud signs one attestation of a day, whichever attempt found its quorum: a deferred attempt has none, a day that people look into
has no further one, and what is signed uses up the day's epochs whatever is decided of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..check import Check, Reason, passed, refused, undecided
from ..trust import NamedKey, valid_at
from .attested import ATTESTATION_CONTEXT, Attestation
from .log import Checkpoint
from .proof_bundle import ProofBundle, ProofBundleError
from .signed import Signed
from .trust import FleetTrust, RootKeys, judge_trust


@dataclass(frozen=True, slots=True)
class OtherBundle:
    """What counts of a bundle that somebody kept; nothing of it is judged yet."""

    emitted: Signed
    attestation: Attestation
    trust: Signed
    time: int
    """Unix seconds of its last checkpoint: when the cloud that signed it has to have been one."""

    @classmethod
    def parse(cls, data: bytes) -> OtherBundle:
        """EvidenceError where `data` is not exactly a bundle with an attestation and a checkpoint."""
        bundle = ProofBundle.parse(data)
        if not bundle.checkpoints:
            raise ProofBundleError("not a proof bundle: it has no checkpoint")
        emitted, last = Signed.parse(bundle.attestation), Checkpoint.parse(bundle.checkpoints[-1])
        return cls(emitted, Attestation.parse(emitted.document), Signed.parse(bundle.trust), last.time)


def emitted_by(emitted: Signed, clouds: Iterable[NamedKey], time: int) -> NamedKey | None:
    """The cloud of these that signed an attestation, its key valid at a time; None where none did."""
    valid = (key for key in clouds if valid_at(key, time))
    return next((key for key in valid if emitted.signed_by(key.public_key, key.key_id, ATTESTATION_CONTEXT)), None)


def judge_other(other: OtherBundle, attestation: Attestation, trust: FleetTrust, root: RootKeys) -> Check:
    """Whether another bundle is of a second attestation of the day. What is none, or no cloud's, counts for nothing and is told."""
    name, found = "attested once", other.attestation
    if (found.site, found.day) != (attestation.site, attestation.day):
        return undecided(name, f"a bundle given is of {found.site}, day {found.day}: it counts for nothing", other_day=found.day)
    if found.hash == attestation.hash:
        return passed(name, f"a bundle given has the same attestation, {found.hash.hex()}")
    cloud = emitted_by(other.emitted, (*trust.clouds, *_clouds_of(other, root)), other.time)
    if cloud is None:
        text = f"no cloud that the root keys know signed the attestation {found.hash.hex()} of a bundle given: it counts for nothing"
        return undecided(name, text)
    text = (
        f"{attestation.site}, day {attestation.day}: attested here as {attestation.amount} x 1e-6 t by {attestation.methodology}"
        f" ({attestation.hash.hex()}), and by {cloud.name} as {found.amount} x 1e-6 t by {found.methodology} ({found.hash.hex()})"
    )
    return refused(name, Reason.ATTESTED_TWICE, text, day=found.day, amount=attestation.amount, other_amount=found.amount)


def _clouds_of(other: OtherBundle, root: RootKeys) -> tuple[NamedKey, ...]:
    """The clouds of the other bundle's own list, where the root keys signed it: a later list may name another key."""
    trust, checks = judge_trust(other.trust, root, other.time)
    return () if trust is None or not all(check.passed for check in checks) else trust.clouds
