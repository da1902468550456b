"""The bench that the tracker is measured in: its converter is right, leaving out clocks changes nothing, and its optimum is one."""

import dataclasses

import numpy as np
import pytest
from thermogen_sim.electrical import Electrical, take_means
from thermogen_sim.mppt.bench import Conditions, Kind, library, run
from thermogen_sim.mppt.figures import TRACKERS, measure
from thermogen_sim.mppt.offline import COLD_K, most_joules, steady_share
from thermogen_sim.mppt.scenarios import HEAT_W, scenarios

pytestmark = pytest.mark.slow

BUS_V = 50.0
STATIC = Conditions(20.0, (128.0, 128.0), 20.0, noise_lsb=2.0)


@pytest.mark.parametrize("high", [48, 96, 160, 280, 320, 356, 400, 440])
def test_the_averaged_converter_gives_what_the_switched_one_gives(high, run_circuit):
    e = Electrical()
    e.channels = 1
    e.open_circuit_v[0], e.string_ohm[0], e.input_v[0] = 135.2, 48.0, 135.2
    e.battery_ocv, e.battery_ohm, e.battery_connected, e.bus_v = BUS_V, 0.001, 1, BUS_V
    # Diode emulation: the low side is on in continuous conduction only.
    low = 480 - high if high >= 280 else 0
    run_circuit(e, [high], [low], 4000)
    take_means(e)
    run_circuit(e, [high], [low], 2000)
    switched = take_means(e)
    averaged = library(1).tz_mppt_settled_w(135.2, 48.0, high / 480, BUS_V, 400)
    assert averaged == pytest.approx(switched.output_w, rel=0.005 if low else 0.03)


def test_leaving_out_the_clocks_between_samples_changes_nothing_over_a_second():
    short = dataclasses.replace(STATIC, seconds=1.0)
    skipped, every = run(short, Kind.GATEWARE), run(short, Kind.GATEWARE_EVERY_CLOCK)
    assert every.clocks == pytest.approx(50_000_000, rel=1e-3) and skipped.clocks < 200_000
    assert np.array_equal(skipped.output_w, every.output_w) and np.array_equal(skipped.duty, every.duty)


def test_with_two_lsb_of_noise_a_constant_string_gives_99_95_percent():
    result = run(STATIC, Kind.GATEWARE)
    assert result.output_w[50:].sum() >= 0.9995 * result.available_w[50:].sum()


def test_on_a_fast_ramp_it_is_ahead_of_every_peer_and_over_99_5_percent():
    ramp = next(scenario for scenario in scenarios() if scenario.name == "ramp 2 s")
    own, *others = (measure(ramp, tracker).harvested for tracker in TRACKERS)
    assert own >= 0.995
    assert own > max(others)


def test_under_constant_heat_most_for_ever_is_near_sixty_percent_of_open_circuit():
    share, power = steady_share(HEAT_W)
    assert share == pytest.approx(0.60, abs=0.01)
    hot_k = COLD_K + 128.0
    assert most_joules(np.full(600, HEAT_W), 1.0, hot_k, hot_k, 50.0) / 600 == pytest.approx(power, rel=0.005)


def test_an_end_with_more_heat_in_the_plate_leaves_less_energy():
    hot_k = COLD_K + 120.0
    cool, same, warm = (most_joules(np.full(200, HEAT_W), 1.0, hot_k, hot_k + more, BUS_V) for more in (0.0, 17.0, 20.0))
    assert cool > same > warm
