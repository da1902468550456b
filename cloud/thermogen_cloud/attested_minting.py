"""From an attested day to a credit: one attestation a day, verified as a stranger would before the ledger hears of it.

    waiting ──▶ minting ──▶ minted        a person decides where the state says so; an attested day goes on by itself
       └───────────┴──────▶ rejected      from minting only what was interrupted and the ledger does not have
    below-least-mint, refused             nothing is issued; the reason is kept

The attestation is signed and on the disk before the ledger is asked; the ledger issues it once, at an address that follows from its hash,
so that whatever is interrupted is taken up by asking whether that address exists. While one of a site waits no other is made: it would
carry the same remainder.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from sqlalchemy import select
from sqlalchemy.orm import Session
from thermogen_esf.evidence import mint as rules
from thermogen_esf.evidence.approval import Approval, Decision, judge_approval
from thermogen_esf.evidence.attestation.attested import Attestation
from thermogen_esf.evidence.attestation.proof_verification import verify_proof
from thermogen_esf.evidence.attestation.quorum import DayState, Label
from thermogen_esf.evidence.attestation.signed import Signed
from thermogen_esf.evidence.check import Reason
from thermogen_esf.evidence.errors import EvidenceError
from thermogen_esf.evidence.ledger_record import SYMBOL
from thermogen_esf.signatures import SigningKey

from . import refusals
from .attesting import Attestor, Open
from .errors import OperatorError
from .ledger import CreditBlock, Ledger, LedgerRefusedError
from .methodology_choices import Chosen, MethodologyChoiceError, MethodologyChoices
from .proofs import Evidence, companion, gather, gather_again
from .registry import AttestedDay, AttestedMint, AttestedMintState, ConsumedEpoch, Registry
from .serials import next_number

log = logging.getLogger(__name__)

BY_A_PERSON = frozenset((DayState.CLAIMS_DISAGREE, DayState.OFF_BASELINE))


class AttestedMinting:
    """Mints attested days. Threads may share it; days are minted one at a time."""

    def __init__(
        self,
        registry: Registry,
        ledger: Ledger,
        attestor: Attestor,
        key: SigningKey,
        methodologies: MethodologyChoices,
        clock: Callable[[], int],
    ) -> None:
        self._registry = registry
        self._ledger = ledger
        self._attestor = attestor
        self._key = key
        self._methodologies = methodologies
        self._clock = clock
        self._lock = threading.Lock()

    def round(self) -> None:
        """Takes up what was interrupted, and emits the attestation of each site's oldest day that came to a state with one."""
        with self._lock:
            self._take_up()
            for days in self._ripe():
                self._emit_oldest(days)

    def decide(self, approval: Approval, signature: bytes) -> None:
        """Takes an approver's decision on the attestation that `approval` names and, where it is to approve, mints.

        A mint that was interrupted can be rejected while the ledger does not have it: it may lack what nobody has any more.

        Raises the refusals of `refusals` about the request, the approver and the decision; nothing has changed then.
        """
        with self._lock:
            self._take_up()
            with self._registry.reading() as session:
                row = _undecided(session, approval)
            if row.state is AttestedMintState.MINTING and self._ledger.find(row.attestation) is not None:
                raise refusals.AlreadyIssuedError(row.attestation)
            enrolled = self._attestor.trust.newest.by_name.get(row.site)
            if enrolled is None:
                raise refusals.UnknownSiteError(row.site)
            trust = self._attestor.trust.newest.trust.as_batch_trust([enrolled.enrolment.site_key])
            checks = judge_approval(approval, signature, approval.request, trust)
            wrong = [check for check in checks if check.passed is False and check.reason is not Reason.NOT_APPROVED]
            if wrong:
                raise refusals.of_approval(wrong[0])
            approved = approval.decision is Decision.APPROVE
            evidence = self._evidence_to_approve(row) if approved else None
            if approved and (evidence is None or self._suspended(row)):
                raise refusals.WouldNotVerifyError(["the key that sealed the day is suspended, or a batch of it is no longer believed"])
            if evidence is not None:
                self._refuse_unverifiable(evidence.signed(row.signed, approval.encode(), signature), evidence.frames)
            with self._registry.writing() as session:
                kept = _undecided(session, approval)
                kept.approval, kept.approval_signature = approval.encode(), signature
                kept.state = AttestedMintState.MINTING if approved else AttestedMintState.REJECTED
                kept.detail, kept.changed_at = f"{approval.approver}: {approval.reason}"[:500], self._clock()
            if approved:
                self._mint(row.site, row.day)

    def frames(self, site: str, day: int) -> bytes | None:
        """The companion of a day's bundle, None where there is none."""
        with self._registry.reading() as session:
            row = session.get(AttestedMint, (site, day))
        attempt = None if row is None else self._attempt(site, day, row.attempt)
        return None if attempt is None else companion(self._registry, attempt)

    def _ripe(self) -> list[list[AttestedDay]]:
        """By site, the attempts whose states have an attestation, of days that have none yet, oldest first."""
        with self._registry.reading() as session:
            done = {(site, day) for site, day in session.execute(select(AttestedMint.site, AttestedMint.day))}
            under_way = AttestedMint.state.in_((AttestedMintState.WAITING, AttestedMintState.MINTING))
            busy = set(session.scalars(select(AttestedMint.site).where(under_way)))
            states = (DayState.ATTESTED, *BY_A_PERSON)
            rows = session.scalars(
                select(AttestedDay).where(AttestedDay.state.in_(states)).order_by(AttestedDay.day, AttestedDay.site)
            ).all()
            doubted = select(AttestedDay.site, AttestedDay.day).where(
                AttestedDay.state.in_((DayState.REVIEW, DayState.ROOTS_DISAGREE, DayState.SUSPENDED))
            )
            done |= {(site, day) for site, day in session.execute(doubted)}
        of_site: dict[str, list[AttestedDay]] = {}
        for row in rows:
            if (row.site, row.day) not in done and row.site not in busy:
                of_site.setdefault(row.site, []).append(row)
        return list(of_site.values())

    def _emit_oldest(self, days: list[AttestedDay]) -> None:
        """Emits the attestation of the oldest of a site's days that can have one; later ones wait, to carry its remainder."""
        for row in days:
            try:
                if not self._suspended(row) and self._emit(row):
                    return
            except (LedgerRefusedError, OperatorError, EvidenceError) as error:
                log.error("day %d of %s is not minted: %s", row.day, row.site, error)
                return

    def _emit(self, row: AttestedDay) -> bool:
        """Emits a day's attestation once its batches are there; False where its methodology cannot be read.

        Such a day holds up none after it, of whatever methodology: it carries on, once it can be read, what is left over then.
        """
        attempt = self._attempt(row.site, row.day, row.attempt)
        if attempt is None:
            return True
        assert attempt.drawn is not None, "it was drawn for"
        try:
            chosen = self._methodologies.chosen(row.site, row.day, attempt.trust.trust.approvers, attempt.drawn.time)
        except MethodologyChoiceError as error:
            log.error("day %d of %s is not minted: %s; %s", row.day, row.site, error, error.remedy)
            return False
        evidence = gather(self._registry, self._attestor, attempt, chosen.document)
        if evidence is not None:
            self._attest(row, attempt, chosen, evidence)
        return True

    def _attest(self, row: AttestedDay, attempt: Open, chosen: Chosen, evidence: Evidence) -> None:
        attestation = self._attestation(row, attempt, chosen)
        signed = attestation.sign(self._key).encode()
        state, detail = AttestedMintState.WAITING if row.state in BY_A_PERSON else AttestedMintState.MINTING, ""
        least = chosen.rule.least_mint
        if attestation.amount < least:
            state, detail = AttestedMintState.BELOW_LEAST_MINT, f"{attestation.amount} is below the least mint of {least}"
        elif state is AttestedMintState.MINTING:
            try:
                self._refuse_unverifiable(evidence.signed(signed), evidence.frames)
            except (refusals.WouldNotVerifyError, EvidenceError) as error:
                state, detail = AttestedMintState.REFUSED, str(error)
        vintage = rules.vintage_of_epoch(attempt.day.seals[0].epoch)
        with self._registry.writing() as session:
            used = _used(session, row.site, attempt)
            if used is not None:
                state, detail = AttestedMintState.REFUSED, f"epoch {used.epoch} was used by the mint {used.used_by.hex()}"
            number = next_number(session, vintage)
            session.add(
                AttestedMint(
                    site=row.site, day=row.day, attempt=row.attempt, attestation=attestation.hash, signed=signed, amount=attestation.amount,
                    state=state, detail=detail[:500], vintage=vintage, number=number, serial=rules.serial(vintage, number),
                    changed_at=self._clock(),
                )
            )  # fmt: skip
            session.flush()
            if used is None:
                epochs = [seal.epoch for seal in attempt.day.seals]
                session.add_all(ConsumedEpoch(site=row.site, epoch=epoch, attestation=attestation.hash) for epoch in epochs)
        if state is AttestedMintState.MINTING:
            self._mint(row.site, row.day)

    def _attestation(self, row: AttestedDay, attempt: Open, chosen: Chosen) -> Attestation:
        assert row.energy_mj is not None and row.gas is not None and row.label is not None, "a quorum claims and is labelled"
        with self._registry.reading() as session:
            previous = _last_minted(session, row.site, chosen.rule.hash)
        carry_in = 0 if previous is None else previous.carry_out
        amount, carry_out = chosen.rule.amount(row.energy_mj, row.gas, carry_in, chosen.evidence)
        drawing = attempt.drawing
        assert drawing is not None, "it was drawn for"
        return Attestation(
            site=row.site,
            day=row.day,
            root=drawing.root,
            attempt=row.attempt,
            beacon_number=drawing.beacon_number,
            state=row.state,
            label=Label(row.label),
            agreeing=row.agreeing,
            received=row.received,
            energy_mj=row.energy_mj,
            gas=row.gas,
            methodology=chosen.rule.identifier,
            methodology_hash=chosen.rule.hash,
            baseline_evidence=chosen.evidence,
            carry_in=carry_in,
            carry_out=carry_out,
            amount=amount,
            history_mj=tuple(self._attestor.days.history_mj(row.site, row.day)),
            previous=None if previous is None else previous.hash,
        )

    def _refuse_unverifiable(self, bundle: bytes, frames: bytes) -> None:
        """Judges a bundle as a stranger would, so that nothing is minted which a verifier refuses afterwards."""
        report = verify_proof(bundle, self._attestor.trust.root, frames)
        wrong = report.first_wrong
        if wrong is not None:
            raise refusals.WouldNotVerifyError([f"step {report.steps[-1].title}, {wrong.name}: {wrong.detail}"])

    def _take_up(self) -> None:
        with self._registry.reading() as session:
            interrupted = select(AttestedMint.site, AttestedMint.day, AttestedMint.attestation)
            rows = session.execute(interrupted.where(AttestedMint.state == AttestedMintState.MINTING)).all()
        for site, day, attestation in rows:
            log.warning("taking up the interrupted mint of day %d of %s", day, site)
            try:
                self._mint(site, day)
            except MethodologyChoiceError as error:
                given_up = f"`thermogen-cloud approve --reject --request {attestation.hex()}` gives this mint up"
                log.error(
                    "day %d of %s is not minted yet: %s; %s; no later day of the site is until then, and %s",
                    day,
                    site,
                    error,
                    error.remedy,
                    given_up,
                )
            except (LedgerRefusedError, OperatorError, EvidenceError) as error:
                log.error("day %d of %s is not minted yet: %s", day, site, error)

    def _mint(self, site: str, day: int) -> None:
        """From minting, or from wherever a crash left it, to minted."""
        with self._registry.reading() as session:
            row = session.get_one(AttestedMint, (site, day))
        evidence = self._evidence(row)
        if evidence is None:
            return
        metadata = {
            "name": row.serial,
            "symbol": SYMBOL,
            "uri": f"esf:{row.attestation.hex()}",
            "site": site,
            "vintage": str(row.vintage),
            "methodology": Attestation.parse(Signed.parse(row.signed).document).methodology,
            "demonstration": "true" if self._attestor.trust.newest.trust.demonstration else "false",
        }
        block = self._ledger.find(row.attestation) or self._ledger.issue(CreditBlock(row.attestation, row.amount, metadata))
        bundle = evidence.signed(row.signed, *(() if row.approval is None else (row.approval, row.approval_signature)))
        with self._registry.writing() as session:
            kept = session.get_one(AttestedMint, (site, day))
            kept.state, kept.mint, kept.transaction, kept.bundle = AttestedMintState.MINTED, block.mint, block.transaction, bundle
            kept.changed_at = self._clock()

    def _evidence(self, row: AttestedMint) -> Evidence | None:
        attempt = self._attempt(row.site, row.day, row.attempt)
        if attempt is None:
            return None
        return gather_again(self._registry, self._attestor, self._methodologies, attempt, row.signed)

    def _evidence_to_approve(self, row: AttestedMint) -> Evidence | None:
        """The evidence; WouldNotVerifyError where its methodology cannot be read, for the approver to decide again afterwards."""
        try:
            return self._evidence(row)
        except MethodologyChoiceError as error:
            raise refusals.WouldNotVerifyError([str(error)], f"{error.remedy}, then decide again") from error

    def _suspended(self, row: AttestedDay | AttestedMint) -> bool:
        """Whether the key that sealed the day has sealed an epoch twice: of its days nothing is minted, whoever has the site now."""
        attempt = self._attempt(row.site, row.day, row.attempt)
        return attempt is not None and self._attestor.suspended(attempt.day)

    def _attempt(self, site: str, day: int, number: int) -> Open | None:
        enrolled = self._attestor.trust.newest.by_name.get(site)
        attempts = [] if enrolled is None else self._attestor.attempts(enrolled.enrolment.identity, day)
        return next((each for each in attempts if each.attempt == number), None)


