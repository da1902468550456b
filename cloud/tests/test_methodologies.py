"""By which methodology an attested day is minted: chosen for a site or for all, before the day, once, and believed by a stranger."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace

import pytest
from starlette.testclient import TestClient
from thermogen_cloud.accounting import balanced
from thermogen_cloud.api import application
from thermogen_cloud.directory import replace_file
from thermogen_cloud.ledger import CreditBlock, LedgerRefusedError
from thermogen_cloud.methodology_choices import Choice, Choices, MethodologyChoiceError, digest_of
from thermogen_cloud.refusals import AlreadyDecidedError, AlreadyIssuedError, RefusedError, WouldNotVerifyError
from thermogen_cloud.registry import AttestedMint, AttestedMintState
from thermogen_esf.evidence.approval import Decision
from thermogen_esf.evidence.attestation.attested import Attestation
from thermogen_esf.evidence.attestation.quorum import DayState, Label
from thermogen_esf.evidence.attestation.signed import Signed
from thermogen_esf.evidence.canonical import canonical
from thermogen_esf.evidence.catalogue import METHODOLOGY_CONTEXT, catalogue, rule
from thermogen_esf.evidence.command import main as verify
from thermogen_sim.fleet.enrolling import signing_key

from .attesting_fleet import DAY, FIRST
from .test_attested_minting import Minting, believed

pytestmark = pytest.mark.slow

GRID, FLARE, VENT = "TZ-DISPLACED-GRID", "EPA-AP42-CH4-FLARE", "IPCC-AR5-100Y"
PERMIT = b"flare permit 17, and the flame detector's record"
BEFORE = DAY * 86_400


def own_methodology(signer):
    """A methodology of one's own, as somebody signed it."""
    value = {**json.loads(rule(VENT).document), "id": "CUSTOM", "title": "Our vent"}
    return Signed.by(canonical(value), [signing_key(signer)], METHODOLOGY_CONTEXT)


@pytest.fixture
def made(cloud, tmp_path):
    return Minting(cloud, tmp_path / "attesting")


@pytest.fixture
def choose(made):
    """Chooses as the command does."""

    def choose_one(methodology, site=None, since=BEFORE, evidence=PERMIT, own=None):
        evidence = None if methodology == GRID else evidence
        auditors = made.attesting.fleet.trust.approvers
        return made.attesting.methodologies.choose(since, site, own or methodology, evidence, auditors, BEFORE)

    return choose_one


def attestation_of(made):
    return Attestation.parse(Signed.parse(made.row.signed).document)


@pytest.mark.parametrize("methodology", [FLARE, VENT, "IPCC-AR5-20Y", "CUSTOM"])
def test_a_day_is_minted_by_the_chosen_methodology_and_a_stranger_believes_it(made, choose, cloud, tmp_path, capsys, methodology):
    chosen = choose(methodology, own=own_methodology("anna") if methodology == "CUSTOM" else None)
    made.attested_before()
    made.attest()
    made.minting.round()
    assert (made.row.state, made.row.detail) == (AttestedMintState.MINTED, "")
    emitted = attestation_of(made)
    assert (emitted.methodology, emitted.methodology_hash, emitted.baseline_evidence) == (methodology, chosen.rule.hash, digest_of(PERMIT))
    assert made.row.amount == chosen.rule.amount(emitted.energy_mj, emitted.gas, 0, digest_of(PERMIT))[0] > 1_000
    files = {"bundle": made.row.bundle, "root": made.attesting.fleet.root.encode(), "frames": made.minting.frames(made.site, DAY)}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    assert verify([str(tmp_path / "bundle"), "--root", str(tmp_path / "root"), "--frames", str(tmp_path / "frames")]) == 0
    assert f"{methodology}: {made.row.amount} x 1e-6 t CO2e" in capsys.readouterr().out
    assert cloud.ledger.find(made.row.attestation).metadata["methodology"] == methodology
    assert balanced(cloud.registry, cloud.ledger).issued == made.row.amount
    with TestClient(application(cloud.services), base_url="http://127.0.0.1") as client:
        client.auth = ("viewer", cloud.directory.read_viewer_password())
        (credit,) = client.get("/api/v1/credits").json()
        assert credit["methodology"] == methodology


def methodology_of(made):
    made.attested_before()
    made.attest()
    made.minting.round()
    return attestation_of(made).methodology


def test_a_sites_own_choice_goes_before_the_one_for_all(made, choose):
    choose(FLARE, site=made.site)
    choose(VENT)
    choose(GRID, site="tz-0003")
    assert methodology_of(made) == FLARE


