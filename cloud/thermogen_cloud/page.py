"""The page: one document, rendered here, that needs no build step, no other host, and no script to be read."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Form, Header, Response
from fastapi import Path as PathParameter
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from pydantic import ValidationError
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from thermogen_esf.evidence.approval import Approval, ApprovalError, Decision
from thermogen_esf.evidence.mint import tonnes
from thermogen_esf.evidence.trust import ROLE_APPROVER, TrustList
from thermogen_esf.hostlink import EPOCH_S
from thermogen_esf.signatures import SigningKey

from . import refusals
from .accounting import Accounts, UnbalancedBooksError, balanced
from .api import HASH_HEX, Services, SignedDecision, list_credits
from .attestation_api import KIND, NEXT, attestation_view
from .attesting import Attestor
from .errors import CloudError, RefusedError
from .keys import open_approver_key
from .methodology_choices import DEFAULT_METHODOLOGY
from .problems import describe
from .registry import Batch, BatchStatus, MintRequest, MintState, Quarantined
from .views import Counts, SiteView, batch_detail, mint_view

BATCHES_SHOWN = 40
DECIDED_SHOWN = 20
QUARANTINED_SHOWN = 10
BARS = 96
"""Quarter-hours in a site's chart: a day."""
FEWEST_BARS = 24
"""Room that a chart has at least, so that a young site does not show as one broad bar."""
BAR_WIDTH = 10
CHART_HEIGHT = 60
MOST_DECISION_CHARACTERS = 20_000

FetchSite = Annotated[str, Header()]
"""Whose page sent a form: every browser says so, and no page can change what it says."""

HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class ForeignFormError(RefusedError):
    """Another site's page sent the form."""

    slug, title, status = "foreign-form", "The form was not sent from this page", 403


@dataclass(frozen=True, slots=True)
class Message:
    """What the page says about what was just done."""

    kind: str
    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Bar:
    """One epoch in a chart, in the chart's units."""

    x: int
    y: float
    width: int
    height: float
    status: str
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Mean power of a site's latest epochs."""

    width: int
    height: int
    bars: list[Bar]
    begin: int
    end: int
    greatest_w: float
    description: str


@dataclass(frozen=True, slots=True)
class Books:
    """The totals, or what is wrong with them."""

    accounts: Accounts | None
    wrong: str


def page_router(services: Services, app: FastAPI) -> APIRouter:
    """The page, its style sheet, its form and the description of the API."""
    router = APIRouter(include_in_schema=False)
    templates = _templates()
    style = (resources.files(__package__) / "templates" / "page.css").read_bytes()

    def render(message: Message | None = None, status: int = 200) -> HTMLResponse:
        nonce = secrets.token_urlsafe(16)
        html = templates.get_template("page.html").render(**_context(services), message=message, nonce=nonce)
        return HTMLResponse(html, status, {**HEADERS, "Content-Security-Policy": _policy(nonce)})

    def refused(error: CloudError) -> HTMLResponse:
        problem = describe(error)
        return render(Message("bad", f"{problem.title}: {error}.", error.remedy), problem.status)

    @router.get("/")
    def page(done: str = "") -> HTMLResponse:
        texts = {
            "approve": Message("good", "Approved and minted."),
            "reject": Message("quiet", "Rejected. Nothing was minted."),
            "request": Message("good", "Requested. An approver decides below."),
        }
        return render(texts.get(done))

    @router.get("/page.css")
    def style_sheet() -> Response:
        return Response(style, media_type="text/css", headers={**HEADERS, "Cache-Control": "max-age=300"})

    @router.get("/openapi.json")
    def openapi() -> JSONResponse:
        return JSONResponse(app.openapi())

    @router.get("/docs")
    def docs() -> HTMLResponse:
        nonce = secrets.token_urlsafe(16)
        html = templates.get_template("docs.html").render(api=app.openapi())
        return HTMLResponse(html, 200, {**HEADERS, "Content-Security-Policy": _policy(nonce)})

    @router.post("/sites/{name}/mint")
    def request_mint(name: Annotated[str, PathParameter(max_length=128)], sec_fetch_site: FetchSite = "same-origin") -> Response:
        try:
            _refuse_foreign(sec_fetch_site)
            services.minting.request_unminted(name, DEFAULT_METHODOLOGY)
        except CloudError as error:
            return refused(error)
        return RedirectResponse("/?done=request#mints", 303)

    @router.post("/mints/{digest}/decision")
    def decide(
        digest: Annotated[str, PathParameter(pattern=HASH_HEX)],
        decision: Annotated[Decision, Form()],
        approver: Annotated[str, Form(max_length=128)] = "",
        reason: Annotated[str, Form(max_length=1000)] = "",
        passphrase: Annotated[str, Form(max_length=1000)] = "",
        signed: Annotated[str, Form(max_length=MOST_DECISION_CHARACTERS)] = "",
        sec_fetch_site: FetchSite = "same-origin",
    ) -> Response:
        request = bytes.fromhex(digest)
        try:
            _refuse_foreign(sec_fetch_site)
            if signed.strip():
                taken, signature = _pasted(signed, request, decision)
            else:
                taken, signature = _signed_here(services, request, decision, approver, reason, passphrase)
            services.decide(taken, signature)
        except CloudError as error:
            return refused(error)
        return RedirectResponse(f"/?done={decision.value}#mints", 303)

    return router


