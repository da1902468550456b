"""Whether a bundle is believed: every step that leads from signed leaves to a credit, done again."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha3_256
from typing import TypeVar

from ..frames import FrameError
from ..signatures import verify
from .approval import Approval, judge_approval
from .belief import judge_batch
from .bundle import CONTEXT, Bundle, BundleError
from .check import Check, Reason, passed, refused, undecided
from .errors import EvidenceError
from .ledger_record import LedgerRecord, judge_ledger
from .methodology import Methodology, MethodologyError, by_hash
from .mint import MintRequest, judge_request, runs
from .opened import OpenedBatch
from .plausibility import judge_run
from .trust import PRODUCT_CLOCKS_PER_SITE_SECOND, SiteKey, TrustList, valid_at, validity

_Document = TypeVar("_Document")


class PartKind(enum.Enum):
    """Whether a part is about one epoch or about the credit as a whole."""

    CREDIT = "credit"
    EPOCH = "epoch"


@dataclass(frozen=True)
class Part:
    """A part of the verification and its steps, in the order in which they were made."""

    title: str
    checks: tuple[Check, ...]
    kind: PartKind = PartKind.CREDIT
    summary: str = ""
    """What the part is about, in numbers; for epochs."""

    @property
    def believed(self) -> bool:
        """Nothing refused."""
        return all(check.passed is not False for check in self.checks)


@dataclass(frozen=True)
class Report:
    """What came out for a bundle."""

    trust_fingerprint: bytes
    """SHA3-256 of the trust list, 32 bytes."""
    bundle_hash: bytes
    """SHA3-256 of the bundle's bytes, 32 bytes."""
    parts: tuple[Part, ...]
    request: MintRequest | None = None
    ledger: LedgerRecord | None = None
    rests_on: tuple[str, ...] = ()
    """What a believed result takes for granted, in sentences; empty where the bundle is refused."""

    @property
    def believed(self) -> bool:
        """Nothing refused in any part."""
        return all(part.believed for part in self.parts)

    @property
    def checks(self) -> tuple[Check, ...]:
        """All steps."""
        return tuple(check for part in self.parts for check in part.checks)

    @property
    def refusals(self) -> tuple[Check, ...]:
        """The steps that refused."""
        return tuple(check for check in self.checks if check.passed is False)

    def to_json(self) -> dict[str, object]:
        """The report as JSON types."""
        request, ledger = self.request, self.ledger
        return {
            "believed": self.believed,
            "trust_sha3_256": self.trust_fingerprint.hex(),
            "bundle_sha3_256": self.bundle_hash.hex(),
            "credit": None if request is None else request.serial,
            "site": None if request is None else request.site,
            "amount": None if request is None else request.amount,
            "energy_mj": None if request is None else request.energy_mj,
            "mint": None if ledger is None else ledger.mint,
            "parts": [
                {"title": part.title, "summary": part.summary, "checks": [check.to_json() for check in part.checks]} for part in self.parts
            ],
            "rests_on": list(self.rests_on),
        }


def verify_bundle(data: bytes, trust: TrustList, previous: bytes | None = None) -> Report:
    """Judge a bundle by the pinned trust list; BundleError where the bytes are not one.

    `previous` is the bundle of the site's previous credit under the same methodology: with it the carry is followed one credit back.
    Nothing inside a bundle without the cloud's good signature is looked at.
    """
    bundle = Bundle.parse(data)
    verification = _Verification(trust, sha3_256(data).digest())
    if verification.add("bundle", _signature(bundle, trust)):
        verification.judge_contents(bundle, previous)
    return verification.report()


