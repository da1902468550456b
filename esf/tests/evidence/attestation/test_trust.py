"""Nobody gets into the trust list without k of n root keys, and no node without whoever provisioned it."""

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from thermogen_esf.evidence.attestation.enrolment import Enrolled, Enrolment, certify, enrolled, judge_enrolment, ordered
from thermogen_esf.evidence.attestation.signed import Signed, SignedError
from thermogen_esf.evidence.attestation.trust import TRUST_CONTEXT, FleetTrust, RootKeys, TrustError, judge_trust
from thermogen_esf.evidence.check import Reason
from thermogen_esf.signatures import SigningKey

EVE = SigningKey.from_seed(b"eve".ljust(32))


def _reasons(checks):
    return {check.reason for check in checks if check.passed is False}


def _judged(fleet, now, signed):
    _, checks = judge_trust(signed, fleet.root, now)
    return _reasons(checks)


def test_a_list_by_two_of_three_root_keys_is_believed_from_its_bytes(fleet, now):
    signed = Signed.parse(fleet.signed_trust("rita", "rolf").encode())
    trust, checks = judge_trust(signed, RootKeys.parse(fleet.root.encode()), now)
    assert trust == fleet.trust and not _reasons(checks)


def test_one_root_key_signs_nothing_however_often(fleet, now):
    signed = fleet.signed_trust("rita", "rita")
    assert _judged(fleet, now, signed) == {Reason.BAD_SIGNATURE}


def test_a_list_of_other_root_keys_is_refused_though_they_signed_it(fleet, now):
    other = replace(fleet.root, threshold=1)
    _, checks = judge_trust(fleet.signed_trust(), other, now)
    assert _reasons(checks) == {Reason.WRONG_ROOT_KEYS}


def test_a_list_changed_after_it_was_signed_is_refused(fleet, now):
    changed = replace(fleet.trust, revision=2)
    assert _judged(fleet, now, Signed(changed.encode(), fleet.signed_trust().signatures)) == {Reason.BAD_SIGNATURE}


def test_a_signature_of_something_else_by_a_root_key_is_none(fleet, now, keys):
    signed = Signed.by(fleet.trust.encode(), [keys("rita"), keys("ruth")], b"thermogen/approval/v1")
    assert _judged(fleet, now, signed) == {Reason.BAD_SIGNATURE}
    assert not _judged(fleet, now, Signed.by(fleet.trust.encode(), [keys("rita"), keys("ruth")], TRUST_CONTEXT))


def test_a_list_is_used_within_its_time(fleet):
    assert _judged(fleet, fleet.trust.valid_to + 1, fleet.signed_trust()) == {Reason.KEY_NOT_VALID}


def test_what_is_no_list_is_said(fleet, now):
    trust, checks = judge_trust(Signed(b"{}", ()), fleet.root, now)
    assert trust is None and _reasons(checks) == {Reason.UNREADABLE}


@given(st.binary(max_size=120))
def test_whatever_comes_is_signed_or_a_signed_error(data):
    for candidate in (data, b"TZSIGNED" + data):
        with suppress(SignedError):
            assert Signed.parse(candidate).encode() == candidate


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"\0", lambda data: b"X" + data[1:]])
def test_a_signed_document_has_one_spelling(fleet, change):
    with pytest.raises(SignedError):
        Signed.parse(change(fleet.signed_trust().encode()))


def test_root_keys_are_of_different_holders(fleet):
    rita, ruth, _ = fleet.root.keys
    for keys in ((rita, rita), (rita, replace(ruth, public_key=rita.public_key)), (rita,), ()):
        with pytest.raises(TrustError):
            RootKeys(2, keys)


def test_one_key_is_not_in_two_hands(fleet):
    trust = fleet.trust
    with pytest.raises(TrustError, match="share a key"):
        replace(trust, approvers=(replace(trust.approvers[0], public_key=trust.clouds[0].public_key),))
    with pytest.raises(TrustError, match="twice"):
        replace(trust, operators=("a", "a"))
    with pytest.raises(TrustError, match="before it begins"):
        replace(trust, valid_to=trust.valid_from - 1)


def test_an_enrolled_site_is_believed_from_its_bytes(fleet, now):
    for entry in fleet.entries:
        again = Enrolled(Enrolment.parse(entry.enrolment.encode()), entry.index, entry.proof)
        assert not _reasons(judge_enrolment(again, FleetTrust.parse(fleet.trust.encode()), now))


def test_a_sybil_enrolled_by_the_cloud_is_not_under_the_root(fleet, now):
    sybil = replace(fleet.entries[0].enrolment, name="tz-sybil")
    assert Reason.UNKNOWN_SITE in _reasons(judge_enrolment(replace(fleet.entries[0], enrolment=sybil), fleet.trust, now))


def test_a_node_without_whoever_provisioned_it_is_refused_though_it_is_listed(new_fleet, now):
    changed = new_fleet(2, 2)
    entry = changed.enrolment(changed.nodes[0])
    forged = certify(entry.board_serial, entry.vrf_key, entry.gateware, entry.provisioned_at, EVE)
    changed.changes = {entry.name: {"certificate": forged}}
    assert _reasons(judge_enrolment(changed.entries[0], changed.trust, now)) == {Reason.NOT_PROVISIONED}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"vrf_key": None}, Reason.NOT_PROVISIONED),
        ({"board_serial": "TZN-9"}, Reason.NOT_PROVISIONED),
        ({"gateware": bytes(32)}, Reason.UNKNOWN_GATEWARE),
        ({"provisioner": "eve"}, Reason.UNKNOWN_KEY),
        ({"provisioned_at": 0}, Reason.UNKNOWN_KEY),
        ({"operator": "nobody"}, Reason.UNKNOWN_SITE),
        ({"valid_from": 2**32 - 1}, Reason.KEY_NOT_VALID),
        ({"clocks_per_site_second": 10_000}, Reason.WRONG_CLOCKS),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_listed_site_with_a_wrong_field_is_refused(new_fleet, now, other, change, reason):
    changed = new_fleet(2, 2)
    change = {name: other.prover.public_key if value is None else value for name, value in change.items()}
    changed.changes = {changed.nodes[0].name: change}
    if "operator" in change:
        changed.__dict__["trust"] = replace(changed.trust, operators=("operator-0", "operator-1"))
    assert reason in _reasons(judge_enrolment(changed.entries[0], changed.trust, now))


def test_a_vrf_key_that_is_no_point_is_no_enrolment(fleet):
    with pytest.raises(TrustError, match="prime-order"):
        replace(fleet.entries[0].enrolment, vrf_key=b"\x01" + bytes(31))


@pytest.mark.parametrize("what", ["board_serial", "vrf_key", "public_key", "name"])
def test_two_sites_share_nothing(fleet, what):
    first, second = fleet.entries[0].enrolment, fleet.entries[1].enrolment
    with pytest.raises(TrustError, match="its own"):
        ordered([first, replace(second, **{what: getattr(first, what)})])


def test_entries_are_in_order_of_name_whatever_order_they_came_in(fleet):
    entries = [each.enrolment for each in fleet.entries]
    assert enrolled(ordered(reversed(entries))) == fleet.entries
