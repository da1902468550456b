"""What a node sealed cannot be changed, left out, repeated or moved without being seen."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thermogen_esf import merkle
from thermogen_esf.evidence.attestation.chain import Gap, Missing, gaps, judge_chain, two_seals
from thermogen_esf.evidence.attestation.day import Day, DayError, day_leaf, epochs_of, judge_day
from thermogen_esf.evidence.attestation.seal import ENCODED_BYTES, NO_PREVIOUS, Seal, SealError
from thermogen_esf.evidence.check import Reason


def _reason(seals):
    return judge_chain(seals).reason


def test_a_seal_is_its_186_bytes(node):
    seal = node.seal(1)
    data = seal.encode()
    assert len(data) == ENCODED_BYTES == 186
    assert Seal.decode(data) == seal and seal.proven_by(node.prover.public_key)


@settings(max_examples=80)
@given(st.binary(max_size=200))
def test_whatever_comes_is_a_seal_or_a_seal_error(data):
    try:
        seal = Seal.decode(data)
    except SealError:
        return
    assert seal.encode() == data


@pytest.mark.parametrize("change", [{"epoch": 2**32}, {"leaf_count": 65_536}, {"site": b"short"}, {"proof": b""}, {"boot_count": -1}])
def test_a_field_that_does_not_fit_is_no_seal(node, change):
    with pytest.raises(SealError):
        replace(node.seal(1), **change)


@pytest.mark.parametrize(
    "change",
    [
        {"epoch": 2},
        {"boot_count": 2},
        {"leaf_count": 91},
        {"root": bytes(32)},
        {"previous": b"x" * 32},
        {"profile_hash": bytes(8)},
        {"calibration_hash": bytes(8)},
        {"site": bytes(8)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_root_or_any_other_field_forged_by_the_host_is_not_proven(node, change):
    assert not replace(node.seal(1), **change).proven_by(node.prover.public_key)


def test_a_stolen_signing_key_makes_no_seals_without_the_gateware(node, other):
    assert not replace(other.seal(1, site=node.identity)).proven_by(node.prover.public_key)


def test_seals_of_a_boot_follow_on_one_another(node):
    seals = [node.seal(epoch) for epoch in (10, 11, 12)]
    assert judge_chain(seals).passed and gaps(seals) == ()
    assert seals[0].previous == NO_PREVIOUS


def test_a_seal_left_out_within_a_boot_is_seen(node):
    seals = [node.seal(epoch) for epoch in (10, 11, 12)]
    assert _reason([seals[0], seals[2]]) is Reason.SEAL_WITHHELD


def test_a_first_seal_of_a_boot_left_out_is_seen(node):
    seals = [node.seal(10)]
    node.reboot()
    seals += [node.seal(11), node.seal(12)]
    assert judge_chain(seals).passed
    assert _reason([seals[0], seals[2]]) is Reason.SEAL_WITHHELD


def test_an_epoch_that_the_node_did_not_seal_is_a_gap_and_says_so(node):
    seals = [node.seal(10), node.seal(13)]
    assert gaps(seals) == (Gap(11, 12, Missing.NOT_SEALED),)
    assert judge_chain(seals).numbers["missing"] == 2


def test_a_gap_over_a_restart_says_that_the_end_of_the_boot_may_be_withheld(node):
    seals = [node.seal(10), node.seal(11), node.seal(12)]
    node.reboot()
    seals.append(node.seal(14))
    assert gaps([seals[0], seals[3]]) == (Gap(11, 13, Missing.RESTART),)
    assert judge_chain([seals[0], seals[3]]).passed


def test_a_boot_count_that_falls_is_refused(node):
    node.boot = 2
    first = node.seal(10)
    node.boot, node.link = 1, NO_PREVIOUS
    assert _reason([first, node.seal(11)]) is Reason.WRONG_BOOT


def test_a_replayed_epoch_is_refused(node):
    seals = [node.seal(10), node.seal(11)]
    assert _reason([*seals, seals[1]]) is Reason.TWO_SEALS
    assert _reason([*seals, seals[0]]) is Reason.WRONG_EPOCHS


def test_a_seal_of_another_site_is_refused(node, other):
    assert _reason([node.seal(10), other.seal(11)]) is Reason.OTHER_SITE


def test_a_power_cycle_to_seal_an_epoch_twice_is_found_among_all_seals(node, other):
    first = node.seal(10)
    node.reboot()
    second = node.seal(10, root=b"other leaves".ljust(32))
    seals = [other.seal(10), first, node.seal(11), second]
    assert two_seals(seals) == (first, second)
    assert two_seals([first, first, seals[2]]) is None


@settings(max_examples=20)
@given(st.sets(st.integers(0, 95), min_size=1, max_size=6), st.data())
def test_a_day_has_one_root_and_each_seal_is_under_it(new_node, epochs, data):
    node = new_node("tz-any")
    seals = tuple(node.seal(96 + epoch) for epoch in sorted(epochs))
    day = Day(seals, node.seal(2 * 96 + data.draw(st.integers(0, 500))))
    index = data.draw(st.integers(0, len(seals) - 1))
    assert merkle.verify_inclusion(day_leaf(seals[index]), index, len(seals), day.inclusion(index), day.root)
    assert all(check.passed for check in judge_day(day, node.prover.public_key))
    assert all(seal.epoch in epochs_of(day.number) for seal in seals)


def test_a_day_is_not_closed_by_a_seal_of_its_own(node):
    first, second = node.seal(96), node.seal(97)
    with pytest.raises(DayError, match="close"):
        Day((first,), second)


def test_a_day_is_of_one_site_and_one_day(node, other):
    seals = node.seal(96), node.seal(192), other.seal(97)
    with pytest.raises(DayError, match="more than one"):
        Day(seals[:2], node.seal(300))
    with pytest.raises(DayError, match="more than one"):
        Day((seals[0], seals[2]), node.seals[-1])
    with pytest.raises(DayError, match="1 to 96"):
        Day((), seals[0])


def test_a_day_with_its_last_seal_withheld_does_not_meet_the_seal_that_closes_it(node):
    day = node.day()
    assert Reason.SEAL_WITHHELD in {check.reason for check in judge_day(Day(day.seals[:-1], day.closing), node.prover.public_key)}


def test_a_day_with_a_seal_of_another_key_is_refused_naming_the_epoch(node, other):
    day = node.day()
    forged = replace(day.seals[-1], proof=other.prover.prove(day.seals[-1].alpha))
    refusal = judge_day(Day((*day.seals[:-1], forged), day.closing), node.prover.public_key)[-1]
    assert (refusal.reason, refusal.numbers["epoch"]) == (Reason.BAD_SEAL, forged.epoch)


def test_another_proof_of_the_same_output_does_not_change_the_day_root(node):
    day = node.day()
    node.prover._nonce_key = b"a holder of the key may take any."
    again = replace(day.seals[0], proof=node.prover.prove(day.seals[0].alpha))
    assert again.proof != day.seals[0].proof and again.proven_by(node.prover.public_key)
    assert Day((again, *day.seals[1:]), day.closing).root == day.root
    assert two_seals([again, day.seals[0]]) is None
