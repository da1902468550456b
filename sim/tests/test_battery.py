"""The pack's voltage and charge."""

import itertools

import pytest
from thermogen_sim.battery import Battery


def test_a_full_pack_shows_51_1_volts():
    assert Battery(1.0).open_circuit_v == pytest.approx(51.1)


def test_voltage_rises_with_charge():
    volts = [Battery(charge / 100).open_circuit_v for charge in range(101)]
    assert all(later > earlier for earlier, later in itertools.pairwise(volts))


def test_charge_is_counted_and_stops_at_the_ends():
    battery = Battery(0.5, capacity_ah=100.0)
    battery.pass_charge(3600.0 * 10)
    assert battery.charge == pytest.approx(0.6)
    battery.pass_charge(3600.0 * 1000)
    assert battery.charge == 1.0
    battery.pass_charge(-3600.0 * 1000)
    assert battery.charge == 0.0