def test_a_choice_for_all_is_every_sites_that_has_none(made, choose):
    choose(VENT)
    choose(FLARE, site="tz-0003")
    assert methodology_of(made) == VENT


def test_a_choice_that_was_made_after_the_day_began_is_not_the_days(made, choose):
    choose(VENT, since=BEFORE + 1)
    assert methodology_of(made) == GRID


def test_a_minted_day_is_not_minted_again_by_another_methodology(made, choose, cloud):
    assert methodology_of(made) == GRID
    issued = balanced(cloud.registry, cloud.ledger).issued
    choose(VENT)
    made.attesting.open()
    made.open()
    for _ in range(2):
        made.attesting.round()
        made.minting.round()
    assert attestation_of(made).methodology == GRID and believed(made) is True
    assert balanced(cloud.registry, cloud.ledger).issued == issued == made.row.amount


def test_a_day_that_waits_keeps_the_methodology_that_its_approver_signs_for(made, choose, cloud):
    choose(FLARE)
    made.attest()
    made.minting.round()
    assert made.row.state is AttestedMintState.WAITING
    choose(VENT)
    made.decide()
    assert attestation_of(made).methodology == FLARE and believed(made) is True
    assert balanced(cloud.registry, cloud.ledger).issued == made.row.amount


def minted_before(made, day, methodology, carry, carry_in=0, previous=None):
    """A day before that was minted by a methodology, and what it left over."""
    found = rule(methodology)
    evidence = digest_of(PERMIT) if found.evidence_required else None
    claims = {"energy_mj": 1, "gas": 1, "carry_in": carry_in, "carry_out": carry, "amount": 1, "history_mj": (), "previous": previous}
    said = {"agreeing": 5, "received": 5, "attempt": 1, "beacon_number": 1, "root": bytes(32), "baseline_evidence": evidence}
    named = {"methodology": methodology, "methodology_hash": found.hash}
    emitted = Attestation(site=made.site, day=day, state=DayState.ATTESTED, label=Label.PEER_CHECKED, **claims, **said, **named)
    with made.cloud.registry.writing() as session:
        row = session.get_one(AttestedMint, (made.site, day))
        row.signed, row.state, row.changed_at = emitted.sign(signing_key("cloud-1")).encode(), AttestedMintState.MINTED, day
    return emitted


@pytest.mark.parametrize(("methodology", "carried"), [(GRID, 7_000), (VENT, 11), (FLARE, 0)])
def test_what_is_left_over_is_carried_to_the_next_day_of_the_same_methodology_and_to_no_other(made, choose, methodology, carried):
    choose(methodology)
    made.attested_before()
    before = {GRID: minted_before(made, DAY - 2, GRID, 7_000), VENT: minted_before(made, DAY - 1, VENT, 11)}
    made.attest()
    made.minting.round()
    emitted = attestation_of(made)
    follows = before.get(methodology)
    assert (emitted.carry_in, emitted.previous) == (carried, None if follows is None else follows.hash)
    assert made.row.state is AttestedMintState.MINTED and believed(made) is True


def test_an_own_methodology_that_no_auditor_signed_cannot_be_chosen_and_written_there_all_the_same_mints_nothing(made, choose, cloud):
    by_approver = own_methodology("alice")
    with pytest.raises(MethodologyChoiceError, match="auditor"):
        choose("CUSTOM", own=by_approver)
    folder = made.attesting.directory.methodologies
    assert made.attesting.methodologies.made() == () and not folder.exists()
    signed = by_approver.encode()
    hashes = {"hash": digest_of(by_approver.document), "own": digest_of(signed), "evidence": digest_of(PERMIT)}
    written = {
        "choices.json": Choices((Choice(BEFORE, None, "CUSTOM", **hashes),)).encode(),
        f"custom/{hashes['own'].hex()}": signed,
        f"evidence/{hashes['evidence'].hex()}": PERMIT,
    }
    for name, content in written.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    made.attested_before()
    made.attest()
    made.minting.round()
    assert made.attesting.states() == [(1, "methodology-error")] and made.row is None
    assert balanced(cloud.registry, cloud.ledger).issued == 0


def interrupted(made, monkeypatch):
    """A mint that the ledger did not take at once, and that is under way."""

    def refuses(_block):
        raise LedgerRefusedError("no")

    with monkeypatch.context() as patched:
        patched.setattr(made.cloud.ledger, "issue", refuses)
        made.minting.round()
    assert made.row.state is AttestedMintState.MINTING