@dataclass
class _Verification:
    trust: TrustList
    bundle_hash: bytes
    parts: list[Part] = field(default_factory=list)
    request: MintRequest | None = None
    ledger: LedgerRecord | None = None
    rests_on: list[str] = field(default_factory=list)

    def add(self, title: str, checks: Sequence[Check], kind: PartKind = PartKind.CREDIT, summary: str = "") -> bool:
        self.parts.append(Part(title, tuple(checks), kind, summary))
        return self.parts[-1].believed

    def report(self) -> Report:
        believed = all(part.believed for part in self.parts)
        rests_on = tuple(self.rests_on) if believed else ()
        return Report(self.trust.fingerprint, self.bundle_hash, tuple(self.parts), self.request, self.ledger, rests_on)

    def judge_contents(self, bundle: Bundle, previous: bytes | None) -> None:
        checks: list[Check] = []
        request = self.request = _read(checks, "mint request", MintRequest.parse, bundle.request)
        approval = _read(checks, "approval", Approval.parse, bundle.approval)
        ledger = self.ledger = _read(checks, "ledger record", LedgerRecord.parse, bundle.ledger)
        opened = _open_batches(checks, bundle.batches)
        self.add("documents", checks)
        if request is None or approval is None or ledger is None or len(opened) != len(bundle.batches):
            return
        self.add("demonstration", _demonstration(request, self.trust))
        methodology = self._judge_methodology(request, bundle.methodology)
        self.add("approval", judge_approval(approval, bundle.approval_signature, request.hash, self.trust))
        self.add("ledger", judge_ledger(ledger, request))
        sites = self._judge_batches(request, opened)
        if methodology is None:
            return
        before = self._previous_request(previous)
        self.add("amount", judge_request(request, methodology, opened, before))
        if sites:
            self.add("whole claim", [*_whole_claim(opened, sites[-1]), _approved_after(approval, opened, sites[-1])])
            self._conclude(request, methodology, sites, before)

    def _judge_batches(self, request: MintRequest, batches: Sequence[OpenedBatch]) -> list[SiteKey]:
        """The batches' keys, empty where a batch is not believed."""
        sites = []
        before: OpenedBatch | None = None
        for batch in batches:
            follows = before is not None and (before.site, before.number) == (batch.site, batch.number - 1)
            verdict = judge_batch(batch, self.trust, before if follows else None)
            checks = list(verdict.checks)
            if verdict.site is not None:
                checks.append(_of_site(verdict.site, request))
            if self.add(f"epoch {batch.epoch}", checks, PartKind.EPOCH, _in_numbers(batch)) and verdict.site is not None:
                sites.append(verdict.site)
            before = batch
        return sites if len(sites) == len(batches) else []

    def _judge_methodology(self, request: MintRequest, document: bytes) -> Methodology | None:
        try:
            methodology = by_hash(request.methodology_hash)
        except MethodologyError as error:
            self.add("methodology", [refused("methodology known", Reason.UNKNOWN_METHODOLOGY, str(error))])
            return None
        name = f"{methodology.identifier}, revision {methodology.revision}"
        if (request.methodology, document) != (methodology.identifier, methodology.document):
            text = f"the request's hash is that of {name}; its name {request.methodology} or the bundle's copy differs"
            self.add("methodology", [refused("methodology known", Reason.UNKNOWN_METHODOLOGY, text)])
            return None
        text = f"{name}, {methodology.hash.hex()}, is one that this verifier was released with; baseline {methodology.baseline}"
        self.add("methodology", [passed("methodology known", text)])
        return methodology

    def _previous_request(self, previous: bytes | None) -> MintRequest | None:
        if previous is None:
            return None
        try:
            report = verify_bundle(previous, self.trust)
        except BundleError as error:
            self.add("previous credit", [refused("previous bundle", Reason.PREVIOUS_REFUSED, f"the bundle given cannot be read: {error}")])
            return None
        if report.request is None or not report.believed:
            why = "; ".join(check.detail for check in report.refusals)
            self.add("previous credit", [refused("previous bundle", Reason.PREVIOUS_REFUSED, f"the bundle given is refused: {why}")])
            return None
        text = f"{report.request.serial} is believed, bundle {report.bundle_hash.hex()}"
        self.add("previous credit", [passed("previous bundle", text)])
        return report.request

    def _conclude(self, request: MintRequest, methodology: Methodology, sites: Sequence[SiteKey], before: MintRequest | None) -> None:
        say = self.rests_on.append
        say(f"The trust list given, SHA3-256 {self.trust.fingerprint.hex()}: its keys, nameplates and dates are taken as they are.")
        say(
            "Demonstration credit: not sealed, not witnessed. That leaves and roots came from gateware is said by the site's own key alone;"
            " whoever holds it could have written them."
        )
        clocks = sorted({site.clocks_per_site_second for site in sites} - {PRODUCT_CLOCKS_PER_SITE_SECOND})
        if clocks:
            say(
                f"clocks_per_site_second is {', '.join(map(str, clocks))} and not {PRODUCT_CLOCKS_PER_SITE_SECOND}: a simulated site,"
                " believed only because the trust list is a demonstration list."
            )
        say(f"Baseline {methodology.baseline}: {methodology.statement} That is declared, not measured.")
        if request.previous is not None and before is None:
            say(
                f"{request.carry_in} parts of a unit were carried in from request {request.previous.hex()}:"
                " give that credit's bundle with --previous to follow them."
            )
        say("The ledger itself was not asked: that the mint account exists with this supply is said by the cloud's signature.")
        say("That no other credit claims the same epochs cannot be seen from one bundle.")


