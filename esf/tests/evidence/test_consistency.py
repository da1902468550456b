"""Sensors that contradict one another, stand still or repeat themselves are seen; an honest plant's are not."""

from hashlib import sha3_256
from itertools import pairwise

import pytest
from thermogen_esf.evidence.check import Reason
from thermogen_esf.evidence.consistency import LEAST_DIFFERENT, STRETCH_LEAVES, judge_consistency, judge_repetition, loop_heat_mw
from thermogen_esf.evidence.opened import OpenedBatch
from thermogen_esf.points import SITE_INPUTS


@pytest.fixture
def judged(world, first_epoch):
    """Judges two epochs of a bent site."""

    def judge(bend=None, **changes):
        run = [OpenedBatch.open(world.site.epoch(first_epoch + number, bend=bend, **changes)) for number in range(2)]
        return {check.name: check for check in (*judge_consistency(run, world.site_key(world.site)), judge_repetition(run))}

    return judge


def _refused(checks):
    return {check.reason for check in checks.values() if not check.passed}


def test_an_honest_site_passes_and_each_verdict_has_its_numbers(judged):
    checks = judged()
    assert not _refused(checks) and all(check.numbers for check in checks.values())


def test_energy_above_carnot_is_refused(judged, world):
    world.site.power_mw = 29_000 * 450
    checks = judged()
    assert checks["energy within Carnot"].reason is Reason.ABOVE_CARNOT


def test_between_equal_temperatures_no_engine_gives_anything(judged):
    checks = judged(lambda sequence, raw: {"cold_supply_temperature": raw["hot_supply_temperature"]})
    assert checks["energy within Carnot"].reason is Reason.ABOVE_CARNOT
    assert checks["energy within Carnot"].numbers["carnot_mj"] == 0


@pytest.mark.parametrize("factor", [0.5, 1.7])
def test_a_cold_loop_that_carries_another_heat_than_the_hot_one_gives_is_refused(judged, factor):
    checks = judged(lambda sequence, raw: {"cold_flow": round(raw["cold_flow"] * factor)})
    assert _refused(checks) == {Reason.SENSORS_DISAGREE} and not checks["loops' heat agrees"].passed


def test_a_gas_counter_that_runs_faster_than_the_flow_is_refused(judged):
    checks = judged(lambda sequence, raw: {"gas_volume": raw["gas_volume"] + sequence * raw["gas_flow"] * 2})
    assert _refused(checks) == {Reason.SENSORS_DISAGREE} and not checks["gas counter agrees with flow"].passed


