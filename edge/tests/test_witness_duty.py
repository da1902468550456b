"""A daemon's duty as a witness: drawn by its own node, it fetches, judges and says so in time, whatever the link does."""

from __future__ import annotations

from dataclasses import replace

import pytest
from thermogen_edge.attestation_trust import AttestationTrust, AttestationTrustError, load_attestation_trust
from thermogen_edge.buffer.outbox import Outbox
from thermogen_edge.host_link.transport import HostLinkError
from thermogen_edge.witness_duty import AT_ONCE, MOST_DUTIES, SPARE_S, WitnessDuty
from thermogen_esf.evidence.attestation.draw import WINDOW_S
from thermogen_esf.evidence.attestation.exchange import Announcement, encode_published, parse_request
from thermogen_esf.evidence.attestation.seal import Seal
from thermogen_esf.evidence.attestation.signed import Signed
from thermogen_esf.evidence.attestation.statement import Opinion, Statement, Why, judge_statement
from thermogen_sim.fleet.attacks import World
from thermogen_sim.fleet.enrolling import signing_key
from thermogen_sim.fleet.sealer import ModelSealer

from .site_services import wait_until

WORLD = World()


class Duty:
    """A drawn day of a fleet, and the second site's daemon as far as it witnesses."""

    def __init__(self, buffer, epochs=6, sites=6):
        self.day = WORLD.day(WORLD.fleet(sites))
        self.day.epochs = epochs
        self.day.measure()
        self.day.close()
        self.now = self.day.drawn.time + 10
        self.node = self.day.fleet.nodes[1]
        self.sealer = ModelSealer(self.node)
        self.outbox = Outbox(buffer.database)
        self.sent, self.linked = [], True
        entries = {each.enrolment.name: each.enrolment for each in self.day.fleet.entries}
        trust = AttestationTrust(self.day.fleet.trust, entries)
        key = signing_key(self.node.name)
        self.duty = WitnessDuty(self.node.identity, key, self.sealer, trust, self.outbox, self.publish, lambda: self.now)
        drawing = self.day.drawing
        self.announced = Announcement(self.day.node.name, drawing.beacon_number, drawing.beacon, self.day.drawn.time + 300, self.day.day)

    def publish(self, kind, message):
        if self.linked:
            self.sent.append((kind, parse_request(message)))
        return self.linked

    def answer(self, batches=None):
        """What was asked for comes, once."""
        asked, self.sent = self.sent, []
        for _, (site, epoch) in asked:
            given = [self.day.batches[epoch]] if batches is None else batches(epoch)
            self.duty.published(encode_published(site, epoch, given))

    def until_said(self, after=0):
        """The statement after so many others."""

        def said():
            self.duty.step()
            self.answer()
            return len(self.outbox.waiting(9)) > after

        wait_until(said, "a statement is made")
        ((_, kind, message),) = self.outbox.waiting(9)[after:]
        assert kind == "statement"
        return Signed.parse(message)


@pytest.fixture
def duty(buffer):
    made = Duty(buffer)
    yield made
    made.duty.close()


def test_a_drawn_site_fetches_judges_and_says_what_a_verifier_believes(duty):
    duty.duty.announced(duty.announced.encode())
    signed = duty.until_said()
    fleet, drawn_at = duty.day.fleet, duty.day.drawn.time
    heard = judge_statement(signed, duty.day.drawing, fleet.entry(duty.node), fleet.trust, drawn_at, drawn_at + 60)
    assert heard.valid and heard.statement.opinion is Opinion.AGREE
    assert heard.statement == replace(duty.day.found_by(duty.node), time=duty.now)


def test_a_drawing_that_is_announced_again_is_answered_once(duty):
    for _ in range(3):
        duty.duty.announced(duty.announced.encode())
    duty.until_said()
    duty.duty.announced(duty.announced.encode())
    duty.duty.step()
    assert duty.sealer.draws == 1 and len(duty.outbox.waiting(9)) == 1


def test_only_so_many_epochs_are_asked_for_at_a_time(duty):
    duty.duty.announced(duty.announced.encode())
    for _ in range(5):
        duty.duty.step()
    assert len(duty.sent) == AT_ONCE
    duty.answer()
    duty.duty.step()
    assert [epoch for _, (_, epoch) in duty.sent] == [seal.epoch for seal in duty.day.day.seals[AT_ONCE:]]


def test_a_site_that_is_not_drawn_fetches_and_says_nothing(buffer):
    made = Duty(buffer)
    trust = AttestationTrust(replace(made.day.fleet.trust, site_count=1_000_000), {made.day.node.name: made.day.enrolment})
    made.duty._trust = trust
    made.duty.announced(made.announced.encode())
    for _ in range(3):
        made.duty.step()
    assert (made.sealer.draws, made.sent, made.outbox.waiting(9)) == (1, [], [])
    made.duty.close()


def test_batches_that_do_not_come_in_time_are_an_abstention(duty):
    duty.linked = False
    duty.duty.announced(duty.announced.encode())
    duty.duty.step()
    duty.duty.step()
    duty.now = duty.announced.until - SPARE_S
    statement = Statement.parse(duty.until_said().document)
    assert (statement.opinion, statement.why) == (Opinion.ABSTAIN, Why.NOT_FETCHED)


def another(day, epoch):
    """A second batch of an epoch, which the site signed too."""
    return replace(day.before[epoch], batches=[]).epoch(epoch, day.leaves - 1, bend=day.hashes)


