"""Every way in which a day's witnessing can fail has a name, and only a quorum without any doubt mints by itself."""

from dataclasses import replace
from hashlib import sha3_256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from thermogen_esf.evidence.attestation.draw import MAX_ATTEMPTS, WINDOW_S, Drawing
from thermogen_esf.evidence.attestation.odds import needed_for_witnessed
from thermogen_esf.evidence.attestation.quorum import (
    BASELINE_DAYS,
    DayState,
    Findings,
    Label,
    claims_disagree,
    decide,
    off_baseline,
)
from thermogen_esf.evidence.attestation.signed import Signed
from thermogen_esf.evidence.attestation.statement import (
    STATEMENT_CONTEXT,
    Claims,
    Heard,
    Opinion,
    Statement,
    StatementError,
    Why,
    judge_statement,
)
from thermogen_esf.evidence.check import Reason

ENERGY, GAS = 90_000_000, 12_000_000
HISTORY = (ENERGY,) * BASELINE_DAYS


class Witnessing:
    """A drawn day of the fleet's first site, and what the others say of it."""

    def __init__(self, fleet, drawn_at, keys):
        day = fleet.nodes[0].day()
        self.fleet, self.drawn_at, self.keys = fleet, drawn_at, keys
        self.drawing = Drawing(day.site, day.number, day.root, 7, sha3_256(b"beacon").digest())

    def statement(self, number, **changes):
        node = self.fleet.nodes[number]
        proof = node.prover.prove(self.drawing.input_of(node.identity))
        agrees = Statement(self.drawing, node.identity, proof, Opinion.AGREE, None, None, Claims(ENERGY, GAS), self.drawn_at + 60)
        return replace(agrees, **changes)

    def hear(self, number, after_s=120, key=None, drawing=None, **changes):
        node = self.fleet.nodes[number]
        signed = self.statement(number, **changes).sign(self.keys(key or node.name))
        signed = Signed.parse(signed.encode())
        entry = self.fleet.entry(node)
        return judge_statement(signed, drawing or self.drawing, entry, self.fleet.trust, self.drawn_at, self.drawn_at + after_s)

    def dissent(self, number, why=Why.IMPLAUSIBLE, **changes):
        epoch = self.drawing.day * 96 + 2
        return self.hear(number, opinion=Opinion.DISSENT, why=why, epoch=epoch, claims=None, **changes)

    def abstain(self, number, why=Why.NOT_FETCHED):
        return self.hear(number, opinion=Opinion.ABSTAIN, why=why, claims=None)

    def decide(self, heard, **changes):
        findings = Findings(self.fleet.trust.site_count, 1, self.drawn_at, self.drawn_at + WINDOW_S, HISTORY)
        return decide(heard, replace(findings, **changes))


@pytest.fixture
def witnessing(fleet, now, keys):
    return Witnessing(fleet, now, keys)


def _reasons(heard):
    return {check.reason for check in heard.checks if check.passed is False}


# Step 1 to 3: who is heard.


def test_a_statement_reads_back_from_its_bytes(witnessing):
    for statement in (
        witnessing.statement(1),
        witnessing.statement(1, opinion=Opinion.DISSENT, why=Why.BATCH_REFUSED, epoch=witnessing.drawing.day * 96, claims=None),
        witnessing.statement(1, opinion=Opinion.ABSTAIN, why=Why.NOT_IN_TIME, claims=None),
    ):
        assert Statement.parse(statement.encode()) == statement


@pytest.mark.parametrize(
    "change",
    [
        {"claims": None},
        {"why": Why.IMPLAUSIBLE},
        {"epoch": 5},
        {"opinion": Opinion.DISSENT, "claims": None, "why": Why.IMPLAUSIBLE},
        {"opinion": Opinion.DISSENT, "claims": None, "why": Why.IMPLAUSIBLE, "epoch": 1},
        {"opinion": Opinion.DISSENT, "claims": None, "why": Why.NOT_FETCHED, "epoch": 20_700 * 96},
        {"opinion": Opinion.ABSTAIN, "claims": None, "why": Why.IMPLAUSIBLE},
        {"opinion": Opinion.ABSTAIN, "claims": None},
        {"opinion": Opinion.ABSTAIN, "why": Why.NOT_FETCHED},
    ],
)
def test_a_statement_that_contradicts_itself_is_none(witnessing, change):
    with pytest.raises(StatementError):
        witnessing.statement(1, **change)


