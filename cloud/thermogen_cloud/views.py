"""What the API and the page show of registry, ledger and trust list. Shapes are pydantic models, so that OpenAPI describes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import BaseModel, Field
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from thermogen_esf import frames
from thermogen_esf.describing import ip_text
from thermogen_esf.evidence import mint as rules
from thermogen_esf.evidence.attestation.attested import Attestation
from thermogen_esf.evidence.attestation.quorum import DayState
from thermogen_esf.evidence.attestation.signed import Signed
from thermogen_esf.evidence.methodology import known
from thermogen_esf.evidence.trust import SiteKey, TrustList
from thermogen_esf.hostlink import EPOCH_S
from thermogen_esf.layout import FIELD, LEAF_BYTES
from thermogen_esf.points import ChannelState, Kind, Point
from thermogen_esf.scada import WRITABLE_BY_ADDRESS, WriteKind

from .attested_days import FOR_PEOPLE
from .ledger import Holding
from .minting import unminted
from .registry import (
    Acknowledgement,
    Alert,
    Approval,
    AttestedDay,
    AttestedMint,
    Batch,
    BatchStatus,
    Command,
    Credit,
    LiveFrame,
    MintRequest,
    ScadaWrite,
    Site,
)

NOT_ATTESTED = "not attested"
STALE_S = 120
"""Wall seconds without a live frame after which a site counts as silent."""
ALERTS_SHOWN = 5
COMMANDS_SHOWN = 100
WRITES_SHOWN = 100
WRITES_ON_PAGE = 3


class CheckView(BaseModel):
    """One check of a batch."""

    name: str
    passed: bool | None = Field(description="null: cannot be decided yet")
    detail: str
    reason: str | None = Field(None, description="code of the refusal, see the evidence rules")
    numbers: dict[str, int] = Field(default_factory=dict, description="what was compared; the unit is the end of each name")


class BatchSummary(BaseModel):
    """A batch, with why it is not believed where it is not."""

    hash: str = Field(description="SHA3-256 of the frame, hex")
    site: str | None = Field(description="name, null where the trust list knows no site of that identity")
    identity: str
    sender: str = Field(description="the site whose topic it came by first")
    number: int
    epoch: int
    begin: int = Field(description="Unix seconds at which the epoch begins")
    sealed_at: int
    received_at: int
    count: int = Field(description="frames")
    alerts: int
    first_sequence: int
    last_sequence: int
    boot_count: int
    root: str
    previous: str
    mean_power_w: float
    status: BatchStatus
    reasons: list[str]


class BatchDetail(BatchSummary):
    """A batch with every check that was made."""

    checks: list[CheckView]


class Counts(BaseModel):
    """Batches by status."""

    stored: int = 0
    believed: int = 0
    refused: int = 0


class Unminted(BaseModel):
    """Believed epochs that no mint has used."""

    count: int
    first: int | None
    last: int | None


class LiveView(BaseModel):
    """The newest live frame of a site: unsigned, for display, never evidence."""

    time: int
    received_at: int
    age_s: int
    stale: bool
    channels_tracking: int
    values: dict[str, float | str | list[str]] = Field(description="by point identifier, in the point's unit; flags as lists of names")


class AlertView(BaseModel):
    """An alert of a site."""

    time: int
    code: str
    severity: str
    raised: bool
    point: int
    value: int
    threshold: int
    text: str

    @property
    def kind(self) -> str:
        """How the page marks it."""
        return "warn" if self.severity == "warning" else "bad"


class CommandView(BaseModel):
    """A command to a site, and what the site answered."""

    number: int
    site: str
    command: str
    arguments: tuple[int, int]
    made_at: int
    expires_at: int = Field(description="site time, Unix seconds")
    results: list[str] = Field(description="the site's signed answers, in order; empty until it answers")


class WriteView(BaseModel):
    """Something that SCADA did at a site, signed by the site."""

    boot_count: int
    event: int = Field(description="number since the boot")
    time: int = Field(description="site time, Unix seconds")
    client: str = Field(description="IPv4 address")
    kind: str
    written: str = Field(description="identifier of the register, or the address where it has none; empty for an override's end")
    old: int = Field(description="raw")
    new: int = Field(description="raw")
    count: int = Field(description="writes that the event stands for")


class NewestDay(BaseModel):
    """The newest day of a site that came into the log of attestation."""

    begin: int = Field(description="Unix seconds")
    state: DayState


class SiteView(BaseModel):
    """A site, enrolled or only heard of."""

    name: str
    identity: str
    enrolled: bool
    attested: bool = Field(
        description="its newest day is: sealed by its gateware and witnessed by others, on its baseline, with nothing against it"
    )
    by_attested_day: bool = Field(
        description="enrolled for attestation, so that it is minted by attested day only; else by its own key's word"
    )
    newest_day: NewestDay | None = Field(description="of those that are enrolled for attestation")
    nameplate_w: int | None
    channels: int | None
    clocks_per_site_second: int | None
    first_seen: int | None
    last_seen: int | None
    batches: Counts
    unminted: Unminted
    live: LiveView | None
    alerts: list[AlertView]
    writes: list[WriteView]


class ApprovalView(BaseModel):
    """The decision on a mint request."""

    approver: str
    role: str
    decision: str
    reason: str
    time: int
    signature: str


class MintView(BaseModel):
    """A mint request and how far it has come."""

    hash: str
    site: str
    first_epoch: int
    last_epoch: int
    epochs: int
    begin: int
    end: int
    methodology: str
    energy_mj: int
    amount: int = Field(description="1e-6 t CO2e")
    serial: str = Field(description="the serial that the credit has or would have")
    state: str
    reason: str = Field(description="why it failed; empty otherwise")
    credit: str | None = Field(description="serial of the credit, once it is minted")
    created_at: int
    changed_at: int
    approval: ApprovalView | None
    document: str = Field(description="the request in canonical JSON, whose SHA3-256 is its hash")


class CreditView(BaseModel):
    """An issued credit and where it is."""

    serial: str
    site: str
    request: str
    amount: int
    supply: int
    held: int
    retired: int
    cancelled: int
    mint: str = Field(description="the ledger's address of the block, base58")
    transaction: str
    issued_at: int
    bundle_bytes: int
    label: str = Field(description="witnessed or peer-checked, or not attested: by the site's own key alone")
    methodology: str = Field(description="credits of different methodologies are worth what their baselines are: never one sum")

    @property
    def attested(self) -> bool:
        """Whether it came of an attested day."""
        return self.label != NOT_ATTESTED


def batch_summary(row: Batch, trust: TrustList) -> BatchSummary:
    """A batch for a list."""
    return BatchSummary(**_batch(row, trust))


def batch_detail(row: Batch, trust: TrustList) -> BatchDetail:
    """A batch with its checks."""
    return BatchDetail(**_batch(row, trust), checks=[CheckView(**check) for check in row.checks])


def _batch(row: Batch, trust: TrustList) -> dict[str, Any]:
    named = trust.sites_named(row.identity)
    return {
        "hash": row.hash.hex(),
        "site": named[0].name if named else None,
        "identity": row.identity.hex(),
        "sender": row.sender,
        "number": row.number,
        "epoch": row.epoch,
        "begin": row.epoch * EPOCH_S,
        "sealed_at": row.sealed_at,
        "received_at": row.received_at,
        "count": row.frame_count,
        "alerts": row.alert_count,
        "first_sequence": row.first_sequence,
        "last_sequence": row.last_sequence,
        "boot_count": row.boot_count,
        "root": row.root.hex(),
        "previous": row.previous.hex(),
        "mean_power_w": row.mean_power_mw / 1000,
        "status": row.status,
        "reasons": row.reasons,
    }


def site_views(session: Session, trust: TrustList, now: int, attested: frozenset[str], suspended: frozenset[str]) -> list[SiteView]:
    """Every enrolled site, then those only heard of, by name; `attested` are those that are enrolled for attestation, and `suspended` those
    of them whose VRF key is."""
    enrolled = {key.name: key for key in trust.sites}  # of several keys, the last is the newest
    seen = {site.name: site for site in session.scalars(select(Site))}
    names = [*sorted(enrolled), *sorted(seen.keys() - enrolled.keys())]
    views = [_site(session, name, enrolled.get(name), seen.get(name), now) for name in names]
    return [_with_attestation(session, view, view.name in suspended) if view.name in attested else view for view in views]


def _with_attestation(session: Session, view: SiteView, suspended: bool) -> SiteView:
    day = _newest_day(session, view.name, suspended)
    attested = day is not None and day.state is DayState.ATTESTED
    return view.model_copy(update={"by_attested_day": True, "newest_day": day, "attested": attested})


def _newest_day(session: Session, site: str, suspended: bool) -> NewestDay | None:
    """Doubt in any attempt is the day's state, else the newest attempt's is; a key that is suspended leaves no day as it was."""
    newest = select(func.max(AttestedDay.day)).where(AttestedDay.site == site).scalar_subquery()
    rows = session.execute(
        select(AttestedDay.day, AttestedDay.state).where(AttestedDay.site == site, AttestedDay.day == newest).order_by(AttestedDay.attempt)
    ).all()
    if not rows:
        return None
    states = [state for _, state in rows]
    doubted = next((state for state in states if state in FOR_PEOPLE), states[-1])
    return NewestDay(begin=rows[0].day * 86_400, state=DayState.SUSPENDED if suspended else doubted)


def _site(session: Session, name: str, key: SiteKey | None, seen: Site | None, now: int) -> SiteView:
    identity = frames.site_identity(name)
    counts = session.execute(select(Batch.status, func.count()).where(Batch.identity == identity).group_by(Batch.status)).all()
    count, first, last = unminted(session, name)
    live = session.get(LiveFrame, name)
    alerts = session.scalars(select(Alert).where(Alert.site == name).order_by(Alert.time.desc()).limit(ALERTS_SHOWN))
    return SiteView(
        name=name,
        identity=identity.hex(),
        enrolled=key is not None,
        attested=False,
        by_attested_day=False,
        newest_day=None,
        nameplate_w=key.nameplate_w if key else None,
        channels=key.channels if key else None,
        clocks_per_site_second=key.clocks_per_site_second if key else None,
        first_seen=seen.first_seen if seen else None,
        last_seen=seen.last_seen if seen else None,
        batches=Counts(**{status.value: number for status, number in counts}),
        unminted=Unminted(count=count, first=first, last=last),
        live=None if live is None else live_view(live, now),
        alerts=[_alert(alert) for alert in alerts],
        writes=write_views(session, name, WRITES_ON_PAGE),
    )


def live_view(row: LiveFrame, now: int) -> LiveView:
    """A live frame's values as people read them."""
    frame = frames.Telemetry(row.frame[:LEAF_BYTES])
    age_s = max(0, now - row.received_at)
    return LiveView(
        time=row.time,
        received_at=row.received_at,
        age_s=age_s,
        stale=age_s > STALE_S,
        channels_tracking=sum(channel.state in (ChannelState.TRACK, ChannelState.HOLD, ChannelState.LIMIT) for channel in frame.channels),
        values={identifier: _readable(placed.point, frame.raw[identifier]) for identifier, placed in FIELD.items()},
    )


