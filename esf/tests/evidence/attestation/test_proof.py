"""A stranger with the root keys believes an honest day, and names the first thing that is wrong with any other."""

import json
from contextlib import suppress
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thermogen_esf.evidence.approval import Approval, Decision
from thermogen_esf.evidence.attestation.beacon import after
from thermogen_esf.evidence.attestation.log import Checkpoint
from thermogen_esf.evidence.attestation.proof_bundle import (
    ProofBundle,
    ProofBundleError,
    encode_frames,
    encode_statement,
    parse_frames,
    parse_statement,
)
from thermogen_esf.evidence.attestation.proof_verification import verify_proof
from thermogen_esf.evidence.attestation.quorum import BASELINE_DAYS, DayState, Label
from thermogen_esf.evidence.attestation.seal import Seal
from thermogen_esf.evidence.attestation.signed import Signed
from thermogen_esf.evidence.attestation.statement import Claims, Opinion, Statement, Why
from thermogen_esf.evidence.attestation.trust import TRUST_CONTEXT
from thermogen_esf.evidence.canonical import canonical
from thermogen_esf.evidence.catalogue import METHODOLOGY_CONTEXT, read, rule
from thermogen_esf.evidence.check import Reason
from thermogen_esf.evidence.command import main
from thermogen_esf.evidence.errors import EvidenceError
from thermogen_sim.fleet.attested_day import AttestedDay
from thermogen_sim.fleet.enrolling import NOW, Fleet, signing_key
from thermogen_sim.fleet.node import SealingNode

SITES = 6


@cache
def _known():
    fleet = Fleet.of(SITES, SITES)
    fleet.changes = {fleet.nodes[0].name: {"nameplate_w": 1_140 * 9}}
    assert fleet.entries and fleet.trust
    return fleet


def _fresh():
    known = _known()
    fleet = Fleet([SealingNode.named(node.name) for node in known.nodes], dict(known.operators))
    fleet.__dict__.update(entries=known.entries, trust=known.trust, root=known.root)
    return fleet


def _day(before_witness=lambda day: None, history=True, **changes):
    """A day with its witnesses heard, on its baseline."""
    day = AttestedDay(_fresh(), **changes)
    day.measure()
    before_witness(day)
    day.witness()
    if history and day.outcome.energy_mj is not None:
        day.history_mj = (day.outcome.energy_mj,) * BASELINE_DAYS
        del day.outcome
    return day


@cache
def _honest():
    return _day()


@pytest.fixture
def honest():
    return _honest()


def _verify(day, bundle=None, **more):
    return verify_proof((bundle or day.bundle()).encode(), day.fleet.root, **more)


def _wrong(report):
    assert not report.believed
    return report.steps[-1].title, report.first_wrong.reason


def test_an_honest_day_is_believed_with_and_without_its_companion(honest):
    for frames in (honest.frames(), None):
        report = _verify(honest, frames=frames)
        assert report.believed, report.first_wrong
        assert [step.title[0] for step in report.steps] == list("12345678")
        assert ("--frames" in " ".join(report.rests_on)) == (frames is None)
    assert honest.outcome.state is DayState.ATTESTED and honest.outcome.label is Label.PEER_CHECKED


def test_a_bundle_reads_back_from_its_bytes(honest):
    bundle = honest.bundle()
    assert ProofBundle.parse(bundle.encode()) == bundle
    assert encode_frames(parse_frames(honest.frames())) == honest.frames()


@given(st.binary(max_size=80))
def test_whatever_comes_is_a_bundle_or_an_error(data):
    for magic in (b"", b"TZPROOF1", b"TZFRAMES", b"TZSTATMT"):
        for parse in (ProofBundle.parse, parse_statement):
            with pytest.raises(ProofBundleError):
                parse(magic + data)