def test_a_bad_signature_rejects_the_witness(witnessing):
    heard = witnessing.hear(1, key="eve")
    assert not heard.valid and _reasons(heard) == {Reason.BAD_SIGNATURE}


def test_a_bad_draw_proof_rejects_the_witness(witnessing):
    other = witnessing.fleet.nodes[2].prover
    heard = witnessing.hear(1, proof=other.prove(witnessing.drawing.input_of(witnessing.fleet.nodes[1].identity)))
    assert not heard.valid and _reasons(heard) == {Reason.NOT_DRAWN}


def test_a_statement_of_another_day_root_or_beacon_is_of_another_drawing(witnessing):
    heard = witnessing.hear(1, drawing=replace(witnessing.drawing, beacon_number=8))
    assert Reason.OTHER_DRAWING in _reasons(heard)


def test_a_site_does_not_witness_itself(witnessing):
    assert Reason.OWN_WITNESS in _reasons(witnessing.hear(0))


def test_a_signature_of_something_else_is_no_statement(witnessing):
    node = witnessing.fleet.nodes[1]
    signed = Signed.by(witnessing.statement(1).encode(), [witnessing.keys(node.name)], STATEMENT_CONTEXT[:-1])
    entry = witnessing.fleet.entry(node)
    assert Reason.BAD_SIGNATURE in _reasons(
        judge_statement(signed, witnessing.drawing, entry, witnessing.fleet.trust, witnessing.drawn_at, 0)
    )
    unreadable = judge_statement(Signed(b"{}", ()), witnessing.drawing, entry, witnessing.fleet.trust, witnessing.drawn_at, 0)
    assert not unreadable.valid and _reasons(unreadable) == {Reason.UNREADABLE}


def test_statements_that_are_not_valid_count_for_nothing(witnessing):
    heard = [witnessing.hear(1), witnessing.hear(2), witnessing.hear(3, key="eve"), witnessing.dissent(4, key="eve")]
    assert witnessing.decide(heard).state is DayState.DEFERRED


# The states.


def test_three_of_three_attest_and_a_small_fleet_is_peer_checked(witnessing):
    outcome = witnessing.decide([witnessing.hear(number) for number in (1, 2, 3)])
    assert (outcome.state, outcome.label, outcome.agreeing, outcome.received) == (DayState.ATTESTED, Label.PEER_CHECKED, 3, 3)
    assert (outcome.energy_mj, outcome.gas) == (ENERGY, GAS)


def test_no_quorum_in_five_minutes_defers_the_day(witnessing):
    outcome = witnessing.decide([witnessing.hear(1), witnessing.hear(2)])
    assert outcome.state is DayState.DEFERRED and outcome.agreeing == 2


def test_no_quorum_in_the_last_attempt_is_for_people(witnessing):
    assert witnessing.decide([witnessing.hear(1)], attempt=MAX_ATTEMPTS).state is DayState.REVIEW


def test_while_the_window_is_open_nothing_is_decided(witnessing):
    heard = [witnessing.hear(number) for number in (1, 2, 3)]
    assert witnessing.decide(heard, now=witnessing.drawn_at + WINDOW_S - 1).state is DayState.COLLECTING


def test_without_a_beacon_the_day_waits(witnessing):
    assert witnessing.decide([], drawn_at=None).state is DayState.WAITING_FOR_BEACON


def test_a_late_witness_does_not_make_a_quorum(witnessing):
    heard = [witnessing.hear(1), witnessing.hear(2), witnessing.hear(3, after_s=WINDOW_S + 1)]
    assert witnessing.decide(heard).state is DayState.DEFERRED
    heard[-1] = witnessing.hear(3, after_s=WINDOW_S)
    assert witnessing.decide(heard).state is DayState.ATTESTED


