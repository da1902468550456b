"""The mint of a day is requested by itself: once, when the day is complete, and never in the way of what people decide."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
from sqlalchemy import select
from thermogen_cloud.daily import EPOCHS_A_DAY, DailyRequests
from thermogen_cloud.registry import MintRequest, MintState
from thermogen_esf import frames
from thermogen_esf.evidence.approval import Decision
from thermogen_esf.signatures import SigningKey

METHODOLOGY = "TZ-DISPLACED-GRID"
MIDNIGHT = 20_418 * EPOCHS_A_DAY
"""The first epoch of a day, near the tests' first one."""


@pytest.fixture
def site(new_site):
    """A site that begins three quarter-hours before midnight."""
    return new_site(epoch=MIDNIGHT - 3)


@pytest.fixture
def daily(cloud):
    return DailyRequests(cloud.registry, cloud.trust, cloud.minting, METHODOLOGY)


def requests(cloud):
    with cloud.registry.reading() as session:
        rows = session.scalars(select(MintRequest).order_by(MintRequest.first_epoch, MintRequest.number))
        return [(row.first_epoch, row.last_epoch, row.state) for row in rows]


def receive(cloud, site, count):
    for batch in site.batches(count):
        cloud.receive(batch)


EVENING = (MIDNIGHT - 3, MIDNIGHT - 1)


def test_a_day_is_requested_once_a_batch_of_the_next_day_is_believed_and_only_once(cloud, site, daily):
    receive(cloud, site, 3)
    daily.request()
    assert requests(cloud) == [], "more of the day may come"
    receive(cloud, site, 1)
    for again in (daily, daily, DailyRequests(cloud.registry, cloud.trust, cloud.minting, METHODOLOGY)):
        again.request()
    assert requests(cloud) == [(*EVENING, MintState.REQUESTED)]


def test_the_next_day_is_requested_when_the_one_before_it_is_decided(cloud, site, daily):
    receive(cloud, site, 3 + 3)
    site.epoch, site.boot_count, site.uptime_s = MIDNIGHT + EPOCHS_A_DAY, 2, 0  # off in between
    late = site.batch()
    cloud.receive(late)
    assert cloud.reasons(late) == []
    daily.request()
    daily.request()
    assert requests(cloud) == [(*EVENING, MintState.REQUESTED)]
    with cloud.registry.reading() as session:
        cloud.approve(session.scalars(select(MintRequest.hash)).one())
    daily.request()
    assert requests(cloud) == [(*EVENING, MintState.MINTED), (MIDNIGHT, MIDNIGHT + 2, MintState.REQUESTED)]


def test_a_day_that_was_rejected_is_not_requested_again(cloud, site, daily):
    receive(cloud, site, 4)
    cloud.approve(cloud.minting.request(site.name, *EVENING, METHODOLOGY), decision=Decision.REJECT)
    daily.request()
    assert requests(cloud) == [(*EVENING, MintState.REJECTED)]


def test_a_day_with_a_batch_of_the_sites_own_that_is_refused_is_left_to_people(cloud, site, daily):
    draft = site.draft()
    cloud.receive(site.sign(replace(draft, root_source=frames.RootSource.HOST)))
    receive(cloud, site, 3)
    daily.request()
    assert requests(cloud) == []


def test_what_others_send_in_a_sites_name_holds_no_day_up(cloud, site, daily):
    forger = replace(site)
    cloud.receive(forger.sign(forger.draft(), SigningKey.generate()))
    receive(cloud, site, 4)
    daily.request()
    assert requests(cloud) == [(*EVENING, MintState.REQUESTED)]


def test_a_day_below_the_least_mint_is_logged_once_and_can_be_requested_by_hand(cloud, site, daily, caplog):
    site.epoch = MIDNIGHT - 1
    receive(cloud, site, 2)
    with caplog.at_level(logging.WARNING, logger="thermogen_cloud.daily"):
        daily.request()
        daily.request()
    (record,) = [record for record in caplog.records if record.name == "thermogen_cloud.daily"]
    assert "least mint" in record.getMessage() and "request more epochs" in record.getMessage()
    assert requests(cloud) == []
    cloud.minting.request_unminted(site.name, METHODOLOGY)
    assert requests(cloud) == [(MIDNIGHT - 1, MIDNIGHT, MintState.REQUESTED)]


def test_by_hand_the_longest_stretch_between_refused_epochs_is_requested(cloud, site):
    receive(cloud, site, 2)
    cloud.receive(site.sign(replace(site.draft(), root_source=frames.RootSource.HOST)))
    first = site.epoch
    receive(cloud, site, 3)
    cloud.minting.request_unminted(site.name, METHODOLOGY)
    assert requests(cloud) == [(first, first + 2, MintState.REQUESTED)]


@pytest.mark.slow
def test_the_running_cloud_requests_by_itself(cloud_process, uplink, site, wait):
    cloud_process.start()
    link = uplink()
    for batch in site.batches(4):
        link.send(batch)
    wait(lambda: [row["status"] for row in cloud_process.get("batches")] == ["believed"] * 4, "all are believed")
    cloud_process.stop()
    cloud_process.start()  # sooner than the minute
    (mint,) = wait(lambda: cloud_process.get("mints"), "the day is requested")
    assert (mint["first_epoch"], mint["last_epoch"], mint["state"]) == (*EVENING, "requested")
