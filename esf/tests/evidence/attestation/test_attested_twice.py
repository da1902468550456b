"""A cloud that attests a day twice is shown by whoever has both bundles, and nothing that an honest one gives out is called so."""

import json
from dataclasses import replace

import pytest
from thermogen_esf.evidence.attestation.attested_twice import OtherBundle
from thermogen_esf.evidence.attestation.proof_verification import verify_proof
from thermogen_esf.evidence.attestation.signed import Signed
from thermogen_esf.evidence.attestation.trust import TRUST_CONTEXT
from thermogen_esf.evidence.catalogue import rule
from thermogen_esf.evidence.check import Reason
from thermogen_esf.evidence.command import main
from thermogen_esf.evidence.errors import EvidenceError
from thermogen_sim.fleet.attacks import World
from thermogen_sim.fleet.enrolling import signing_key

OTHER = "EPA-AP42-CH4-FLARE"


@pytest.fixture(scope="module")
def day():
    return World().honest


def _by_another_methodology(day):
    chosen, said = rule(OTHER), day.attestation()
    amount, carry = chosen.amount(said.energy_mj, said.gas, 0, bytes(32))
    named = {"methodology": OTHER, "methodology_hash": chosen.hash, "baseline_evidence": bytes(32)}
    return day.bundle(replace(said, **named, amount=amount, carry_out=carry), methodology=chosen.document)


def _other(bundle):
    return OtherBundle.parse(bundle.encode())


def _verified(day, *others, bundle=None):
    return verify_proof((bundle or day.bundle()).encode(), day.fleet.root, bundles=[_other(each) for each in others])


def _given(report):
    """What step 8 says of the bundles given."""
    return [check for check in report.steps[-1].checks if check.name == "attested once"]


def test_a_day_that_was_attested_by_two_methodologies_is_refused_by_whoever_has_both(day):
    first, second = day.bundle(), _by_another_methodology(day)
    for shown, kept in ((first, second), (second, first)):
        assert _verified(day, bundle=shown).believed, "each is good by itself"
        report = _verified(day, first, kept, second, bundle=shown)
        assert (report.steps[-1].title, report.first_wrong.reason) == ("8 attestation", Reason.ATTESTED_TWICE)
        said, other = (OtherBundle.parse(each.encode()).attestation for each in (shown, kept))
        assert report.first_wrong.numbers == {"day": said.day, "amount": said.amount, "other_amount": other.amount}
        for named in (said.site, f"day {said.day}", "TZ-DISPLACED-GRID", OTHER, str(said.amount), str(other.amount)):
            assert named in report.first_wrong.detail


@pytest.mark.parametrize("change", [{"amount": 1}, {"energy_mj": 1}, {"attempt": 2}, {"root": bytes(32)}, {"previous": bytes(32)}])
def test_another_word_of_a_cloud_about_the_day_is_a_second_attestation_whether_or_not_it_would_be_believed(day, change):
    assert _verified(day, day.bundle(day.attestation(**change))).first_wrong.reason is Reason.ATTESTED_TWICE


def test_the_same_attestation_in_another_bundle_is_no_second_one(day):
    report = _verified(day, day.bundle(statements=day.bundle().statements[:3]))
    assert report.believed and [check.passed for check in _given(report)] == [True]


@pytest.mark.parametrize("change", [{"site": "tz-0001"}, {"day": 20_701}])
def test_an_attestation_of_another_site_or_day_counts_for_nothing(day, change):
    report = _verified(day, day.bundle(day.attestation(amount=1, **change)))
    assert report.believed
    (check,) = _given(report)
    assert check.passed is None and "counts for nothing" in check.detail and str(next(iter(change.values()))) in check.detail


def _signed_by(day, signer):
    return replace(day.bundle(), attestation=day.attestation(amount=1).sign(signing_key(signer)).encode())


def test_what_no_cloud_of_the_list_signed_counts_for_nothing_and_says_so(day):
    for signer in ("eve", "alice", "rita", day.node.name):
        report = _verified(day, _signed_by(day, signer))
        assert report.believed
        (check,) = _given(report)
        assert check.passed is None and "no cloud" in check.detail and "counts for nothing" in check.detail
    before = replace(day.chain[-1], time=day.fleet.trust.clouds[0].valid_from - 1)
    report = _verified(day, replace(_signed_by(day, "cloud-1"), checkpoints=(before.encode(),)))
    assert report.believed and "no cloud" in _given(report)[0].detail, "a cloud's key counts while it is valid"


def test_a_cloud_of_another_list_that_the_root_keys_signed_counts_and_one_of_a_list_of_its_own_does_not(day):
    cloud, known = signing_key("cloud-2"), day.fleet.trust.clouds[0]
    named = replace(known, name="cloud-2", public_key=cloud.public_key)
    later = replace(day.fleet.trust, revision=2, previous=day.fleet.trust.hash, clouds=(named,))
    for signers, refuses in ((("rita", "rolf"), True), (("rita",), False), (("cloud-2", "eve"), False)):
        signed = Signed.by(later.encode(), [signing_key(name) for name in signers], TRUST_CONTEXT)
        report = _verified(day, replace(_signed_by(day, "cloud-2"), trust=signed.encode()))
        assert report.believed is not refuses
        assert not refuses or "cloud-2" in report.first_wrong.detail


def test_a_bundle_without_checkpoints_is_none(day):
    with pytest.raises(EvidenceError, match="no checkpoint"):
        _other(day.bundle(checkpoints=()))


def test_the_command_takes_bundles_that_were_kept(day, tmp_path, capsys):
    files = {"shown": day.bundle(), "kept": _by_another_methodology(day), "theirs": _signed_by(day, "eve")}
    for name, bundle in files.items():
        (tmp_path / name).write_bytes(bundle.encode())
    (tmp_path / "root").write_bytes(day.fleet.root.encode())
    path = {name: str(tmp_path / name) for name in (*files, "root")}
    given = [path["shown"], "--root", path["root"]]
    assert main([*given, "--bundle", path["shown"], "--bundle", path["theirs"]]) == 0
    shown = capsys.readouterr().out
    assert "counts for nothing" in shown and "no other attestation of the day" in shown and "--bundle" in shown
    assert main([*given, "--bundle", path["theirs"], "--bundle", path["kept"]]) == 1
    assert "[attested-twice]" in capsys.readouterr().out
    assert main([*given, "--bundle", path["kept"], "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["first_wrong"]["reason"] == "attested-twice"
    for unreadable in (path["root"], str(tmp_path / "nothing")):
        assert main([*given, "--bundle", unreadable]) == 2
        told = capsys.readouterr()
        assert "cannot be read" in told.err and unreadable in told.err and not told.out
