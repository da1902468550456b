"""An in-memory world: an honest synthetic site whose every value can be bent, a cloud, approvers, and the trust list that names them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import base58
import pytest
from thermogen_esf.evidence.approval import Approval, Decision
from thermogen_esf.evidence.bundle import seal_bundle
from thermogen_esf.evidence.ledger_address import TOKEN_2022_PROGRAM_ID, mint_address, mint_seed
from thermogen_esf.evidence.ledger_record import LedgerRecord, expected_metadata
from thermogen_esf.evidence.methodology import by_identifier
from thermogen_esf.evidence.mint import MintRequest, propose
from thermogen_esf.evidence.opened import OpenedBatch
from thermogen_esf.evidence.trust import ApproverKey, NamedKey, SiteKey, TrustList
from thermogen_esf.signatures import SigningKey
from thermogen_sim.fleet.synthetic_site import DEMONSTRATION_CLOCKS, SyntheticSite

FIRST_EPOCH = 1_990_000
"""A quarter-hour in September 2026."""
SINCE = FIRST_EPOCH * 900 - 10_000_000


@cache
def _key(name: str) -> SigningKey:
    return SigningKey.from_seed(name.encode().ljust(32, b"."))


@dataclass
class World:
    """Everybody's keys, and the steps from batches to a bundle with each step's result open to change."""

    site: SyntheticSite
    other: SyntheticSite
    cloud: SigningKey
    alice: SigningKey
    """Approver."""
    oscar: SigningKey
    """Auditor, who may not approve."""
    eve: SigningKey
    """In nobody's trust list."""

    @property
    def trust(self) -> TrustList:
        """The pinned list."""
        return TrustList(
            sites=(self.site_key(self.site), self.site_key(self.other)),
            cloud=(NamedKey("cloud-1", self.cloud.public_key, SINCE, None),),
            approvers=(
                ApproverKey("alice", "approver", self.alice.public_key, SINCE, None),
                ApproverKey("oscar", "auditor", self.oscar.public_key, SINCE, None),
            ),
            demonstration=True,
        )

    def site_key(self, site: SyntheticSite, **changes: Any) -> SiteKey:
        """The trust list's entry of a site."""
        entry = SiteKey(
            site.name, site.key.public_key, SINCE, None, 1_140 * site.scale, 12, "therminol-vp1", "ethylene-glycol-50", DEMONSTRATION_CLOCKS
        )
        return replace(entry, **changes)

    def request(self, batches: Sequence[bytes], number: int = 1, previous: MintRequest | None = None) -> MintRequest:
        """What the cloud asks an approver to approve."""
        return propose(
            [OpenedBatch.open(batch) for batch in batches],
            site=self.site.name,
            methodology=by_identifier("TZ-DISPLACED-GRID"),
            number=number,
            previous=previous,
            demonstration=True,
        )

    def approval(self, request: MintRequest, **changes: Any) -> Approval:
        """Alice's approval of a request."""
        approval = Approval(
            request.hash, Decision.APPROVE, "meters read, baseline evidence seen", "alice", "approver", (FIRST_EPOCH + 100) * 900
        )
        return replace(approval, **changes)

    def ledger(self, request: MintRequest, **changes: Any) -> LedgerRecord:
        """The ledger's record of a request's mint."""
        base = base58.b58encode(bytes(range(32))).decode()
        record = LedgerRecord(
            program=TOKEN_2022_PROGRAM_ID,
            base=base,
            seed=mint_seed(request.hash),
            mint=mint_address(base, request.hash),
            supply=request.amount,
            decimals=6,
            transaction=base58.b58encode(bytes(range(64))).decode(),
            metadata=expected_metadata(request),
        )
        return replace(record, **changes)

    def bundle(self, batches: Sequence[bytes], request: MintRequest | None = None, **changes: Any) -> bytes:
        """A credit's bundle; `changes` replace the arguments of `seal_bundle`."""
        request = request or self.request(batches)
        approval = changes.pop("approval", None) or self.approval(request)
        arguments: dict[str, Any] = {
            "request": request,
            "methodology": by_identifier("TZ-DISPLACED-GRID"),
            "approval": approval,
            "approval_signature": approval.sign(self.alice),
            "ledger": self.ledger(request),
            "batches": batches,
            "time": (FIRST_EPOCH + 101) * 900,
            "key": self.cloud,
        }
        return seal_bundle(**{**arguments, **changes})


@pytest.fixture
def world() -> World:
    """A fresh world with nothing measured yet."""
    return World(
        site=SyntheticSite("tz-test-01", _key("site")),
        other=SyntheticSite("tz-test-02", _key("other site")),
        cloud=_key("cloud"),
        alice=_key("alice"),
        oscar=_key("oscar"),
        eve=_key("eve"),
    )


@cache
def _site_after(epochs: int, scale: int) -> SyntheticSite:
    site = SyntheticSite("tz-test-01", _key("site"), scale=scale)
    for index in range(epochs):
        site.epoch(FIRST_EPOCH + index)
    return site


@pytest.fixture
def six_hours(world: World) -> list[bytes]:
    """24 epochs of a site of 1.05 kW, just enough for a credit; the world's site stands after them. Made once for all tests."""
    world.site = replace(_site_after(24, 1), batches=[])
    return list(_site_after(24, 1).batches)


@pytest.fixture
def credit(world: World) -> list[bytes]:
    """Three epochs of a site of 9.45 kW, enough for a credit; the world's site stands after them. Made once for all tests."""
    world.site = replace(_site_after(3, 9), batches=[])
    world.other.scale = 9
    return list(_site_after(3, 9).batches)


@pytest.fixture
def first_epoch() -> int:
    """The first epoch of the world's site."""
    return FIRST_EPOCH
