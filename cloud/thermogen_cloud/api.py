"""The HTTP API, by default under /api/v1, described at /docs and /openapi.json, and the guard in front of everything."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Response
from fastapi import Path as PathParameter
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from pydantic import BaseModel, Field
from sqlalchemy import func, select
from sqlalchemy.orm import Session, undefer
from starlette.middleware.trustedhost import TrustedHostMiddleware
from thermogen_esf import frames
from thermogen_esf.evidence.approval import Approval, ApprovalError, Decision
from thermogen_esf.evidence.trust import ROLE_APPROVER
from thermogen_esf.signatures import SIGNATURE_BYTES

from . import problems, refusals
from .accounting import balanced
from .attested_minting import AttestedMinting
from .attesting import Attestor
from .body_limit import BodyLimit
from .commanding import Commanding
from .directory import CloudDirectory
from .ledger import Ledger
from .methodology_choices import DEFAULT_METHODOLOGY
from .minting import Minting
from .receiver import Health, Link
from .registry import AttestedMint, AttestedMintState, Batch, Credit, MintRequest, Registry
from .trust_file import TrustFile
from .views import (
    BatchDetail,
    BatchSummary,
    CommandView,
    CreditView,
    MintView,
    SiteView,
    WriteView,
    attested_credit_views,
    batch_detail,
    batch_summary,
    command_views,
    credit_views,
    mint_view,
    site_views,
    write_views,
)

HASH_HEX = "^[0-9a-f]{64}$"
SERIAL = "^SC-[0-9]{4}-TZ-[0-9]{6,9}$"
MOST_LISTED = 3_000


@dataclass(frozen=True, slots=True)
class Services:
    """What the API and the page stand on."""

    directory: CloudDirectory
    registry: Registry
    ledger: Ledger
    trust: TrustFile
    minting: Minting
    commanding: Commanding
    health: Callable[[], Health]
    clock: Callable[[], int]
    api_prefix: str
    """First levels of every path of the API: `/api/v1`, say."""
    viewer: str
    """The user whose password the directory has."""
    attestor: Attestor | None = None
    """None where this cloud does not attest."""
    attested_minting: AttestedMinting | None = None
    """The same."""

    def sites(self, session: Session) -> list[SiteView]:
        """Every site as page and API show it."""
        suspended = frozenset[str]() if self.attestor is None else self.attestor.suspended_sites()
        return site_views(session, self.trust.current(), self.clock(), self.minting.attested(), suspended)

    def decide(self, approval: Approval, signature: bytes) -> None:
        """Takes an approver's decision on a mint request, or on an attestation that waits for one: the page asks for both alike."""
        with self.registry.reading() as session:
            attested = session.scalar(select(AttestedMint.day).where(AttestedMint.attestation == approval.request)) is not None
        if attested and self.attested_minting is not None:
            self.attested_minting.decide(approval, signature)
        else:
            self.minting.decide(approval, signature)


class HealthView(BaseModel):
    """Whether the cloud receives."""

    status: str = Field(description="ok, or degraded while the broker is not connected or nothing can be stored")
    receiver: Link


class MintOrder(BaseModel):
    """A request to mint an inclusive range of epochs."""

    site: str = Field(max_length=128)
    first_epoch: int = Field(ge=0, lt=2**32)
    last_epoch: int = Field(ge=0, lt=2**32)
    methodology: str = Field(DEFAULT_METHODOLOGY, max_length=40)


class EpochRange(BaseModel):
    """An inclusive range of epochs."""

    first_epoch: int = Field(ge=0, lt=2**32)
    last_epoch: int = Field(ge=0, lt=2**32)


class SignedDecision(BaseModel):
    """An approver's decision: the fields of the canonical approval, which also names the request of the path, and its signature."""

    approver: str = Field(max_length=128)
    role: str = Field(ROLE_APPROVER, max_length=128)
    decision: Decision
    reason: str = Field(max_length=1000)
    time: int = Field(ge=0, lt=2**32, description="Unix seconds, UTC")
    signature: str = Field(
        pattern=f"^[0-9a-f]{{{2 * SIGNATURE_BYTES}}}$",
        description="ML-DSA-87 over the canonical approval, context thermogen/approval/v1, hex",
    )

    def approval(self, request: bytes) -> Approval:
        """The approval that was signed; UnreadableDecisionError where it cannot be one."""
        try:
            return Approval(
                request=request, decision=self.decision, reason=self.reason, approver=self.approver, role=self.role, time=self.time
            )
        except ApprovalError as error:
            raise refusals.UnreadableDecisionError(str(error), "correct the field and sign again") from error


