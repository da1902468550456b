"""From a request to a credit: a state machine whose every step is on the disk before the next begins.

    requested ──▶ approved ──▶ minting ──▶ minted
        │                         └──────▶ failed
        └──────▶ rejected

An epoch is claimed, by primary key, in the transaction that stores the approval; so two approvals cannot use one epoch. The ledger
issues a request once, at an address that follows from the request's hash. Whatever is interrupted is taken up again by
asking the ledger whether that address exists: at the next start, or before the next decision.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session
from thermogen_esf import frames
from thermogen_esf.evidence import methodology as methodologies
from thermogen_esf.evidence import mint as rules
from thermogen_esf.evidence.approval import Approval, Decision, judge_approval
from thermogen_esf.evidence.bundle import seal_bundle
from thermogen_esf.evidence.check import Reason
from thermogen_esf.evidence.ledger_address import TOKEN_2022_PROGRAM_ID, TRANSACTION_SIGNATURE_BYTES, mint_address, mint_seed
from thermogen_esf.evidence.ledger_record import DECIMALS, LedgerRecord, expected_metadata
from thermogen_esf.evidence.methodology import Methodology, MethodologyError
from thermogen_esf.evidence.opened import OpenedBatch
from thermogen_esf.evidence.verification import verify_bundle
from thermogen_esf.signatures import SigningKey

from . import refusals
from .ledger import AlreadyIssuedError, CreditBlock, IssuedBlock, Ledger, LedgerRefusedError
from .registry import Approval as ApprovalRow
from .registry import Batch, BatchStatus, ConsumedEpoch, Credit, MintRequest, MintState, Registry
from .serials import next_number
from .trust_file import TrustFile

log = logging.getLogger(__name__)

NO_TRANSACTION = "1" * TRANSACTION_SIGNATURE_BYTES
"""Base58 of zeros: stands for the transaction that has not been made yet."""
UNDER_WAY = (MintState.APPROVED, MintState.MINTING)


class Minting:
    """Requests, decisions and mints. Threads may share it; decisions and mints are made one at a time."""

    def __init__(
        self,
        registry: Registry,
        ledger: Ledger,
        trust: TrustFile,
        key: SigningKey,
        clock: Callable[[], int],
        attested: Callable[[], frozenset[str]] = frozenset,
    ) -> None:
        """`attested` gives the sites that are minted by attested day and in no other way."""
        self.attested = attested
        self._registry = registry
        self._ledger = ledger
        self._trust = trust
        self._key = key
        self._clock = clock
        self._lock = threading.Lock()

    def request(self, site: str, first_epoch: int, last_epoch: int, methodology: str) -> bytes:
        """Requests to mint the believed batches of an inclusive range of epochs; the request's hash.

        The same request again, while it waits, is the one that waits. Raises the refusals of `refusals` whose names begin with the
        site, the methodology, the epochs or the amount.
        """
        with self._lock, self._registry.writing() as session:
            trust = self._trust.current()
            if not trust.sites_named(frames.site_identity(site)):
                raise refusals.UnknownSiteError(site)
            if site in self.attested():
                raise refusals.AttestedSiteError(site)
            try:
                rule = methodologies.by_identifier(methodology)
            except MethodologyError as error:
                raise refusals.UnknownMethodologyError(str(error)) from error
            rows = _believed(session, site, first_epoch, last_epoch)
            _refuse_used(session, site, [row.epoch for row in rows])
            previous = _last_minted(session, site, rule)
            waiting = _same_request_waiting(session, site, rule, rows, previous)
            if waiting is not None:
                return waiting
            vintage = rules.vintage_of_epoch(rows[0].epoch)
            number = next_number(session, vintage)
            try:
                document = rules.propose(
                    [OpenedBatch.open(row.body) for row in rows],
                    site=site,
                    methodology=rule,
                    number=number,
                    previous=None if previous is None else rules.MintRequest.parse(previous.document),
                    demonstration=trust.demonstration,
                )
            except rules.BelowLeastMintError as error:
                raise refusals.BelowLeastMintError(str(error)) from error
            except rules.MintError as error:
                raise refusals.NotMintableError(str(error)) from error
            now = self._clock()
            session.add(
                MintRequest(
                    hash=document.hash,
                    site=site,
                    first_epoch=rows[0].epoch,
                    last_epoch=rows[-1].epoch,
                    amount=document.amount,
                    document=document.encode(),
                    state=MintState.REQUESTED,
                    methodology_hash=rule.hash,
                    previous=document.previous,
                    vintage=vintage,
                    number=number,
                    serial=document.serial,
                    created_at=now,
                    changed_at=now,
                )
            )
            return document.hash

    def request_unminted(self, site: str, methodology: str) -> bytes:
        """Requests to mint the longest stretch of a site's epochs that are believed and not minted yet; the request's hash.

        An epoch that was refused or is minted ends a stretch: after a restart in the middle of an epoch, say. Raises NothingToMintError
        where there is none, and what `request` raises.
        """
        with self._registry.reading() as session:
            stretches = _stretches(session, site)
        if not stretches:
            raise refusals.NothingToMintError(site)
        longest = max(stretches, key=len)
        return self.request(site, longest[0], longest[-1], methodology)

    def decide(self, approval: Approval, signature: bytes) -> None:
        """Takes an approver's decision and, where it is to approve, mints. Returns when the outcome is on the disk.

        Raises the refusals of `refusals` about the request, the approver and the decision; nothing has changed then.
        """
        with self._lock:
            self._take_up()
            self._refuse_unauthorised(approval, signature)
            approved = approval.decision is Decision.APPROVE
            if approved:
                self._refuse_attested(approval)
                self._refuse_unverifiable(approval, signature)
            with self._registry.writing() as session:
                request = _undecided(session, approval.request)
                if approved:
                    _claim(session, request)
                session.add(
                    ApprovalRow(
                        request_hash=request.hash,
                        approver=approval.approver,
                        role=approval.role,
                        decision=approval.decision.value,
                        reason=approval.reason,
                        time=approval.time,
                        document=approval.encode(),
                        signature=signature,
                    )
                )
                self._move(request, MintState.APPROVED if approved else MintState.REJECTED)
            if approved:
                self._mint(approval.request)

    def recover(self) -> None:
        """Brings every mint that was interrupted to its end."""
        with self._lock:
            self._take_up()

    def _take_up(self) -> None:
        with self._registry.reading() as session:
            interrupted = list(
                session.scalars(select(MintRequest.hash).where(MintRequest.state.in_(UNDER_WAY)).order_by(MintRequest.changed_at))
            )
        for request in interrupted:
            log.warning("taking up the interrupted mint %s", request.hex())
            self._mint(request)

    def _refuse_unauthorised(self, approval: Approval, signature: bytes) -> None:
        with self._registry.reading() as session:
            _undecided(session, approval.request)
        checks = judge_approval(approval, signature, approval.request, self._trust.current())
        # A rejection is no approval, and that is all that is wrong with it.
        wrong = [check for check in checks if check.passed is False and check.reason is not Reason.NOT_APPROVED]
        if wrong:
            raise refusals.of_approval(wrong[0])

    def _refuse_attested(self, approval: Approval) -> None:
        """A request may have waited while its site was enrolled for attestation: it can be rejected only."""
        with self._registry.reading() as session:
            site = _undecided(session, approval.request).site
        if site in self.attested():
            raise refusals.AttestedSiteError(site)

    def _refuse_unverifiable(self, approval: Approval, signature: bytes) -> None:
        """Judges the bundle that the mint would have, so that nothing is minted which a verifier would refuse afterwards."""
        with self._registry.reading() as session:
            document = rules.MintRequest.parse(_undecided(session, approval.request).document)
            bodies = _bodies(session, document)
        record = LedgerRecord(
            program=TOKEN_2022_PROGRAM_ID,
            base=self._ledger.base,
            seed=mint_seed(document.hash),
            mint=mint_address(self._ledger.base, document.hash),
            supply=document.amount,
            decimals=DECIMALS,
            transaction=NO_TRANSACTION,
            metadata=expected_metadata(document),
        )
        report = verify_bundle(self._sealed(document, approval, signature, record, bodies), self._trust.current())
        if not report.believed:
            raise refusals.WouldNotVerifyError([f"{check.name}: {check.detail}" for check in report.refusals])

    def _mint(self, digest: bytes) -> None:
        """From approved, or from wherever a crash left it, to minted or failed."""
        with self._registry.writing() as session:
            request = session.get_one(MintRequest, digest)
            if request.state is MintState.APPROVED:
                self._move(request, MintState.MINTING)
        document = rules.MintRequest.parse(request.document)
        try:
            block = self._ledger.find(digest) or self._ledger.issue(CreditBlock(digest, document.amount, dict(expected_metadata(document))))
        except AlreadyIssuedError:
            raise  # one process and one lock own the ledger: somebody else's block at our address is nothing to go on from
        except LedgerRefusedError as error:
            self._fail(digest, str(error))
            return
        bundle = self._bundle(document, block)
        with self._registry.writing() as session:
            request = session.get_one(MintRequest, digest)
            session.add(
                Credit(
                    serial=document.serial,
                    request_hash=digest,
                    site=document.site,
                    amount=document.amount,
                    mint=block.mint,
                    transaction=block.transaction,
                    issued_at=self._clock(),
                    bundle=bundle,
                )
            )
            self._move(request, MintState.MINTED)

    def _fail(self, digest: bytes, reason: str) -> None:
        """The ledger refused, so that nothing was issued: the epochs are free for another request."""
        with self._registry.writing() as session:
            request = session.get_one(MintRequest, digest)
            session.execute(delete(ConsumedEpoch).where(ConsumedEpoch.request_hash == digest))
            request.reason = reason[:500]
            self._move(request, MintState.FAILED)

    def _bundle(self, document: rules.MintRequest, block: IssuedBlock) -> bytes:
        with self._registry.reading() as session:
            approval = session.get_one(ApprovalRow, document.hash)
            bodies = _bodies(session, document)
        record = LedgerRecord(
            program=block.program,
            base=block.base,
            seed=block.seed,
            mint=block.mint,
            supply=block.amount,
            decimals=DECIMALS,
            transaction=block.transaction,
            metadata=tuple(sorted(block.metadata.items())),
        )
        return self._sealed(document, Approval.parse(approval.document), approval.signature, record, bodies)

    def _sealed(
        self, document: rules.MintRequest, approval: Approval, signature: bytes, record: LedgerRecord, bodies: Sequence[bytes]
    ) -> bytes:
        return seal_bundle(
            request=document,
            methodology=methodologies.by_hash(document.methodology_hash),
            approval=approval,
            approval_signature=signature,
            ledger=record,
            batches=bodies,
            time=self._clock(),
            key=self._key,
        )

    def _move(self, request: MintRequest, state: MintState) -> None:
        log.info("mint %s: %s to %s", request.hash.hex(), request.state.value, state.value)
        request.state = state
        request.changed_at = self._clock()


def unminted(session: Session, site: str) -> tuple[int, int | None, int | None]:
    """How many believed epochs of a site no mint has used, the first and the last of them."""
    used = select(ConsumedEpoch.epoch).where(ConsumedEpoch.site == site)
    free = select(func.count(), func.min(Batch.epoch), func.max(Batch.epoch)).where(
        Batch.identity == frames.site_identity(site), Batch.status == BatchStatus.BELIEVED, Batch.epoch.not_in(used)
    )
    count, first, last = session.execute(free).one()
    return count, first, last


def _stretches(session: Session, site: str) -> list[list[int]]:
    """The believed epochs that no mint has used, parted where an epoch between them was refused or used."""
    used = set(session.scalars(select(ConsumedEpoch.epoch).where(ConsumedEpoch.site == site)))
    rows = session.scalars(select(Batch).where(Batch.identity == frames.site_identity(site)).order_by(Batch.epoch)).all()
    believed = {row.epoch for row in rows if row.status is BatchStatus.BELIEVED}
    stretches: list[list[int]] = [[]]
    for epoch in sorted({row.epoch for row in rows if row.signed} | believed):
        if epoch in believed and epoch not in used:
            stretches[-1].append(epoch)
        elif stretches[-1]:
            stretches.append([])
    return [stretch for stretch in stretches if stretch]


def _undecided(session: Session, digest: bytes) -> MintRequest:
    request = session.get(MintRequest, digest)
    if request is None:
        raise refusals.UnknownRequestError(digest)
    if request.state is not MintState.REQUESTED:
        raise refusals.AlreadyDecidedError(digest, request.state.value)
    return request


def _claim(session: Session, request: MintRequest) -> None:
    """Takes the request's epochs and its place in the site's chain of requests, or refuses."""
    same_chain = (MintRequest.site == request.site, MintRequest.methodology_hash == request.methodology_hash)
    if session.scalars(select(MintRequest.hash).where(*same_chain, MintRequest.state.in_(UNDER_WAY))).first() is not None:
        raise refusals.AnotherUnderWayError(request.site)
    epochs = [claim.epoch for claim in rules.MintRequest.parse(request.document).epochs]
    _refuse_used(session, request.site, epochs)
    last = _last_minted(session, request.site, methodologies.by_hash(request.methodology_hash))
    if (None if last is None else last.hash) != request.previous:
        raise refusals.StaleRequestError(request.hash)
    session.add_all(ConsumedEpoch(site=request.site, epoch=epoch, request_hash=request.hash) for epoch in epochs)


def _bodies(session: Session, document: rules.MintRequest) -> list[bytes]:
    """The request's batches, in its order."""
    return [session.get_one(Batch, claim.batch).body for claim in document.epochs]