def test_a_refused_choice_touches_nothing_that_was_chosen_before(made, choose):
    choose("CUSTOM", own=own_methodology("anna"))
    folder = made.attesting.directory.methodologies
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(MethodologyChoiceError, match="auditor"):
        choose("CUSTOM", own=own_methodology("alice"), evidence=b"another permit")
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert methodology_of(made) == "CUSTOM"
    assert made.row.state is AttestedMintState.MINTED and believed(made) is True


@pytest.mark.parametrize("stage", ["chosen", "minting", "waiting"])
def test_a_signature_that_begins_later_leaves_the_days_before_it_their_own(made, choose, monkeypatch, stage):
    """Anna's key is renewed: what she signs anew is valid from the day's end, and days before keep what was valid then."""
    choose("CUSTOM", own=own_methodology("anna"))
    if stage != "waiting":
        made.attested_before()
    if stage != "chosen":
        made.attest()
        interrupted(made, monkeypatch) if stage == "minting" else made.minting.round()
    (anna,) = (key for key in made.attesting.fleet.trust.approvers if key.name == "anna")
    later = made.attesting.now + 1_000_000
    renewed = replace(anna, public_key=signing_key("anna-2").public_key, valid_from=later)
    own = own_methodology("anna-2")
    made.attesting.methodologies.choose(later, None, own, PERMIT, (anna, renewed), later)
    if stage == "chosen":
        made.attest()
    made.decide() if stage == "waiting" else made.minting.round()
    assert made.row.state is AttestedMintState.MINTED and believed(made) is True
    assert own.encode() not in made.row.bundle


@pytest.mark.parametrize("methodology", ["GS-MICRO-SCALE", "CDM-ACM0001", "VCS-AMS-III-H", "CUSTOM", "EPA-AP42"])
def test_a_methodology_that_does_not_compute_cannot_be_chosen(made, choose, methodology):
    with pytest.raises(MethodologyChoiceError, match=methodology):
        choose(methodology)


@pytest.mark.parametrize("methodology", [FLARE, VENT])
def test_a_baseline_that_is_not_measured_cannot_be_chosen_without_its_evidence(choose, methodology):
    with pytest.raises(MethodologyChoiceError, match="needs"):
        choose(methodology, evidence=None)


def unreadable(path):
    path.unlink()
    path.mkdir()


DAMAGED = {
    "missing": lambda path: path.unlink(),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-5]),
    "of other content": lambda path: path.write_bytes(path.read_bytes()[:-1] + b"x"),
    "unreadable": unreadable,
}


def kept_file(made, kind):
    (path,) = (made.attesting.directory.methodologies / kind).iterdir()
    return path


@pytest.mark.parametrize("kind", ["evidence", "custom"])
@pytest.mark.parametrize("damage", DAMAGED)
def test_a_file_that_was_lost_or_damaged_decides_no_day_that_needs_it_until_it_is_there_again(made, choose, caplog, kind, damage):
    choose("CUSTOM", own=own_methodology("anna"))
    path = kept_file(made, kind)
    before = path.read_bytes()
    DAMAGED[damage](path)
    made.attesting.measure()
    made.receive()
    made.attested_before()
    made.attesting.round()
    made.attesting.others_seal()
    made.attesting.round()
    assert made.attesting.states() == [(1, "waiting-for-beacon")]
    assert str(path) in caplog.text and "restore it" in caplog.text
    if path.is_dir():
        path.rmdir()
    path.write_bytes(before)
    made.attesting.round()
    made.attesting.witness(made.attesting.attestor.announcements()[0])
    made.attesting.round()
    made.attesting.round(300)
    made.minting.round()
    assert made.row.state is AttestedMintState.MINTED


def two_days(made):
    """The day and the next, each of three epochs, witnessed."""
    attesting = made.attesting
    attesting.measure(epochs=6, first=FIRST + 93)
    made.receive()
    attesting.round()
    attesting.others_seal(FIRST + 192)
    attesting.round()
    for announced in attesting.attestor.announcements():
        attesting.witness(announced)
    attesting.round()
    attesting.round(300)


