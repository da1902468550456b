"""Attestation over HTTP: what became of each day and why, the log for whoever recomputes it, and a way in for what somebody kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Body, HTTPException, Query, Response
from fastapi import Path as PathParameter
from pydantic import BaseModel, Field
from sqlalchemy import select
from thermogen_esf.evidence.attestation.attested import Attestation
from thermogen_esf.evidence.attestation.quorum import DayState
from thermogen_esf.evidence.attestation.seal import ENCODED_BYTES, EPOCHS_A_DAY
from thermogen_esf.evidence.attestation.signed import Signed

from . import refusals
from .api import Digest, Services, SignedDecision, problems_of
from .attesting import Attestor, NotAttestedError
from .methodology_choices import Choice, MethodologyChoiceError, MethodologyChoices
from .registry import AttestedDay, AttestedMint, AttestedMintState, StoredStatement

DAYS_SHOWN = 20
MOST_ENTRIES = 1_000
MOST_STATEMENT_BYTES = 16_000

KIND = {
    DayState.ATTESTED: "good",
    DayState.WAITING_FOR_BEACON: "quiet",
    DayState.COLLECTING: "quiet",
    DayState.DEFERRED: "warn",
    DayState.CLAIMS_DISAGREE: "warn",
    DayState.OFF_BASELINE: "warn",
    DayState.REVIEW: "bad",
    DayState.ROOTS_DISAGREE: "bad",
    DayState.METHODOLOGY_ERROR: "bad",
    DayState.SUSPENDED: "bad",
}
"""How the page marks a state."""

NEXT = {
    DayState.ATTESTED: "It is minted by itself.",
    DayState.WAITING_FOR_BEACON: "It is drawn for with the next beacon that four sites or more make.",
    DayState.COLLECTING: "Witnesses have five minutes from the beacon's checkpoint.",
    DayState.DEFERRED: "It is drawn for again a quarter of an hour later. Look at the links of the sites.",
    DayState.CLAIMS_DISAGREE: "A person decides; it is minted at the lowest claim.",
    DayState.OFF_BASELINE: "Nothing mints by itself: an approver decides.",
    DayState.REVIEW: "It is never minted. Look at the epoch that is named.",
    DayState.ROOTS_DISAGREE: "It is never minted. Investigate the epoch that is named.",
    DayState.METHODOLOGY_ERROR: "It is never minted. The methodology does not fit: a misconfiguration.",
    DayState.SUSPENDED: "Never minted, as all that its VRF key sealed. A trust list with another key lets the site go on.",
}
"""What follows from a state, for people."""


class DayView(BaseModel):
    """One attempt to attest a site's day."""

    site: str
    day: int = Field(description="days since 1970-01-01, UTC")
    begin: int = Field(description="Unix seconds")
    attempt: int
    state: DayState
    detail: str
    next: str = Field(description="what follows from the state")
    label: str | None = Field(description="how strong the attestation is: witnessed or peer-checked")
    agreeing: int
    received: int
    epoch: int | None = Field(description="that a dissent named")
    energy_mj: int | None
    gas: int | None = Field(description="1/86400 cubic foot")
    changed_at: int

    @property
    def kind(self) -> str:
        """How the page marks it."""
        return KIND[self.state]


class WaitingView(BaseModel):
    """A day that cannot be closed although a later day's seal is there."""

    site: str
    day: int
    begin: int
    why: str


class RejectedView(BaseModel):
    """A statement that counts for nothing."""

    witness: str
    site: str
    day: int
    refused: str
    received_at: int


class AttestedMintView(BaseModel):
    """The attestation of a day, and how far its mint has come."""

    site: str
    day: int
    begin: int
    attestation: str = Field(description="its hash, hex: what an approver signs")
    state: AttestedMintState
    detail: str
    day_state: DayState
    label: str
    energy_mj: int
    amount: int = Field(description="1e-6 t CO2e")
    methodology: str
    serial: str


