"""Sensors that contradict one another, stand still or repeat themselves are seen; an honest plant's are not."""

from itertools import pairwise

import pytest
from thermogen_esf.evidence.check import Reason
from thermogen_esf.evidence.consistency import judge_consistency, loop_heat_mw
from thermogen_esf.evidence.opened import OpenedBatch
from thermogen_esf.points import SITE_INPUTS


@pytest.fixture
def judged(world, first_epoch):
    """Judges two epochs of a bent site."""

    def judge(bend=None, **changes):
        run = [OpenedBatch.open(world.site.epoch(first_epoch + number, bend=bend, **changes)) for number in range(2)]
        return {check.name: check for check in judge_consistency(run, world.site_key(world.site))}

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


def test_a_site_that_claims_nothing_may_stand_still(judged, world):
    world.site.power_mw = 0
    standing = {
        "hot_return_temperature": 175 * 50,
        "hot_supply_temperature": 175 * 50,
        "cold_return_temperature": 45 * 50,
        "bus_voltage": 50_000,
    }
    assert not _refused(judged(lambda sequence, raw: standing))


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
