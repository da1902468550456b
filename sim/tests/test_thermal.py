"""Heat goes where the accounts say, and a warm site is where a warm site should be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thermogen_sim.inputs import Inputs, OrdinaryDay
from thermogen_sim.plant import cold_state, warm_state
from thermogen_sim.thermal import ThermalPlant, ThermalState, matched_amps
from thermogen_sim.thermoelectric import bismuth_telluride
from thermogen_sim.validation.conservation import balance


@pytest.fixture
def plant():
    return ThermalPlant(bismuth_telluride(12), ThermalState(180.0, 172.0, 47.0, 40.0))


def test_stored_heat_changes_by_exactly_what_comes_in_less_what_goes_out(plant):
    before = plant.stored_j
    balance = 0.0
    for second in range(3600):
        amps = matched_amps(plant) * (0.2 + 0.8 * (second % 600 < 300))
        flows = plant.step(1.0, 3.0 if second < 1800 else 1.5, 25.0, amps, amps**2)
        balance += flows.fuel_w - flows.stack_w - flows.electrical_w - flows.radiator_w
    assert plant.stored_j - before == pytest.approx(balance, rel=1e-9)
    assert abs(balance) > 1e6, "the test moved no heat"


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), channels=st.integers(1, 108))
def test_over_any_hour_fuel_is_work_heat_given_off_and_heat_stored_within_a_millionth(seed, channels):
    counted = balance(3600.0, seed, channels)
    assert abs(counted.stored_j + counted.electrical_j + counted.lost_j - counted.fuel_j) < 1e-6 * (counted.fuel_j + abs(counted.stored_j))


@pytest.mark.slow
def test_energy_is_conserved_to_a_millionth_over_a_day():
    counted = balance(86_400.0, seed=2)
    assert abs(counted.unaccounted) < 1e-6
    assert counted.fuel_j > 5e8 and counted.electrical_j > 0.005 * counted.fuel_j, "the test moved no energy"


def test_a_site_of_another_size_has_the_same_temperatures(plant):
    nine = ThermalPlant(bismuth_telluride(108), ThermalState(180.0, 172.0, 47.0, 40.0))
    for one, gas in ((plant, 3.0), (nine, 27.0)):
        for _ in range(600):
            amps = matched_amps(one)
            one.step(2.0, gas, 20.0, amps, amps**2)
    assert nine.state.hot_supply_degc == pytest.approx(plant.state.hot_supply_degc, abs=0.3)
    assert nine.state.cold_supply_degc == pytest.approx(plant.state.cold_supply_degc, abs=0.3)


def test_a_heat_meter_reads_the_heat_that_the_oil_gave(plant):
    amps = matched_amps(plant)
    supply = plant.state.hot_supply_degc
    flows = plant.step(1.0, 3.0, 20.0, amps, amps**2)
    oil = plant.parts.hot_fluid
    mean = (supply + flows.hot_return_degc) / 2
    metered_w = oil.mass_flow_kg_s(plant.parts.hot_flow_l_min, supply) * oil.heat_capacity_j_kgk(mean) * (supply - flows.hot_return_degc)
    assert metered_w == pytest.approx(flows.hot_w, rel=1e-4)


def test_a_warm_site_gives_85_to_95_watts_a_channel_below_190_degrees():
    state = warm_state(OrdinaryDay().at(1_790_000_000), 12, 0)
    plant = ThermalPlant(
        bismuth_telluride(12), ThermalState(state.hot_supply_degc, state.hot_plate_degc, state.cold_plate_degc, state.cold_supply_degc)
    )
    available = plant.available_w()
    assert np.all((available > 85.0) & (available < 95.0))
    assert 85.0 < available.mean() < 95.0
    assert 180.0 < state.hot_supply_degc < 190.0
    assert 38.0 < state.cold_supply_degc < 50.0


def test_the_warm_state_stays_where_it_is():
    state = warm_state(Inputs(3.0, 20.0, None), 12, 0)
    plant = ThermalPlant(
        bismuth_telluride(12), ThermalState(state.hot_supply_degc, state.hot_plate_degc, state.cold_plate_degc, state.cold_supply_degc)
    )
    for _ in range(600):
        amps = matched_amps(plant)
        plant.step(1.0, 3.0, 20.0, amps, amps**2)
    assert plant.state.hot_supply_degc == pytest.approx(state.hot_supply_degc, abs=0.2)


@pytest.mark.parametrize(("gas", "ambient"), [(3.6, 40.0), (9.0, 20.0), (3.0, -40.0)])
def test_no_gas_and_no_weather_takes_the_oil_past_the_modules_limit_even_unloaded(plant, gas, ambient):
    idle = np.zeros(12)
    hottest = 0.0
    for _ in range(4 * 3600):
        plant.step(1.0, gas, ambient, idle, idle)
        hottest = max(hottest, plant.state.hot_supply_degc)
    assert hottest < 190.0


def test_a_cold_site_warms_up_within_two_hours(plant):
    state = cold_state(Inputs(3.0, 10.0, None))
    plant.state = ThermalState(state.hot_supply_degc, state.hot_plate_degc, state.cold_plate_degc, state.cold_supply_degc)
    for _ in range(7200):
        amps = matched_amps(plant)
        plant.step(1.0, 3.2, 10.0, amps, amps**2)
    assert plant.state.hot_supply_degc > 175.0


def test_without_gas_the_fire_goes_out_and_the_oil_cools(plant):
    amps = matched_amps(plant)
    flows = plant.step(1.0, 0.3, 20.0, amps, amps**2)
    assert flows.gas_mcf_d == 0.0 and flows.fuel_w == 0.0
    before = plant.state.hot_supply_degc
    for _ in range(300):
        plant.step(1.0, 0.0, 20.0, amps, amps**2)
    assert plant.state.hot_supply_degc < before - 10.0


def test_the_safety_chain_closes_the_gas_above_200_degrees_and_opens_only_well_below(plant):
    plant.state.hot_supply_degc = 200.5
    assert plant.burner_gas_mcf_d(3.0) == 0.0
    plant.state.hot_supply_degc = 188.0
    assert plant.burner_gas_mcf_d(3.0) == 0.0, "relit inside the hysteresis"
    plant.state.hot_supply_degc = 180.0
    assert plant.burner_gas_mcf_d(3.0) == 3.0
