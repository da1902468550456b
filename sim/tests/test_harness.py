"""What surrounds the gateware keeps time: clocks, pulses, SPI and PWM, on small designs."""

import pytest
from thermogen_sim.compiler import site_library
from thermogen_sim.harness import CompiledSite, Stop

pytestmark = pytest.mark.slow


def _transact(site, request):
    site.begin(request)
    stops = []
    while True:
        stop = site.run(1 << 40)
        stops.append(stop)
        if stop & Stop.TRANSACTION:
            return site.answer(), stops


def test_a_transaction_shifts_every_bit_both_ways(small_site):
    request = bytes((0x00, 0xFF, 0x5A, 0xC3, 0x01, 0x80))
    answer, _ = _transact(small_site, request)
    assert answer[1:] == request[:-1]


def test_a_transaction_takes_64_clocks_a_byte(small_site):
    before = small_site.clocks
    _transact(small_site, bytes(100))
    assert 6400 <= small_site.clocks - before <= 6400 + 64


def test_a_run_stops_where_each_site_second_begins(small_site):
    assert small_site.run(25_000) == Stop.SITE_SECOND
    assert small_site.clocks == 10_000
    assert small_site.run(25_000) == Stop.SITE_SECOND
    assert small_site.clocks == 20_000
    assert small_site.run(5_000) == Stop(0)
    assert small_site.clocks == 25_000


def test_the_node_sees_one_pulse_a_site_second(small_site):
    for _ in range(7):
        small_site.run(10_000)
    small_site.run(5_000)
    assert _transact(small_site, bytes(1))[0] == bytes((7,))


def test_site_seconds_pass_during_a_transaction(small_site):
    _, stops = _transact(small_site, bytes(1000))
    assert stops.count(Stop.SITE_SECOND) == 6


def _stiff(e):
    for channel in range(12):
        e.open_circuit_v[channel], e.string_ohm[channel], e.input_v[channel] = 135.0, 1e-3, 135.0
    e.battery_ocv, e.battery_ohm, e.battery_connected, e.bus_v = 50.0, 1e-3, 1, 50.0


def _assert_on_times(e):
    for channel in range(12):
        # In discontinuous conduction the mean current tells the on-time.
        on_s = (24 + 8 * channel) / 480 * 10e-6
        volts = e.input_v[channel] - e.bus_v
        expected = volts * on_s**2 / (2 * 220e-6 * 10e-6) * (1 + volts / (e.bus_v + 0.8))
        assert e.output_a[channel] == pytest.approx(expected, rel=0.005)


def test_module_clock_is_24_of_the_nodes_25_and_on_times_are_measured_to_the_count(small_site):
    e = small_site.electrical
    _stiff(e)
    _transact(small_site, bytes((0xA5,)))
    start, seconds = small_site.clocks, e.seconds
    for _ in range(30):
        small_site.run(10_000)
    periods = (small_site.clocks - start) * 24 / 25 / 480
    assert (e.seconds - seconds) / 10e-6 == pytest.approx(periods, abs=1.01)
    _assert_on_times(e)


def test_carriers_in_twelve_phases_are_each_measured_over_their_own_period(phased_site):
    e = phased_site.electrical
    _stiff(e)
    _transact(phased_site, bytes((0xA5,)))
    for _ in range(10):
        phased_site.run(10_000)
    _assert_on_times(e)


def test_a_brown_out_reaches_the_modules_supervisor_and_a_module_without_one_says_so(phased_site, small_site):
    e = phased_site.electrical
    _stiff(e)
    _transact(phased_site, bytes((0xA5,)))
    phased_site.run(10_000)
    assert e.output_a[0] > 0.0
    phased_site.brown_out(0, good=False)
    phased_site.run(1_500)
    assert list(e.output_a[:12]) == [0.0] * 12
    phased_site.brown_out(0, good=True)
    phased_site.run(1_500)
    assert e.output_a[0] > 0.0
    with pytest.raises(NotImplementedError):
        small_site.brown_out(0, good=False)


def test_a_pulled_module_carries_nothing_and_comes_back_from_power_up(small_site):
    e = small_site.electrical
    _stiff(e)
    _transact(small_site, bytes((0xA5,)))
    small_site.run(10_000)
    assert e.output_a[11] > 0.0
    small_site.pull_module(0)
    small_site.run(10_000)
    assert list(e.output_a[:12]) == list(e.amplifier_a[:12]) == [0.0] * 12
    small_site.insert_module(0)
    small_site.run(10_000)
    small_site.run(10_000)
    _assert_on_times(e)


def test_gates_do_nothing_until_the_module_is_enabled(small_site):
    e = small_site.electrical
    e.open_circuit_v[0], e.string_ohm[0], e.input_v[0] = 135.0, 48.0, 135.0
    e.battery_ocv, e.battery_ohm, e.battery_connected, e.bus_v = 50.0, 1e-3, 1, 50.0
    small_site.run(9_999)
    assert e.output_a[0] == 0.0


def test_a_power_cycle_forgets_registers_and_keeps_the_circuit(small_site):
    small_site.run(10_000)
    small_site.run(5_000)
    small_site.electrical.bus_v = 47.0
    assert _transact(small_site, bytes(1))[0] == bytes((1,))
    small_site.power_cycle()
    assert _transact(small_site, bytes(1))[0] == bytes((0,))
    assert small_site.electrical.bus_v == pytest.approx(47.0, abs=0.5)


def test_the_same_seed_and_steps_give_the_same_run_however_it_is_sliced(small_designs):
    library = site_library(small_designs)
    ends = []
    for step in (10_000, 777):
        site = CompiledSite(library, 10_000, seed=5, bus_v_per_volt=26.2144, bus_a_per_volt=65.536)
        e = site.electrical
        e.open_circuit_v[3], e.string_ohm[3] = 120.0, 48.0
        e.battery_ocv, e.battery_ohm, e.battery_connected, e.bus_v = 50.0, 0.02, 1, 50.0
        _transact(site, bytes((0xA5,)))
        while site.clocks < 60_000:
            site.run(min(step, 60_000 - site.clocks))
        ends.append((e.bus_v, e.input_v[3], e.output_a[3]))
        site.close()
    assert ends[0] == ends[1]