def _undecided(session: Session, approval: Approval) -> AttestedMint:
    """What a decision is on: a mint that waits for one or, where it rejects, one that was interrupted."""
    row = session.scalars(select(AttestedMint).where(AttestedMint.attestation == approval.request)).first()
    if row is None:
        raise refusals.UnknownRequestError(approval.request)
    rejectable = row.state is AttestedMintState.MINTING and approval.decision is Decision.REJECT
    if row.state is not AttestedMintState.WAITING and not rejectable:
        raise refusals.AlreadyDecidedError(approval.request, row.state.value)
    return row


def _used(session: Session, site: str, attempt: Open) -> ConsumedEpoch | None:
    """The first epoch of the day that a mint has used."""
    epochs = ConsumedEpoch.epoch.in_([seal.epoch for seal in attempt.day.seals])
    return session.scalars(select(ConsumedEpoch).where(ConsumedEpoch.site == site, epochs).order_by(ConsumedEpoch.epoch)).first()


def _last_minted(session: Session, site: str, methodology: bytes) -> Attestation | None:
    """The site's newest attestation by the methodology with a hash that was minted: what its next by it carries on."""
    minted = select(AttestedMint.signed).where(AttestedMint.site == site, AttestedMint.state == AttestedMintState.MINTED)
    newest = session.scalars(minted.order_by(AttestedMint.changed_at.desc(), AttestedMint.day.desc()))
    attestations = [Attestation.parse(Signed.parse(signed).document) for signed in newest]
    of_methodology = [each for each in attestations if each.methodology_hash == methodology]
    followed = {each.previous for each in of_methodology}  # two in one second: the one after has the earlier day where that one waited
    return next((each for each in of_methodology if each.hash not in followed), None)
