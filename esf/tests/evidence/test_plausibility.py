"""The physical bounds let an honest plant pass in every season and catch claims that are wrong by much."""

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import pytest
from thermogen_esf.evidence.belief import verify_batch
from thermogen_esf.evidence.check import Reason
from thermogen_esf.evidence.fluids import FLUIDS, volumetric_heat
from thermogen_esf.evidence.opened import OpenedBatch
from thermogen_esf.evidence.plausibility import efficiency_ppm, judge_run
from thermogen_esf.points import POINT, Fault

HOT_SENSOR_STEP = 450 / 4096
"""One step of a 12-bit converter over 0 to 450 degC, K."""


def _reasons(world, batch, **site):
    trust = replace(world.trust, sites=(world.site_key(world.site, **site),))
    return {check.reason for check in verify_batch(batch, trust).refusals}


def _reasons_as_a_whole(world, first_epoch, bend=None, epochs=8, **site):
    run = [OpenedBatch.open(world.site.epoch(first_epoch + number, bend=bend)) for number in range(epochs)]
    return {check.reason for check in judge_run(run, world.site_key(world.site, **site)) if not check.passed}


def _quantised(degc):
    return round(int(degc / HOT_SENSOR_STEP) * HOT_SENSOR_STEP * 50)


@pytest.mark.parametrize("supply", [120.0, 150.0, 195.0])
@pytest.mark.parametrize("glide", [8.0, 20.0])
@pytest.mark.parametrize("load", [0.25, 1.0])
def test_an_honest_plant_is_believed_through_twelve_bit_sensors(world, first_epoch, supply, glide, load):
    cold, to_junctions = 45.0, 22.0
    efficiency = efficiency_ppm(round((supply - cold - to_junctions) * 50)) / 1e6
    world.site.power_mw = round(1_140_000 * load)
    heat_w = world.site.power_mw / 1000 / efficiency
    flow = heat_w / (volumetric_heat("therminol-vp1", round(supply * 50)) * glide) * 6e6
    world.site.gas_flow = round(heat_w / 0.88 / 0.95 * 86_400 / (1_020 * 1_055.056))

    def sensors(sequence, raw):
        drift = 0.3 * (sequence % 3)
        return {
            "hot_supply_temperature": _quantised(supply + drift),
            "hot_return_temperature": _quantised(supply + drift - glide),
            "hot_flow": round(flow),
            "cold_supply_temperature": round(cold * 50),
        }

    assert not _reasons(world, world.site.epoch(first_epoch, bend=sensors))
    assert not _reasons_as_a_whole(world, first_epoch + 1, sensors)


