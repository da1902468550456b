"""A tonne is minted once, for believed epochs that nobody used, after an approver's signed word; every refusal has its own reason."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select
from thermogen_cloud import refusals
from thermogen_cloud.accounting import Accounts, balanced
from thermogen_cloud.ledger import LedgerRefusedError
from thermogen_cloud.registry import Approval, ConsumedEpoch, Credit, MintRequest, MintState
from thermogen_esf.evidence.approval import Decision
from thermogen_esf.evidence.trust import ApproverKey
from thermogen_esf.evidence.verification import verify_bundle
from thermogen_esf.signatures import SigningKey

METHODOLOGY = "TZ-DISPLACED-GRID"


@pytest.fixture
def believed(cloud, site):
    """Four believed epochs; the first and the last."""
    first = site.epoch
    for batch in site.batches(4):
        cloud.receive(batch)
    return first, site.epoch - 1


def request(cloud, site, first, last):
    return cloud.minting.request(site.name, first, last, METHODOLOGY)


def state(cloud, digest):
    with cloud.registry.reading() as session:
        return session.get_one(MintRequest, digest).state


def credits_(cloud):
    with cloud.registry.reading() as session:
        return session.scalars(select(Credit).order_by(Credit.serial)).all()


def test_an_approved_request_becomes_a_credit_that_a_stranger_believes(cloud, site, believed):
    digest = request(cloud, site, *believed)
    assert state(cloud, digest) is MintState.REQUESTED
    cloud.approve(digest)
    (credit,) = credits_(cloud)
    assert state(cloud, digest) is MintState.MINTED
    assert (credit.serial, credit.site) == ("SC-2025-TZ-000001", site.name)
    with cloud.registry.reading() as session:
        bundle = session.get_one(Credit, credit.serial).bundle
    report = verify_bundle(bundle, cloud.trust.current())
    assert report.believed, report.refusals
    assert report.ledger.mint == credit.mint
    assert cloud.ledger.holdings()[credit.mint].supply == credit.amount == report.request.amount
    assert balanced(cloud.registry, cloud.ledger) == Accounts(credit.amount, credit.amount, 0, 0)


def test_a_rejected_request_mints_nothing_and_its_epochs_stay_free(cloud, site, believed):
    digest = request(cloud, site, *believed)
    cloud.approve(digest, decision=Decision.REJECT, reason="the flow meter was being exchanged")
    assert state(cloud, digest) is MintState.REJECTED
    assert credits_(cloud) == [] and cloud.ledger.holdings() == {}
    again = request(cloud, site, *believed)
    assert again != digest
    cloud.approve(again)
    assert state(cloud, again) is MintState.MINTED


def test_a_second_decision_on_one_mint_is_refused(cloud, site, believed):
    digest = request(cloud, site, *believed)
    cloud.approve(digest)
    for decision in Decision:
        with pytest.raises(refusals.AlreadyDecidedError, match="is minted"):
            cloud.approve(digest, decision=decision)
    assert len(credits_(cloud)) == 1


def test_a_mint_of_an_epoch_that_was_used_is_refused(cloud, site, believed):
    first, last = believed
    cloud.approve(request(cloud, site, first, first + 1))
    with pytest.raises(refusals.EpochAlreadyUsedError, match=f"epoch {first + 1} was used"):
        request(cloud, site, first + 1, last)


def test_of_two_requests_for_one_epoch_only_one_can_be_approved(cloud, site, believed):
    first, last = believed
    one, other = request(cloud, site, first, first + 2), request(cloud, site, first + 2, last)
    cloud.approve(one)
    with pytest.raises(refusals.EpochAlreadyUsedError):
        cloud.approve(other)
    assert state(cloud, other) is MintState.REQUESTED
    assert len(credits_(cloud)) == 1


def test_a_request_that_carries_a_remainder_which_another_used_is_refused(cloud, site, believed):
    first, last = believed
    one, other = request(cloud, site, first, first + 1), request(cloud, site, first + 2, last)
    cloud.approve(one)
    with pytest.raises(refusals.StaleRequestError):
        cloud.approve(other)
    fresh = request(cloud, site, first + 2, last)
    cloud.approve(fresh)
    with cloud.registry.reading() as session:
        assert session.get_one(MintRequest, fresh).previous == one


def test_the_same_request_twice_is_one_request(cloud, site, believed):
    assert request(cloud, site, *believed) == request(cloud, site, *believed)


def test_epochs_that_are_not_believed_cannot_be_minted(cloud, site):
    first = site.epoch
    cloud.receive(site.batch())
    cloud.receive(site.sign(site.draft(), SigningKey.generate()))
    with pytest.raises(refusals.EpochNotBelievedError, match=f"epoch {first + 1} is not believed"):
        request(cloud, site, first, first + 1)


def test_epochs_that_have_not_arrived_cannot_be_minted(cloud, site, believed):
    first, last = believed
    with pytest.raises(refusals.EpochMissingError, match=str(last + 1)):
        request(cloud, site, first, last + 1)


def test_a_batch_that_is_missing_within_the_range_holds_the_mint(cloud, site):
    first, missing, third, fourth = site.batches(4)
    for batch in (first, third, fourth):
        cloud.receive(batch)
    start = site.epoch - 4
    with pytest.raises(refusals.EpochNotBelievedError):
        request(cloud, site, start, start + 3)
    cloud.receive(missing)
    cloud.approve(request(cloud, site, start, start + 3))


def test_hours_in_which_the_site_was_off_are_no_obstacle(cloud, site):
    start = site.epoch
    for batch in site.batches(2):
        cloud.receive(batch)
    site.epoch += 8
    site.boot_count += 1
    site.uptime_s = 0
    for batch in site.batches(2):
        cloud.receive(batch)
    digest = request(cloud, site, start, site.epoch - 1)
    cloud.approve(digest)
    with cloud.registry.reading() as session:
        assert session.query(ConsumedEpoch).count() == 4


def test_a_batch_in_the_sites_name_that_another_signed_spoils_no_mint(cloud, site):
    start = site.epoch
    for batch in site.batches(2):
        cloud.receive(batch)
    cloud.receive(replace(site).sign(site.draft(), SigningKey.generate()))
    site.sequence, site.epoch, site.boot_count, site.uptime_s = 180, site.epoch + 1, 2, 0
    for batch in site.batches(2):
        cloud.receive(batch)
    cloud.approve(request(cloud, site, start, site.epoch - 1))


def test_less_than_the_least_mint_is_refused(cloud, site, believed):
    with pytest.raises(refusals.BelowLeastMintError, match="least mint"):
        request(cloud, site, believed[0], believed[0])


def test_an_unknown_site_or_methodology_is_refused(cloud, site, believed):
    with pytest.raises(refusals.UnknownSiteError):
        cloud.minting.request("tz-nowhere", *believed, METHODOLOGY)
    with pytest.raises(refusals.UnknownMethodologyError, match="TZ-DISPLACED-GRID"):
        cloud.minting.request(site.name, *believed, "ACM0001")


@pytest.mark.parametrize(
    ("how", "refusal"),
    [
        ({"approver": "mallory"}, refusals.UnknownApproverError),
        ({"approver": "vera"}, refusals.WrongRoleError),
        ({"approver": "vera", "role": "viewer"}, refusals.WrongRoleError),
        ({"role": "viewer"}, refusals.WrongRoleError),
        ({"key": SigningKey.generate()}, refusals.BadApprovalSignatureError),
        ({"approver": "late"}, refusals.ApproverKeyNotValidError),
    ],
    ids=["unknown name", "role viewer as approver", "role viewer", "approver as viewer", "another key", "key not valid yet"],
)
def test_an_approval_without_the_right_key_and_role_is_refused(cloud, site, believed, how, refusal):
    viewer = SigningKey.generate()
    late = SigningKey.generate()
    cloud.trust.enrol_approver(ApproverKey("vera", "viewer", viewer.public_key, 0, None))
    cloud.trust.enrol_approver(ApproverKey("late", "approver", late.public_key, cloud.now + 1, None))
    keys = {"vera": viewer, "late": late}
    digest = request(cloud, site, *believed)
    with pytest.raises(refusal):
        cloud.approve(digest, **({"key": keys.get(how.get("approver"))} | how))
    assert state(cloud, digest) is MintState.REQUESTED
    assert cloud.ledger.holdings() == {}


def test_an_approval_that_is_older_than_what_it_approves_is_refused_before_anything_is_minted(cloud, site, believed):
    digest = request(cloud, site, *believed)
    with pytest.raises(refusals.WouldNotVerifyError, match="before the last leaf"):
        cloud.approve(digest, time=1_600_000_000)
    assert cloud.ledger.holdings() == {}


def test_an_approval_of_another_request_does_not_count_for_this_one(cloud, site, believed):
    with pytest.raises(refusals.UnknownRequestError):
        cloud.approve(bytes(32))
    with cloud.registry.reading() as session:
        assert session.query(Approval).count() == 0


class PowerFailure(Exception):
    """The process is gone."""


@pytest.mark.parametrize("step", ["find", "issue", "after issue", "bundle"])
def test_a_mint_that_was_interrupted_anywhere_is_minted_once_after_the_next_start(tmp_path, opening, site, approver_key, monkeypatch, step):
    root = tmp_path / "cloud"
    with opening(root) as cloud:
        cloud.trust.enrol_site(site.enrolment)
        cloud.trust.enrol_approver(ApproverKey("ada", "approver", approver_key.public_key, 0, None))
        first = site.epoch
        for batch in site.batches(3):
            cloud.receive(batch)
        digest = request(cloud, site, first, first + 2)

        def fail(*_):
            raise PowerFailure

        def issue_and_fail(block, issue=cloud.ledger.issue):
            issue(block)
            raise PowerFailure

        target, name, broken = {
            "find": (cloud.ledger, "find", fail),
            "issue": (cloud.ledger, "issue", fail),
            "after issue": (cloud.ledger, "issue", issue_and_fail),
            "bundle": (cloud.minting, "_bundle", fail),
        }[step]
        monkeypatch.setattr(target, name, broken)
        with pytest.raises(PowerFailure):
            cloud.approve(digest)
        monkeypatch.undo()
    for _ in range(2):
        with opening(root) as cloud:
            cloud.minting.recover()
            assert state(cloud, digest) is MintState.MINTED
            (credit,) = credits_(cloud)
            assert balanced(cloud.registry, cloud.ledger) == Accounts(credit.amount, credit.amount, 0, 0)


def test_a_mint_that_the_ledger_refuses_fails_with_the_reason_and_frees_its_epochs(cloud, site, believed, monkeypatch):
    digest = request(cloud, site, *believed)

    def refuse(block):
        raise LedgerRefusedError("insufficient funds")

    monkeypatch.setattr(cloud.ledger, "issue", refuse)
    cloud.approve(digest)
    assert state(cloud, digest) is MintState.FAILED
    monkeypatch.undo()
    again = request(cloud, site, *believed)
    cloud.approve(again)
    assert state(cloud, again) is MintState.MINTED
