"""A stored batch is believed only when the rules and everything that is registered allow it, in whatever order batches arrive."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest
from sqlalchemy import select
from thermogen_cloud.registry import Alert, BatchStatus
from thermogen_esf import frames
from thermogen_esf.signatures import SigningKey


def test_a_batch_by_an_unknown_key_is_stored_refused_and_receipted(cloud, site):
    batch = site.sign(site.draft(), SigningKey.generate())
    assert cloud.receive(batch).batch_hash == frames.frame_hash(batch)
    assert cloud.batch(batch).status is BatchStatus.REFUSED
    assert cloud.reasons(batch) == ["unknown-key"]


def test_a_batch_signed_by_another_sites_key_is_refused(cloud, site, new_site):
    other = new_site("tz-wellpad-beta-02")
    cloud.trust.enrol_site(other.enrolment)
    batch = site.sign(site.draft(), other.key)
    cloud.receive(batch)
    assert cloud.reasons(batch) == ["unknown-key"]
    assert "the key of site tz-wellpad-beta-02" in cloud.batch(batch).reasons[0]


def test_a_batch_of_a_site_that_nobody_enrolled_is_refused(cloud, new_site):
    batch = new_site("tz-wellpad-beta-02").batch()
    cloud.receive(batch, "tz-wellpad-beta-02")
    assert cloud.reasons(batch) == ["unknown-site"]


def test_a_batch_that_came_by_another_sites_topic_is_judged_by_its_signature_alone(cloud, site):
    batch = site.batch()
    cloud.receive(batch, "tz-wellpad-beta-02")
    assert cloud.receive(batch).header.site == site.identity
    assert cloud.batch(batch).status is BatchStatus.BELIEVED


def test_frames_missing_between_batches_are_a_gap(cloud, site):
    cloud.receive(site.batch())
    site.sequence += 3
    late = site.batch()
    cloud.receive(late)
    assert "sequence-gap" in cloud.reasons(late)


def test_frames_that_were_in_the_batch_before_are_an_overlap(cloud, site):
    cloud.receive(site.batch())
    site.sequence -= 3
    again = site.batch()
    cloud.receive(again)
    assert "sequence-overlap" in cloud.reasons(again)


def test_a_second_batch_of_an_epoch_is_refused_even_if_it_is_signed_and_chained(cloud, site):
    first = site.batch()
    other_history = replace(site, epoch=site.epoch - 1, number=0, sequence=0, previous=bytes(32), energy_mj=0, gas_raw=0, uptime_s=0)
    second = other_history.batch(battery_charge=100)
    for batch in (first, second):
        cloud.receive(batch)
    assert cloud.batch(first).status is BatchStatus.BELIEVED
    assert cloud.reasons(second) == ["overlap"]


def test_a_batch_waits_for_its_predecessor_and_says_so(cloud, site):
    first, second = site.batches(2)
    cloud.receive(second)
    waiting = cloud.batch(second)
    assert waiting.status is BatchStatus.STORED
    assert waiting.reasons[0].startswith("waiting for predecessor")
    cloud.receive(first)
    assert cloud.batch(second).status is BatchStatus.BELIEVED


@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[1::5])
def test_every_order_of_arrival_ends_in_the_same_belief(cloud, site, order):
    batches = site.batches(4)
    for index in order:
        cloud.receive(batches[index])
    assert [cloud.batch(batch).status for batch in batches] == [BatchStatus.BELIEVED] * 4


def test_a_forged_predecessor_decides_nothing(cloud, site):
    first, second = site.batches(2)
    forger = replace(site, number=0, sequence=0, previous=bytes(32), epoch=site.epoch - 2)
    cloud.receive(forger.sign(forger.draft(), SigningKey.generate()))
    cloud.receive(second)
    assert cloud.batch(second).status is BatchStatus.STORED
    cloud.receive(first)
    assert cloud.batch(second).status is BatchStatus.BELIEVED


def test_a_batch_after_one_that_is_refused_can_be_believed(cloud, site):
    draft = site.draft()
    refused = site.sign(replace(draft, root_source=frames.RootSource.HOST))
    after = site.batch()
    for batch in (refused, after):
        cloud.receive(batch)
    assert cloud.reasons(refused) == ["root-not-from-gateware"]
    assert cloud.batch(after).status is BatchStatus.BELIEVED


def test_more_energy_than_the_nameplate_allows_is_refused(cloud, site):
    cloud.receive(site.batch())
    site.energy_mj += 10**10
    boastful = site.batch()
    cloud.receive(boastful)
    assert "above-nameplate" in cloud.reasons(boastful)


def test_a_flipped_bit_anywhere_is_never_believed_and_never_stops_the_next_batch(cloud, site):
    random_bits = random.Random(7)
    batch = site.batch()
    for _ in range(20):
        flipped = bytearray(batch)
        flipped[random_bits.randrange(len(batch))] ^= 1 << random_bits.randrange(8)
        assert cloud.receive(bytes(flipped)).epoch == 0
    cloud.receive(batch)
    assert cloud.batch(batch).status is BatchStatus.BELIEVED


def test_what_a_crash_left_unjudged_is_judged_at_the_next_start(cloud, site):
    batches = site.batches(3)
    for batch in batches:
        cloud.intake.batch(site.name, batch)
    assert cloud.batch(batches[2]).status is BatchStatus.STORED
    cloud.judge.judge_waiting()
    assert [cloud.batch(batch).status for batch in batches] == [BatchStatus.BELIEVED] * 3


def test_alerts_of_a_batch_are_shown_once_it_is_believed(cloud, site):
    alert = site.alert()
    cloud.intake.alert(site.name, frames.encode(alert))
    cloud.receive(site.batch(alerts=(alert, site.alert("cold flow low"))))
    with cloud.registry.reading() as session:
        assert sorted(session.scalars(select(Alert.text))) == ["cold flow low", "hot side too hot"]
