"""A mint is approved by the right person, for this request, while that person's key is valid, and by nobody else."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from thermogen_esf.evidence.approval import Approval, ApprovalError, Decision, judge_approval
from thermogen_esf.evidence.check import Reason

REQUEST = bytes(range(32))


@pytest.fixture
def asked(world):
    """The approval of a request that only its hash stands for."""
    return world.approval(SimpleNamespace(hash=REQUEST))


def _reasons(world, approval, key=None, trust=None, request=REQUEST):
    checks = judge_approval(approval, approval.sign(key or world.alice), request, trust or world.trust)
    return {check.reason for check in checks if not check.passed}


def test_an_approvers_approval_is_believed_and_reads_back(world, asked):
    assert not _reasons(world, asked)
    assert Approval.parse(asked.encode()) == asked


def test_the_approval_of_another_request(world, asked):
    assert _reasons(world, asked, request=bytes(32)) == {Reason.WRONG_REQUEST}


def test_a_rejection_is_not_an_approval(world, asked):
    assert _reasons(world, replace(asked, decision=Decision.REJECT)) == {Reason.NOT_APPROVED}


def test_nobody_known(world, asked):
    assert _reasons(world, replace(asked, approver="mallory")) == {Reason.UNKNOWN_APPROVER}


@pytest.mark.parametrize("role", ["auditor", "approver"])
def test_an_auditor_may_not_approve_whatever_role_is_claimed(world, asked, role):
    assert _reasons(world, replace(asked, approver="oscar", role=role), world.oscar) == {Reason.WRONG_ROLE}


def test_an_approver_who_signs_in_another_role(world, asked):
    assert _reasons(world, replace(asked, role="auditor")) == {Reason.WRONG_ROLE}


@pytest.mark.parametrize("signer", ["oscar", "eve", "cloud"])
def test_another_key_in_the_approvers_name(world, asked, signer):
    assert _reasons(world, asked, getattr(world, signer)) == {Reason.BAD_SIGNATURE}


@pytest.mark.parametrize("window", [{"valid_to": -1}, {"valid_from": 1}])
def test_a_key_that_has_expired_or_is_not_valid_yet(world, asked, window):
    window = {name: asked.time + shift for name, shift in window.items()}
    trust = replace(world.trust, approvers=(replace(world.trust.approvers[0], **window),))
    assert _reasons(world, asked, trust=trust) == {Reason.KEY_NOT_VALID}


def test_the_key_of_the_time_of_approval_counts_after_a_change_of_keys(world, asked):
    old = replace(world.trust.approvers[0], valid_to=asked.time)
    new = replace(old, public_key=world.eve.public_key, valid_from=asked.time + 1, valid_to=None)
    trust = replace(world.trust, approvers=(old, new))
    assert not _reasons(world, asked, trust=trust)
    assert _reasons(world, replace(asked, time=asked.time + 1), trust=trust) == {Reason.BAD_SIGNATURE}


@pytest.mark.parametrize("field", ["request", "reason", "time"])
def test_a_field_changed_after_signing(world, asked, field):
    changed = {"request": bytes(32), "reason": "another reason", "time": asked.time + 1}
    checks = judge_approval(replace(asked, **{field: changed[field]}), asked.sign(world.alice), REQUEST, world.trust)
    assert Reason.BAD_SIGNATURE in {check.reason for check in checks}


def test_a_signature_made_for_something_else_than_an_approval(world, asked):
    signature = world.alice.sign(asked.encode(), b"thermogen/bundle/v1")
    checks = judge_approval(asked, signature, REQUEST, world.trust)
    assert {check.reason for check in checks if not check.passed} == {Reason.BAD_SIGNATURE}


@pytest.mark.parametrize("reason", ["", "x" * 1_001, "line\nbreak", "\x1b[2K", "\u202ereversed", "e\u0301", "\ud800"])
def test_a_reason_that_is_empty_or_can_deceive_is_refused(asked, reason):
    with pytest.raises(ApprovalError):
        replace(asked, reason=reason)
