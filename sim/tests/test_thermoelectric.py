"""Strings of modules give what the module's curve says."""

import numpy as np
import pytest
from thermogen_sim.thermoelectric import KELVIN, Strings, bismuth_telluride
from thermogen_sim.validation import curves


@pytest.fixture
def string():
    return Strings(np.array([0.033]), np.array([1.5]))


def _matched(string, hot_degc, difference_k):
    hot = np.array([hot_degc + KELVIN])
    cold = hot - difference_k
    amps = string.open_circuit_v(hot, cold) / (2 * string.electrical_ohm)
    return hot, cold, amps


@pytest.mark.parametrize(("difference_k", "hot_degc", "percent"), [(128.0, 180.0, 3.6), (150.0, 190.0, 4.1), (180.0, 200.0, 5.0)])
def test_efficiency_at_matched_load_is_the_modules_curve(string, difference_k, hot_degc, percent):
    hot, cold, amps = _matched(string, hot_degc, difference_k)
    efficiency = string.power_w(hot, cold, amps, amps**2) / string.heat_in_w(hot, cold, amps, amps**2)
    assert 100 * efficiency[0] == pytest.approx(percent, abs=0.07)


def test_heat_path_at_matched_load_is_1_52_kelvin_a_watt(string):
    hot, cold, amps = _matched(string, 180.0, 128.0)
    assert 128.0 / (string.heat_in_w(hot, cold, amps, amps**2)[0] / string.modules) == pytest.approx(1.52, abs=0.02)


def test_string_is_rated_95_watts_at_128_kelvin(string):
    hot, cold, amps = _matched(string, 180.0, 128.0)
    assert string.open_circuit_v(hot, cold)[0] == pytest.approx(135.0, abs=0.5)
    assert amps[0] == pytest.approx(1.41, abs=0.005)
    assert string.power_w(hot, cold, amps, amps**2)[0] == pytest.approx(95.0, abs=0.5)


def test_electrical_power_is_seebeck_voltage_times_current_less_joule_heat(string):
    hot, cold = np.array([450.0]), np.array([320.0])
    for amps in (0.0, 0.7, 2.0):
        current = np.array([amps])
        expected = string.open_circuit_v(hot, cold) * amps - string.electrical_ohm * amps**2
        assert string.power_w(hot, cold, current, current**2)[0] == pytest.approx(expected[0], abs=1e-9)


def test_junctions_pass_through_the_contacts_exactly_the_heat_that_the_modules_take(string):
    amps = np.array([1.4])
    hot, cold = string.junctions(450.0, 320.0, amps, amps**2)
    per_module_in = string.heat_in_w(hot, cold, amps, amps**2) / string.modules
    per_module_out = string.heat_out_w(hot, cold, amps, amps**2) / string.modules
    assert (450.0 - hot[0]) / string.contact_k_w == pytest.approx(per_module_in[0], rel=1e-9)
    assert (cold[0] - 320.0) / string.contact_k_w == pytest.approx(per_module_out[0], rel=1e-9)


def test_drawing_current_cools_the_hot_junction(string):
    idle, flowing = np.array([0.0]), np.array([1.4])
    hot_idle, _ = string.junctions(450.0, 320.0, idle, idle)
    hot_flowing, _ = string.junctions(450.0, 320.0, flowing, flowing**2)
    assert hot_flowing[0] < hot_idle[0] - 0.4


def test_most_power_lies_at_less_current_than_half_the_idle_voltage_gives(string):
    idle = np.array([0.0])
    hot, cold = string.junctions(450.0, 320.0, idle, idle)
    naive = string.open_circuit_v(hot, cold) / (2 * string.electrical_ohm)
    hot_naive, cold_naive = string.junctions(450.0, 320.0, naive, naive**2)
    best = string.available_w(450.0, 320.0)[0]
    assert best > string.power_w(hot_naive, cold_naive, naive, naive**2)[0]


def test_a_seed_gives_the_same_strings_and_their_spread_is_small():
    first, again, other = bismuth_telluride(12, 3), bismuth_telluride(12, 3), bismuth_telluride(12, 4)
    assert np.array_equal(first.seebeck_v_k, again.seebeck_v_k)
    assert not np.array_equal(first.seebeck_v_k, other.seebeck_v_k)
    assert np.all(np.abs(first.seebeck_v_k / 0.033 - 1) <= 0.015)


def test_a_module_gives_about_6_watts_at_180_kelvin():
    assert curves.module_w(180.0) == pytest.approx(curves.PUBLISHED_W_AT_180_K, rel=0.025)


@pytest.mark.parametrize("difference_k", [128.0, 150.0, 180.0])
def test_under_constant_heat_the_optimum_is_near_0_60_of_the_open_circuit_voltage_and_half_of_it_loses_4_percent(difference_k):
    fraction, loss_percent = curves.constant_heat_optimum(difference_k)
    assert fraction == pytest.approx(curves.PUBLISHED_OPTIMUM, abs=0.015)
    assert loss_percent == pytest.approx(curves.PUBLISHED_LOSS_PERCENT, abs=0.5)
