"""Nobody chooses a witness, and nobody knows one before the day's root is fixed."""

from dataclasses import replace
from hashlib import sha3_256, sha3_512

import pytest
from thermogen_esf.evidence.attestation.draw import (
    EXPECTED_WITNESSES,
    MAX_ATTEMPTS,
    NEXT_ATTEMPT_S,
    Drawing,
    drawing_checkpoint,
    eligible,
    is_drawn,
    judge_draw,
    judge_drawing,
    threshold,
)
from thermogen_esf.evidence.attestation.log import Log, day_entry, seal_entry
from thermogen_esf.evidence.check import Reason


@pytest.fixture
def drawing(fleet):
    day = fleet.nodes[0].day()
    return Drawing(day.site, day.number, day.root, 7, sha3_256(b"beacon").digest())


def _prove(drawing, node):
    return node.prover.prove(drawing.input_of(node.identity))


def test_in_a_small_fleet_everybody_but_the_site_itself_is_drawn(fleet, drawing):
    for node in fleet.nodes[1:]:
        assert judge_draw(fleet.enrolment(node), _prove(drawing, node), drawing, 5).passed
    own = judge_draw(fleet.enrolment(fleet.nodes[0]), _prove(drawing, fleet.nodes[0]), drawing, 5)
    assert own.reason is Reason.OWN_WITNESS


@pytest.mark.parametrize("change", [{"day": 1}, {"root": bytes(32)}, {"beacon": bytes(32)}], ids=lambda change: next(iter(change)))
def test_a_proof_draws_for_one_day_root_and_beacon(fleet, drawing, change):
    node = fleet.nodes[1]
    proof = _prove(drawing, node)
    assert judge_draw(fleet.enrolment(node), proof, replace(drawing, **change), 5).reason is Reason.NOT_DRAWN


def test_nobody_draws_with_the_proof_of_another(fleet, drawing):
    assert judge_draw(fleet.enrolment(fleet.nodes[2]), _prove(drawing, fleet.nodes[1]), drawing, 5).reason is Reason.NOT_DRAWN


def test_in_a_large_fleet_sixteen_are_drawn_in_the_mean(drawing):
    sites, fleets = 2_000, 50
    outputs = (sha3_512(number.to_bytes(4, "big")).digest() for number in range(sites * fleets))
    drawn = sum(is_drawn(output, sites) for output in outputs)
    # 800 expected, standard deviation 28.
    assert abs(drawn - EXPECTED_WITNESSES * fleets) < 5 * 28


def test_the_threshold_is_exact_in_integers():
    assert threshold(16) == threshold(0) == 2**256
    assert threshold(17) == 2**256 * 16 // 17
    assert is_drawn((threshold(1000) - 1).to_bytes(32, "big") + bytes(32), 1000)
    assert not is_drawn(threshold(1000).to_bytes(32, "big") + bytes(32), 1000)
    assert (eligible(0), eligible(1), eligible(1000)) == (0, 0, 999)


def test_a_site_that_is_not_drawn_is_no_witness_though_its_proof_is_good(fleet, drawing):
    node = fleet.nodes[1]
    proofs = [(each, _prove(each, node)) for each in (replace(drawing, beacon=bytes([number]) * 32) for number in range(40))]
    answers = [judge_draw(fleet.enrolment(node), proof, each, 10_000_000) for each, proof in proofs]
    assert {check.reason for check in answers} == {Reason.NOT_DRAWN}


@pytest.fixture
def logged(fleet, now):
    """A log whose entry 5 is a day's root, and its checkpoints a minute apart; in every fifth, all five sites seal."""
    log = Log(fleet.root.hash)
    chain, day = [], fleet.nodes[0].day()
    for minute in range(150):
        if minute % 5 == 0:
            for node in fleet.nodes:
                log.append(seal_entry(node.seal(96 * 30_000 + minute)))
        if minute == 0:
            index = log.append(day_entry(day))
        chain.append(log.checkpoint(now + 60 * minute))
    return chain, index, day


def _drawing(day, checkpoint):
    return Drawing(day.site, day.number, day.root, checkpoint.number, checkpoint.beacon)


def test_the_beacon_of_the_checkpoint_that_holds_the_root_does_not_draw(logged):
    chain, index, day = logged
    assert chain[0].size > index and chain[0].draws
    assert drawing_checkpoint(chain, index) == chain[5]
    assert judge_drawing(_drawing(day, chain[5]), chain[:6], index, 1).passed
    assert judge_drawing(_drawing(day, chain[0]), chain[:6], index, 1).reason is Reason.WRONG_BEACON


def test_a_beacon_that_draws_better_is_not_taken_instead(logged):
    chain, index, day = logged
    for other in (chain[4], chain[6], chain[10]):
        assert judge_drawing(_drawing(day, other), chain, index, 1).reason is Reason.WRONG_BEACON


def test_a_stalled_beacon_draws_nobody(logged):
    chain, index, _ = logged
    assert drawing_checkpoint(chain[:5], index) is None
    assert drawing_checkpoint(chain[:1], 10_000) is None


def test_an_attempt_that_found_no_quorum_is_followed_by_one_in_the_next_epoch(logged):
    chain, index, _ = logged
    found = [drawing_checkpoint(chain, index, attempt) for attempt in range(1, MAX_ATTEMPTS + 1)]
    assert [each.number for each in found] == [5, 20, 35, 50]
    assert found[1].time == found[0].time + NEXT_ATTEMPT_S
    assert drawing_checkpoint(chain, index, MAX_ATTEMPTS + 1) is None and drawing_checkpoint(chain, index, 0) is None


def test_checkpoints_that_begin_after_the_root_or_leave_one_out_show_nothing(logged):
    chain, index, day = logged
    drawing = _drawing(day, chain[5])
    assert judge_drawing(drawing, chain[1:6], index, 1).reason is Reason.WRONG_BEACON
    assert judge_drawing(drawing, [chain[0], *chain[2:6]], index, 1).reason is Reason.LOG_FORKED
    assert judge_drawing(drawing, [], index, 1).reason is Reason.LOG_FORKED
