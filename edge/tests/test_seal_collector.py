"""Seals on their way from the node to the cloud: each is kept once, and what cannot be had any more is told."""

from contextlib import contextmanager

import pytest
from thermogen_edge.alerts import Alerts
from thermogen_edge.buffer import BufferError, BufferFullError, open_buffer
from thermogen_edge.buffer.outbox import Outbox
from thermogen_edge.sealer import SEALS_AT_ONCE, SealCollector
from thermogen_esf.frames import AlertCode, Severity, decode, frame_hash
from thermogen_esf.hostlink_seal import RING_SEALS, KeptSeal
from thermogen_sim.fleet.node import SealingNode
from thermogen_sim.fleet.sealer import ModelSealer


class Site:
    """A node's seals and the buffer that they go to; `restart` is another daemon on the same disk."""

    def __init__(self, path):
        self.node = SealingNode.named("tz-0000")
        self.sealer = ModelSealer(self.node)
        self.published = []
        self.path = path / "buffer.sqlite"
        self.start()

    def start(self):
        self.buffer = open_buffer(self.path, 10_000_000)
        self.outbox = Outbox(self.buffer.database)
        alerts = Alerts(self.buffer, self.node.identity, self.published.append)
        self.collector = SealCollector(self.sealer, self.outbox, self.node.identity, alerts)

    def restart(self):
        self.buffer.close()
        self.start()

    def seal(self, *epochs):
        return [self.node.seal(epoch).encode() for epoch in epochs]

    def collect(self):
        """All that the node has."""
        while self.collector.collect():
            pass

    @property
    def waiting(self):
        return [message for _, kind, message in self.outbox.waiting(9_999) if kind == "seals"]

    @property
    def lost(self):
        """What was told: just what is stored for the next batch."""
        assert [frame for (frame,) in self.buffer.database.rows("SELECT frame FROM alerts ORDER BY number")] == self.published
        alerts = [decode(frame) for frame in self.published]
        assert all(alert.code == AlertCode.SEALS_LOST for alert in alerts)
        return [(alert.value, alert.text) for alert in alerts]

    @property
    def lost_up_to(self):
        return [value for value, _ in self.lost]


@contextmanager
def power_failing(database, left):
    """The power is gone before the statement after the next `left` of the buffer; yields whether it failed."""
    change = database.change
    failed = []

    def fails(statement, *values):
        nonlocal left
        if left == 0:
            failed.append(True)
            raise BufferError("the power is gone")
        left -= 1
        return change(statement, *values)

    database.change = fails
    yield failed
    database.change = change


@pytest.fixture
def site(tmp_path):
    made = Site(tmp_path)
    yield made
    made.buffer.close()


def test_a_seal_is_kept_once_until_its_receipt_and_never_again(site):
    site.collect()
    assert site.waiting == []
    seals = site.seal(5)
    for _ in range(2):
        site.collect()
    seals += site.seal(6)
    site.collect()
    assert site.waiting == seals
    for seal in seals:
        assert site.outbox.receipted(frame_hash(seal))
    site.restart()
    site.collect()
    assert site.waiting == [] and site.lost == []


def test_a_daemon_that_was_away_takes_every_seal_in_order(site):
    seals = site.seal(5)
    site.collect()
    site.buffer.close()
    seals += site.seal(6, 7, 8, 10)
    site.start()
    site.collect()
    assert site.waiting == seals and site.lost == []


def test_after_a_long_absence_a_look_takes_some_seals_in_one_transaction_the_oldest_first(site):
    seals = site.seal(1)
    site.collect()
    seals += site.seal(*range(2, 2 + 3 * SEALS_AT_ONCE))
    statements, change = [], site.buffer.database.change
    site.buffer.database.change = lambda statement, *values: statements.append(statement) or change(statement, *values)
    for look in range(1, 4):
        statements.clear()
        assert site.collector.collect()
        assert site.waiting == seals[: 1 + look * SEALS_AT_ONCE]
        assert statements.count("COMMIT") == 1
    assert not site.collector.collect()
    assert site.waiting == seals and site.lost == []


def test_seals_that_the_node_overwrote_are_told(site):
    site.seal(5)
    site.collect()
    seals = site.seal(*range(6, 6 + RING_SEALS + 1))
    site.collect()
    assert site.waiting[1:] == seals[1:]
    ((value, text),) = site.lost
    assert value == 6 and "between epochs 5 and 7" in text


def test_seals_that_went_with_the_nodes_power_are_told_once_and_the_next_boot_is_no_gap(site):
    site.seal(5)
    site.collect()
    site.seal(6, 7)
    for _ in range(2):  # the second time before the node could seal again
        site.sealer.power_cycle()
        for _ in range(2):
            site.collect()
            site.restart()
    assert [(value, text.split(":")[0]) for value, text in site.lost] == [(7, "seals are lost of epochs 6 to 7")]
    first = site.seal(9)
    site.collect()
    assert site.waiting[1:] == first and len(site.lost) == 1


