"""The circuit gives what strings, bucks and bus give on a bench."""

import ctypes

import pytest
from thermogen_sim.electrical import Electrical, take_means

BUS_V = 50.0


@pytest.fixture
def circuit():
    """One string at its rating (128 K) on a bus that a stiff battery holds."""
    e = Electrical()
    e.channels = 1
    e.open_circuit_v[0], e.string_ohm[0], e.input_v[0] = 135.2, 48.0, 135.2
    e.battery_ocv, e.battery_ohm, e.battery_connected = BUS_V, 0.001, 1
    e.bus_v = BUS_V
    e.dump_start_v, e.dump_full_v, e.dump_full_a = 50.6, 51.4, 40.0
    return e


def _settle(run_circuit, circuit, high, low, periods=4000):
    run_circuit(circuit, [high], [low], periods)
    take_means(circuit)
    run_circuit(circuit, [high], [low], 1000)
    means = take_means(circuit)
    assert means is not None
    return means


def test_the_best_duty_takes_the_strings_95_watts(circuit, run_circuit):
    best = max((_settle(run_circuit, circuit, high, 480 - high).output_w, high) for high in range(300, 440, 4))
    assert 92.0 < best[0] < 95.2
    assert best[1] / 480 == pytest.approx(BUS_V / 67.6, abs=0.03)


def test_in_continuous_conduction_the_input_stands_at_bus_over_duty(circuit, run_circuit):
    _settle(run_circuit, circuit, 360, 120)
    path_drop = 0.040 * circuit.output_a[0]
    assert circuit.input_v[0] == pytest.approx((BUS_V + path_drop) / 0.75, rel=0.01)


def test_in_discontinuous_conduction_the_current_follows_the_square_of_the_duty(circuit, run_circuit):
    circuit.string_ohm[0] = 0.01  # a stiff input, to compare with the formula
    for high in (24, 48, 96):
        _settle(run_circuit, circuit, high, 0, periods=1000)
        volts = 135.2 - BUS_V
        on_s = high / 480 * 10e-6
        expected = volts * on_s**2 / (2 * 220e-6 * 10e-6) * (1 + volts / (BUS_V + 0.8))
        assert circuit.output_a[0] == pytest.approx(expected, rel=0.01)
        assert circuit.inductor_a[0] == 0.0


def test_a_low_side_that_stays_on_at_low_duty_boosts_the_bus_into_the_string(circuit, run_circuit):
    run_circuit(circuit, [120], [360], 60)
    assert circuit.output_a[0] < -1.0


def test_with_the_low_side_off_no_current_returns_to_the_string(circuit, run_circuit):
    for high in range(0, 460, 20):
        _settle(run_circuit, circuit, high, 0, periods=500)
        assert circuit.output_a[0] >= 0.0
        assert circuit.inductor_a[0] >= 0.0


def test_a_string_below_the_bus_voltage_takes_nothing_once_its_input_is_charged(circuit, run_circuit):
    circuit.open_circuit_v[0], circuit.input_v[0] = 30.0, 30.0
    _settle(run_circuit, circuit, 0, 0)
    means = _settle(run_circuit, circuit, 0, 0)
    assert means.string_a[0] == 0.0
    assert abs(circuit.output_a[0]) < 1e-6
    assert circuit.input_v[0] >= BUS_V - 0.8 - 0.1


def test_energy_from_the_string_arrives_on_the_bus_but_for_the_path(circuit, run_circuit):
    means = _settle(run_circuit, circuit, 350, 130)
    string_w = means.string_a[0] * circuit.input_v[0]
    path_w = 0.040 * circuit.output_a[0] ** 2
    assert means.output_w == pytest.approx(string_w - path_w, rel=0.005)


def test_a_battery_charges_by_what_the_load_leaves(circuit, run_circuit):
    circuit.load_connected, circuit.load_w = 1, 30.0
    means = _settle(run_circuit, circuit, 350, 130)
    assert means.load_w == pytest.approx(30.0, rel=0.01)
    assert means.battery_a * BUS_V == pytest.approx(means.output_w - 30.0, rel=0.02)


def test_the_dump_resistor_holds_the_bus_below_51_5_volts_without_battery_and_load(circuit, run_circuit):
    circuit.battery_connected, circuit.dump_connected = 0, 1
    means = _settle(run_circuit, circuit, 350, 130)
    assert circuit.bus_v < 51.5
    assert means.dump_w == pytest.approx(means.output_w, rel=0.02)


def test_without_anything_to_take_the_power_the_bus_rises_to_its_trip(circuit, run_circuit):
    circuit.battery_connected = 0
    run_circuit(circuit, [350], [130], 6000)
    assert circuit.bus_v > 58.0


def test_the_shared_structure_has_the_layout_of_the_cpp_one(models, circuit, run_circuit):
    assert ctypes.sizeof(Electrical) == models.tz_electrical_size()
    run_circuit(circuit, [0], [0], 7)
    assert circuit.seconds == pytest.approx(70e-6)


def test_means_of_no_time_are_none():
    assert take_means(Electrical()) is None