@settings(max_examples=60)
@given(st.data())
def test_a_bit_changed_anywhere_in_a_bundle_is_not_believed(data):
    day = _honest()
    encoded = bytearray(day.bundle().encode())
    bit = data.draw(st.integers(0, len(encoded) * 8 - 1))
    encoded[bit // 8] ^= 1 << bit % 8
    with suppress(EvidenceError):
        assert not verify_proof(bytes(encoded), day.fleet.root).believed


def test_the_root_keys_are_the_verifiers_own(honest):
    keys = honest.fleet.root.keys
    other = replace(honest.fleet.root, keys=tuple(replace(key, public_key=signing_key(f"eve {key.name}").public_key) for key in keys))
    assert _wrong(verify_proof(honest.bundle().encode(), other)) == ("1 signatures", Reason.WRONG_ROOT_KEYS)


def test_a_trust_list_of_the_clouds_own_is_refused(honest):
    forged = Signed.by(honest.fleet.trust.encode(), [signing_key("cloud-1"), signing_key("rita")], TRUST_CONTEXT).encode()
    assert _wrong(_verify(honest, honest.bundle(trust=forged))) == ("1 signatures", Reason.BAD_SIGNATURE)


def test_a_checkpoint_that_the_cloud_did_not_sign_is_refused(honest):
    forged = honest.chain[-1].sign(signing_key("eve")).encode()
    assert _wrong(_verify(honest, honest.bundle(last_checkpoint=forged))) == ("1 signatures", Reason.BAD_SIGNATURE)


def test_a_signed_checkpoint_that_is_not_the_last_shown_is_refused(honest):
    earlier = honest.chain[-2].sign(signing_key("cloud-1")).encode()
    assert _wrong(_verify(honest, honest.bundle(last_checkpoint=earlier))) == ("1 signatures", Reason.LOG_FORKED)


def test_a_first_attestation_carries_nothing_in(honest):
    emitted = honest.attestation()
    amount, carry_out = rule("TZ-DISPLACED-GRID").amount(emitted.energy_mj, emitted.gas, 5, None)
    carried = honest.attestation(carry_in=5, amount=amount, carry_out=carry_out)
    assert _wrong(_verify(honest, honest.bundle(carried))) == ("7 calculation", Reason.WRONG_AMOUNT)
    after = replace(carried, previous=bytes(32))
    assert _verify(honest, honest.bundle(after)).believed


def test_another_sites_enrolment_does_not_stand_for_the_days_site(honest):
    swapped = (honest.bundle().enrolments[1], *honest.bundle().enrolments[1:])
    assert _wrong(_verify(honest, honest.bundle(enrolments=swapped))) == ("1 signatures", Reason.OTHER_SITE)


def test_a_seal_left_out_of_the_day_is_refused(honest):
    seals = honest.bundle().seals
    bundle = honest.bundle(seals=(*seals[:1], *seals[2:]))
    assert not _verify(honest, bundle).believed


def test_a_second_day_shows_the_seal_before_it():
    fleet = _fresh()
    fleet.nodes[0].seal(20_700 * 96 - 1)
    day = AttestedDay(fleet)
    day.measure()
    day.witness()
    day.history_mj = (day.outcome.energy_mj,) * BASELINE_DAYS
    del day.outcome
    assert _verify(day).believed
    assert _wrong(_verify(day, day.bundle(opening=b""))) == ("2 VRF proofs", Reason.SEAL_WITHHELD)


def test_a_seal_that_the_host_made_is_refused(honest):
    day = _day(lambda day: day.node.seals.__setitem__(1, replace(day.node.seals[1], root=bytes(32))), history=False)
    assert day.outcome.state is DayState.REVIEW
    forged = honest.bundle(seals=tuple(seal.encode() for seal in (*day.day.seals, day.day.closing)))
    assert not _verify(honest, forged).believed


def test_a_root_that_is_not_in_the_log_is_refused(honest):
    entry = honest.bundle().day_entry
    for other in (replace(entry, proof=entry.proof[:-1]), replace(entry, checkpoint=99), replace(entry, checkpoint=0)):
        assert _wrong(_verify(honest, honest.bundle(day_entry=other))) == ("2 VRF proofs", Reason.NOT_LOGGED)


def test_a_trust_list_that_came_after_the_beacon_is_refused(honest):
    late = honest.entry(honest.trust_index, honest.drawn)
    assert _wrong(_verify(honest, honest.bundle(trust_entry=late))) == ("2 VRF proofs", Reason.NOT_LOGGED)


def test_a_beacon_that_the_cloud_chose_is_refused(honest):
    chain, forged, previous = list(honest.chain), [], None
    for checkpoint in chain:
        changes = {"previous": previous, **({"beacon": b"chosen".ljust(32)} if checkpoint == honest.drawn else {})}
        forged.append(replace(checkpoint, **changes))
        previous = forged[-1].hash
    bundle = honest.bundle(
        checkpoints=tuple(each.encode() for each in forged), last_checkpoint=forged[-1].sign(signing_key("cloud-1")).encode()
    )
    assert _wrong(_verify(honest, bundle)) == ("2 VRF proofs", Reason.WRONG_BEACON)


def test_a_beacon_made_of_other_seals_than_shown_is_refused(honest):
    bundle = honest.bundle(contributions=honest.bundle().contributions[:-1])
    assert _wrong(_verify(honest, bundle)) == ("2 VRF proofs", Reason.WRONG_BEACON)
    keys = honest.bundle().vrf_keys
    assert _wrong(_verify(honest, honest.bundle(vrf_keys=keys[:-1]))) == ("2 VRF proofs", Reason.WRONG_BEACON)


def test_a_beacon_of_seals_that_its_checkpoint_may_not_have_added_is_said_to_rest_on_who_has_the_entries(honest):
    report, drawn = _verify(honest), honest.drawn
    wanted = f"That checkpoint {drawn.number} added to the log the seals that made beacon {drawn.beacons}"
    assert any(sentence.startswith(wanted) and "monitors" in sentence for sentence in report.rests_on)
    assert drawn.number != drawn.beacons


def test_a_bundle_without_what_the_beacon_was_made_of_is_refused(honest):
    for left_out in ({"vrf_keys": (), "contributions": ()}, {"vrf_keys": ()}, {"contributions": ()}):
        assert _wrong(_verify(honest, honest.bundle(**left_out))) == ("2 VRF proofs", Reason.WRONG_BEACON)


def test_of_each_site_the_newest_seal_is_enough_to_recompute_a_beacon(honest):
    older = honest.fleet.nodes[1].seal(honest.day.closing.epoch - 1).encode()
    assert _verify(honest, honest.bundle(contributions=(older, *honest.bundle().contributions))).believed


def test_a_checkpoint_left_out_is_refused(honest):
    chain = honest.bundle().checkpoints
    report = _verify(honest, honest.bundle(checkpoints=(*chain[:1], *chain[2:])))
    assert _wrong(report) == ("1 signatures", Reason.LOG_FORKED), "not the root keys are accused"
    assert not _verify(honest, honest.bundle(checkpoints=chain[1:])).believed


def test_the_first_beacon_of_a_log_is_made_of_the_verifiers_root_keys(honest):
    """Else whoever begins a log would try first beacons until it likes what follows."""
    assert honest.chain[0].number == 0
    chain: list[Checkpoint] = []
    for each in honest.chain:
        before = chain[-1] if chain else None
        made = (before.beacons, before.beacon) if before else (0, b"of my own".ljust(32))
        beacons, beacon = after(*made, each.contributors, each.contributions)
        chain.append(replace(each, previous=before and before.hash, beacons=beacons, beacon=beacon))
    last = chain[-1].sign(signing_key("cloud-1")).encode()
    report = _verify(honest, honest.bundle(checkpoints=tuple(each.encode() for each in chain), last_checkpoint=last))
    refusals = [check.name for check in report.steps[-1].checks if check.passed is False]
    assert _wrong(report)[0] == "2 VRF proofs" and refusals[0] == "beacon recomputed"


@pytest.mark.parametrize("place", range(1, 4))
def test_a_checkpoint_older_than_the_one_before_it_is_refused(honest, place):
    """The window, who is valid and which attempt it is are told by these times."""
    chain, previous = [], None
    for number, each in enumerate(honest.chain):
        later = 0 if number >= place else 100_000
        chain.append(replace(each, previous=previous, time=each.time + later))
        previous = chain[-1].hash
    last = chain[-1].sign(signing_key("cloud-1")).encode()
    report = _verify(honest, honest.bundle(checkpoints=tuple(each.encode() for each in chain), last_checkpoint=last))
    assert not report.believed and Reason.LOG_FORKED in {check.reason for check in report.steps[-1].checks}


def test_too_few_statements_are_no_quorum(honest):
    bundle = honest.bundle()
    attestation = honest.attestation(agreeing=2, received=2)
    kept = replace(bundle, statements=bundle.statements[:2], attestation=attestation.sign(signing_key("cloud-1")).encode())
    assert _wrong(_verify(honest, kept)) == ("3 quorum", Reason.NO_QUORUM)


def test_a_statement_counts_once(honest):
    bundle = honest.bundle()
    thrice = replace(bundle, statements=bundle.statements[:1] * 4)
    assert _wrong(_verify(honest, thrice)) == ("3 quorum", Reason.NO_QUORUM)


def test_a_statement_that_is_not_in_the_log_is_refused(honest):
    bundle = honest.bundle()
    first, second, *rest = bundle.statements
    swapped = replace(bundle, statements=(replace(first, entry=second.entry), second, *rest))
    assert _wrong(_verify(honest, swapped)) == ("3 quorum", Reason.NOT_LOGGED)


def test_a_statement_of_a_witness_that_the_bundle_does_not_enrol_is_refused(honest):
    bundle = honest.bundle()
    unknown = replace(bundle, statements=(replace(bundle.statements[0], witness=99), *bundle.statements[1:]))
    assert _wrong(_verify(honest, unknown)) == ("3 quorum", Reason.UNKNOWN_SITE)


def test_a_dissent_sends_the_day_to_review_and_its_bundle_is_refused_naming_the_epoch():
    def say(node, statement):
        if not node.name.endswith("3"):
            return statement
        return replace(statement, opinion=Opinion.DISSENT, why=Why.IMPLAUSIBLE, epoch=NOW // 900 + 1, claims=None)

    day = _day(say=say, history=False)
    assert (day.outcome.state, day.outcome.epoch) == (DayState.REVIEW, NOW // 900 + 1)
    bundle = day.bundle(_honest().attestation(root=day.day.root, beacon_number=day.drawing.beacon_number))
    report = _verify(day, bundle)
    assert _wrong(report) == ("3 quorum", Reason.DISSENT) and report.first_wrong.numbers["epoch"] == NOW // 900 + 1


def test_a_dissent_that_the_cloud_dropped_is_shown_by_whoever_kept_it(honest):
    node = honest.fleet.nodes[4]
    proof = node.draw(honest.drawing)
    agreed = next(each for each in honest.statements if each[0] is node)
    came_to = Statement.parse(agreed[1].document)
    dissent = replace(came_to, proof=proof, opinion=Opinion.DISSENT, why=Why.BATCH_REFUSED, epoch=NOW // 900, claims=None)
    kept = encode_statement(honest.enrolled(node), dissent.sign(signing_key(node.name)).encode())
    assert _wrong(_verify(honest, statements=[kept])) == ("3 quorum", Reason.DISSENT)
    forged = encode_statement(honest.enrolled(node), dissent.sign(signing_key("eve")).encode())
    report = _verify(honest, statements=[forged])
    assert report.believed and any(check.name == "statement given" for step in report.steps for check in step.checks)


def test_a_dissent_that_the_cloud_dropped_in_one_attempt_counts_in_the_next_whoever_kept_it():
    day = AttestedDay(_fresh())
    day.measure()
    day.close()
    node = day.fleet.nodes[3]

    def dissent():
        epoch = day.day.seals[0].epoch
        said = Statement(day.drawing, node.identity, node.draw(day.drawing), Opinion.DISSENT, Why.BATCH_REFUSED, epoch, None, NOW)
        return encode_statement(day.enrolled(node), said.sign(signing_key(node.name)).encode())

    kept, kept_agreement = dissent(), day.found_by(node).sign(signing_key(node.name)).encode()
    day.next_attempt()
    day.say = lambda witness, statement: None if witness is node else statement
    day.hear()
    day.history_mj = (day.outcome.energy_mj,) * BASELINE_DAYS
    del day.outcome
    assert day.outcome.state is DayState.ATTESTED and day.attestation().attempt == 2
    assert _verify(day).believed
    assert _wrong(_verify(day, statements=[kept])) == ("3 quorum", Reason.DISSENT)
    assert _wrong(_verify(day, statements=[dissent()])) == ("3 quorum", Reason.DISSENT)
    report = _verify(day, statements=[encode_statement(day.enrolled(node), kept_agreement)])
    assert report.believed, "an agreement of an attempt that found no quorum is no vote in the next"


def test_of_a_witness_that_says_two_things_the_first_in_the_log_counts_in_whatever_order_a_bundle_has_them():
    day = AttestedDay(_fresh())
    day.measure()
    day.close()
    hasty = day.fleet.nodes[1]
    whole = day.found_by(hasty)
    less = replace(whole, claims=Claims(whole.claims.energy_mj * 97 // 100, whole.claims.gas))
    for node in day.fleet.nodes[1:]:
        day.publish(node, less if node is hasty else day.found_by(node))
    day.publish(hasty, whole)
    day.end_window()
    day.history_mj = (less.claims.energy_mj,) * BASELINE_DAYS
    assert day.attestation().energy_mj == less.claims.energy_mj
    bundle = day.bundle()
    statements = (bundle.statements[-1], *bundle.statements[:-1])
    assert _verify(day, replace(bundle, statements=statements)).believed
    amount, carry_out = rule("TZ-DISPLACED-GRID").amount(whole.claims.energy_mj, whole.claims.gas, 0, None)
    higher = day.attestation(energy_mj=whole.claims.energy_mj, amount=amount, carry_out=carry_out)
    assert not _verify(day, replace(day.bundle(higher), statements=statements)).believed


def test_a_second_seal_of_an_epoch_suspends_the_site_whoever_shows_it(honest):
    first = honest.day.seals[0]
    second = SealingNode.named(honest.node.name).seal(first.epoch, root=b"other leaves".ljust(32))
    assert _wrong(_verify(honest, seals=[second.encode()])) == ("3 quorum", Reason.TWO_SEALS)
    assert _verify(honest, seals=[first.encode()]).believed
    strangers = honest.fleet.nodes[1].seal(first.epoch).encode()
    assert _verify(honest, seals=[strangers]).believed


def test_a_companion_with_another_batch_is_refused(honest):
    batches = list(parse_frames(honest.frames()))
    for other in ([*batches[1:], batches[0]], batches[:-1], [*batches, batches[0]]):
        assert _wrong(_verify(honest, frames=encode_frames(other))) == ("4 Merkle roots", Reason.WRONG_BATCH)


def test_witnesses_who_collude_on_a_higher_claim_are_contradicted_by_the_companion():
    def say(_node, statement):
        return replace(statement, claims=Claims(statement.claims.energy_mj * 2, statement.claims.gas))

    day = _day(say=say)
    assert day.outcome.state is DayState.ATTESTED and _verify(day).believed
    assert _wrong(_verify(day, frames=day.frames())) == ("5 claims", Reason.WRONG_ENERGY)


def test_witnesses_who_collude_on_a_forged_batch_are_contradicted_by_the_companion():
    def forge(day):
        epoch = max(day.batches)
        day.batches[epoch] = day.site.epoch(epoch, bend=day.hashes)

    day = _day(forge, say=_agrees_whatever)
    assert _verify(day).believed
    assert _wrong(_verify(day, frames=day.frames())) == ("4 Merkle roots", Reason.ROOT_DIFFERS)


def test_witnesses_who_collude_on_a_day_without_gas_are_contradicted_by_the_companion():
    def measure(day):
        day.site.gas_flow, day.site.power_mw = 0, day.site.power_mw * 6 // 100
        day.measure(
            lambda sequence, raw: {**day.hashes(sequence, raw), **{flow: raw[flow] * 6 // 100 for flow in ("hot_flow", "cold_flow")}}
        )

    day = AttestedDay(_fresh(), say=_agrees_whatever)
    measure(day)
    day.witness()
    assert _wrong(_verify(day, frames=day.frames())) == ("4 Merkle roots", Reason.ABOVE_GAS)


def _agrees_whatever(_node, statement):
    return replace(statement, opinion=Opinion.AGREE, why=None, epoch=None, claims=Claims(30_000_000_000, 10_000_000))


def test_a_day_off_its_baseline_needs_a_persons_approval():
    day = _day(history=False)
    attestation = day.attestation()
    assert attestation.state is DayState.OFF_BASELINE
    assert _wrong(_verify(day)) == ("8 attestation", Reason.NOT_APPROVED)
    approval = Approval(attestation.hash, Decision.APPROVE, "first days of the site", "alice", "approver", NOW + 200_000)
    signed = {"approval": approval.encode(), "approval_signature": approval.sign(signing_key("alice"))}
    assert _verify(day, day.bundle(**signed)).believed
    by_eve = {**signed, "approval_signature": approval.sign(signing_key("eve"))}
    assert _wrong(_verify(day, day.bundle(**by_eve))) == ("8 attestation", Reason.BAD_SIGNATURE)


def test_an_approval_dated_before_its_day_was_drawn_is_refused():
    """A key that was ended, or stolen later, would approve new days by an old date."""
    day = _day(history=False)

    def approved(time):
        approval = Approval(day.attestation().hash, Decision.APPROVE, "as always", "alice", "approver", time)
        return _verify(day, day.bundle(approval=approval.encode(), approval_signature=approval.sign(signing_key("alice"))))

    assert approved(day.drawn.time).believed
    assert _wrong(approved(day.drawn.time - 1)) == ("8 attestation", Reason.WRONG_TIME)


@pytest.mark.parametrize(
    ("change", "step", "reason"),
    [
        ({"amount": 1_000_000}, "7 calculation", Reason.WRONG_AMOUNT),
        ({"carry_out": 1}, "7 calculation", Reason.WRONG_AMOUNT),
        ({"carry_in": 5}, "7 calculation", Reason.WRONG_AMOUNT),
        ({"methodology": "IPCC-AR5-20Y"}, "7 calculation", Reason.UNKNOWN_METHODOLOGY),
        ({"methodology_hash": bytes(32)}, "7 calculation", Reason.UNKNOWN_METHODOLOGY),
        ({"label": Label.WITNESSED}, "8 attestation", Reason.WRONG_ATTESTATION),
        ({"agreeing": 9}, "8 attestation", Reason.WRONG_ATTESTATION),
        ({"energy_mj": 1}, "8 attestation", Reason.WRONG_ATTESTATION),
        ({"attempt": 2}, "8 attestation", Reason.WRONG_ATTESTATION),
        ({"day": 1}, "1 signatures", Reason.OTHER_SITE),
        ({"root": bytes(32)}, "1 signatures", Reason.OTHER_SITE),
        ({"history_mj": ()}, "8 attestation", Reason.WRONG_ATTESTATION),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_an_attestation_that_says_more_than_comes_out_is_refused(honest, change, step, reason):
    assert _wrong(_verify(honest, honest.bundle(honest.attestation(**change)))) == (step, reason)


def _own_methodology(signer, **changes):
    """A methodology of one's own, as its auditor signed it."""
    value = {**json.loads(rule("EPA-AP42-CH4-FLARE").document), "id": "CUSTOM", "title": "Our flare", **changes}
    return Signed.by(canonical(value), [signing_key(signer)], METHODOLOGY_CONTEXT)


def _by_own_methodology(day, signed, evidence=bytes(32), **changes):
    own = read(signed.document)
    emitted = day.attestation()
    amount, carry = own.amount(emitted.energy_mj, emitted.gas, 0, bytes(32))
    named = {"methodology": "CUSTOM", "methodology_hash": own.hash, "baseline_evidence": evidence, "amount": amount, "carry_out": carry}
    return _verify(day, day.bundle(day.attestation(**{**named, **changes}), methodology=signed.encode()))


def test_a_methodology_of_ones_own_is_believed_where_an_auditor_of_the_list_signed_it(honest):
    report = _by_own_methodology(honest, _own_methodology("anna"))
    assert report.believed, report.first_wrong
    assert any("auditor" in sentence for sentence in report.rests_on)


def test_a_bundle_says_that_it_does_not_show_a_second_credit_of_its_day(honest):
    """A cloud can attest one day by two methodologies: each bundle is good by itself, and only whoever has both sees it."""
    for report in (_verify(honest), _by_own_methodology(honest, _own_methodology("anna"))):
        assert report.believed and any("no other attestation of the day" in sentence for sentence in report.rests_on)


def test_a_bundle_says_that_its_baseline_is_declared_and_what_shows_it(honest):
    def baseline(report):
        (sentence,) = [sentence for sentence in report.rests_on if sentence.startswith("Baseline ")]
        assert "declared, not measured" in sentence
        return sentence

    assert "nothing is named that shows it" in baseline(_verify(honest))
    assert bytes(32).hex() in baseline(_by_own_methodology(honest, _own_methodology("anna")))


def test_a_bundle_says_that_it_does_not_show_a_second_seal_or_a_key_taken_out(honest):
    said = " ".join(_verify(honest).rests_on)
    assert "--seal" in said and "taken the VRF key out of its part" in said


def test_a_bundle_says_that_it_does_not_show_when_its_methodology_was_chosen(honest):
    for report, named in ((_verify(honest), "TZ-DISPLACED-GRID"), (_by_own_methodology(honest, _own_methodology("anna")), "CUSTOM")):
        assert any(f"{named} was chosen before the day was measured" in sentence for sentence in report.rests_on)


def test_a_methodology_of_ones_own_that_no_auditor_signed_or_that_was_changed_is_refused(honest):
    unknown = ("7 calculation", Reason.UNKNOWN_METHODOLOGY)
    for signer in ("alice", "cloud-1", "eve"):  # an approver is no auditor
        assert _wrong(_by_own_methodology(honest, _own_methodology(signer))) == unknown
    signed = _own_methodology("anna")
    assert _wrong(_by_own_methodology(honest, signed, methodology_hash=bytes(32))) == unknown
    assert _wrong(_by_own_methodology(honest, signed, evidence=None)) == unknown
    assert _wrong(_by_own_methodology(honest, signed, amount=1_000_000)) == ("7 calculation", Reason.WRONG_AMOUNT)
    assert _wrong(_by_own_methodology(honest, Signed(_own_methodology("anna", title="Theirs").document, signed.signatures))) == unknown


def test_an_attestation_that_the_cloud_did_not_emit_is_refused(honest):
    forged = honest.attestation().sign(signing_key("eve")).encode()
    assert _wrong(_verify(honest, replace(honest.bundle(), attestation=forged))) == ("1 signatures", Reason.BAD_SIGNATURE)


def test_less_than_the_least_mint_is_refused():
    day = _day(epochs=1, leaves=2)
    assert _wrong(_verify(day)) == ("7 calculation", Reason.BELOW_LEAST_MINT)


def test_a_signature_without_an_approval_is_no_bundle(honest):
    with pytest.raises(ProofBundleError):
        ProofBundle.parse(honest.bundle(approval_signature=b"1" * 4627).encode())


def test_a_bundle_that_is_too_long_is_not_written(honest):
    with pytest.raises(ProofBundleError, match="5000000"):
        honest.bundle(contributions=honest.bundle().contributions * 6_000).encode()


def test_the_command_believes_refuses_and_says_what_it_cannot_read(honest, tmp_path, capsys):
    paths = {name: tmp_path / name for name in ("bundle", "root", "frames", "seal")}
    paths["bundle"].write_bytes(honest.bundle().encode())
    paths["root"].write_bytes(honest.fleet.root.encode())
    paths["frames"].write_bytes(honest.frames())
    second = SealingNode.named(honest.node.name).seal(honest.day.seals[0].epoch, root=b"other leaves".ljust(32))
    paths["seal"].write_bytes(second.encode())
    arguments = [str(paths["bundle"]), "--root", str(paths["root"]), "--frames", str(paths["frames"])]
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert "BELIEVED" in shown and "8 attestation" in shown and "This rests on" in shown
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["attestation"]["hash"] == honest.attestation().hash.hex()
    assert main([*arguments, "--seal", str(paths["seal"])]) == 1
    assert "REFUSED, first wrong:" in capsys.readouterr().out
    assert main([str(paths["root"]), "--root", str(paths["root"])]) == 2
    assert "cannot be read" in capsys.readouterr().err
    assert main([str(tmp_path / "nothing"), f"--root={paths['root']}", "--json"]) == 2


def test_checkpoints_are_documents_of_their_own(honest):
    assert all(Checkpoint.parse(each.encode()) == each for each in honest.chain)


def test_a_list_older_than_the_one_a_verifier_knows_of_is_refused(honest, tmp_path, capsys):
    assert _verify(honest, least_revision=1).believed
    assert _wrong(_verify(honest, least_revision=2)) == ("1 signatures", Reason.SUPERSEDED)
    report = _verify(honest)
    assert any("--least-revision" in sentence and "revision 1" in sentence for sentence in report.rests_on)
    assert not any("--least-revision" in sentence for sentence in _verify(honest, least_revision=1).rests_on)
    (tmp_path / "bundle").write_bytes(honest.bundle().encode())
    (tmp_path / "root").write_bytes(honest.fleet.root.encode())
    arguments = [str(tmp_path / "bundle"), "--root", str(tmp_path / "root"), "--least-revision"]
    assert [main([*arguments, revision]) for revision in ("1", "2")] == [0, 1]
    assert "[superseded]" in capsys.readouterr().out


def test_two_seals_of_any_epoch_of_the_site_suspend_it_whoever_shows_them():
    fleet = _fresh()
    fleet.nodes[0].seal(20_700 * 96 - 1)
    day = AttestedDay(fleet)
    day.measure()
    day.witness()
    day.history_mj = (day.outcome.energy_mj,) * BASELINE_DAYS
    del day.outcome

    def other(epoch, root):
        return SealingNode.named(day.node.name).seal(epoch, root=root.ljust(32)).encode()

    long_before = 20_700 * 96 - 9_600
    for epoch in (day.day.opening.epoch, day.day.seals[1].epoch, day.day.closing.epoch):
        assert _wrong(_verify(day, seals=[other(epoch, b"one")])) == ("3 quorum", Reason.TWO_SEALS)
    assert _verify(day, seals=[other(long_before, b"one"), other(long_before, b"one")]).believed
    assert _wrong(_verify(day, seals=[other(long_before, b"one"), other(long_before, b"two")])) == ("3 quorum", Reason.TWO_SEALS)
    unproven = replace(Seal.decode(other(long_before, b"one")), root=bytes(32)).encode()
    assert _verify(day, seals=[unproven, other(long_before, b"one")]).believed
    former_board = SealingNode.named(day.node.name, seed=1).seal(day.day.seals[1].epoch)
    assert _verify(day, seals=[former_board.encode()]).believed, "a key suspends itself and no other"


def test_a_day_under_a_demonstration_list_says_so(honest, tmp_path, capsys):
    fleet = _fresh()
    fleet.__dict__["trust"] = replace(fleet.trust, demonstration=True)
    day = AttestedDay(fleet)
    day.measure()
    day.witness()
    day.history_mj = (day.outcome.energy_mj,) * BASELINE_DAYS
    del day.outcome
    report = _verify(day)
    assert report.believed and report.to_json()["demonstration"] is True
    assert any(sentence.startswith("Demonstration credit") for sentence in report.rests_on)
    (tmp_path / "bundle").write_bytes(day.bundle().encode())
    (tmp_path / "root").write_bytes(fleet.root.encode())
    assert main([str(tmp_path / "bundle"), "--root", str(tmp_path / "root")]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("BELIEVED")]
    assert "demonstration" in line.lower()
    own = _verify(honest)
    assert own.to_json()["demonstration"] is False and not any("emonstration" in sentence for sentence in own.rests_on)