def test_three_of_five_with_two_abstaining_are_less_than_two_thirds(new_fleet, now, keys):
    witnessing = Witnessing(new_fleet(6, 6), now, keys)
    heard = [witnessing.hear(number) for number in (1, 2, 3)] + [witnessing.abstain(4)]
    assert witnessing.decide(heard).state is DayState.ATTESTED
    assert witnessing.decide([*heard, witnessing.abstain(5)]).state is DayState.DEFERRED


def test_one_operators_sites_alone_make_no_quorum(new_fleet, now, keys):
    fleet = new_fleet(5, 2)
    fleet.operators = {node.name: "operator-0" if number == 0 else "operator-1" for number, node in enumerate(fleet.nodes)}
    witnessing = Witnessing(fleet, now, keys)
    assert witnessing.decide([witnessing.hear(number) for number in (1, 2, 3, 4)]).state is DayState.DEFERRED


def test_the_same_witness_three_times_is_one(witnessing):
    assert witnessing.decide([witnessing.hear(1, time=number) for number in (1, 2, 3)]).state is DayState.DEFERRED


def test_one_valid_dissent_sends_the_day_to_review_naming_the_epoch(witnessing):
    heard = [witnessing.hear(1), witnessing.hear(2), witnessing.hear(3), witnessing.dissent(4)]
    outcome = witnessing.decide(heard)
    assert (outcome.state, outcome.epoch) == (DayState.REVIEW, witnessing.drawing.day * 96 + 2)


def test_a_dissent_counts_after_the_window_too(witnessing):
    heard = [witnessing.hear(1), witnessing.hear(2), witnessing.hear(3), witnessing.dissent(4, after_s=100_000)]
    assert witnessing.decide(heard).state is DayState.REVIEW


def test_a_dissent_that_the_cloud_dropped_and_a_witness_published_is_one(witnessing):
    kept = [witnessing.hear(1), witnessing.hear(2), witnessing.hear(3)]
    assert witnessing.decide(kept).state is DayState.ATTESTED
    assert witnessing.decide([*kept, witnessing.dissent(4, after_s=10_000_000)]).state is DayState.REVIEW


def test_roots_that_disagree_reject_the_day_and_name_the_epoch(witnessing):
    heard = [witnessing.hear(1), witnessing.hear(2), witnessing.hear(3), witnessing.dissent(4, why=Why.ROOT_DIFFERS)]
    outcome = witnessing.decide(heard)
    assert (outcome.state, outcome.epoch) == (DayState.ROOTS_DISAGREE, witnessing.drawing.day * 96 + 2)
    assert witnessing.decide(heard[:3], two_roots=True).state is DayState.ROOTS_DISAGREE