def test_a_day_whose_file_is_lost_holds_up_no_later_day_of_its_site_and_is_minted_once_it_is_there(made, choose, caplog):
    choose("CUSTOM", own=own_methodology("anna"), since=BEFORE)
    choose(FLARE, since=BEFORE + 86_400)
    made.attested_before()
    attesting = made.attesting
    two_days(made)
    path = kept_file(made, "custom")
    before = path.read_bytes()
    path.unlink()
    assert [row.state for row in attesting.attestor.days.of(made.site)][:2] == [DayState.ATTESTED] * 2
    made.minting.round()
    assert minted_days(made) == {DAY + 1: FLARE}
    assert f"day {DAY} of {made.site} is not minted" in caplog.text and "restore it" in caplog.text
    path.write_bytes(before)
    made.minting.round()
    assert minted_days(made) == {DAY: "CUSTOM", DAY + 1: FLARE} and believed(made) is True


def under_way_without_its_methodology(made, choose, monkeypatch):
    """Two days of which the first's mint is under way, and the file with its methodology is lost; what was in the file."""
    choose("CUSTOM", own=own_methodology("anna"), since=BEFORE)
    choose(FLARE, since=BEFORE + 86_400)
    made.attested_before()
    two_days(made)
    interrupted(made, monkeypatch)
    path = kept_file(made, "custom")
    content = path.read_bytes()
    path.unlink()
    made.minting.round()
    assert made.row.state is AttestedMintState.MINTING and minted_days(made) == {}, "the day after it is held up"
    return content


def test_a_mint_under_way_whose_methodology_is_lost_says_what_to_do_and_goes_on_once_it_is_chosen_again(made, choose, monkeypatch, caplog):
    content = under_way_without_its_methodology(made, choose, monkeypatch)
    for told in (f"day {DAY} of {made.site} is not minted yet", "restore it", f"--reject --request {made.row.attestation.hex()}"):
        assert told in caplog.text
    choose("CUSTOM", own=Signed.parse(content), since=BEFORE + 10 * 86_400)
    made.minting.round()
    assert minted_days(made) == {DAY: "CUSTOM", DAY + 1: FLARE} and believed(made) is True


def test_a_mint_under_way_that_cannot_go_on_holds_up_its_site_until_an_approver_rejects_it(made, choose, monkeypatch, cloud):
    under_way_without_its_methodology(made, choose, monkeypatch)
    with pytest.raises(AlreadyDecidedError):
        made.decide()
    with pytest.raises(RefusedError):
        made.decide(Decision.REJECT, key="eve")
    made.decide(Decision.REJECT)
    assert (made.row.state, made.row.detail) == (AttestedMintState.REJECTED, "alice: looked at it")
    made.minting.round()
    assert minted_days(made) == {DAY + 1: FLARE}
    assert balanced(cloud.registry, cloud.ledger).issued > 0
    for decision in Decision:
        with pytest.raises(AlreadyDecidedError):
            made.decide(decision)


def test_a_mint_under_way_that_the_ledger_has_cannot_be_rejected(made, choose, monkeypatch, cloud):
    content = under_way_without_its_methodology(made, choose, monkeypatch)
    cloud.ledger.issue(CreditBlock(made.row.attestation, made.row.amount, {"name": made.row.serial, "symbol": "TZ", "uri": "esf:0"}))
    with pytest.raises(AlreadyIssuedError, match="ledger"):
        made.decide(Decision.REJECT)
    assert made.row.state is AttestedMintState.MINTING
    choose("CUSTOM", own=Signed.parse(content), since=BEFORE + 10 * 86_400)
    made.minting.round()
    assert made.row.state is AttestedMintState.MINTED and believed(made) is True


def minted_days(made):
    """By day, the methodology that it was minted by."""
    with made.cloud.registry.reading() as session:
        rows = session.query(AttestedMint).filter(AttestedMint.day >= DAY, AttestedMint.state == AttestedMintState.MINTED).all()
        return {row.day: Attestation.parse(Signed.parse(row.signed).document).methodology for row in rows}


def test_of_two_mints_in_one_second_the_next_day_carries_on_the_one_that_was_made_last(made, choose):
    """An earlier day that waited for a file is minted after a later one, in the second in which that one was taken up."""
    choose(VENT)
    made.attested_before()
    later = minted_before(made, DAY - 1, VENT, 11)
    earlier = minted_before(made, DAY - 2, VENT, 5, carry_in=11, previous=later.hash)
    with made.cloud.registry.writing() as session:
        for day in (DAY - 2, DAY - 1):
            session.get_one(AttestedMint, (made.site, day)).changed_at = 7
    made.attest()
    made.minting.round()
    emitted = attestation_of(made)
    assert (emitted.carry_in, emitted.previous) == (5, earlier.hash)
    assert made.row.state is AttestedMintState.MINTED and believed(made) is True


