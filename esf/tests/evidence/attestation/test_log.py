"""The log only grows, its beacon follows from the seals in it, and nobody knows a beacon before the seals are made."""

from dataclasses import replace
from hashlib import sha3_256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thermogen_esf.evidence.attestation.beacon import (
    LEAST_CONTRIBUTORS,
    contributions,
    contributions_hash,
    genesis,
    judge_contributions,
)
from thermogen_esf.evidence.attestation.beacon import after as after_beacon
from thermogen_esf.evidence.attestation.enrolment import vrf_keys
from thermogen_esf.evidence.attestation.log import (
    CHECKPOINT_CONTEXT,
    Checkpoint,
    Log,
    LogError,
    day_entry,
    judge_beacon,
    judge_checkpoint,
    judge_first_beacon,
    judge_growth,
    judge_inclusion,
    judge_successor,
    seal_entry,
    statement_entry,
    trust_entry,
)
from thermogen_esf.evidence.attestation.signed import Signed
from thermogen_esf.evidence.canonical import canonical
from thermogen_esf.evidence.check import Reason


def _reasons(checks):
    return {check.reason for check in checks if check.passed is False}


@pytest.fixture
def log(fleet):
    log = Log(fleet.root.hash)
    log.append(trust_entry(fleet.trust.hash))
    return log


def test_a_beacon_is_what_the_document_says(fleet, log, now):
    seals = [node.seal(10) for node in fleet.nodes]
    for seal in seals:
        log.append(seal_entry(seal))
    first = log.checkpoint(now)
    hashed = sha3_256(
        b"".join(seal.site + (10).to_bytes(4, "big") + seal.output for seal in sorted(seals, key=lambda seal: seal.site))
    ).digest()
    before = sha3_256(b"TZ beacon0" + fleet.root.hash).digest()
    assert first.beacon == sha3_256(b"TZ beacon2" + before + (1).to_bytes(8, "big") + b"\0\0\0\5" + hashed).digest()
    assert first.beacons == 1


def _sealed(fleet, log, epoch, count, time):
    """The checkpoint that adds so many sites' seals of an epoch."""
    for node in fleet.nodes[:count]:
        log.append(seal_entry(node.seal(epoch)))
    return log.checkpoint(time)


@pytest.mark.parametrize("few", [(), (0,), (0, 0, 0), (1, 2), (LEAST_CONTRIBUTORS - 1, 0)])
def test_checkpoints_to_which_too_few_contributed_change_neither_beacon_nor_the_next_one(new_node, fleet, now, few):
    """Else whoever closes them would have a beacon for each number of them, without a seal left out."""
    chains = []
    for between in ((), few):
        log = Log(fleet.root.hash)
        nodes = [new_node(f"tz-{number}") for number in range(LEAST_CONTRIBUTORS)]
        for node in nodes:
            log.append(seal_entry(node.seal(10)))
        chain = [log.checkpoint(now)]
        for epoch, count in enumerate(between, 20):
            for number in range(count):
                log.append(seal_entry(new_node(f"tz-early-{number}").seal(epoch)))
            chain.append(log.checkpoint(now))
        for node in nodes:
            log.append(seal_entry(node.seal(30)))
        chains.append([*chain, log.checkpoint(now)])
    honest, ground = chains
    assert [(each.beacons, each.beacon) for each in ground[:-1]] == [(1, honest[0].beacon)] * (len(few) + 1)
    assert (ground[-1].beacons, ground[-1].beacon) == (2, honest[-1].beacon) and ground[-1].beacon != honest[0].beacon