def test_claims_five_per_cent_apart_are_reviewed_and_minted_at_the_lowest(witnessing):
    low = Claims(ENERGY * 95 // 100, GAS)
    outcome = witnessing.decide([witnessing.hear(1, claims=low), witnessing.hear(2), witnessing.hear(3)])
    assert (outcome.state, outcome.energy_mj) == (DayState.CLAIMS_DISAGREE, ENERGY * 95 // 100)
    gas = witnessing.decide([witnessing.hear(1, claims=Claims(ENERGY, GAS // 2)), witnessing.hear(2), witnessing.hear(3)])
    assert (gas.state, gas.gas) == (DayState.CLAIMS_DISAGREE, GAS // 2)


def test_more_than_twenty_per_cent_off_the_baseline_pauses_minting(witnessing):
    heard = [witnessing.hear(number) for number in (1, 2, 3)]
    assert witnessing.decide(heard, history_mj=(ENERGY * 100 // 121,) * BASELINE_DAYS).state is DayState.OFF_BASELINE
    assert witnessing.decide(heard, history_mj=(ENERGY * 10 // 12,) * BASELINE_DAYS).state is DayState.ATTESTED


def test_before_thirty_days_of_history_nothing_mints_by_itself(witnessing):
    heard = [witnessing.hear(number) for number in (1, 2, 3)]
    outcome = witnessing.decide(heard, history_mj=HISTORY[1:])
    assert outcome.state is DayState.OFF_BASELINE and "29 days" in outcome.detail


def test_a_methodology_that_cannot_be_applied_rejects_the_day(witnessing):
    heard = [witnessing.hear(number) for number in (1, 2, 3)]
    assert witnessing.decide(heard, methodology_error="no baseline evidence").state is DayState.METHODOLOGY_ERROR


def test_two_seals_of_an_epoch_suspend_the_site_whatever_witnesses_say(witnessing):
    heard = [witnessing.hear(number) for number in (1, 2, 3)]
    assert witnessing.decide(heard, two_seals=True).state is DayState.SUSPENDED


def test_a_large_fleet_is_witnessed_where_enough_agree(new_fleet, now, keys):
    sites = 40
    witnessing = Witnessing(new_fleet(sites, 3), now, keys)
    least = needed_for_witnessed(sites)
    heard = [witnessing.hear(number) for number in range(1, sites)]
    drawn = [each for each in heard if each.valid]
    assert len(drawn) > least
    assert {reason for each in heard if not each.valid for reason in _reasons(each)} == {Reason.NOT_DRAWN}
    assert witnessing.decide(drawn).label is Label.WITNESSED
    assert witnessing.decide(drawn[:least]).label is Label.WITNESSED
    assert witnessing.decide(drawn[: least - 1]).label is Label.PEER_CHECKED


# The gates.


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=20))
def test_the_five_per_cent_gate_is_the_definition_at_zero_too(claims):
    spread = max(claims) - min(claims)
    assert claims_disagree(claims) == (spread > 0 and spread * len(claims) * 100 >= 5 * sum(claims))


def test_the_five_per_cent_gate_at_its_edge():
    assert not claims_disagree([0, 0, 0]) and claims_disagree([0, 0, 1])
    assert claims_disagree([975, 1025]) and not claims_disagree([9_751, 10_249])
    assert not claims_disagree([])


def test_the_twenty_per_cent_gate_at_zero():
    assert not off_baseline(0, (0,) * 30)
    assert off_baseline(1, (0,) * 30) and off_baseline(0, (1,) * 30)
    assert not off_baseline(120, (100,) * 30) and off_baseline(121, (100,) * 30)
    assert not off_baseline(80, (100,) * 30) and off_baseline(79, (100,) * 30)
    assert not off_baseline(100, (10**9,) * 5 + (100,) * 30)


@given(
    st.lists(st.sampled_from(["agree", "abstain", "late", "invalid"]), max_size=12),
    st.integers(1, 3),
)
def test_a_quorum_is_three_and_two_thirds_of_what_was_received_of_two_operators(said, operators):
    drawing = Drawing(bytes(8), 20_700, bytes(32), 1, bytes(32))
    heard = []
    for number, what in enumerate(said):
        agrees = what != "abstain"
        statement = Statement(
            drawing,
            number.to_bytes(8, "big"),
            bytes(80),
            Opinion.AGREE if agrees else Opinion.ABSTAIN,
            None if agrees else Why.NOT_FETCHED,
            None,
            Claims(0, 0) if agrees else None,
            0,
        )
        logged_at = 1_000 + (WINDOW_S + 1 if what == "late" else 1)
        heard.append(Heard(statement if what != "invalid" else None, f"operator-{number % operators}", (), logged_at))
    outcome = decide(heard, Findings(10_000, 1, 1_000, 2_000, (0,) * 30))
    agreeing = [number for number, what in enumerate(said) if what == "agree"]
    received = len(agreeing) + said.count("abstain")
    enough = len(agreeing) >= 3 and 3 * len(agreeing) >= 2 * received and len({number % operators for number in agreeing}) >= 2
    assert outcome.state is (DayState.ATTESTED if enough else DayState.DEFERRED)
    assert (outcome.agreeing, outcome.received) == (len(agreeing), received)
