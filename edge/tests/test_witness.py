"""A witness speaks where it is drawn, says what it found, and says so when it could not look."""

from dataclasses import replace

import pytest
from thermogen_edge.witness import FetchError, Witness
from thermogen_esf.evidence.attestation.day import Day
from thermogen_esf.evidence.attestation.draw import Drawing
from thermogen_esf.evidence.attestation.statement import Opinion, Statement, Why, judge_statement
from thermogen_esf.frames import decode
from thermogen_sim.fleet.enrolling import NOW, Fleet, signing_key
from thermogen_sim.fleet.synthetic_site import SyntheticSite

UNTIL = NOW + 300


class Drawn:
    """A day of the first site of a fleet, its batches, and the second site as its witness."""

    def __init__(self):
        self.fleet = Fleet.of(3, 3)
        node, self.node = self.fleet.nodes[:2]
        self.enrolment = self.fleet.enrolment(node)
        hashes = {what: int.from_bytes(getattr(self.enrolment, what), "big") for what in ("profile_hash", "calibration_hash")}
        site = SyntheticSite(node.name, signing_key(node.name), clocks=50_000_000)
        self.batches, seals, first = {}, [], NOW // 900
        for epoch in (first, first + 1):
            batch = site.epoch(epoch, bend=lambda sequence, raw: hashes)
            self.batches[epoch] = [batch]
            seals.append(node.seal(epoch, root=decode(batch).root))
        self.day = Day(tuple(seals), node.seal(first + 96))
        self.drawing = Drawing(self.day.site, self.day.number, self.day.root, 9, b"beacon".ljust(32))
        self.time, self.fetched = NOW, []

    def fetch(self, epoch):
        self.fetched.append(epoch)
        return self.batches[epoch]

    def consider(self, **changes):
        witness = Witness(self.node.identity, self.node, signing_key(self.node.name), lambda: self.time)
        arguments = {
            "drawing": self.drawing,
            "day": self.day,
            "drawn": self.enrolment,
            "trust": self.fleet.trust,
            "fetch": self.fetch,
            "until": UNTIL,
        }
        return witness.consider(**{**arguments, **changes})

    def said(self, **changes):
        return Statement.parse(self.consider(**changes).document)


@pytest.fixture
def drawn():
    return Drawn()


def test_an_honest_day_is_agreed_with_in_a_statement_that_a_verifier_believes(drawn):
    signed = drawn.consider()
    heard = judge_statement(signed, drawn.drawing, drawn.fleet.entry(drawn.node), drawn.fleet.trust, NOW, NOW + 60)
    assert heard.valid and heard.statement.opinion is Opinion.AGREE
    assert heard.statement.claims.energy_mj > 0


def test_a_site_that_is_not_drawn_fetches_nothing_and_says_nothing(drawn):
    assert drawn.consider(trust=replace(drawn.fleet.trust, site_count=1_000_000)) is None
    assert drawn.fetched == []


def test_a_site_does_not_witness_itself(drawn):
    assert drawn.consider(drawing=replace(drawn.drawing, site=drawn.node.identity)) is None


def test_batches_that_cannot_be_had_are_an_abstention(drawn):
    def fails(epoch):
        raise FetchError("the link is down")

    statement = drawn.said(fetch=fails)
    assert (statement.opinion, statement.why) == (Opinion.ABSTAIN, Why.NOT_FETCHED)


def test_a_link_too_slow_for_the_window_is_an_abstention(drawn):
    def slow(epoch):
        drawn.time = UNTIL
        return drawn.fetch(epoch)

    statement = drawn.said(fetch=slow)
    assert (statement.opinion, statement.why) == (Opinion.ABSTAIN, Why.NOT_IN_TIME)
    assert len(drawn.fetched) == 1


def test_a_forged_batch_is_a_dissent_that_names_its_epoch(drawn):
    epoch = max(drawn.batches)
    drawn.batches[epoch] = drawn.batches[min(drawn.batches)]
    statement = drawn.said()
    assert (statement.opinion, statement.why, statement.epoch) == (Opinion.DISSENT, Why.ROOT_DIFFERS, epoch)


def test_seals_that_do_not_give_the_drawn_root_are_a_dissent(drawn):
    drawing = replace(drawn.drawing, root=bytes(32))
    statement = drawn.said(drawing=drawing)
    assert (statement.opinion, statement.why) == (Opinion.DISSENT, Why.ROOT_DIFFERS)