class AccountingView(BaseModel):
    """The books, 1e-6 t CO2e: held + retired + cancelled = issued, checked for this answer."""

    issued: int
    held: int
    retired: int
    cancelled: int


Digest = Annotated[str, PathParameter(pattern=HASH_HEX, description="SHA3-256, hex")]
SiteName = Annotated[str, PathParameter(max_length=128)]
Serial = Annotated[str, PathParameter(pattern=SERIAL)]


def application(services: Services) -> FastAPI:
    """The whole web application."""
    from .attestation_api import attestation_router  # both stand on this module's Services
    from .page import page_router

    guard = viewer_guard(services.viewer, services.directory.read_viewer_password())
    app = FastAPI(
        title="Thermogen Zero cloud",
        version="1",
        description="What sites claim, why it is believed, and the credits that come of it. "
        f"HTTP Basic, user {services.viewer}. Every error is an RFC 9457 problem that says what to do.",
        responses={
            code: {"model": problems.Problem, "description": text, "content": {problems.MEDIA_TYPE: {}}}
            for code, text in ((401, "no or wrong password"), (422, "not the form described here"))
        },
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])  # other names would be somebody's rebinding
    app.add_middleware(BodyLimit)
    problems.install(app)

    @app.get("/healthz", tags=["health"])
    def healthz(response: Response) -> HealthView:
        """Whether the cloud receives and stores: 200, else 503. Needs no password and tells nothing else."""
        link = services.health().link
        healthy = link is Link.CONNECTED
        response.status_code = 200 if healthy else 503
        return HealthView(status="ok" if healthy else "degraded", receiver=link)

    for router in (_evidence(services), _mints(services), _credits(services), attestation_router(services)):
        app.include_router(router, prefix=services.api_prefix, dependencies=[Depends(guard)])
    app.include_router(page_router(services, app), dependencies=[Depends(guard)])
    return app


def viewer_guard(viewer: str, password: str) -> Callable[[HTTPBasicCredentials], None]:
    """Lets pass who knows the viewer's name and password."""

    def guard(credentials: Annotated[HTTPBasicCredentials, Depends(HTTPBasic(realm="Thermogen Zero"))]) -> None:
        name_right = hmac.compare_digest(credentials.username.encode(), viewer.encode())
        password_right = hmac.compare_digest(credentials.password.encode(), password.encode())
        if not (name_right and password_right):
            raise HTTPException(401, "wrong user or password", {"WWW-Authenticate": 'Basic realm="Thermogen Zero"'})

    return guard