def _readable(point: Point, raw: int) -> float | str | list[str]:
    if point.kind is Kind.BYTES:
        return f"{raw:0{point.width // 4}x}"
    if point.kind is Kind.VERSION:
        return f"{raw:#010x}"
    if point.kind is Kind.ENUM and point.values is not None:
        return next((str(value.name).lower() for value in point.values if value == raw), str(raw))
    if point.kind is Kind.FLAGS and point.values is not None:
        return [value.name.lower() for value in point.values if value.name and raw & value]
    return float(point.physical(raw))


def _alert(row: Alert) -> AlertView:
    return AlertView(
        time=row.time,
        code=next((code.name.lower() for code in frames.AlertCode if code == row.code), str(row.code)),
        severity=next((severity.name.lower() for severity in frames.Severity if severity == row.severity), str(row.severity)),
        raised=row.raised,
        point=row.point,
        value=row.value,
        threshold=row.threshold,
        text=row.text,
    )


def command_views(session: Session, site: str) -> list[CommandView]:
    """A site's commands, newest first."""
    answers: dict[int, list[str]] = {}
    for answer in session.scalars(select(Acknowledgement).where(Acknowledgement.site == site).order_by(Acknowledgement.received_at)):
        answers.setdefault(answer.command, []).append(f"{frames.Result(answer.result).name.lower()}: {answer.text}".removesuffix(": "))
    rows = session.scalars(select(Command).where(Command.site == site).order_by(Command.number.desc()).limit(COMMANDS_SHOWN))
    return [
        CommandView(
            number=row.number,
            site=row.site,
            command=frames.CommandCode(row.code).name.lower(),
            arguments=(row.first_argument, row.second_argument),
            made_at=row.made_at,
            expires_at=row.expires_at,
            results=answers.get(row.number, []),
        )
        for row in rows
    ]