@pytest.mark.parametrize("damage", DAMAGED)
def test_an_approval_without_the_methodologys_file_is_refused_with_what_to_do_and_can_be_given_again(made, choose, damage):
    choose("CUSTOM", own=own_methodology("anna"))
    made.attest()
    made.minting.round()
    path = kept_file(made, "custom")
    before = path.read_bytes()
    DAMAGED[damage](path)
    with pytest.raises(WouldNotVerifyError, match=path.name) as refused:
        made.decide()
    assert "restore it" in refused.value.remedy and made.row.state is AttestedMintState.WAITING
    if path.is_dir():
        path.rmdir()
    path.write_bytes(before)
    made.decide()
    assert made.row.state is AttestedMintState.MINTED and believed(made) is True


@contextmanager
def revised(monkeypatch, methodology):
    """Another release runs for a while, whose catalogue has another revision of a methodology."""
    before = catalogue()
    value = json.loads(before[methodology].document)
    later = replace(before[methodology], document=canonical({**value, "revision": value["revision"] + 1}))
    with monkeypatch.context() as patched:
        for module in ("catalogue", "attestation.proof_verification"):
            patched.setattr(f"thermogen_esf.evidence.{module}.catalogue", lambda: {**before, methodology: later})
        patched.setattr("thermogen_cloud.methodology_choices.catalogue", lambda: {**before, methodology: later})
        yield later


REVISED = "its catalogue was revised"


def test_a_release_that_revises_a_methodology_decides_no_day_that_it_was_chosen_for(made, choose, monkeypatch, caplog):
    chosen = choose(FLARE)
    made.attesting.measure()
    with revised(monkeypatch, FLARE) as later:
        made.attesting.round()
        made.attesting.others_seal()
        made.attesting.round()
        assert made.attesting.states() == [(1, "waiting-for-beacon")] and REVISED in caplog.text
        choose(FLARE, since=BEFORE + 86_400)
        choices = made.attesting.methodologies
        assert (choices.choice(made.site, DAY).hash, choices.choice(made.site, DAY + 1).hash) == (chosen.rule.hash, later.hash)
    made.attesting.round()
    assert made.attesting.states() == [(1, "collecting")]


def test_a_release_that_revises_a_methodology_mints_no_day_by_it_that_was_attested_before(made, choose, monkeypatch, caplog):
    chosen = choose(FLARE)
    made.attested_before()
    made.attest()
    with revised(monkeypatch, FLARE):
        made.minting.round()
        assert made.row is None and REVISED in caplog.text and "the release that was there before" in caplog.text
    made.minting.round()
    assert made.row.state is AttestedMintState.MINTED and attestation_of(made).methodology_hash == chosen.rule.hash


@pytest.mark.parametrize("methodology", [FLARE, None])
def test_a_mint_under_way_as_a_release_revises_its_methodology_waits_and_says_why(made, choose, monkeypatch, caplog, methodology):
    """Also where nobody chose, and the default is revised."""
    if methodology is not None:
        choose(methodology)
    made.attested_before()
    made.attest()
    interrupted(made, monkeypatch)
    with revised(monkeypatch, methodology or GRID):
        made.minting.round()
        assert made.row.state is AttestedMintState.MINTING and REVISED in caplog.text
    made.minting.round()
    assert made.row.state is AttestedMintState.MINTED and believed(made) is True


def test_an_approval_after_a_release_revised_the_methodology_is_refused_with_why(made, choose, monkeypatch):
    choose(FLARE)
    made.attest()
    made.minting.round()
    with revised(monkeypatch, FLARE), pytest.raises(WouldNotVerifyError, match=REVISED):
        made.decide()
    made.decide()
    assert made.row.state is AttestedMintState.MINTED and believed(made) is True


def test_power_that_fails_before_a_choice_is_stored_whole_leaves_the_one_before_it(made, choose, monkeypatch):
    def power_fails(path, content, mode):
        if path.name == "choices.json":
            raise OSError("power")
        replace_file(path, content, mode)

    with monkeypatch.context() as patched, pytest.raises(OSError, match="power"):
        patched.setattr("thermogen_cloud.methodology_choices.replace_file", power_fails)
        choose(FLARE)
    assert made.attesting.methodologies.choice(made.site, DAY).methodology == GRID
    choose(FLARE)
    assert made.attesting.methodologies.choice(made.site, DAY).methodology == FLARE
