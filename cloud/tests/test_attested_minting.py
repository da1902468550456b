"""From an attested day to a credit that a stranger with the pin believes, minted once whatever stops the program."""

from __future__ import annotations

from dataclasses import replace

import pytest
from starlette.testclient import TestClient
from thermogen_cloud.accounting import balanced
from thermogen_cloud.api import application
from thermogen_cloud.attested_minting import AttestedMinting
from thermogen_cloud.ledger import LedgerRefusedError
from thermogen_cloud.refusals import AlreadyDecidedError, AttestedSiteError, EpochAlreadyUsedError, UnknownRequestError
from thermogen_cloud.registry import AttestedDay, AttestedMint, AttestedMintState, ConsumedEpoch
from thermogen_esf.evidence.approval import Approval, Decision
from thermogen_esf.evidence.attestation.exchange import encode_seals
from thermogen_esf.evidence.attestation.log import Checkpoint
from thermogen_esf.evidence.attestation.proof_bundle import ProofBundle, ProofBundleError
from thermogen_esf.evidence.attestation.proof_verification import verify_proof
from thermogen_esf.evidence.attestation.quorum import DayState
from thermogen_esf.evidence.attestation.seal import Seal
from thermogen_esf.evidence.attestation.statement import Opinion, Why
from thermogen_esf.evidence.check import Reason
from thermogen_esf.evidence.command import main as verify
from thermogen_sim.fleet.enrolling import signing_key
from thermogen_sim.fleet.node import SealingNode

from .attesting_fleet import DAY, FIRST, METHODOLOGY, SCALE, AttestingCloud

pytestmark = pytest.mark.slow

ENERGY_MJ = 1_050_000 * SCALE * 10 * 269
"""Of three epochs of 90 leaves, from the first leaf to the last."""


class Minting:
    """An attesting cloud on the registry and ledger of a cloud, whose first site's day is attested."""

    def __init__(self, cloud, folder):
        self.cloud = cloud
        self.attesting = AttestingCloud(folder, registry_of=cloud)
        self.site = self.attesting.node.name
        cloud.trust.enrol_site(self.attesting.fleet.entry(self.attesting.node).enrolment.site_key)
        cloud.minting.attested = lambda: frozenset(self.attesting.attestor.trust.newest.by_name)
        self.open()

    def open(self):
        cloud, attestor = self.cloud, self.attesting.attestor
        parts = (cloud.registry, cloud.ledger, attestor, signing_key("cloud-1"), self.attesting.methodologies)
        self.minting = AttestedMinting(*parts, lambda: cloud.now)
        cloud.attestor, cloud.attested_minting = attestor, self.minting

    def attested_before(self, days=30, state=DayState.ATTESTED, mint_state=AttestedMintState.REJECTED):
        with self.cloud.registry.writing() as session:
            for day in range(DAY - days, DAY):
                values = {"state": state, "detail": "", "label": "peer-checked", "agreeing": 5, "received": 5}
                row = AttestedDay(site=self.site, day=day, attempt=1, energy_mj=ENERGY_MJ, gas=1, changed_at=1, **values)
                session.add(row)
                attestation = bytes([day % 256]) * 32
                mint = {"attempt": 1, "signed": b"", "amount": 1, "state": mint_state, "detail": "", "vintage": 2025}
                numbered = {"number": day, "serial": f"SC-2025-TZ-{day:06}", "changed_at": 1}
                session.add(AttestedMint(site=self.site, day=day, attestation=attestation, **mint, **numbered))

    def attest(self, batches=True):
        self.attesting.measure()
        if batches:
            self.receive()
        self.attesting.witness(self.attesting.drawn())
        self.attesting.round()
        self.attesting.round(300)

    def receive(self):
        for batch in self.attesting.batches.values():
            self.cloud.receive(batch, self.site)

    @property
    def row(self):
        with self.cloud.registry.reading() as session:
            row = session.get(AttestedMint, (self.site, DAY))
            if row is not None:
                row.bundle  # noqa: B018  read while there is a session
            return row

    def decide(self, decision=Decision.APPROVE, key="alice", approver="alice"):
        approval = Approval(self.row.attestation, decision, "looked at it", approver, "approver", self.attesting.now)
        self.minting.decide(approval, approval.sign(signing_key(key)))


@pytest.fixture
def made(cloud, tmp_path):
    return Minting(cloud, tmp_path / "attesting")