def _believed(session: Session, site: str, first_epoch: int, last_epoch: int) -> Sequence[Batch]:
    """The believed batches of a range, in order of epoch; refuses where an epoch of it is not believed, or may be missing."""
    of_site = Batch.identity == frames.site_identity(site)
    rows = session.scalars(select(Batch).where(of_site, Batch.epoch.between(first_epoch, last_epoch)).order_by(Batch.number)).all()
    believed = {row.epoch: row for row in rows if row.status is BatchStatus.BELIEVED}
    missing = [epoch for epoch in (first_epoch, last_epoch) if epoch not in {row.epoch for row in rows}]
    if first_epoch > last_epoch or missing:
        raise refusals.EpochMissingError(site, missing or [first_epoch, last_epoch])
    # Within the range only what the site itself signed counts: others could spoil its epochs with batches in its name.
    unbelieved = sorted(({row.epoch for row in rows if row.signed} | {first_epoch, last_epoch}) - believed.keys())
    if unbelieved:
        raise refusals.EpochNotBelievedError(site, unbelieved)
    # An epoch may be absent because the site was off. Were its batch only late, the batch after it would be waiting and not believed.
    return [believed[epoch] for epoch in sorted(believed)]


def _refuse_used(session: Session, site: str, epochs: Sequence[int]) -> None:
    used = session.scalars(
        select(ConsumedEpoch)
        .where(ConsumedEpoch.site == site, ConsumedEpoch.epoch.between(epochs[0], epochs[-1]), ConsumedEpoch.epoch.in_(epochs))
        .order_by(ConsumedEpoch.epoch)
    ).all()
    if used:
        raise refusals.EpochAlreadyUsedError(site, [row.epoch for row in used], used[0].used_by)