def test_two_batches_of_an_epoch_are_a_dissent(duty):
    duty.duty.announced(duty.announced.encode())
    duty.duty.step()
    duty.duty.step()
    duty.answer(lambda epoch: [duty.day.batches[epoch], another(duty.day, epoch)])
    statement = Statement.parse(duty.until_said().document)
    assert (statement.opinion, statement.why) == (Opinion.DISSENT, Why.TWO_BATCHES)


def announcements_of_a_brokers_own(duty):
    """The same drawing, with seals that are not the log's around the day."""
    day = duty.day.day
    raw = bytearray(day.closing.encode())
    raw[-1] ^= 1
    later = duty.day.node.seal(day.closing.epoch + 1)
    for closing in (Seal.decode(bytes(raw)), later):
        yield replace(duty.announced, day=replace(day, closing=closing))


def test_seals_that_a_broker_made_up_are_not_judged_and_the_clouds_own_still_are(duty):
    for forged in announcements_of_a_brokers_own(duty):
        assert forged.drawing == duty.announced.drawing
        duty.duty.announced(forged.encode())
        duty.duty.step()
    assert duty.sealer.draws == 0
    duty.duty.announced(duty.announced.encode())
    assert Statement.parse(duty.until_said().document).opinion is Opinion.AGREE


def test_what_the_site_did_not_sign_for_the_epoch_is_not_judged(duty):
    batches = duty.day.batches
    duty.duty.announced(duty.announced.encode())
    duty.duty.step()
    duty.duty.step()
    duty.answer(lambda _epoch: [b"junk", batches[max(batches)][:-9] + bytes(9)])
    duty.duty.step()
    duty.answer(lambda epoch: [b"junk", batches[epoch], batches[min(set(batches) - {epoch})]])
    assert Statement.parse(duty.until_said().document).opinion is Opinion.AGREE


def test_batches_that_nobody_signed_are_an_abstention(duty):
    duty.duty.announced(duty.announced.encode())
    for _ in range(5):
        duty.duty.step()
        duty.answer(lambda _epoch: [b"junk"])
    duty.sent, duty.linked = [], False
    duty.now = duty.announced.until - SPARE_S
    statement = Statement.parse(duty.until_said().document)
    assert (statement.opinion, statement.why) == (Opinion.ABSTAIN, Why.NOT_FETCHED)


def test_drawings_that_are_announced_for_ever_are_over_when_a_window_is(duty):
    for number in range(MOST_DUTIES):
        duty.duty.announced(replace(duty.announced, beacon=bytes([number]) * 32, until=4_000_000_000).encode())
    duty.duty.step()
    duty.now += WINDOW_S + 2 * SPARE_S

    def over():
        duty.duty.step()
        return len(duty.outbox.waiting(9)) == MOST_DUTIES

    wait_until(over, "all abstain")
    duty.duty.announced(replace(duty.announced, until=duty.now + WINDOW_S).encode())
    assert Statement.parse(duty.until_said(MOST_DUTIES).document).opinion is Opinion.AGREE


def test_a_busy_node_is_asked_again_and_one_that_does_not_answer_keeps_the_duty(duty, monkeypatch):
    duty.sealer.busy = True
    duty.duty.announced(duty.announced.encode())
    duty.duty.step()
    duty.sealer.busy = False
    with monkeypatch.context() as patched:
        patched.setattr(duty.sealer, "draw", _no_node)
        with pytest.raises(HostLinkError):
            duty.duty.step()
    assert Statement.parse(duty.until_said().document).opinion is Opinion.AGREE


def _no_node(_given):
    raise HostLinkError("nothing answers")


def test_what_is_not_an_announcement_or_an_answer_changes_nothing(duty):
    late = replace(duty.announced, until=duty.now + SPARE_S)
    stranger = replace(duty.announced, site="tz-stranger")
    for message in (b"", b"{}", b"\x00" * 500, late.encode(), stranger.encode()):
        duty.duty.announced(message)
        duty.duty.published(message)
    duty.duty.published(encode_published(duty.day.node.identity, 1, [b"unasked"]))
    duty.duty.step()
    assert duty.sealer.draws == 0 and duty.sent == []


def test_a_flood_of_drawings_is_bounded(duty):
    for number in range(MOST_DUTIES + 3):
        duty.duty.announced(replace(duty.announced, beacon=bytes([number]) * 32).encode())
    duty.duty.step()
    assert duty.sealer.draws == MOST_DUTIES


def write_trust(fleet, folder, **changes):
    (folder / "enrolments").mkdir(parents=True)
    (folder / "root.json").write_bytes(fleet.root.encode())
    (folder / "trust.signed").write_bytes(fleet.signed_trust(*changes.get("signers", ())).encode())
    for entry in fleet.entries[changes.get("without", 0) :]:
        (folder / "enrolments" / f"{entry.enrolment.name}.json").write_bytes(entry.enrolment.encode())


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, ""),
        ({"signers": ("rita",)}, "2 are needed"),
        ({"signers": ("eve", "rita")}, "2 are needed"),
        ({"without": 1}, "site enrolled"),
    ],
)
def test_a_list_that_the_root_keys_did_not_sign_or_whose_sites_are_missing_is_not_believed(tmp_path, changes, says):
    fleet = WORLD.fleet()
    write_trust(fleet, tmp_path / "trust", **changes)
    now = fleet.trust.valid_from + 10_000
    if not changes:
        assert len(load_attestation_trust(tmp_path / "trust", now).sites) == 6
        return
    with pytest.raises(AttestationTrustError, match=says):
        load_attestation_trust(tmp_path / "trust", now)