def test_an_efficient_plant_whose_sensors_all_err_low_is_believed(world, first_epoch):
    # Junctions at the loop's own temperatures, a pair of class B sensors 1.8 K too close, the flow meter 1 % low.
    world.site.power_mw = 29_080 * efficiency_ppm(150 * 50) // 1_000

    def sensors(sequence, raw):
        return {"hot_return_temperature": raw["hot_return_temperature"] + 90, "hot_flow": raw["hot_flow"] * 99 // 100}

    assert not _reasons(world, world.site.epoch(first_epoch, bend=sensors), nameplate_w=1_200)
    assert not _reasons_as_a_whole(world, first_epoch + 1, sensors, nameplate_w=1_200)


def test_a_plant_with_a_good_burner_whose_sensors_all_err_high_is_believed(world, first_epoch):
    world.site.gas_flow = round(29_080 / 0.92 * 86_400 / (1_020 * 1_055.056))

    def sensors(sequence, raw):
        return {"hot_return_temperature": raw["hot_return_temperature"] - 90, "hot_flow": raw["hot_flow"] * 101 // 100}

    assert not _reasons(world, world.site.epoch(first_epoch, bend=sensors))
    assert not _reasons_as_a_whole(world, first_epoch + 1, sensors)


def test_a_plant_that_warms_up_from_cold_is_believed(world, first_epoch):
    world.site.power_mw = 0

    def warming(sequence, raw):
        return {
            "hot_supply_temperature": 1_000 + 60 * sequence,
            "hot_return_temperature": 1_000 + 55 * sequence,
            "cold_supply_temperature": 900,
        }

    assert not _reasons(world, world.site.epoch(first_epoch, bend=warming))


def test_a_loop_that_coasts_after_the_burner_is_believed(world, first_epoch):
    world.site.gas_flow = 0

    def coasting(sequence, raw):
        # 300 kJ/K of hot loop give 26 kW while they cool by 0.087 K/s.
        supply = 195 * 50 - round(0.87 * 50 * sequence)
        return {"hot_supply_temperature": supply, "hot_return_temperature": supply - 1_000}

    world.site.power_mw = 500_000
    assert not _reasons(world, world.site.epoch(first_epoch, bend=coasting))


def test_a_burner_that_goes_on_and_off_by_the_hour_is_believed_as_a_whole(world, first_epoch):
    """Gas for half of the time; the loop stores it: it warms by 0.087 K/s less what it gives, and cools again."""
    world.site.gas_flow *= 2
    gas = {"volume": 0}

    def going_on_and_off(sequence, raw):
        on, within = sequence // 45 % 2 == 0, sequence % 45
        gas["volume"] += raw["gas_flow"] * 10 if on else 0
        supply = 195 * 50 + round(0.87 * 50) * (within if on else 45 - within) // 2
        return {
            "gas_volume": gas["volume"],
            "gas_flow": raw["gas_flow"] if on else 0,
            "hot_supply_temperature": supply,
            "hot_return_temperature": supply - 1_000,
        }

    assert not _reasons_as_a_whole(world, first_epoch, going_on_and_off)


def test_energy_doubled(world, first_epoch):
    batch = world.site.epoch(first_epoch, bend=lambda sequence, raw: {"electrical_energy": 2 * raw["electrical_energy"]})
    assert _reasons(world, batch) == {Reason.ABOVE_NAMEPLATE, Reason.ABOVE_HEAT}


def test_energy_doubled_under_a_nameplate_that_allows_it(world, first_epoch):
    batch = world.site.epoch(first_epoch, bend=lambda sequence, raw: {"electrical_energy": 2 * raw["electrical_energy"]})
    assert _reasons(world, batch, nameplate_w=3_000) == {Reason.ABOVE_HEAT}


def test_energy_doubled_by_a_cold_plant(world, first_epoch):
    batch = world.site.epoch(
        first_epoch, bend=lambda sequence, raw: {"hot_supply_temperature": 100 * 50, "hot_return_temperature": 80 * 50}
    )
    assert _reasons(world, batch) == {Reason.ABOVE_HEAT}


def test_nameplate_exceeded_with_all_the_heat_that_it_needs(world, first_epoch):
    world.site.power_mw, world.site.gas_flow = 1_250_000, 3_500
    batch = world.site.epoch(first_epoch, bend=lambda sequence, raw: {"hot_flow": 5_600})
    assert _reasons(world, batch) == {Reason.ABOVE_NAMEPLATE}


def test_heat_without_gas(world, first_epoch):
    world.site.gas_flow = 0
    assert _reasons(world, world.site.epoch(first_epoch)) == {Reason.ABOVE_GAS}


def test_twice_the_heat_from_the_same_gas(world, first_epoch):
    batch = world.site.epoch(first_epoch, bend=lambda sequence, raw: {"hot_flow": 2 * raw["hot_flow"]})
    assert _reasons(world, batch) == {Reason.ABOVE_GAS}


def test_the_efficiency_curve_passes_through_the_published_points():
    published = {0: 0, 128: 36_000, 150: 41_000, 180: 50_000, 250: 50_000}
    assert {kelvin: efficiency_ppm(kelvin * 50) for kelvin in published} == published
    curve = [efficiency_ppm(raw) for raw in range(-500, 12_000)]
    assert curve[0] == 0 and all(low <= high for low, high in pairwise(curve))


@pytest.mark.parametrize(
    ("fluid", "degc", "expected"),
    [
        # From the makers' tables, J/(m3 K): density x heat capacity.
        ("therminol-vp1", 100, 999 * 1_775),
        ("therminol-vp1", 200, 913 * 2_048),
        ("ethylene-glycol-50", 50, 1_058 * 3_396),
    ],
)
def test_fluids_agree_with_published_tables(fluid, degc, expected):
    assert volumetric_heat(fluid, degc * 50) == pytest.approx(expected, rel=0.005)


def test_every_loop_temperature_has_the_scale_that_the_bounds_use():
    loop = [point for name, point in POINT.items() if name.startswith(("hot_", "cold_")) and name.endswith("temperature")]
    assert {point.scale for point in loop} == {Fraction(1, 50)}
    assert POINT["hot_flow"].scale == Fraction(1, 100)
    assert POINT["gas_volume"].scale == Fraction(1, 86_400)
    assert set(FLUIDS) == {"therminol-vp1", "ethylene-glycol-50"}


@pytest.mark.parametrize(
    ("faults", "shunt_percent", "reasons"),
    [
        (0, 90, set()),
        (Fault.CURRENT_SUM_MISMATCH, 90, {Reason.ABOVE_SHUNT}),
        (Fault.CURRENT_SUM_MISMATCH, 99, set()),
        (Fault.CURRENT_SUM_MISMATCH | Fault.BUS_WARNING, 120, set()),
    ],
    ids=["nothing said", "more than the shunt saw", "within tolerance", "less than the shunt saw"],
)
def test_of_two_currents_that_disagree_the_lesser_one_is_believed(world, first_epoch, faults, shunt_percent, reasons):
    def shunt(sequence, raw):
        doubted = faults if sequence % 10 == 3 else 0
        return {"bus_energy": raw["electrical_energy"] * shunt_percent // 100, "faults": doubted}

    assert _reasons(world, world.site.epoch(first_epoch, bend=shunt)) == reasons