def _refuse_foreign(sec_fetch_site: str) -> None:
    if sec_fetch_site not in ("same-origin", "none"):
        raise ForeignFormError("the browser says that another site's page sent this form", "open this page itself and send it there")


def _pasted(text: str, request: bytes, decision: Decision) -> tuple[Approval, bytes]:
    """A decision that was signed elsewhere; the button has to say the same."""
    try:
        signed = SignedDecision.model_validate_json(text)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()[:3])
        raise refusals.UnreadableDecisionError(faults, "paste what `thermogen-cloud approve --print` wrote, all of it") from error
    if signed.decision is not decision:
        raise refusals.UnreadableDecisionError(
            f"the decision that was pasted is to {signed.decision.value}, the button was to {decision.value}",
            "use the button that says the same",
        )
    return signed.approval(request), bytes.fromhex(signed.signature)


def _signed_here(
    services: Services, request: bytes, decision: Decision, approver: str, reason: str, passphrase: str
) -> tuple[Approval, bytes]:
    """A decision signed with the approver's key that the cloud's directory keeps encrypted."""
    try:
        approval = Approval(
            request=request, decision=decision, reason=reason.strip(), approver=approver, role=ROLE_APPROVER, time=services.clock()
        )
    except ApprovalError as error:
        raise refusals.UnreadableDecisionError(str(error), "choose an approver and say why") from error
    # The name has passed the trust list's pattern, so that it cannot be a path.
    key = SigningKey.from_seed(open_approver_key(services.directory.approver_key(approver), passphrase))
    return approval, approval.sign(key)


def _context(services: Services) -> dict[str, Any]:
    trust, now = services.trust.current(), services.clock()
    with services.registry.reading() as session:
        requests = select(MintRequest).order_by(MintRequest.created_at.desc(), MintRequest.serial.desc())
        waiting = session.scalars(requests.where(MintRequest.state == MintState.REQUESTED))
        decided = session.scalars(requests.where(MintRequest.state != MintState.REQUESTED).limit(DECIDED_SHOWN))
        counts = session.execute(select(Batch.status, func.count()).group_by(Batch.status)).all()
        batches = session.scalars(select(Batch).order_by(Batch.epoch.desc(), Batch.received_at.desc()).limit(BATCHES_SHOWN))
        sites = services.sites(session)
        context = {
            "sites": sites,
            "charts": {view.name: _chart_of(session, view) for view in sites},
            "waiting": [mint_view(session, row) for row in waiting],
            "decided": [mint_view(session, row) for row in decided],
            "batches": [batch_detail(row, trust) for row in batches],
            "quarantined": session.scalars(select(Quarantined).order_by(Quarantined.number.desc()).limit(QUARANTINED_SHOWN)).all(),
            "counts": Counts(**{status.value: number for status, number in counts}),
        }
    return {
        **context,
        "attestation": attestation_view(services),
        "kind_of": KIND,
        "next_of": NEXT,
        "credits": list_credits(services),
        "books": _books(services),
        "link": services.health(),
        "approvers": _approvers(trust, services.attestor),
        "fingerprint": trust.fingerprint.hex(),
        "demonstration": trust.demonstration,
        "api_prefix": services.api_prefix,
        "now": now,
    }


