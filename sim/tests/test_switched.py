"""The switched circuit against independent solvers, the averaged one against the switched, and what any such circuit must keep."""

import ctypes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thermogen_sim.electrical import Electrical, take_means
from thermogen_sim.models import library, run_averaged, run_switched
from thermogen_sim.switched import Edge, Pattern, Switched, pulse
from thermogen_sim.validation.averaged import GRID, compare
from thermogen_sim.validation.cases import CASES, COUNTS, DEAD_S, PERIOD_S, WINDOW_S, circuit, copy, step_to, switched_powers
from thermogen_sim.validation.sampling import RATED_A, error_a
from thermogen_sim.validation.spice import SPICE_CASES, spice_powers
from thermogen_sim.validation.stiff import stiff_power

NAMES = [case.name for case in CASES]
LOAD_STEPPED_S, COOLED_S = 5e-3, 9e-3


@pytest.mark.parametrize("at_s", [LOAD_STEPPED_S, COOLED_S], ids=["load step", "temperature step"])
@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_power_after_a_step_is_within_half_a_percent_of_scipys_stiff_integrator(case, at_s):
    ours, theirs = circuit(case), circuit(case)
    step_to(ours, case, at_s)
    periods = 60
    run_switched(ours, case.pattern(), periods)
    assert ours.output_j / ours.seconds == pytest.approx(stiff_power(case, theirs, at_s, periods), rel=0.005)
    assert ours.events > 0


@pytest.mark.slow
@pytest.mark.parametrize("case", SPICE_CASES, ids=[case.name for case in SPICE_CASES])
def test_power_in_every_millisecond_of_load_and_temperature_steps_is_within_half_a_percent_of_ngspice(case):
    start = circuit(case)
    assert switched_powers(case, start) == pytest.approx(spice_powers(case, start), rel=0.005)


@pytest.mark.parametrize("point", GRID, ids=str)
def test_the_averaged_model_gives_the_switched_ones_power_within_a_thousandth(point):
    assert abs(compare(point).error) < 0.001


@pytest.mark.parametrize("duty", [0.30, 0.40, 0.50, 0.60, 0.70, 0.80, 0.90, 0.95])
@pytest.mark.parametrize("difference_k", [96.0, 128.0, 150.0])
def test_a_sample_in_the_middle_of_the_on_time_is_within_half_a_percent_of_the_rated_current_of_the_mean(duty, difference_k):
    assert abs(error_a(duty, difference_k)) < 0.005 * RATED_A


@settings(max_examples=40, deadline=None)
@given(
    duty=st.floats(0.05, 0.95),
    low=st.booleans(),
    difference_k=st.floats(20.0, 170.0),
    input_v=st.floats(0.0, 180.0),
    inductor_a=st.floats(-3.0, 6.0),
)
def test_without_resistance_and_diode_drop_all_the_strings_energy_arrives_or_is_stored(duty, low, difference_k, input_v, inductor_a):
    s = circuit(CASES[0])
    s.path_ohm = s.body_diode_v = 0.0
    s.open_circuit_v[0], s.input_v[0], s.inductor_a[0] = 1.056 * difference_k, input_v, inductor_a
    high_s = duty * PERIOD_S
    pattern = Pattern(
        pulse(0, high_s, PERIOD_S - high_s - 2 * DEAD_S if low and duty < 0.94 else 0.0, PERIOD_S, PERIOD_S / 2, DEAD_S), PERIOD_S
    )

    def stored_j():
        return 0.5 * s.input_f * s.input_v[0] ** 2 + 0.5 * s.inductor_h * s.inductor_a[0] ** 2

    s.clear_sums()
    before = stored_j()
    run_switched(s, pattern, 50)
    assert s.string_j[0] == pytest.approx(s.output_j + stored_j() - before, abs=1e-9)
    assert s.shoot_through == 0


def test_both_gates_on_are_counted_as_shoot_through():
    s = circuit(CASES[0])
    run_switched(s, Pattern([Edge(1e-6, 0, True, True), Edge(2e-6, 0, False, False)], PERIOD_S), 1)
    assert s.shoot_through > 0


def test_a_cold_string_is_charged_from_the_bus_by_the_body_diode_and_then_takes_nothing():
    s = circuit(CASES[0])
    s.open_circuit_v[0] = s.input_v[0] = 20.0
    s.high[0] = s.low[0] = 0
    idle = Pattern([Edge(0.0, 0, False, False)], PERIOD_S)
    run_switched(s, idle, 400)
    s.clear_sums()
    run_switched(s, idle, 100)
    assert s.input_v[0] > s.bus_v - 0.8
    assert s.string_j[0] == s.output_j == 0.0


def test_two_channels_half_a_period_apart_give_twice_the_power_of_one():
    one, two = circuit(CASES[0]), circuit(CASES[0])
    two.channels = 2
    for field in ("open_circuit_v", "string_ohm", "input_v", "inductor_a", "first_pole_a", "amplifier_a"):
        getattr(two, field)[1] = getattr(two, field)[0]
    case = CASES[0]
    both = [edge for n in (0, 1) for edge in pulse(n, case.high_s, case.low_s, PERIOD_S, PERIOD_S * (0.5 + 0.5 * n), DEAD_S)]
    one.battery_ohm = two.battery_ohm = 1e-3
    for s, pattern in ((one, case.pattern()), (two, Pattern(both, PERIOD_S))):
        run_switched(s, pattern, 10_000)
        s.clear_sums()
        run_switched(s, pattern, 1000)
    assert two.output_j == pytest.approx(2 * one.output_j, rel=0.001)


def test_a_duty_step_moves_both_models_alike():
    """Means over a millisecond; L and C_in swing at 1 kHz meanwhile."""
    case = CASES[0]
    s = copy(circuit(case))
    e = Electrical()
    e.channels, e.battery_connected = 1, 1
    e.open_circuit_v[0], e.string_ohm[0], e.input_v[0], e.inductor_a[0] = s.open_circuit_v[0], 48.0, s.input_v[0], s.inductor_a[0]
    e.battery_ocv, e.battery_ohm, e.bus_v = s.battery_ocv, s.battery_ohm, s.bus_v
    run_averaged(e, [case.duty_counts], [COUNTS - case.duty_counts - 10], 10_000)
    take_means(e)
    high = case.duty_counts + 8
    high_s = high * PERIOD_S / COUNTS
    pattern = Pattern(pulse(0, high_s, PERIOD_S - high_s - 2 * DEAD_S, PERIOD_S, PERIOD_S / 2, DEAD_S), PERIOD_S)
    for _ in range(10):
        s.clear_sums()
        run_switched(s, pattern, round(WINDOW_S / PERIOD_S))
        run_averaged(e, [high], [COUNTS - high - 10], round(WINDOW_S / PERIOD_S))
        means = take_means(e)
        assert means.output_w == pytest.approx(s.output_j / s.seconds, rel=0.005)


def test_the_shared_structure_has_the_layout_of_the_cpp_one():
    assert ctypes.sizeof(Switched) == library().tz_switched_size()
