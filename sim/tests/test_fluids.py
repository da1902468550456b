"""The fluids behave as their data sheets say, and heat is counted the same way in all three forms."""

import pytest
from thermogen_sim.fluids import GLYCOL_50, THERMINOL_VP1


@pytest.mark.parametrize(
    ("degc", "kg_m3", "kj_kgk"), [(20, 1064, 1.546), (100, 999, 1.775), (180, 931, 1.991), (200, 913, 2.048), (300, 817, 2.314)]
)
def test_therminol_vp1_is_within_one_percent_of_the_manufacturers_table(degc, kg_m3, kj_kgk):
    assert THERMINOL_VP1.density_kg_m3(degc) == pytest.approx(kg_m3, rel=0.01)
    assert THERMINOL_VP1.heat_capacity_j_kgk(degc) == pytest.approx(1000 * kj_kgk, rel=0.01)


@pytest.mark.parametrize(("degc", "kg_m3", "j_kgk"), [(0, 1074.6, 3203), (20, 1064.7, 3313), (40, 1053.4, 3413), (60, 1040.7, 3502)])
def test_glycol_follows_melinders_correlation(degc, kg_m3, j_kgk):
    assert GLYCOL_50.density_kg_m3(degc) == pytest.approx(kg_m3, rel=0.001)
    assert GLYCOL_50.heat_capacity_j_kgk(degc) == pytest.approx(j_kgk, rel=0.002)


@pytest.mark.parametrize("fluid", [THERMINOL_VP1, GLYCOL_50])
def test_enthalpy_is_the_integral_of_heat_capacity(fluid):
    rise = (fluid.enthalpy_j_kg(60.001) - fluid.enthalpy_j_kg(59.999)) / 0.002
    assert rise == pytest.approx(fluid.heat_capacity_j_kgk(60.0), rel=1e-6)


@pytest.mark.parametrize(
    ("fluid", "degc", "heat"), [(THERMINOL_VP1, 188.0, 30_000.0), (THERMINOL_VP1, 150.0, -200_000.0), (GLYCOL_50, 40.0, -35_000.0)]
)
def test_a_cooled_fluid_has_lost_exactly_the_heat_that_was_taken(fluid, degc, heat):
    cooled = fluid.cooled_degc(degc, heat)
    assert fluid.enthalpy_j_kg(degc) - fluid.enthalpy_j_kg(cooled) == pytest.approx(heat, rel=1e-9)


def test_a_metered_litre_has_the_mass_of_its_temperature():
    assert THERMINOL_VP1.mass_flow_kg_s(60.0, 180.0) == pytest.approx(0.9313, rel=0.001)
