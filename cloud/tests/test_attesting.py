"""The log and the days on disk: what was published stays, whatever stops the program, and every failure's state is kept."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from thermogen_cloud.attestation_log import AttestationLog, UnreadableLogError
from thermogen_cloud.attested_days import AttestedDays
from thermogen_cloud.registry import LogEntry, Registry, StoredCheckpoint
from thermogen_esf.evidence.attestation.draw import MAX_ATTEMPTS, WINDOW_S
from thermogen_esf.evidence.attestation.log import Checkpoint, LogError, judge_checkpoint, judge_growth, seal_entry, trust_entry
from thermogen_esf.evidence.attestation.quorum import DayState, Findings
from thermogen_esf.evidence.attestation.signed import Signed
from thermogen_esf.evidence.attestation.statement import Claims, Opinion, Why, judge_statement
from thermogen_esf.evidence.canonical import canonical
from thermogen_sim.fleet.attested_day import AttestedDay
from thermogen_sim.fleet.enrolling import NOW, Fleet, signing_key

CLOUD = signing_key("cloud-1")


@pytest.fixture
def registry(tmp_path):
    registry = Registry(tmp_path / "registry.sqlite")
    yield registry
    registry.close()


@pytest.fixture
def fleet():
    return Fleet.of(5, 5)


@pytest.fixture
def log(registry, fleet):
    return AttestationLog(registry, fleet.root.hash, CLOUD)


def test_a_log_opened_again_goes_on_where_it_was(registry, fleet, log):
    log.append([trust_entry(bytes(32)), *(seal_entry(node.seal(5)) for node in fleet.nodes)])
    first = log.checkpoint(NOW)
    again = AttestationLog(registry, fleet.root.hash, CLOUD)
    assert (len(again), again.last) == (6, log.last)
    again.append([trust_entry(b"1" * 32)])
    second = again.checkpoint(NOW + 60)
    before, after = Checkpoint.parse(first.document), Checkpoint.parse(second.document)
    assert all(check.passed for check in judge_growth(before, after, again.consistency(before.size, after.size)))
    assert again.published(0, 9) == [first, second]
    assert all(judge_checkpoint(each, fleet.trust.clouds)[1].passed for each in (first, second))


def test_a_log_that_another_release_began_is_said_with_what_to_do_and_left_as_it_is(registry, fleet, log):
    log.append([trust_entry(bytes(32))])
    older = {name: value for name, value in Checkpoint.parse(log.checkpoint(NOW).document).values().items() if name != "beacons"}
    for signed in (Signed.by(canonical({"version": 1, **older}), [CLOUD], b"thermogen/checkpoint/v1").encode(), b"damaged"):
        with registry.writing() as session:
            session.execute(update(StoredCheckpoint).values(signed=signed))
        with pytest.raises(UnreadableLogError, match="cannot go on") as found:
            AttestationLog(registry, fleet.root.hash, CLOUD)
        assert "serve this directory with that release" in found.value.remedy and "backup" in found.value.remedy
        with registry.reading() as session:
            assert session.scalars(select(StoredCheckpoint.signed)).all() == [signed]


def test_a_checkpoint_that_could_not_be_kept_is_made_again_and_nobody_saw_two(registry, fleet, log, monkeypatch):
    log.append([trust_entry(bytes(32))])
    with monkeypatch.context() as patched:
        patched.setattr(registry, "writing", _no_disk)
        with pytest.raises(OSError, match="disk"):
            log.checkpoint(1_000)
        with pytest.raises(OSError, match="disk"):
            log.append([trust_entry(b"2" * 32)])
    assert log.last is None and len(log) == 1
    assert Checkpoint.parse(log.checkpoint(2_000).document).number == 0


def _no_disk():
    raise OSError("disk")


def test_entries_come_together_or_not_at_all(log):
    with pytest.raises(LogError):
        log.append([trust_entry(bytes(32)), b"\x09of no kind"])
    assert len(log) == 0 and log.index_of(trust_entry(bytes(32))) is None
    assert log.append([trust_entry(bytes(32)), trust_entry(b"1" * 32)]) == range(2)
    assert log.index_of(trust_entry(b"1" * 32)) == 1


def test_two_programs_cannot_both_write_one_index(registry, log):
    log.append([trust_entry(bytes(32))])
    with pytest.raises(IntegrityError), registry.writing() as session:
        session.add(LogEntry(number=0, entry=b"another"))


def test_an_entry_changed_on_the_disk_shows_against_what_was_published(registry, fleet, log):
    log.append([trust_entry(bytes(32)), trust_entry(b"1" * 32)])
    before = Checkpoint.parse(log.checkpoint(1_000).document)
    with registry.writing() as session:
        session.execute(update(LogEntry).where(LogEntry.number == 0).values(entry=trust_entry(b"9" * 32)))
    changed = AttestationLog(registry, fleet.root.hash, CLOUD)
    changed.append([trust_entry(b"2" * 32)])
    after = Checkpoint.parse(changed.checkpoint(1_060).document)
    assert not all(check.passed for check in judge_growth(before, after, changed.consistency(before.size, after.size)))


class Days:
    """A drawn day whose statements can be chosen, and the store that decides it."""

    def __init__(self, registry, say):
        self.day = AttestedDay(Fleet.of(5, 5), epochs=1, scale=1, say=say)
        self.day.measure()
        self.day.witness()
        self.store = AttestedDays(registry, lambda: 77)
        self.energy = 1_050_000 * 89 * 10

    def heard(self):
        day = self.day
        return [
            judge_statement(signed, day.drawing, day.fleet.entry(node), day.fleet.trust, day.drawn.time, day.drawn.time + 60)
            for node, signed, _ in day.statements
        ]

    def decide(self, heard=None, **changes):
        drawn = self.day.drawn.time
        findings = Findings(5, 1, drawn, drawn + WINDOW_S, (self.energy,) * 30)
        return self.store.decide(self.day.node.name, 20_700, self.heard() if heard is None else heard, replace(findings, **changes))


def _agree(_node, statement):
    return statement


def _one_dissents(why):
    def say(node, statement):
        if node.name != "tz-0002":
            return statement
        epoch = statement.drawing.day * 96
        return replace(statement, opinion=Opinion.DISSENT, why=why, epoch=epoch, claims=None)

    return say


def _one_claims_less(node, statement):
    claims = statement.claims
    return replace(statement, claims=Claims(claims.energy_mj // 2, claims.gas)) if node.name == "tz-0002" else statement


def _silent(node, statement):
    return statement if node.name == "tz-0002" else None


FAILURES = {
    DayState.ATTESTED: (_agree, {}),
    DayState.WAITING_FOR_BEACON: (_agree, {"drawn_at": None}),
    DayState.COLLECTING: (_agree, {"now": 0}),
    DayState.DEFERRED: (_silent, {}),
    DayState.REVIEW: (_one_dissents(Why.IMPLAUSIBLE), {}),
    DayState.ROOTS_DISAGREE: (_one_dissents(Why.ROOT_DIFFERS), {}),
    DayState.CLAIMS_DISAGREE: (_one_claims_less, {}),
    DayState.OFF_BASELINE: (_agree, {"history_mj": (1,) * 30}),
    DayState.METHODOLOGY_ERROR: (_agree, {"methodology_error": "no baseline evidence"}),
    DayState.SUSPENDED: (_agree, {"two_seals": True}),
}


def test_every_state_is_among_those_tested():
    assert set(FAILURES) == set(DayState)


@pytest.mark.parametrize("state", FAILURES, ids=lambda state: state.value)
def test_a_days_state_is_stored_and_there_after_a_restart(registry, tmp_path, state):
    say, changes = FAILURES[state]
    days = Days(registry, say)
    days.decide(**changes)
    registry.close()
    again = Registry(tmp_path / "registry.sqlite")
    try:
        (row,) = AttestedDays(again, lambda: 0).of("tz-0000")
        assert (row.state, row.day, row.attempt, row.changed_at) == (state, 20_700, 1, 77)
        assert row.detail
        if state in (DayState.REVIEW, DayState.ROOTS_DISAGREE):
            assert row.epoch == 20_700 * 96
    finally:
        again.close()


def test_a_day_is_decided_once_its_window_is_over(registry):
    days = Days(registry, _agree)
    assert days.decide(now=0).state is DayState.COLLECTING
    row = days.decide()
    assert (row.state, row.label, row.agreeing, row.energy_mj) == (DayState.ATTESTED, "peer-checked", 4, days.energy)
    assert days.store.history_mj("tz-0000", 20_701) == [days.energy] and days.store.history_mj("tz-0000", 20_700) == []


def test_a_dissent_that_comes_late_undoes_an_attestation_and_is_not_undone(registry):
    days = Days(registry, _one_dissents(Why.IMPLAUSIBLE))
    agreed = [each for each in days.heard() if each.statement.opinion is Opinion.AGREE]
    assert days.decide(agreed).state is DayState.ATTESTED
    assert days.decide().state is DayState.REVIEW
    assert days.decide(agreed).state is DayState.REVIEW
    assert days.decide(agreed, two_seals=True).state is DayState.SUSPENDED


def test_a_deferred_day_is_drawn_again_in_a_row_of_its_own(registry):
    days = Days(registry, _silent)
    assert days.decide().state is DayState.DEFERRED
    assert days.decide(attempt=MAX_ATTEMPTS).state is DayState.REVIEW
    assert [row.attempt for row in days.store.of("tz-0000")] == [MAX_ATTEMPTS, 1]