def write_views(session: Session, site: str, limit: int = WRITES_SHOWN) -> list[WriteView]:
    """What SCADA did at a site, newest first."""
    newest = (ScadaWrite.boot_count.desc(), ScadaWrite.event.desc())
    rows = session.scalars(select(ScadaWrite).where(ScadaWrite.site == site).order_by(*newest).limit(limit))
    return [
        WriteView(
            boot_count=row.boot_count,
            event=row.event,
            time=row.time,
            client=ip_text(row.client),
            kind=WriteKind(row.kind).name.lower(),
            written=_register(row),
            old=row.old,
            new=row.new,
            count=row.count,
        )
        for row in rows
    ]


def _register(row: ScadaWrite) -> str:
    if row.kind == WriteKind.EXPIRED:
        return ""
    written = WRITABLE_BY_ADDRESS.get(row.address)
    return written.identifier if written else str(row.address)


def mint_view(session: Session, row: MintRequest) -> MintView:
    """A request with its decision."""
    document = rules.MintRequest.parse(row.document)
    approval = session.get(Approval, row.hash)
    credit = session.scalars(select(Credit.serial).where(Credit.request_hash == row.hash)).first()
    return MintView(
        hash=row.hash.hex(),
        site=row.site,
        first_epoch=row.first_epoch,
        last_epoch=row.last_epoch,
        epochs=len(document.epochs),
        begin=row.first_epoch * EPOCH_S,
        end=(row.last_epoch + 1) * EPOCH_S,
        methodology=document.methodology,
        energy_mj=document.energy_mj,
        amount=row.amount,
        serial=row.serial,
        state=row.state.value,
        reason=row.reason,
        credit=credit,
        created_at=row.created_at,
        changed_at=row.changed_at,
        approval=None
        if approval is None
        else ApprovalView(
            approver=approval.approver,
            role=approval.role,
            decision=approval.decision,
            reason=approval.reason,
            time=approval.time,
            signature=approval.signature.hex(),
        ),
        document=row.document.decode(),
    )