class ChoiceView(BaseModel):
    """By which methodology days are minted that begin from a time on."""

    since: int = Field(description="Unix seconds")
    site: str | None = Field(description="null: every site that has no choice of its own")
    methodology: str
    hash: str | None = Field(description="SHA3-256 of the methodology as it was chosen, hex")
    own: str | None = Field(description="SHA3-256 of the document with its signatures, hex, for CUSTOM")
    evidence: str | None = Field(description="SHA3-256 of what shows the baseline, hex")


class AttestationView(BaseModel):
    """Attestation as the page shows it."""

    revision: int
    trust: str = Field(description="SHA3-256 of the trust list, hex")
    root_keys: str = Field(description="SHA3-256 of the root keys that it names, hex")
    sites: int
    entries: int = Field(description="of the log")
    checkpoint: int | None = Field(description="number of the newest")
    days: list[DayView]
    waiting: list[WaitingView]
    rejected: list[RejectedView]
    mints: list[AttestedMintView]


def attestation_view(services: Services) -> AttestationView | None:
    """What the page shows; None where this cloud does not attest."""
    attestor = services.attestor
    if attestor is None:
        return None
    newest = attestor.trust.newest
    with services.registry.reading() as session:
        chosen = select(AttestedDay).order_by(AttestedDay.day.desc(), AttestedDay.site, AttestedDay.attempt.desc()).limit(DAYS_SHOWN)
        days = [_day(row) for row in session.scalars(chosen)]
        refused = (
            select(StoredStatement).where(StoredStatement.refused != "").order_by(StoredStatement.received_at.desc()).limit(DAYS_SHOWN)
        )
        rejected = [_rejected(attestor, row) for row in session.scalars(refused)]
        newest_mints = select(AttestedMint).order_by(AttestedMint.day.desc(), AttestedMint.site).limit(DAYS_SHOWN)
        mints = [_mint(row) for row in session.scalars(newest_mints)]
    last = attestor.log.last
    return AttestationView(
        revision=newest.trust.revision,
        trust=newest.trust.hash.hex(),
        root_keys=newest.trust.root_keys.hex(),
        sites=newest.trust.site_count,
        entries=len(attestor.log),
        checkpoint=None if last is None else last.number,
        days=days,
        waiting=[
            WaitingView(site=site, day=day, begin=day * 86_400, why=why) for (site, day), why in sorted(attestor.waiting.copy().items())
        ],
        rejected=rejected,
        mints=mints,
    )


def _mint(row: AttestedMint) -> AttestedMintView:
    attestation = Attestation.parse(Signed.parse(row.signed).document)
    return AttestedMintView(
        site=row.site,
        day=row.day,
        begin=row.day * 86_400,
        attestation=row.attestation.hex(),
        state=row.state,
        detail=row.detail,
        day_state=attestation.state,
        label=attestation.label.value,
        energy_mj=attestation.energy_mj,
        amount=row.amount,
        methodology=attestation.methodology,
        serial=row.serial,
    )


def _day(row: AttestedDay) -> DayView:
    return DayView(
        site=row.site,
        day=row.day,
        begin=row.day * 86_400,
        attempt=row.attempt,
        state=row.state,
        detail=row.detail,
        next=NEXT[row.state],
        label=row.label,
        agreeing=row.agreeing,
        received=row.received,
        epoch=row.epoch,
        energy_mj=row.energy_mj,
        gas=row.gas,
        changed_at=row.changed_at,
    )


def _rejected(attestor: Attestor, row: StoredStatement) -> RejectedView:
    names = attestor.trust.newest.by_identity

    def name(identity: bytes) -> str:
        return names[identity].enrolment.name if identity in names else identity.hex()

    return RejectedView(witness=name(row.witness), site=name(row.site), day=row.day, refused=row.refused, received_at=row.received_at)


