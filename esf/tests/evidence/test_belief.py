"""A batch is believed when it is honest, and refused for the right reason when it is not. Tests are named after the attack."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thermogen_esf.crc import crc32c
from thermogen_esf.evidence.belief import verify_batch
from thermogen_esf.evidence.check import Reason
from thermogen_esf.evidence.opened import OpenedBatch
from thermogen_esf.evidence.trust import TrustList
from thermogen_esf.frames import RootSource, Telemetry, encode
from thermogen_esf.points import TimeQuality


def _reasons(verdict):
    return {check.reason for check in verdict.refusals}


def _set(**values):
    """Bends every leaf's raw values to these."""
    return lambda sequence, raw: values


def _after(sequence, **values):
    """Bends the leaves from a sequence on."""
    return lambda this, raw: values if this >= sequence else {}


def test_an_honest_site_is_believed(world, first_epoch):
    batches = [world.site.epoch(first_epoch + index) for index in range(3)]
    for batch, before in zip(batches, [None, *batches], strict=False):
        verdict = verify_batch(batch, world.trust, before)
        assert verdict.believed and verdict.complete, verdict.refusals
    assert verdict.site.name == "tz-test-01"
    assert len(verdict.checks) >= 18


def test_without_the_batch_before_the_chain_stays_undecided(world, first_epoch):
    world.site.epoch(first_epoch, leaves=2, skip=88)
    verdict = verify_batch(world.site.epoch(first_epoch + 1, leaves=2), world.trust)
    assert verdict.believed and not verdict.complete


def test_a_partial_epoch_after_a_restart_is_believed(world, first_epoch):
    before = world.site.epoch(first_epoch)
    world.site.reboot()
    verdict = verify_batch(world.site.epoch(first_epoch + 1, leaves=30, skip=60), world.trust, before)
    assert verdict.believed and verdict.complete, verdict.refusals


def test_any_flipped_bit_is_refused_even_with_its_checksum_mended(world, first_epoch):
    batch, trust = world.site.epoch(first_epoch, leaves=2), world.trust

    @settings(max_examples=200, deadline=None)
    @given(st.integers(0, len(batch) - 5), st.integers(0, 7), st.booleans())
    def refuses(position, bit, mended):
        changed = bytearray(batch)
        changed[position] ^= 1 << bit
        if mended:
            changed[-4:] = crc32c(bytes(changed[:-4])).to_bytes(4, "big")
        verdict = verify_batch(bytes(changed), trust)
        assert not verdict.believed
        assert verdict.batch_hash != verify_batch(batch, trust).batch_hash

    refuses()


@given(st.binary(max_size=200))
def test_bytes_that_are_no_batch_are_refused_and_never_raise(data):
    assert _reasons(verify_batch(data, TrustList((), (), (), True))) == {Reason.UNREADABLE}


def test_a_frame_that_is_no_batch_is_refused(world, first_epoch):
    telemetry = encode(Telemetry(world.site.leaf(first_epoch * 900 + 10)))
    assert _reasons(verify_batch(telemetry, world.trust)) == {Reason.UNREADABLE}


def test_signed_by_an_unknown_key(world, first_epoch):
    world.site.key = world.eve
    assert _reasons(verify_batch(world.site.epoch(first_epoch, leaves=2), replace(world.trust, sites=world.trust.sites[1:]))) == {
        Reason.UNKNOWN_SITE
    }
    pinned = world.trust
    world.site.key = world.cloud
    assert pinned.site_key(world.eve.key_id)
    assert _reasons(verify_batch(world.site.epoch(first_epoch, leaves=2), pinned)) == {Reason.UNKNOWN_KEY}


def test_signed_by_another_sites_key(world, first_epoch):
    batch = world.site.epoch(first_epoch, leaves=2, key=world.other.key)
    assert _reasons(verify_batch(batch, world.trust)) == {Reason.UNKNOWN_KEY}


def test_an_unknown_key_that_goes_by_a_known_keys_identifier(world, first_epoch):
    batch = bytearray(world.site.epoch(first_epoch, leaves=2, key=world.eve))
    at = batch.rindex(world.eve.key_id)
    batch[at : at + 8] = world.site.key.key_id
    batch[-4:] = crc32c(bytes(batch[:-4])).to_bytes(4, "big")
    assert _reasons(verify_batch(bytes(batch), world.trust)) == {Reason.BAD_SIGNATURE}


