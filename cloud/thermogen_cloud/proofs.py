"""The proof bundle of an attested day, put together from the log and the registry: the same bytes each time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from thermogen_esf.evidence.attestation.attested import Attestation
from thermogen_esf.evidence.attestation.beacon import contributing
from thermogen_esf.evidence.attestation.draw import WINDOW_S
from thermogen_esf.evidence.attestation.enrolment import Enrolled, vrf_keys
from thermogen_esf.evidence.attestation.log import Checkpoint, EntryKind
from thermogen_esf.evidence.attestation.proof_bundle import EnrolledBytes, Entry, ProofBundle, StatementBytes, encode_frames
from thermogen_esf.evidence.attestation.seal import Seal
from thermogen_esf.evidence.attestation.signed import Signed
from thermogen_esf.evidence.attestation.statement import Heard, Opinion
from thermogen_esf.frames import frame_hash
from thermogen_esf.signatures import SIGNATURE_BYTES

from .attesting import Attestor, Open
from .methodology_choices import MethodologyChoices
from .registry import Batch, BatchStatus, Registry, StoredStatement


@dataclass(frozen=True)
class Evidence:
    """A day's bundle without its attestation, and its companion."""

    bundle: ProofBundle
    frames: bytes

    def signed(self, attestation: bytes, approval: bytes = b"", signature: bytes = bytes(SIGNATURE_BYTES)) -> bytes:
        """The bundle with the cloud's attestation and, where a person decided, the approval."""
        parts = {**{name: getattr(self.bundle, name) for name in ProofBundle.__dataclass_fields__}, "attestation": attestation}
        return ProofBundle(**{**parts, "approval": approval, "approval_signature": signature}).encode()


def gather(registry: Registry, attestor: Attestor, attempt: Open, methodology: bytes) -> Evidence | None:
    """What an attempt whose window is over rests on; None while a sealed epoch has no believed batch here.

    `methodology` is the one of its attestation, as a bundle has it.
    """
    drawn, log = attempt.drawn, attestor.log
    batches = _batches(registry, attempt)
    if drawn is None or batches is None:
        return None
    closed = drawn.time + WINDOW_S
    chain = log.chain_around(attempt.row.entry, lambda chain: chain[-1].time >= closed)
    over = next((each for each in chain if each.time >= closed), None)
    if over is None:
        return None
    chain = [each for each in chain if each.number <= over.number]
    valid = [(row, each) for row, each in attestor.heard(attempt) if each.valid and row.entry is not None and row.entry < over.size]
    heard = _counting(valid)
    witnesses = [attempt.trust.by_identity[row.witness] for row, _ in heard]
    before = next(each for each in chain if each.number == drawn.number - 1)

    def entry(index: int, at: Checkpoint | None = None) -> Entry:
        held = at or next(each for each in chain if each.size > index)
        return Entry(index, held.number, tuple(log.inclusion(index, held.size)))

    added = [Seal.decode(data[1:]) for data in log.between(before.size, drawn.size) if data[0] == EntryKind.SEAL]
    statements = tuple(StatementBytes(place, entry(row.entry or 0), row.signed) for place, (row, _) in enumerate(heard, 1))
    (last,) = log.published(over.number, over.number)
    bundle = ProofBundle(
        attestation=b"",
        methodology=methodology,
        trust=attempt.trust.signed.encode(),
        enrolments=tuple(_encoded(each) for each in (attempt.trust.by_identity[attempt.day.site], *witnesses)),
        opening=attempt.row.opening,
        seals=tuple(seal.encode() for seal in (*attempt.day.seals, attempt.day.closing)),
        batch_hashes=tuple(map(frame_hash, batches)),
        checkpoints=tuple(each.encode() for each in chain),
        last_checkpoint=last.encode(),
        trust_entry=entry(attestor.frozen_at(attempt.trust), before),
        day_entry=entry(attempt.row.entry),
        attempt=attempt.attempt,
        statements=statements,
        vrf_keys=vrf_keys([each.enrolment for each in attempt.trust.entries]),
        contributions=tuple(seal.encode() for seal in contributing(added)),
    )
    return Evidence(bundle, encode_frames(batches))


def gather_again(
    registry: Registry, attestor: Attestor, methodologies: MethodologyChoices, attempt: Open, signed: bytes
) -> Evidence | None:
    """What an attestation that was emitted rests on, given as the cloud signed it.

    MethodologyChoiceError where its methodology cannot be read.
    """
    if attempt.drawn is None:
        return None
    attestation = Attestation.parse(Signed.parse(signed).document)
    methodology = methodologies.named(attestation, attempt.trust.trust.approvers, attempt.drawn.time)
    return gather(registry, attestor, attempt, methodology)


def companion(registry: Registry, attempt: Open) -> bytes | None:
    """The frames of an attempt's day; None while a sealed epoch has no believed batch here."""
    batches = _batches(registry, attempt)
    return None if batches is None else encode_frames(batches)


def _counting(valid: Sequence[tuple[StoredStatement, Heard]]) -> list[tuple[StoredStatement, Heard]]:
    """Of each witness, in the log's order, the first statement that is no dissent and the first that is: no other counts."""
    first: dict[tuple[bytes, bool], tuple[StoredStatement, Heard]] = {}
    for row, each in valid:
        first.setdefault((row.witness, each.statement is not None and each.statement.opinion is Opinion.DISSENT), (row, each))
    return list(first.values())


def _encoded(entry: Enrolled) -> EnrolledBytes:
    return EnrolledBytes(entry.index, entry.proof, entry.enrolment.encode())


def _batches(registry: Registry, attempt: Open) -> list[bytes] | None:
    """The believed batch of each sealed epoch, in order."""
    with registry.reading() as session:
        of_site = (Batch.identity == attempt.day.site, Batch.status == BatchStatus.BELIEVED)
        found = []
        for seal in attempt.day.seals:
            sealed = select(Batch).where(*of_site, Batch.epoch == seal.epoch, Batch.root == seal.root)
            row = session.scalars(sealed).first()
            if row is None:
                return None
            found.append(row.body)
    return found