def test_a_checkpoint_that_counts_a_beacon_it_did_not_make_or_none_that_it_made_is_refused(fleet, log, now):
    none = log.checkpoint(now)
    assert (none.beacons, none.beacon) == (0, genesis(fleet.root.hash)) and judge_first_beacon(fleet.root.hash, none).passed
    few, enough = _sealed(fleet, log, 10, 3, now), _sealed(fleet, log, 11, 4, now)
    for before, after in ((none, few), (few, enough)):
        assert judge_beacon(before, after).passed
        for beacons in (after.beacons + 1, after.number + 1, 1 - after.beacons):
            assert judge_beacon(before, replace(after, beacons=beacons)).reason is Reason.WRONG_BEACON
        other = after_beacon(before.beacons, before.beacon, 7 - after.contributors, after.contributions)
        assert judge_beacon(before, replace(after, beacons=other[0], beacon=other[1])).reason is Reason.WRONG_BEACON
    assert judge_first_beacon(fleet.root.hash, replace(none, beacons=1)).reason is Reason.WRONG_BEACON
    assert judge_first_beacon(bytes(32), none).reason is Reason.WRONG_BEACON


def test_a_checkpoint_of_an_older_beacon_is_none(log, now):
    older = {name: value for name, value in log.checkpoint(now).values().items() if name != "beacons"}
    with pytest.raises(LogError, match="not a checkpoint of version 2"):
        Checkpoint.parse(canonical({"version": 1, **older}))


@settings(max_examples=25)
@given(st.permutations(range(5)))
def test_the_order_in_which_seals_are_logged_chooses_nothing(new_node, order):
    seals = [new_node(f"tz-{number}").seal(10) for number in range(5)]
    assert contributions_hash(contributions([seals[index] for index in order])) == contributions_hash(contributions(seals))


def test_a_site_that_comes_late_with_a_month_contributes_one_seal(node, other):
    seals = [node.seal(epoch) for epoch in range(10, 20)] + [other.seal(19)]
    assert [each.epoch for each in contributions(seals)] == [19, 19]
    assert contributions(seals[-2:]) == contributions(seals)


def test_a_checkpoint_follows_on_the_one_before_it(fleet, log, now):
    first = log.checkpoint(now)
    log.append(seal_entry(fleet.nodes[0].seal(10)))
    second = log.checkpoint(now + 60)
    assert not _reasons(judge_growth(first, second, log.consistency(first.size, second.size)))
    assert Checkpoint.parse(second.encode()) == second


def test_a_rewritten_log_is_seen(fleet, log, now):
    first = log.checkpoint(now)
    forked = Log(fleet.root.hash, [trust_entry(bytes(32)), statement_entry(bytes(32))], first)
    second = forked.checkpoint(now + 60)
    assert _reasons(judge_growth(first, second, forked.consistency(1, 2))) == {Reason.LOG_FORKED}


def test_a_checkpoint_of_another_history_is_seen(log, now):
    first = log.checkpoint(now)
    other = replace(first, time=now + 1)
    third = log.checkpoint(now + 60)
    assert _reasons(judge_growth(other, third, log.consistency(1, 1))) == {Reason.LOG_FORKED}


def test_a_checkpoint_that_is_older_or_shorter_than_the_one_before_it_does_not_follow(fleet, log, now):
    log.append(seal_entry(fleet.nodes[0].seal(10)))
    first = log.checkpoint(now)
    second = log.checkpoint(now)
    assert not _reasons(judge_successor(first, second))
    assert _reasons(judge_successor(first, replace(second, time=now - 1))) == {Reason.LOG_FORKED}
    assert _reasons(judge_successor(first, replace(second, size=first.size - 1))) == {Reason.LOG_FORKED}


def test_a_beacon_that_the_cloud_chose_is_seen(log, now):
    first = log.checkpoint(now)
    second = log.checkpoint(now + 60)
    chosen = replace(second, beacon=sha3_256(b"one that I like").digest())
    assert _reasons(judge_growth(first, chosen, [])) == {Reason.WRONG_BEACON}


