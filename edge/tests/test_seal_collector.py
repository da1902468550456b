"""Seals on their way from the node to the cloud: each is kept once, and what cannot be had any more is told."""

from contextlib import contextmanager

import pytest
from thermogen_edge.buffer import Buffer, BufferError
from thermogen_edge.buffer.outbox import Outbox
from thermogen_edge.sealer import SealCollector
from thermogen_esf.frames import AlertCode, frame_hash
from thermogen_esf.hostlink_seal import RING_SEALS
from thermogen_sim.fleet.node import SealingNode
from thermogen_sim.fleet.sealer import ModelSealer


class Alarms(list):
    """What was raised."""

    def raise_(self, alarm):
        self.append(alarm)


class Site:
    """A node's seals and the buffer that they go to; `restart` is another daemon on the same disk."""

    def __init__(self, path):
        self.node = SealingNode.named("tz-0000")
        self.sealer = ModelSealer(self.node)
        self.alarms = Alarms()
        self.path = path
        self.restart()

    def restart(self):
        self.buffer = Buffer(self.path / "buffer.sqlite", 10_000_000)
        self.outbox = Outbox(self.buffer.database)
        self.collector = SealCollector(self.sealer, self.outbox, self.node.identity, self.alarms)

    def seal(self, *epochs):
        return [self.node.seal(epoch).encode() for epoch in epochs]

    @property
    def waiting(self):
        return [message for _, kind, message in self.outbox.waiting(9_999) if kind == "seals"]

    @property
    def lost(self):
        assert all(alarm.code is AlertCode.SEALS_LOST for alarm in self.alarms)
        return [(alarm.value, alarm.text) for alarm in self.alarms]


@pytest.fixture
def site(tmp_path):
    made = Site(tmp_path)
    yield made
    made.buffer.close()


def test_a_seal_is_kept_once_until_its_receipt_and_never_again(site):
    site.collector.collect()
    assert site.waiting == []
    seals = site.seal(5)
    for _ in range(2):
        site.collector.collect()
    seals += site.seal(6)
    site.collector.collect()
    assert site.waiting == seals
    for seal in seals:
        assert site.outbox.receipted(frame_hash(seal))
    site.buffer.close()
    site.restart()
    site.collector.collect()
    assert site.waiting == [] and site.lost == []


def test_a_daemon_that_was_away_takes_every_seal_in_order(site):
    seals = site.seal(5)
    site.collector.collect()
    site.buffer.close()
    seals += site.seal(6, 7, 8, 10)
    site.restart()
    site.collector.collect()
    assert site.waiting == seals and site.lost == []


def test_seals_that_the_node_overwrote_are_told(site):
    site.seal(5)
    site.collector.collect()
    seals = site.seal(*range(6, 6 + RING_SEALS + 1))
    site.collector.collect()
    assert site.waiting[1:] == seals[1:]
    ((value, text),) = site.lost
    assert value == 6 and "between epochs 5 and 7" in text


def test_seals_that_went_with_the_nodes_power_are_told_once_and_the_next_boot_is_no_gap(site):
    site.seal(5)
    site.collector.collect()
    site.seal(6, 7)
    site.sealer.power_cycle()
    for _ in range(2):
        site.collector.collect()
    assert [(value, text.split(":")[0]) for value, text in site.lost] == [(7, "seals are lost of epochs 6 to 7")]
    first = site.seal(9)
    site.collector.collect()
    assert site.waiting[1:] == first and len(site.lost) == 1


def test_a_power_cycle_that_took_no_seal_is_not_told(site):
    site.seal(5, 6)
    site.collector.collect()
    site.sealer.power_cycle()
    site.collector.collect()
    site.seal(8)
    site.collector.collect()
    assert site.lost == [] and len(site.waiting) == 3


def test_a_seal_of_another_site_or_none_at_all_is_passed_over_and_does_not_come_again(site, monkeypatch):
    first = site.seal(5)
    site.collector.collect()
    site.node.seal(6, site=b"another!")
    second = site.seal(7)
    site.collector.collect()
    assert site.waiting == first + second and site.lost == []
    monkeypatch.setattr(site.sealer, "seals_after", lambda known: [] if known == bytes(186) else [bytes(186)])
    site.collector.collect()
    site.collector.collect()
    assert site.waiting == first + second


@pytest.mark.parametrize("written", range(4))
def test_power_that_fails_among_several_seals_leaves_them_to_be_taken_again(site, monkeypatch, written):
    seals = site.seal(5, 6, 7)
    changes = site.buffer.database.transaction
    left = written

    @contextmanager
    def fails():
        nonlocal left
        if site.buffer.database._depth == 0:
            if left == 0:
                raise BufferError("the power is gone")
            left -= 1
        with changes():
            yield

    monkeypatch.setattr(site.buffer.database, "transaction", fails)
    if written < 3:
        with pytest.raises(BufferError):
            site.collector.collect()
        site.buffer.close()
        site.restart()
        assert site.waiting == seals[:written]
    site.collector.collect()
    assert site.waiting == seals and site.lost == []