def test_an_energy_counter_that_runs_faster_than_the_power_is_refused(judged):
    checks = judged(lambda sequence, raw: {"channel_power": raw["channel_power"] * 8 // 10})
    assert _refused(checks) == {Reason.SENSORS_DISAGREE} and not checks["energy counter agrees with power"].passed


def test_sensors_that_stand_still_while_energy_is_claimed_are_refused(judged):
    checks = judged(lambda sequence, raw: {"bus_voltage": 50_000})
    assert _refused(checks) == {Reason.FROZEN_SENSORS}


def test_one_stuck_sensor_among_others_that_move_is_not_seen_by_this(judged):
    assert not _refused(judged(lambda sequence, raw: {"gas_pressure": 77}))


def test_an_epoch_that_repeats_another_leaf_for_leaf_is_refused(judged):
    checks = judged(lambda sequence, raw: {"bus_voltage": 50_000 + sequence % 90})
    assert _refused(checks) == {Reason.REPEATED_VALUES}


def day_of(world, first_epoch, bus_mv, epochs=2, restarts=False, **changes):
    """Batches of a day in which the bus's voltage is `bus_mv` of the leaf's number in the day, and all other inputs rest."""
    made, first = [], world.site.sequence

    def measured(sequence, _raw):
        return {"bus_voltage": bus_mv(sequence - first)}

    for number in range(epochs):
        made.append(OpenedBatch.open(world.site.epoch(first_epoch + number, bend=measured, **changes)))
        if restarts:
            world.site.reboot()
    return made


def noise(number, within=16):
    """Of a leaf, by its number: 50 V and so many readings."""
    return 50_000 + sha3_256(b"%d" % number).digest()[0] % within


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize(("leaves", "shift"), [(90, 0), (90, 1), (90, 7), (90, 89), (24, 0)])
def test_a_recording_is_known_wherever_it_begins_and_whatever_lies_between(world, first_epoch, shift, leaves, restarts):
    """It begins `shift` leaves earlier in each epoch than in the one before; an epoch of 24 leaves is shorter than what is compared."""

    def recorded(number):
        return noise((number + number // leaves * shift) % 90, 64)

    check = judge_repetition(day_of(world, first_epoch, recorded, epochs=8, restarts=restarts, leaves=leaves))
    assert check.reason is Reason.REPEATED_VALUES and check.numbers["before"] < check.numbers["epoch"]


def test_a_stretch_that_comes_twice_is_named_by_its_leaves(world, first_epoch):
    check = judge_repetition(day_of(world, first_epoch, lambda number: noise(number - 100 if 120 <= number < 150 else number, 64)))
    assert check.reason is Reason.REPEATED_VALUES
    assert dict(check.numbers) == {"epoch": first_epoch + 1, "leaf": 30, "before": first_epoch, "before_leaf": 20}


def test_a_stretch_with_one_reading_changed_or_one_leaf_too_short_is_another(world, first_epoch):
    """What is not caught: a recording with a count changed in every thirty leaves."""

    def changed(number):
        return noise(number % 90, 64) + (number // 90 if number % STRETCH_LEAVES == 0 else 0)

    assert judge_repetition(day_of(world, first_epoch, changed, epochs=8)).passed
    short = day_of(world, first_epoch, lambda number: noise(number - 100 if 120 <= number < 149 else number, 64))
    assert judge_repetition(short).passed


@pytest.mark.parametrize(("different", "believed"), [(LEAST_DIFFERENT - 1, True), (LEAST_DIFFERENT, False)])
def test_inputs_that_go_to_and_fro_between_a_few_readings_may_do_so_all_day(world, first_epoch, different, believed):
    """A period that divides no epoch, so that no two epochs are the same."""

    def sawtooth(number):
        return 50_000 + min(number % (different + 2), different - 1)

    assert judge_repetition(day_of(world, first_epoch, sawtooth, epochs=6)).passed is believed


def test_whole_epochs_that_are_the_same_are_a_recording_even_of_two_readings(world, first_epoch):
    check = judge_repetition(day_of(world, first_epoch, lambda number: 50_000 + (number % 90 == 17), restarts=True))
    assert check.reason is Reason.REPEATED_VALUES and (check.numbers["before"], check.numbers["epoch"]) == (first_epoch, first_epoch + 1)


def test_a_quiet_day_in_which_a_reading_changes_now_and_then_does_not_repeat_itself(world, first_epoch):
    check = judge_repetition(day_of(world, first_epoch, lambda number: 50_000 + number // 37 % 3, epochs=12))
    assert check.passed


def test_a_day_of_sixteen_readings_at_random_does_not_repeat_itself(world, first_epoch):
    assert judge_repetition(day_of(world, first_epoch, noise, epochs=96)).passed


STANDING = {
    "hot_return_temperature": 175 * 50,
    "hot_supply_temperature": 175 * 50,
    "cold_return_temperature": 45 * 50,
    "bus_voltage": 50_000,
}


def test_a_site_that_claims_nothing_may_stand_still(judged, world):
    world.site.power_mw = 0
    assert not _refused(judged(lambda sequence, raw: {**STANDING, "gas_flow": 0, "gas_volume": 0}))


def test_a_site_that_claims_gas_and_stands_still_is_refused(judged, world):
    """Gas alone is credited by some methodologies: a recording of a meter that turns is not to be believed for want of energy."""
    world.site.power_mw = 0
    assert _refused(judged(lambda sequence, raw: STANDING)) == {Reason.FROZEN_SENSORS}


def test_a_loop_that_flows_the_wrong_way_carries_nothing(world, first_epoch):
    def swapped(sequence, raw):
        return {"hot_supply_temperature": raw["hot_return_temperature"], "hot_return_temperature": raw["hot_supply_temperature"]}

    run = [OpenedBatch.open(world.site.epoch(first_epoch, bend=swapped))]
    assert set(loop_heat_mw(run, "hot", "therminol-vp1")) == {0}


def test_all_twelve_inputs_are_looked_at(world, first_epoch, judged):
    assert len(SITE_INPUTS) == 12
    batch = OpenedBatch.open(world.site.epoch(first_epoch + 5))
    moving = [point for point in SITE_INPUTS if any(a != b for a, b in pairwise(batch.columns.raw[point]))]
    assert moving == ["bus_voltage"]