def test_outputs_of_nodes_that_do_not_exist_do_not_choose_the_beacon(fleet, new_node):
    keys = dict(vrf_keys([each.enrolment for each in fleet.entries]))
    seals = [node.seal(10) for node in fleet.nodes]
    given_ = contributions(seals)
    assert judge_contributions(seals, keys, len(given_), contributions_hash(given_)).passed
    ground = [*seals, new_node("tz-ground").seal(10)]
    given_ = contributions(ground)
    assert judge_contributions(ground, keys, len(given_), contributions_hash(given_)).reason is Reason.WRONG_BEACON
    forged = [*seals[:-1], replace(seals[-1], root=bytes(32))]
    given_ = contributions(forged)
    assert judge_contributions(forged, keys, len(given_), contributions_hash(given_)).reason is Reason.WRONG_BEACON


def test_a_seal_that_the_checkpoint_counts_and_does_not_show_is_missed(fleet):
    keys = dict(vrf_keys([each.enrolment for each in fleet.entries]))
    seals = [node.seal(10) for node in fleet.nodes]
    given_ = contributions(seals)
    assert judge_contributions(seals[:-1], keys, len(given_), contributions_hash(given_)).reason is Reason.WRONG_BEACON


def test_a_beacon_of_too_few_sites_draws_nothing_since_it_could_be_foreseen(fleet, log, now):
    for node in fleet.nodes[: LEAST_CONTRIBUTORS - 1]:
        log.append(seal_entry(node.seal(10)))
    assert not log.checkpoint(now).draws
    for node in fleet.nodes[:LEAST_CONTRIBUTORS]:
        log.append(seal_entry(node.seal(11)))
    assert log.checkpoint(now + 60).draws


def test_what_is_logged_is_proven_to_be_there_and_nowhere_else(fleet, log, now):
    day = fleet.nodes[0].day()
    index = log.append(day_entry(day))
    log.append(seal_entry(day.closing))
    checkpoint = log.checkpoint(now)
    proof = log.inclusion(index, checkpoint.size)
    assert judge_inclusion("day root", day_entry(day), index, proof, checkpoint).passed
    assert judge_inclusion("day root", day_entry(day), index + 1, proof, checkpoint).reason is Reason.NOT_LOGGED
    other = day_entry(fleet.nodes[1].day())
    assert judge_inclusion("day root", other, index, proof, checkpoint).reason is Reason.NOT_LOGGED


def test_a_checkpoint_is_signed_by_a_cloud_of_the_trust_list(fleet, log, now, keys):
    checkpoint = log.checkpoint(now)
    signed = Signed.parse(checkpoint.sign(keys("cloud-1")).encode())
    assert judge_checkpoint(signed, fleet.trust.clouds)[1].passed
    assert judge_checkpoint(checkpoint.sign(keys("eve")), fleet.trust.clouds)[1].reason is Reason.BAD_SIGNATURE
    ended = [replace(key, valid_to=now - 1) for key in fleet.trust.clouds]
    assert judge_checkpoint(signed, ended)[1].reason is Reason.BAD_SIGNATURE
    other = Signed.by(checkpoint.encode(), [keys("cloud-1")], CHECKPOINT_CONTEXT + b"x")
    assert judge_checkpoint(other, fleet.trust.clouds)[1].reason is Reason.BAD_SIGNATURE
    assert judge_checkpoint(Signed(b"[]", ()), fleet.trust.clouds)[1].reason is Reason.UNREADABLE


def test_time_does_not_go_back_and_entries_have_a_kind(log, now):
    log.checkpoint(now)
    with pytest.raises(LogError, match="follow"):
        log.checkpoint(now - 1)
    for entry in (b"", b"\x00", b"\x09data"):
        with pytest.raises(LogError, match="none of"):
            log.append(entry)


def test_a_log_rebuilt_from_its_entries_goes_on_as_it_would_have(fleet, log, now):
    first = log.checkpoint(now)
    again = Log(fleet.root.hash, [trust_entry(fleet.trust.hash)], first)
    assert again.checkpoint(now + 60) == log.checkpoint(now + 60)
    assert again.last == log.last and len(again) == len(log) == 1
    assert (again.last.beacons, again.last.beacon) == (0, genesis(fleet.root.hash))