def credit_views(
    rows: Iterable[Credit], sizes: Callable[[str], int], methodologies: Mapping[bytes, bytes], holdings: dict[str, Holding]
) -> list[CreditView]:
    """Credits with what the ledger says of them; a block that the ledger lacks shows as nothing held.

    `methodologies` has the hash of each request's, by the request's own.
    """
    names = {each.hash: each.identifier for each in known()}
    nothing = Holding(0, 0, 0, 0, 0)
    views = []
    for row in rows:
        holding = holdings.get(row.mint, nothing)
        views.append(
            CreditView(
                serial=row.serial,
                site=row.site,
                request=row.request_hash.hex(),
                amount=row.amount,
                supply=holding.supply,
                held=holding.held,
                retired=holding.retired,
                cancelled=holding.cancelled,
                mint=row.mint,
                transaction=row.transaction,
                issued_at=row.issued_at,
                bundle_bytes=sizes(row.serial),
                label=NOT_ATTESTED,
                methodology=names.get(methodologies[row.request_hash], methodologies[row.request_hash].hex()),
            )
        )
    return views


def attested_credit_views(rows: Iterable[AttestedMint], holdings: dict[str, Holding]) -> list[CreditView]:
    """Credits of attested days, likewise."""
    nothing = Holding(0, 0, 0, 0, 0)
    views = []
    for row in rows:
        holding = holdings.get(row.mint or "", nothing)
        attestation = Attestation.parse(Signed.parse(row.signed).document)
        views.append(
            CreditView(
                serial=row.serial,
                site=row.site,
                request=row.attestation.hex(),
                amount=row.amount,
                supply=holding.supply,
                held=holding.held,
                retired=holding.retired,
                cancelled=holding.cancelled,
                mint=row.mint or "",
                transaction=row.transaction or "",
                issued_at=row.changed_at,
                bundle_bytes=len(row.bundle or b""),
                label=attestation.label.value,
                methodology=attestation.methodology,
            )
        )
    return views