def _last_minted(session: Session, site: str, methodology: Methodology) -> MintRequest | None:
    """The end of the site's chain of minted requests: the one that no other names as previous."""
    chain = (MintRequest.site == site, MintRequest.methodology_hash == methodology.hash, MintRequest.state == MintState.MINTED)
    named = select(MintRequest.previous).where(*chain, MintRequest.previous.is_not(None))
    return session.scalars(select(MintRequest).where(*chain, MintRequest.hash.not_in(named))).one_or_none()


def _same_request_waiting(
    session: Session, site: str, methodology: Methodology, rows: Sequence[Batch], previous: MintRequest | None
) -> bytes | None:
    """A request that waits for a decision and says all the same."""
    waiting = session.scalars(
        select(MintRequest).where(
            MintRequest.site == site,
            MintRequest.state == MintState.REQUESTED,
            MintRequest.methodology_hash == methodology.hash,
            MintRequest.first_epoch == rows[0].epoch,
            MintRequest.last_epoch == rows[-1].epoch,
            MintRequest.previous == (None if previous is None else previous.hash),
        )
    )
    claims = tuple(rules.EpochClaim(row.epoch, row.hash) for row in rows)
    return next((request.hash for request in waiting if rules.MintRequest.parse(request.document).epochs == claims), None)