@pytest.mark.parametrize("window", [{"valid_to": -1}, {"valid_from": 11}, {"valid_from": 10, "valid_to": 899}])
def test_a_key_that_is_not_valid_for_the_whole_batch(world, first_epoch, window):
    batch = world.site.epoch(first_epoch, leaves=2)
    window = {name: first_epoch * 900 + value for name, value in window.items()}
    trust = replace(world.trust, sites=(world.site_key(world.site, **window),))
    assert _reasons(verify_batch(batch, trust)) == {Reason.KEY_NOT_VALID}


def test_a_root_that_the_host_recomputed(world, first_epoch):
    batch = world.site.epoch(first_epoch, leaves=2, root_source=RootSource.HOST)
    assert _reasons(verify_batch(batch, world.trust)) == {Reason.ROOT_NOT_FROM_GATEWARE}


def test_leaves_that_are_not_under_the_root(world, first_epoch):
    batch = world.site.epoch(first_epoch, leaves=2, root=bytes(32))
    assert _reasons(verify_batch(batch, world.trust)) == {Reason.ROOT_DIFFERS}


def test_a_batch_left_out_between_two(world, first_epoch):
    batches = [world.site.epoch(first_epoch + index, leaves=2) for index in range(3)]
    with pytest.raises(ValueError, match="given as the one before"):
        verify_batch(batches[2], world.trust, batches[0])


def test_another_history_before_the_batch(world, first_epoch):
    world.site.epoch(first_epoch, leaves=2, skip=88)
    batch = world.site.epoch(first_epoch + 1, leaves=2)
    world.site.number = world.site.sequence = 0
    fork = world.site.epoch(first_epoch, leaves=2, skip=88, previous=bytes(32))
    assert _reasons(verify_batch(batch, world.trust, fork)) == {Reason.CHAIN_BROKEN}


def test_a_first_batch_that_names_one_before_it(world, first_epoch):
    batch = world.site.epoch(first_epoch, leaves=2, previous=bytes([1] * 32))
    assert _reasons(verify_batch(batch, world.trust)) == {Reason.CHAIN_BROKEN}


def test_a_gap_between_leaves(world, first_epoch):
    batch = world.site.epoch(first_epoch, leaves=4, bend=lambda sequence, raw: {"sequence": sequence + (sequence > 1)})
    assert _reasons(verify_batch(batch, world.trust)) == {Reason.SEQUENCE_GAP}


def test_a_leaf_left_out(world, first_epoch):
    leaves = [world.site.leaf(first_epoch * 900 + 10 * (index + 1)) for index in range(4)]
    del leaves[1]
    batch = world.site.batch(first_epoch, leaves, first_sequence=0)
    assert _reasons(verify_batch(batch, world.trust)) == {Reason.SEQUENCE_GAP, Reason.WRONG_TIME}


def test_a_leaf_twice(world, first_epoch):
    leaves = [world.site.leaf(first_epoch * 900 + 10 * (index + 1)) for index in range(3)]
    batch = world.site.batch(first_epoch, [*leaves, leaves[2]], first_sequence=0)
    assert {Reason.SEQUENCE_OVERLAP, Reason.WRONG_TIME} <= _reasons(verify_batch(batch, world.trust))


@pytest.mark.parametrize(("step", "reason"), [(1, Reason.SEQUENCE_GAP), (-1, Reason.SEQUENCE_OVERLAP)])
def test_a_gap_or_overlap_between_batches(world, first_epoch, step, reason):
    before = world.site.epoch(first_epoch, leaves=3, skip=87)
    world.site.sequence += step
    assert _reasons(verify_batch(world.site.epoch(first_epoch + 1, leaves=3), world.trust, before)) == {reason}


def test_the_leaves_of_another_site(world, first_epoch):
    leaves = [world.site.leaf(first_epoch * 900 + 10 * (index + 1), site=world.other.name if index else None) for index in range(3)]
    assert _reasons(verify_batch(world.site.batch(first_epoch, leaves), world.trust)) == {Reason.OTHER_SITE}


def test_live_frames_as_evidence(world, first_epoch):
    leaves = [Telemetry(world.site.leaf(first_epoch * 900 + 10 * (index + 1))).as_live().leaf for index in range(3)]
    assert _reasons(verify_batch(world.site.batch(first_epoch, leaves), world.trust)) == {Reason.LIVE_FRAME}


def test_the_leaves_of_another_epoch(world, first_epoch):
    batch = world.site.epoch(first_epoch, leaves=3, skip=88)
    assert _reasons(verify_batch(batch, world.trust)) == {Reason.WRONG_EPOCH}


def test_leaves_that_are_not_ten_seconds_apart(world, first_epoch):
    batch = world.site.epoch(first_epoch, leaves=3, bend=lambda sequence, raw: {"time": raw["time"] + 10 * (sequence == 2)})
    assert _reasons(verify_batch(batch, world.trust)) == {Reason.WRONG_TIME}
    batch = world.site.epoch(first_epoch, leaves=3, bend=lambda sequence, raw: {"time": raw["time"] + 5})
    assert _reasons(verify_batch(batch, world.trust)) == {Reason.WRONG_TIME}