def believed(made, **more):
    report = verify_proof(made.row.bundle, made.attesting.fleet.root, made.minting.frames(made.site, DAY), **more)
    return report.believed or report.first_wrong.reason


def test_a_day_on_its_baseline_is_minted_by_itself_and_a_stranger_believes_it(made, cloud, tmp_path, capsys):
    made.attested_before()
    made.attest()
    made.minting.round()
    assert (made.row.state, made.row.detail) == (AttestedMintState.MINTED, "")
    assert believed(made) is True
    files = {"bundle": made.row.bundle, "root": made.attesting.fleet.root.encode(), "frames": made.minting.frames(made.site, DAY)}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    assert verify([str(tmp_path / "bundle"), "--root", str(tmp_path / "root"), "--frames", str(tmp_path / "frames")]) == 0
    assert "BELIEVED" in capsys.readouterr().out
    assert balanced(cloud.registry, cloud.ledger).issued == made.row.amount > 1_000
    made.minting.round()
    assert balanced(cloud.registry, cloud.ledger).issued == made.row.amount


def test_a_day_that_waits_nine_days_for_a_beacon_has_a_bundle_that_a_verifier_reads(made):
    """A checkpoint a minute alone would be more than a bundle may have."""
    made.attested_before()
    attesting = made.attesting
    attesting.measure()
    made.receive()
    for _ in range(1 + 9 * 24 * 4):
        attesting.round(900)
    assert attesting.states() == [(1, "waiting-for-beacon")]
    attesting.witness(attesting.drawn())
    attesting.round()
    attesting.round(300)
    made.minting.round()
    assert made.row.state is AttestedMintState.MINTED and believed(made) is True
    checkpoints = [Checkpoint.parse(each) for each in ProofBundle.parse(made.row.bundle).checkpoints]
    assert checkpoints[-1].time - checkpoints[1].time > 9 * 86_400
    assert len(checkpoints) == 5


def test_a_young_sites_day_waits_for_a_person_and_a_wrong_key_does_not_do(made, cloud):
    made.attest()
    made.minting.round()
    assert made.row.state is AttestedMintState.WAITING and balanced(cloud.registry, cloud.ledger).issued == 0
    for key, approver in (("eve", "alice"), ("anna", "anna"), ("eve", "eve")):
        with pytest.raises(Exception, match=r"signature|trusted|trust list"):
            made.decide(key=key, approver=approver)
    made.decide()
    assert made.row.state is AttestedMintState.MINTED and believed(made) is True
    with pytest.raises(AlreadyDecidedError):
        made.decide()


def test_a_rejected_day_is_not_minted(made, cloud):
    made.attest()
    made.minting.round()
    made.decide(Decision.REJECT)
    made.minting.round()
    assert made.row.state is AttestedMintState.REJECTED and balanced(cloud.registry, cloud.ledger).issued == 0


def test_nothing_is_emitted_before_every_batch_is_believed(made):
    made.attest(batches=False)
    made.minting.round()
    assert made.row is None
    made.receive()
    made.minting.round()
    assert made.row.state is AttestedMintState.WAITING


def test_a_doubted_or_suspended_site_is_not_minted(made, cloud):
    made.attested_before()
    made.attest()
    made.attesting.attestor.take_seals(encode_seals([SealingNode.named(made.site).seal(FIRST)]))
    made.attesting.round()
    made.minting.round()
    assert made.row is None
    with pytest.raises(UnknownRequestError):
        approval = Approval(bytes(32), Decision.APPROVE, "anyway", "alice", "approver", made.attesting.now)
        made.minting.decide(approval, approval.sign(signing_key("alice")))


def test_under_another_key_a_suspended_site_is_minted_again_and_what_the_suspended_key_sealed_is_not(made, cloud):
    made.attested_before()
    made.attest()
    attesting = made.attesting
    attesting.attestor.take_seals(encode_seals([SealingNode.named(made.site).seal(FIRST + 192)]))
    attesting.attestor.take_seals(encode_seals([SealingNode.named(made.site).seal(FIRST + 192, leaf_count=1)]))
    attesting.round()
    made.minting.round()
    assert made.row is None and attesting.states() == [(1, "attested")]
    attesting.replace_board()
    attesting.site.reboot()
    made.open()
    attesting.measure(first=FIRST + 96)
    made.receive()
    attesting.witness(attesting.drawn(FIRST + 192))
    attesting.round()
    attesting.round(300)
    made.minting.round()
    with cloud.registry.reading() as session:
        minted = session.query(AttestedMint).filter(AttestedMint.day >= DAY).all()
        assert [(row.day, row.state, row.detail) for row in minted] == [(DAY + 1, AttestedMintState.MINTED, "")]
        report = verify_proof(minted[0].bundle, attesting.fleet.root, made.minting.frames(made.site, DAY + 1))
    assert report.believed