def _signature(bundle: Bundle, trust: TrustList) -> list[Check]:
    key = trust.cloud_key(bundle.key_id)
    if key is None:
        clouds = ", ".join(f"{known.name} {known.key_id.hex()}" for known in trust.cloud) or "nobody"
        text = f"signed with key {bundle.key_id.hex()}; as clouds the trust list names {clouds}"
        return [refused("cloud's key", Reason.UNKNOWN_KEY, text)]
    text = f"{key.name}'s key {key.key_id.hex()} is valid from {validity(key)}; the bundle was made at {bundle.time}"
    if not valid_at(key, bundle.time):
        return [refused("cloud's key", Reason.KEY_NOT_VALID, text, made_s=bundle.time)]
    checks = [passed("cloud's key", text, made_s=bundle.time)]
    if not verify(key.public_key, bundle.signed, bundle.signature, CONTEXT):
        text = f"not the signature of {key.name}'s key over these {len(bundle.signed)} bytes: a byte was changed, or another key signed"
        return [*checks, refused("cloud's signature", Reason.BAD_SIGNATURE, text, bytes=len(bundle.signed))]
    return [*checks, passed("cloud's signature", f"ML-DSA-87 over all {len(bundle.signed)} bytes before it", bytes=len(bundle.signed))]


def _read(checks: list[Check], what: str, parse: Callable[[bytes], _Document], data: bytes) -> _Document | None:
    try:
        document = parse(data)
    except EvidenceError as error:
        checks.append(refused(f"{what} reads", Reason.UNREADABLE, str(error), bytes=len(data)))
        return None
    checks.append(passed(f"{what} reads", f"{len(data)} bytes, SHA3-256 {sha3_256(data).hexdigest()}", bytes=len(data)))
    return document


def _open_batches(checks: list[Check], batches: Sequence[bytes]) -> list[OpenedBatch]:
    opened = []
    for index, batch in enumerate(batches):
        try:
            opened.append(OpenedBatch.open(batch))
        except FrameError as error:
            checks.append(refused("batches read", Reason.UNREADABLE, f"batch {index}: {error}", batch=index, offset=error.offset))
            return opened
    size, leaves = sum(map(len, batches)), sum(len(batch.frame.leaves) for batch in opened)
    checks.append(passed("batches read", f"{len(batches)} batches, {size} bytes, {leaves} leaves", batches=len(batches), leaves=leaves))
    return opened


def _in_numbers(batch: OpenedBatch) -> str:
    energy = batch.columns.raw["electrical_energy"]
    return f"batch {batch.number}, {len(energy)} leaves, counter {energy[0]} to {energy[-1]} mJ"


def _demonstration(request: MintRequest, trust: TrustList) -> list[Check]:
    if not request.demonstration:
        text = "the credit is not marked as a demonstration, and a bundle of version 1 has neither seal nor witnesses to be more"
        return [refused("marked as demonstration", Reason.NOT_MARKED_AS_DEMONSTRATION, text)]
    checks = [passed("marked as demonstration", "the request says that it is neither sealed nor witnessed")]
    if not trust.demonstration:
        text = "the trust list is not a demonstration list: it believes no demonstration credits"
        return [*checks, refused("demonstration list", Reason.NOT_A_DEMONSTRATION_LIST, text)]
    return [*checks, passed("demonstration list", "the trust list believes demonstration credits")]


def _of_site(site: SiteKey, request: MintRequest) -> Check:
    if site.name != request.site:
        return refused("of the request's site", Reason.OTHER_SITE, f"the batch is of {site.name}, the request of {request.site}")
    return passed("of the request's site", request.site)


def _whole_claim(batches: Sequence[OpenedBatch], site: SiteKey) -> list[Check]:
    """The physical bounds over each contiguous run as a whole, where allowances for lag count once."""
    return [check for run in runs(batches) for check in judge_run(run, site)]


def _approved_after(approval: Approval, batches: Sequence[OpenedBatch], site: SiteKey) -> Check:
    name, last = "approved after the last epoch", batches[-1].columns.time[-1]
    numbers = {"approved_s": approval.time, "last_leaf_s": last}
    if site.clocks_per_site_second != PRODUCT_CLOCKS_PER_SITE_SECOND:
        return undecided(name, "a simulated site's time does not run with the approver's clock", **numbers)
    if approval.time < last:
        return refused(name, Reason.WRONG_TIME, f"approved at {approval.time}, before the last leaf at {last}", **numbers)
    return passed(name, f"approved at {approval.time}, the last leaf is of {last}", **numbers)