def attestation_router(services: Services) -> APIRouter:
    """The API's part about attestation."""
    api = APIRouter(prefix="/attestation", tags=["attestation"], responses=problems_of(404))

    choices = MethodologyChoices(services.directory)

    def attestor() -> Attestor:
        if services.attestor is None:
            raise HTTPException(404, "this cloud does not attest: no trust list was adopted")
        return services.attestor

    @api.get("")
    def overview() -> AttestationView | None:
        """The trust list, the log's size, the newest days and what waits; null where this cloud does not attest."""
        return attestation_view(services)

    @api.get("/days/{site}")
    def days(site: Annotated[str, PathParameter(max_length=128)]) -> list[DayView]:
        """A site's days and attempts, newest first."""
        return [_day(row) for row in attestor().days.of(site)]

    @api.get("/methodologies")
    def methodologies() -> list[ChoiceView]:
        """Every choice of a methodology in the order it was made; of those for a site, and of those for all, a later one goes before."""
        return [_choice(each) for each in choices.made()]

    @api.get("/evidence/{digest}", response_class=Response)
    def evidence(digest: Digest) -> Response:
        """What shows a baseline that an attestation names, byte for byte."""
        try:
            content = choices.evidence(bytes.fromhex(digest))
        except MethodologyChoiceError as error:
            raise HTTPException(503, f"{error}; {error.remedy}") from error
        if content is None:
            raise HTTPException(404, f"no evidence of a baseline has the hash {digest}")
        headers = {"Content-Disposition": f'attachment; filename="{digest}"'}
        return Response(content, media_type="application/octet-stream", headers=headers)

    @api.get("/trust", response_class=Response)
    def trust() -> Response:
        """The newest trust list as its holders signed it."""
        return Response(attestor().trust.newest.signed.encode(), media_type="application/octet-stream")

    @api.get("/checkpoints/{number}", response_class=Response)
    def checkpoint(number: int) -> Response:
        """A checkpoint as it was signed."""
        found = attestor().log.published(number, number)
        if not found:
            raise HTTPException(404, f"there is no checkpoint {number}")
        return Response(found[0].encode(), media_type="application/octet-stream")

    @api.get("/log")
    def entries(first: Annotated[int, Query(ge=0)] = 0, count: Annotated[int, Query(ge=1, le=MOST_ENTRIES)] = MOST_ENTRIES) -> list[str]:
        """Entries of the log in order, hex: whoever has them all recomputes every root and beacon."""
        return [entry.hex() for entry in attestor().log.between(first, first + count)]

    @api.get("/consistency")
    def consistency(old: Annotated[int, Query(ge=1)], new: Annotated[int, Query(ge=1)]) -> list[str]:
        """The RFC 9162 proof that the log of `new` entries begins with that of `old`, hex."""
        if not old <= new <= len(attestor().log):
            raise HTTPException(404, f"the log has {len(attestor().log)} entries")
        return [node.hex() for node in attestor().log.consistency(old, new)]

    @api.post("/seals", status_code=202)
    def seals(message: Annotated[bytes, Body(media_type="application/octet-stream", max_length=ENCODED_BYTES * EPOCHS_A_DAY)]) -> None:
        """Takes seals that somebody kept: a second one of an epoch suspends its site, whoever shows it."""
        _taken(attestor().take_seals, message)

    @api.post("/statements", status_code=202)
    def statements(message: Annotated[bytes, Body(media_type="application/octet-stream", max_length=MOST_STATEMENT_BYTES)]) -> None:
        """Takes a witness's signed statement that did not come by the broker."""
        _taken(attestor().take_statement, message)

    @api.post("/mints/{digest}/approval", responses=problems_of(403, 404, 409))
    def decide(digest: Digest, decision: SignedDecision) -> AttestedMintView:
        """Takes an approver's signed decision on an attestation. Where it approves, the credit is minted before this answers."""
        attestation, minting = bytes.fromhex(digest), services.attested_minting
        if minting is None:
            raise refusals.UnknownRequestError(attestation)
        minting.decide(decision.approval(attestation), bytes.fromhex(decision.signature))
        with services.registry.reading() as session:
            return _mint(session.scalars(select(AttestedMint).where(AttestedMint.attestation == attestation)).one())

    return api


def _choice(choice: Choice) -> ChoiceView:
    digests = (choice.hash, choice.own, choice.evidence)
    known, own, evidence = (None if digest is None else digest.hex() for digest in digests)
    return ChoiceView(since=choice.since, site=choice.site, methodology=choice.methodology, hash=known, own=own, evidence=evidence)


def _taken(take: Callable[[bytes], object], message: bytes) -> None:
    try:
        take(message)
    except NotAttestedError as error:
        raise HTTPException(422, str(error)) from error