def problems_of(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """How the API's description says that an operation may answer with these statuses."""
    texts = {403: "not allowed, and why", 404: "there is no such thing", 409: "refused, and why", 500: "registry and ledger disagree"}
    return {status: {"model": problems.Problem, "description": texts[status], "content": {problems.MEDIA_TYPE: {}}} for status in statuses}


def _evidence(services: Services) -> APIRouter:
    """What arrived, and what is thought of it."""
    api = APIRouter()
    registry, trust = services.registry, services.trust

    @api.get("/sites", tags=["sites"])
    def sites() -> list[SiteView]:
        """Every site with its newest live frame, its alerts and how its batches fared."""
        with registry.reading() as session:
            return services.sites(session)

    @api.get("/sites/{name}", tags=["sites"], responses=problems_of(404))
    def site(name: SiteName) -> SiteView:
        """One site."""
        with registry.reading() as session:
            found = next(
                (view for view in services.sites(session) if view.name == name),
                None,
            )
        if found is None:
            raise refusals.UnknownSiteError(name)
        return found

    @api.post("/sites/{name}/resend", tags=["sites"], status_code=202, responses=problems_of(404))
    def resend(name: SiteName, epochs: EpochRange) -> CommandView:
        """Asks a site for batches again, with a signed command that the site answers when it next has a link."""
        number = services.commanding.resend(name, epochs.first_epoch, epochs.last_epoch)
        with registry.reading() as session:
            return next(view for view in command_views(session, name) if view.number == number)

    @api.get("/sites/{name}/commands", tags=["sites"])
    def commands(name: SiteName) -> list[CommandView]:
        """Commands to a site, newest first, with what it answered."""
        with registry.reading() as session:
            return command_views(session, name)

    @api.get("/sites/{name}/writes", tags=["sites"])
    def writes(name: SiteName) -> list[WriteView]:
        """What SCADA wrote to a site over MODBUS, newest first, as the site signed it."""
        with registry.reading() as session:
            return write_views(session, name)

    @api.get("/batches", tags=["batches"])
    def batches(
        site: Annotated[str | None, Query(max_length=128, description="only this site's")] = None,
        limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = MOST_LISTED,
    ) -> list[BatchSummary]:
        """Batches, newest epoch first, each with its status and, where it is not believed, the reasons."""
        rows = select(Batch).order_by(Batch.epoch.desc(), Batch.number.desc()).limit(limit)
        if site is not None:
            rows = rows.where(Batch.identity == frames.site_identity(site))
        with registry.reading() as session:
            return [batch_summary(row, trust.current()) for row in session.scalars(rows)]

    @api.get("/batches/{digest}", tags=["batches"], responses=problems_of(404))
    def batch(digest: Digest) -> BatchDetail:
        """One batch with every check that was made and its numbers."""
        with registry.reading() as session:
            row = session.get(Batch, bytes.fromhex(digest))
            if row is None:
                raise HTTPException(404, f"no batch has the hash {digest}")
            return batch_detail(row, trust.current())

    return api


def _mints(services: Services) -> APIRouter:
    """What is asked for and decided."""
    api = APIRouter()
    registry = services.registry

    def found(digest: bytes) -> MintView:
        with registry.reading() as session:
            row = session.get(MintRequest, digest)
            if row is None:
                raise refusals.UnknownRequestError(digest)
            return mint_view(session, row)

    @api.get("/batches/{digest}/frame", tags=["batches"], response_class=Response, responses=problems_of(404))
    def batch_frame(digest: Digest) -> Response:
        """One batch, byte for byte as it came: for `thermogen-esf decode`."""
        with registry.reading() as session:
            row = session.get(Batch, bytes.fromhex(digest))
            if row is None:
                raise HTTPException(404, f"no batch has the hash {digest}")
            headers = {"Content-Disposition": f'attachment; filename="batch-{row.number}.esf"'}
            return Response(row.body, media_type="application/octet-stream", headers=headers)

    @api.post("/mints", tags=["mints"], status_code=201, responses=problems_of(404, 409))
    def request_mint(order: MintOrder) -> MintView:
        """Requests a mint. The same request again, while it waits, answers with the one that waits."""
        digest = services.minting.request(order.site, order.first_epoch, order.last_epoch, order.methodology)
        return found(digest)

    @api.get("/mints", tags=["mints"])
    def mints() -> list[MintView]:
        """Every mint request, newest first."""
        with registry.reading() as session:
            rows = session.scalars(
                select(MintRequest).order_by(MintRequest.created_at.desc(), MintRequest.serial.desc()).limit(MOST_LISTED)
            )
            return [mint_view(session, row) for row in rows]

    @api.get("/mints/{digest}", tags=["mints"], responses=problems_of(404))
    def mint(digest: Digest) -> MintView:
        """One mint request."""
        return found(bytes.fromhex(digest))

    @api.post("/mints/{digest}/approval", tags=["mints"], responses=problems_of(403, 404, 409))
    def decide(digest: Digest, decision: SignedDecision) -> MintView:
        """Takes an approver's signed decision on a mint request. Where it approves, the credit is minted before this answers."""
        services.minting.decide(decision.approval(bytes.fromhex(digest)), bytes.fromhex(decision.signature))
        return found(bytes.fromhex(digest))

    return api


def _credits(services: Services) -> APIRouter:
    """What was issued, and what anybody needs to check it."""
    api = APIRouter()
    registry, trust = services.registry, services.trust

    @api.get("/credits", tags=["credits"])
    def credits_() -> list[CreditView]:
        """Every credit, newest first, with where it is on the ledger."""
        return list_credits(services)

    @api.get("/credits/{serial}", tags=["credits"], responses=problems_of(404))
    def credit(serial: Serial) -> CreditView:
        """One credit."""
        found = list_credits(services, serial)
        if not found:
            raise HTTPException(404, f"no credit has the serial {serial}")
        return found[0]

    @api.get("/credits/{serial}/bundle", tags=["credits"], response_class=Response, responses=problems_of(404))
    def bundle(serial: Serial) -> Response:
        """The credit's evidence, for thermogen-verify."""
        with registry.reading() as session:
            row = session.get(Credit, serial)
            attested = None if row is not None else _attested_credit(session, serial)
            content = row.bundle if row is not None else None if attested is None else attested.bundle
        if content is None:
            raise HTTPException(404, f"no credit has the serial {serial}")
        headers = {"Content-Disposition": f'attachment; filename="{serial}.bundle"'}
        return Response(content, media_type="application/octet-stream", headers=headers)

    @api.get("/credits/{serial}/frames", tags=["credits"], response_class=Response, responses=problems_of(404))
    def frames_(serial: Serial) -> Response:
        """The companion of an attested credit's proof bundle: its batches, for thermogen-verify --frames."""
        with registry.reading() as session:
            attested = _attested_credit(session, serial)
        minting = services.attested_minting
        content = None if attested is None or minting is None else minting.frames(attested.site, attested.day)
        if content is None:
            raise HTTPException(404, f"no attested credit has the serial {serial}")
        headers = {"Content-Disposition": f'attachment; filename="{serial}.frames"'}
        return Response(content, media_type="application/octet-stream", headers=headers)

    @api.get("/trust", tags=["credits"], response_class=Response)
    def trust_list() -> Response:
        """This cloud's trust list, byte for byte: what an auditor compares with the list that he has from elsewhere."""
        current = trust.current()
        headers = {"X-SHA3-256": current.fingerprint.hex()}
        return Response(current.encode(), media_type="application/json", headers=headers)

    @api.get("/accounting", tags=["credits"], responses=problems_of(500))
    def accounting() -> AccountingView:
        """The books, checked block by block against the ledger for this answer."""
        return AccountingView(**asdict(balanced(registry, services.ledger)))

    return api


def list_credits(services: Services, serial: str | None = None) -> list[CreditView]:
    """Credits, newest first; one where a serial is given."""
    holdings = services.ledger.holdings()
    rows = select(Credit).order_by(Credit.issued_at.desc(), Credit.serial.desc()).limit(MOST_LISTED)
    if serial is not None:
        rows = rows.where(Credit.serial == serial)
    with services.registry.reading() as session:
        sizes = {row.serial: row.bytes for row in session.execute(select(Credit.serial, func.length(Credit.bundle).label("bytes")))}
        methodologies = {row.hash: row.methodology_hash for row in session.execute(select(MintRequest.hash, MintRequest.methodology_hash))}
        attested = select(AttestedMint).where(AttestedMint.state == AttestedMintState.MINTED)
        if serial is not None:
            attested = attested.where(AttestedMint.serial == serial)
        newest = attested.order_by(AttestedMint.changed_at.desc(), AttestedMint.serial.desc()).limit(MOST_LISTED)
        by_day = attested_credit_views(session.scalars(newest), holdings)
        return sorted(
            [*credit_views(session.scalars(rows), sizes.__getitem__, methodologies, holdings), *by_day],
            key=lambda view: view.issued_at,
            reverse=True,
        )


def _attested_credit(session: Session, serial: str) -> AttestedMint | None:
    minted = select(AttestedMint).where(AttestedMint.serial == serial, AttestedMint.state == AttestedMintState.MINTED)
    return session.scalars(minted.options(undefer(AttestedMint.bundle))).first()