def test_a_mint_that_was_interrupted_is_taken_up_and_made_once(made, cloud, monkeypatch):
    made.attested_before()
    made.attest()
    issue, registry = cloud.ledger.issue, cloud.registry

    def stops_after(block):
        issued = issue(block)
        monkeypatch.setattr(registry, "writing", _no_disk)
        return issued

    monkeypatch.setattr(cloud.ledger, "issue", stops_after)
    with pytest.raises(OSError, match="disk"):
        made.minting.round()
    monkeypatch.undo()
    assert made.row.state is AttestedMintState.MINTING
    made.attesting.open()
    made.open()
    made.attesting.attestor.round()
    made.minting.round()
    assert made.row.state is AttestedMintState.MINTED
    assert balanced(cloud.registry, cloud.ledger).issued == made.row.amount and believed(made) is True


def _no_disk():
    raise OSError("disk")


def test_a_ledger_that_refuses_leaves_the_day_to_be_minted_later(made, cloud, monkeypatch):
    made.attested_before()
    made.attest()

    def refuses(_block):
        raise LedgerRefusedError("no")

    with monkeypatch.context() as patched:
        patched.setattr(cloud.ledger, "issue", refuses)
        made.minting.round()
    assert made.row.state is AttestedMintState.MINTING
    made.minting.round()
    assert made.row.state is AttestedMintState.MINTED


def test_the_page_shows_the_credit_as_attested_and_hands_out_its_files(made, cloud):
    made.attest()
    made.minting.round()
    with TestClient(application(cloud.services), base_url="http://127.0.0.1", follow_redirects=False) as client:
        client.auth = ("viewer", cloud.directory.viewer_password.read_text().strip())
        page = client.get("/").text
        assert f'id="attested-{made.row.attestation.hex()}"' in page and f'action="/mints/{made.row.attestation.hex()}/decision"' in page
        approval = Approval(made.row.attestation, Decision.APPROVE, "looked", "alice", "approver", made.attesting.now)
        body = {"approver": "alice", "decision": "approve", "reason": "looked", "time": approval.time}
        path = f"/api/v1/attestation/mints/{made.row.attestation.hex()}/approval"
        answer = client.post(path, json={**body, "signature": approval.sign(signing_key("alice")).hex()})
        assert answer.json()["state"] == "minted"
        (credit,) = client.get("/api/v1/credits").json()
        assert credit["label"] == "peer-checked" and credit["held"] == made.row.amount
        bundle, frames = (client.get(f"/api/v1/credits/{credit['serial']}/{part}").content for part in ("bundle", "frames"))
        assert verify_proof(bundle, made.attesting.fleet.root, frames).believed
        page = client.get("/").text
        assert "peer-checked" in page and page.count(f'<span class="small">{METHODOLOGY}</span>') == 2


def test_a_bundle_has_of_each_site_the_seal_that_made_the_beacon_and_not_a_month_of_them(made):
    made.attested_before()
    attesting = made.attesting
    attesting.measure()
    made.receive()
    attesting.round()
    late = [attesting.fleet.nodes[1].seal(FIRST - 500 + epoch) for epoch in range(20)]
    attesting.attestor.take_seals(encode_seals(late))
    attesting.others_seal()
    attesting.round()
    attesting.witness(attesting.attestor.announcements()[0])
    attesting.round()
    attesting.round(300)
    made.minting.round()
    given = [Seal.decode(each) for each in ProofBundle.parse(made.row.bundle).contributions]
    assert [(seal.site, seal.epoch) for seal in given] == sorted((node.identity, FIRST + 96) for node in attesting.fleet.nodes[1:])
    assert believed(made) is True


def test_a_second_seal_that_was_kept_contradicts_the_credit_for_good(made):
    made.attested_before()
    made.attest()
    made.minting.round()
    kept = SealingNode.named(made.site).seal(FIRST)
    assert believed(made, seals=[kept.encode()]) is Reason.TWO_SEALS