def _approvers(trust: TrustList, attestor: Attestor | None) -> list[str]:
    of_days = () if attestor is None else attestor.trust.newest.trust.approvers
    return sorted({key.name for key in (*trust.approvers, *of_days) if key.role == ROLE_APPROVER})


def _books(services: Services) -> Books:
    try:
        return Books(balanced(services.registry, services.ledger), "")
    except UnbalancedBooksError as error:
        return Books(None, f"{error}; {error.remedy}")


def _chart_of(session: Session, view: SiteView) -> Chart:
    rows = session.execute(
        select(Batch.epoch, Batch.status, Batch.mean_power_mw)
        .where(Batch.identity == bytes.fromhex(view.identity))
        .order_by(Batch.epoch.desc(), Batch.received_at.desc())
        .limit(BARS)
    )
    return _chart([(row.epoch, row.status, row.mean_power_mw) for row in rows])


def _chart(rows: Sequence[tuple[int, BatchStatus, int]]) -> Chart:
    """Bars by epoch, oldest first; a gap where an epoch has no batch."""
    last = rows[0][0] if rows else 0
    shown = [row for row in rows if last - row[0] < BARS]
    first = min([last - FEWEST_BARS + 1, *(epoch for epoch, _, _ in shown)])
    greatest_mw = max([1, *(power for _, _, power in shown)])
    bars = []
    for epoch, status, power_mw in reversed(shown):
        height = max(1.0, CHART_HEIGHT * max(0, power_mw) / greatest_mw)
        label = f"{_moment(epoch * EPOCH_S)}, epoch {epoch}: {power_mw / 1000:.0f} W, {status.value}"
        bars.append(Bar((epoch - first) * BAR_WIDTH, round(CHART_HEIGHT - height, 1), BAR_WIDTH - 2, round(height, 1), status.value, label))
    width = (last - first + 1) * BAR_WIDTH
    greatest_w = greatest_mw / 1000
    description = f"Mean power of {len(bars)} quarter-hours until {_moment((last + 1) * EPOCH_S)}, greatest {greatest_w:.0f} W"
    return Chart(width, CHART_HEIGHT, bars, first * EPOCH_S, (last + 1) * EPOCH_S, greatest_w, description)


def _policy(nonce: str) -> str:
    return (
        "default-src 'none'; style-src 'self'; img-src data:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
        f"frame-ancestors 'none'; script-src 'nonce-{nonce}'"
    )


def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader(__package__, "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        tonnes=tonnes,
        number=_number,
        moment=_moment,
        minute=_minute,
        clock=_clock,
        date=_date,
        duration=_duration,
        words=lambda text: str(text).replace("_", " ").replace("-", " "),
        sentence=_sentence,
    )
    return environment


def _number(value: float, digits: int) -> str:
    """Thousands apart by a thin space, and never a negative nothing."""
    text = f"{value:,.{digits}f}".replace(",", "\u202f")
    return text.removeprefix("-") if not float(text.replace("\u202f", "")) else text.replace("-", "\u2212")


def _moment(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _minute(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%M")


def _date(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d")


def _clock(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%d %b %H:%M")


def _duration(seconds: int) -> str:
    for unit, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds // unit} {name}"
    return f"{seconds} s"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."