def test_seals_that_may_have_gone_with_the_nodes_power_while_nobody_looked_are_told_as_such(site):
    site.seal(5)
    site.collect()
    site.seal(6, 7)
    site.sealer.power_cycle()
    first = site.seal(9)
    for _ in range(2):
        site.collect()
        site.restart()
    ((value, text),) = site.lost
    assert value == 8 and "may be lost between epochs 5 and 9" in text
    assert decode(site.published[0]).severity is Severity.WARNING
    assert site.waiting[1:] == first


def test_a_power_cycle_between_two_epochs_that_follow_each_other_lost_nothing(site):
    site.seal(5)
    site.collect()
    site.sealer.power_cycle()
    site.seal(6)
    site.collect()
    assert site.lost == [] and len(site.waiting) == 2


def test_a_power_cycle_that_took_no_seal_is_not_told(site):
    site.seal(5, 6)
    site.collect()
    site.sealer.power_cycle()
    site.collect()
    site.seal(8)
    site.collect()
    assert site.lost == [] and len(site.waiting) == 3


def test_what_is_no_seal_of_this_site_is_told_once_and_hides_no_gap(site, monkeypatch):
    kept = site.seal(5)
    site.collect()
    site.node.seal(6, site=b"another!")
    kept += site.seal(7)
    for _ in range(2):
        site.collect()
        site.restart()
    assert site.waiting == kept
    assert site.lost_up_to == [6] and "of site" in site.lost[0][1]

    true = site.sealer.seals_after
    bad = site.node.seal(8).encode()

    def damaged(taken, count):
        given = [KeptSeal(each.number, bytes(186) if each.data == bad else each.data) for each in true(None, RING_SEALS)]
        return given[given.index(taken) + 1 :][:count]

    monkeypatch.setattr(site.sealer, "seals_after", damaged)
    for _ in range(2):
        site.collect()
        site.restart()
    assert site.lost_up_to == [6, 8]
    site.seal(9)
    site.node.seals.pop()  # overwritten before anybody read it
    kept += site.seal(10)
    site.collect()
    assert site.waiting == kept
    assert site.lost_up_to == [6, 8, 9] and "between epochs 7 and 10" in site.lost[2][1]


@pytest.mark.parametrize("lost", ["overwritten", "with the power", "unseen", "damaged"])
def test_power_that_fails_at_any_statement_tells_of_lost_seals_once_and_keeps_the_others_once(tmp_path, lost):
    place, failed = 0, True
    while failed:
        (tmp_path / str(place)).mkdir()
        site = Site(tmp_path / str(place))
        site.seal(5)
        site.collect()
        site.seal(6)
        if lost == "overwritten":
            site.node.seals.pop()
        elif lost == "damaged":
            site.node.seals[-1] = SealingNode.named("tz-0001").seal(6)
        else:
            site.sealer.power_cycle()
        kept = [] if lost == "with the power" else site.seal(8, 9)
        with power_failing(site.buffer.database, place) as failed:
            try:
                site.collect()
            except BufferError:
                assert site.published == []
        site.restart()
        site.collect()
        assert len(site.lost) == (2 if lost == "damaged" else 1)
        assert site.waiting[1:] == kept
        site.buffer.close()
        place += 1
    assert place > 5


def test_a_full_disk_tells_of_lost_seals_once_it_has_room(site):
    site.seal(5)
    site.collect()
    seals = site.seal(*range(6, 6 + RING_SEALS + 1))
    (pages,) = site.buffer.database.row("PRAGMA page_count")
    site.buffer.database.rows(f"PRAGMA max_page_count = {pages}")
    for _ in range(5):
        with pytest.raises(BufferFullError):
            site.collect()
        assert site.published == []
    site.buffer.database.rows(f"PRAGMA max_page_count = {pages + 1000}")
    site.collect()
    assert site.lost_up_to == [6]
    assert site.waiting[1:] == seals[1:]


def test_a_daemon_that_is_new_at_seals_knows_the_newest_that_waits_for_its_receipt(site):
    site.seal(5, 6)
    site.collect()
    for column in ("last_seal", "taken_seal", "taken_number", "told_lost_up_to", "looked_back_in", "told_calibration"):
        site.buffer.database.change(f"ALTER TABLE counters DROP COLUMN {column}")
    site.buffer.database.change("PRAGMA user_version = 4")
    site.seal(7)
    site.sealer.power_cycle()
    site.restart()
    site.collect()
    assert site.lost_up_to == [7]


def test_a_database_whose_counters_rotted_still_knows_the_last_seal(site):
    seals = site.seal(*range(1, 9))
    site.collect()
    seals += site.seal(*range(9, 5 + RING_SEALS))
    site.collect()
    (page,) = site.buffer.database.row("SELECT rootpage FROM sqlite_master WHERE name = 'counters'")
    site.buffer.close()
    with site.path.open("r+b") as file:
        file.seek(4096 * (page - 1))
        file.write(b"\xff" * 4096)
    site.start()
    assert site.outbox.seal_progress.last == seals[-1]
    site.buffer.database.take_reports()
    seals += site.seal(900)
    site.collect()  # from the node's oldest on: it cannot know which of them were stored
    assert site.waiting == seals and site.lost == []
    site.seal(901)
    site.sealer.power_cycle()
    site.collect()
    assert site.lost_up_to == [901]