def test_a_day_that_was_doubted_in_an_earlier_attempt_is_not_minted(made):
    """A witness of the first attempt dissents after the second one found its quorum."""
    made.attested_before()
    attesting, late = made.attesting, {}
    attesting.measure()
    made.receive()
    attesting.witness(attesting.drawn(), lambda _node, said: late.setdefault("said", said) and None)
    attesting.round(900)
    attesting.others_seal(FIRST + 97)
    attesting.round()
    attesting.witness(attesting.attestor.announcements()[0])
    attesting.round()
    dissent = replace(late["said"], opinion=Opinion.DISSENT, why=Why.BATCH_REFUSED, epoch=FIRST, claims=None)
    attesting.round(300)
    assert attesting.states() == [(1, "deferred"), (2, "attested")]
    attesting.attestor.take_statement(dissent.sign(signing_key("tz-0001")).encode())
    attesting.round()
    assert attesting.states() == [(1, "review"), (2, "attested")]
    made.minting.round()
    assert made.row is None


def request_and_approve(made, cloud, attested_meanwhile=False):
    """A mint of the day's epochs that was asked for before the site was enrolled for attestation."""
    attested, cloud.minting.attested = cloud.minting.attested, frozenset
    request = cloud.minting.request(made.site, FIRST, FIRST + 2, METHODOLOGY)
    cloud.minting.attested = attested if attested_meanwhile else frozenset
    cloud.approve(request)


def test_epochs_that_a_request_used_are_not_minted_again_by_attestation(made, cloud):
    made.attested_before()
    made.attest()
    request_and_approve(made, cloud)
    issued = balanced(cloud.registry, cloud.ledger).issued
    made.minting.round()
    assert made.row.state is AttestedMintState.REFUSED and f"epoch {FIRST} was used" in made.row.detail
    assert balanced(cloud.registry, cloud.ledger).issued == issued > 0


def test_a_request_that_waited_while_its_site_was_enrolled_for_attestation_is_not_approved(made, cloud):
    made.attest()
    with pytest.raises(AttestedSiteError):
        request_and_approve(made, cloud, attested_meanwhile=True)
    assert balanced(cloud.registry, cloud.ledger).issued == 0


def test_a_site_that_the_newest_list_drops_cannot_ask_for_what_was_attested(made, cloud):
    made.attested_before()
    made.attest()
    made.minting.round()
    with cloud.registry.reading() as session:
        used = session.query(ConsumedEpoch).all()
    assert [(row.epoch, row.used_by) for row in used] == [(FIRST + each, made.row.attestation) for each in range(3)]
    with pytest.raises(EpochAlreadyUsedError):
        request_and_approve(made, cloud)


def test_an_attested_day_of_a_site_that_the_newest_list_drops_is_not_minted(made, cloud):
    made.attested_before()
    made.attest()
    made.attesting.next_list(made.attesting.fleet.nodes[1:])
    made.attesting.open()
    made.open()
    made.minting.round()
    assert made.row is None and balanced(cloud.registry, cloud.ledger).issued == 0


@pytest.mark.parametrize(
    ("state", "mint_state", "baseline"),
    [
        (DayState.ATTESTED, AttestedMintState.BELOW_LEAST_MINT, True),
        (DayState.OFF_BASELINE, AttestedMintState.REJECTED, False),
        (DayState.OFF_BASELINE, AttestedMintState.REFUSED, False),
        (DayState.OFF_BASELINE, AttestedMintState.BELOW_LEAST_MINT, False),
    ],
)
def test_a_day_off_its_baseline_makes_none_unless_a_person_approved_it(made, state, mint_state, baseline):
    made.attested_before(state=state, mint_state=mint_state)
    assert len(made.attesting.attestor.days.history_mj(made.site, DAY)) == (30 if baseline else 0)


def test_a_day_off_its_baseline_that_a_person_approved_is_of_the_next_ones(made):
    made.attest()
    made.minting.round()
    assert made.attesting.attestor.days.history_mj(made.site, DAY + 1) == []
    made.decide()
    assert made.attesting.attestor.days.history_mj(made.site, DAY + 1) == [ENERGY_MJ]


def test_a_day_that_cannot_be_bundled_is_refused_and_blocks_no_round(made, monkeypatch):
    made.attested_before()
    made.attest()

    def too_much(*_):
        raise ProofBundleError("too many statements")

    monkeypatch.setattr("thermogen_cloud.proofs.ProofBundle.encode", too_much)
    made.minting.round()
    assert made.row.state is AttestedMintState.REFUSED and "too many statements" in made.row.detail
    made.minting.round()