def test_a_seal_before_its_last_leaf(world, first_epoch):
    leaves = [world.site.leaf(first_epoch * 900 + 10 * (index + 1)) for index in range(3)]
    batch = world.site.batch(first_epoch, leaves)
    header = replace(OpenedBatch.open(batch).frame.header, time=first_epoch * 900 + 20, sequence=0)
    world.site.number = 0
    assert _reasons(verify_batch(world.site.batch(first_epoch, leaves, header=header), world.trust)) >= {Reason.WRONG_TIME}


def test_time_that_goes_back_from_batch_to_batch(world, first_epoch):
    before = world.site.epoch(first_epoch + 1, leaves=3)
    world.site.reboot()
    assert _reasons(verify_batch(world.site.epoch(first_epoch, leaves=3), world.trust, before)) == {Reason.WRONG_TIME}


def test_time_that_jumps_within_a_boot(world, first_epoch):
    before = world.site.epoch(first_epoch, leaves=3)
    assert _reasons(verify_batch(world.site.epoch(first_epoch + 1, leaves=3), world.trust, before)) == {Reason.WRONG_TIME}


@pytest.mark.parametrize("quality", [TimeQuality.UNSET, TimeQuality.FREE_RUNNING, TimeQuality.DEGRADED])
def test_time_that_no_pulse_counted(world, first_epoch, quality):
    batch = world.site.epoch(first_epoch, leaves=5, bend=_after(4, time_quality=int(quality)))
    verdict = verify_batch(batch, world.trust)
    assert _reasons(verdict) == {Reason.TIME_QUALITY}
    assert verdict.refusals[0].numbers == {"leaves": 5, "without_pulse": 1}


def test_leaves_of_another_boot(world, first_epoch):
    assert _reasons(verify_batch(world.site.epoch(first_epoch, leaves=5, bend=_after(3, boot_count=2)), world.trust)) == {Reason.WRONG_BOOT}


def test_a_restart_without_a_new_boot_count(world, first_epoch):
    assert _reasons(verify_batch(world.site.epoch(first_epoch, leaves=5, bend=_after(3, uptime=7)), world.trust)) == {Reason.WRONG_BOOT}


def test_an_older_boot_after_a_newer_one(world, first_epoch):
    world.site.boot = 7
    before = world.site.epoch(first_epoch, leaves=3, skip=87)
    world.site.boot = 6
    assert _reasons(verify_batch(world.site.epoch(first_epoch + 1, leaves=3), world.trust, before)) == {Reason.WRONG_BOOT}


def test_a_simulated_site_under_a_production_list(world, first_epoch):
    batch = world.site.epoch(first_epoch, leaves=3)
    product = world.site_key(world.site, clocks_per_site_second=50_000_000)
    production = replace(world.trust, sites=(product,), demonstration=False)
    assert _reasons(verify_batch(batch, production)) == {Reason.WRONG_CLOCKS}
    world.site.clocks = 50_000_000
    world.site.number = 0
    assert verify_batch(world.site.epoch(first_epoch, leaves=3, previous=bytes(32)), production).believed


def test_more_channels_than_the_site_has(world, first_epoch):
    assert _reasons(verify_batch(world.site.epoch(first_epoch, leaves=3, bend=_set(channels=13)), world.trust)) == {Reason.NOT_INSTALLED}


@pytest.mark.parametrize("counter", ["electrical_energy", "gas_volume"])
def test_a_counter_that_goes_back(world, first_epoch, counter):
    assert _reasons(verify_batch(world.site.epoch(first_epoch, leaves=5, bend=_after(3, **{counter: 5})), world.trust)) == {
        Reason.COUNTER_WENT_BACK
    }


def test_a_counter_that_goes_back_between_batches(world, first_epoch):
    before = world.site.epoch(first_epoch, leaves=3, skip=87)
    world.site.energy_mj = 0
    assert _reasons(verify_batch(world.site.epoch(first_epoch + 1, leaves=3), world.trust, before)) == {Reason.COUNTER_WENT_BACK}


def test_energy_slipped_in_between_two_batches(world, first_epoch):
    before = world.site.epoch(first_epoch)
    world.site.energy_mj += 10**9
    batch = world.site.epoch(first_epoch + 1)
    assert verify_batch(batch, world.trust).believed
    assert _reasons(verify_batch(batch, world.trust, before)) == {Reason.ABOVE_NAMEPLATE, Reason.ABOVE_HEAT}
