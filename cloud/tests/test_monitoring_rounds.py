"""Whatever comes between two lines of a round, whoever follows the log finds nothing wrong with what the cloud logged."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from thermogen_cloud.registry import LoggedDay
from thermogen_esf.evidence.attestation.exchange import encode_seals
from thermogen_esf.evidence.attestation.monitoring import PublishedList
from thermogen_esf.monitor.seen import SeenLog
from thermogen_esf.monitor.watching import Kept, look

from .attesting_fleet import DAY, FIRST, AttestingCloud


class Published:
    """The log as the API publishes it."""

    def __init__(self, log):
        self._log = log

    def newest(self):
        return None if self._log.last is None else self._log.last.number

    def checkpoint(self, number):
        return next(iter(self._log.published(number, number)), None)

    def entries(self, first, last):
        return self._log.between(first, last)


@pytest.fixture
def cloud(tmp_path):
    cloud = AttestingCloud(tmp_path)
    yield cloud
    cloud.registry.close()


@pytest.fixture
def wrong(cloud, tmp_path):
    """What a monitor that follows from the log's beginning finds wrong; None where nothing is."""

    def find(enrolments=True):
        trust, seen = cloud.attestor.trust, SeenLog(tmp_path / "monitor", cloud.fleet.root.hash)
        keys = [dict(each.vrf_keys) if enrolments else None for each in trust.lists]
        known = {each.trust.hash: PublishedList(each.signed, each.trust, of_list) for each, of_list in zip(trust.lists, keys, strict=True)}
        try:
            return look(Published(cloud.attestor.log), seen, trust.root, known, Kept()).wrong
        finally:
            seen.close()
            (tmp_path / "monitor").unlink()

    return find


def days(cloud):
    with cloud.registry.reading() as session:
        return session.scalars(select(LoggedDay.day).order_by(LoggedDay.entry)).all()


@pytest.mark.parametrize("late", [0, 2], ids=["the day's only seal", "the closing seal"])
def test_a_seal_that_arrives_while_a_round_runs_closes_no_day_before_it_is_logged_itself(cloud, wrong, monkeypatch, late):
    seals = [cloud.node.seal(FIRST + 97), cloud.node.seal(FIRST + 192)]
    in_time, meanwhile = (seals[:1], seals[1:]) if late else (seals[1:], seals[:1])
    cloud.attestor.take_seals(encode_seals(in_time))
    suspend = cloud.attestor._suspend

    def arrives():
        cloud.attestor.take_seals(encode_seals(meanwhile))
        return suspend()

    monkeypatch.setattr(cloud.attestor, "_suspend", arrives)
    cloud.round()
    assert days(cloud) == [] and wrong() is None
    cloud.round()
    assert days(cloud) == [DAY + 1] and wrong() is None


def test_a_day_that_was_closed_before_power_failed_is_in_a_checkpoint_before_its_late_seals(cloud, wrong, monkeypatch):
    of_day = [cloud.node.seal(FIRST + 97), cloud.node.seal(FIRST + 98)]
    cloud.node.reboot()
    closing = cloud.node.seal(FIRST + 192)
    cloud.attestor.take_seals(encode_seals([of_day[0], closing]))

    def power_fails():
        raise OSError("power")

    cloud.attestor._freeze()
    monkeypatch.setattr(cloud.attestor, "_close_checkpoint", power_fails)
    with pytest.raises(OSError, match="power"):
        cloud.round()
    assert days(cloud) == [DAY + 1]
    cloud.open()
    cloud.attestor.take_seals(encode_seals(of_day[1:]))
    cloud.round()
    assert wrong() is None


def exchanged(cloud):
    """Both boards of a site seal epochs of one day, the old one's are logged, and a later seal of the new one closes the day."""
    old = [cloud.node.seal(FIRST + epoch) for epoch in (97, 98)]
    cloud.attestor.take_seals(encode_seals(old))
    cloud.round()
    cloud.replace_board()
    cloud.round()
    cloud.attestor.take_seals(encode_seals([cloud.node.seal(FIRST + epoch) for epoch in (98, 99, 192)]))
    cloud.round()
    assert days(cloud) == [DAY + 1]


def test_a_day_on_which_a_board_was_replaced_is_of_the_new_boards_seals(cloud, wrong):
    exchanged(cloud)
    assert wrong() is None


def test_without_the_enrolments_the_day_of_an_exchange_is_left_open(cloud, wrong):
    exchanged(cloud)
    assert wrong(enrolments=False) is None
