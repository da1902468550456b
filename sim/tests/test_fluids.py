"""The fluids are CoolProp's, the evidence's constants agree with them, and heat is counted the same way in all three forms."""

import pytest
from thermogen_esf.evidence.fluids import TEMPERATURE_SCALE, volumetric_heat
from thermogen_sim.fluid_table import HEADER, PRESSURE_PA, SPANS, TABLE, rows
from thermogen_sim.fluids import GLYCOL_50, THERMINOL_VP1

FLUIDS = [THERMINOL_VP1, GLYCOL_50]


@pytest.mark.parametrize(
    ("degc", "kg_m3", "kj_kgk"), [(20, 1064, 1.546), (100, 999, 1.775), (180, 931, 1.991), (200, 913, 2.048), (300, 817, 2.314)]
)
def test_therminol_vp1_is_within_half_a_percent_of_the_manufacturers_table(degc, kg_m3, kj_kgk):
    assert THERMINOL_VP1.density_kg_m3(degc) == pytest.approx(kg_m3, rel=0.005)
    assert THERMINOL_VP1.heat_capacity_j_kgk(degc) == pytest.approx(1000 * kj_kgk, rel=0.005)


@pytest.mark.parametrize(("degc", "kg_m3", "j_kgk"), [(0, 1074.6, 3203), (20, 1064.7, 3313), (40, 1053.4, 3413), (60, 1040.7, 3502)])
def test_glycol_follows_melinders_correlation(degc, kg_m3, j_kgk):
    assert GLYCOL_50.density_kg_m3(degc) == pytest.approx(kg_m3, rel=0.001)
    assert GLYCOL_50.heat_capacity_j_kgk(degc) == pytest.approx(j_kgk, rel=0.002)


@pytest.mark.slow  # CoolProp's import takes seconds
def test_the_table_is_what_coolprop_says_and_straight_lines_between_its_rows_lie_within_40_millionths():
    from CoolProp.CoolProp import PropsSI

    assert TABLE.read_text(encoding="ascii").splitlines() == [HEADER, *rows()]
    for fluid in FLUIDS:
        name, span = SPANS[fluid.name]
        for degc in (low + 2.5 for low in span[:-1]):
            for what, ours in (("D", fluid.density_kg_m3), ("C", fluid.heat_capacity_j_kgk)):
                assert ours(degc) == pytest.approx(PropsSI(what, "T", degc + 273.15, "P", PRESSURE_PA, name), rel=4e-5)
    for fluid in FLUIDS:  # at 1 bar, where CoolProp's enthalpy has no share of the pressure
        first, last = (PropsSI("H", "T", degc + 273.15, "P", 101_325, SPANS[fluid.name][0]) for degc in (20, 95))
        assert fluid.enthalpy_j_kg(95) - fluid.enthalpy_j_kg(20) == pytest.approx(last - first, rel=1e-4)


@pytest.mark.parametrize(
    ("evidence", "fluid", "span", "percent"),
    [("therminol-vp1", THERMINOL_VP1, range(20, 381, 20), 0.5), ("ethylene-glycol-50", GLYCOL_50, range(20, 101, 10), 5.0)],
)
def test_the_evidences_heat_of_a_litre_agrees_with_the_plants(evidence, fluid, span, percent):
    """Glycol: the evidence means 50 % by volume, the plant by mass, and a litre of the latter carries up to 4.6 % less heat."""
    for degc in span:
        plants = fluid.density_kg_m3(degc) * fluid.heat_capacity_j_kgk(degc)
        assert volumetric_heat(evidence, round(degc / TEMPERATURE_SCALE)) == pytest.approx(plants, rel=percent / 100)


@pytest.mark.parametrize("fluid", FLUIDS)
@pytest.mark.parametrize("degc", [-40.0, 61.3, 180.0, 420.0])
def test_enthalpy_is_the_integral_of_heat_capacity_within_the_table_and_beyond(fluid, degc):
    rise = (fluid.enthalpy_j_kg(degc + 1e-3) - fluid.enthalpy_j_kg(degc - 1e-3)) / 2e-3
    assert rise == pytest.approx(fluid.heat_capacity_j_kgk(degc), rel=1e-6)


@pytest.mark.parametrize(
    ("fluid", "degc", "heat"), [(THERMINOL_VP1, 188.0, 30_000.0), (THERMINOL_VP1, 150.0, -200_000.0), (GLYCOL_50, 40.0, -35_000.0)]
)
def test_a_cooled_fluid_has_lost_exactly_the_heat_that_was_taken(fluid, degc, heat):
    cooled = fluid.cooled_degc(degc, heat)
    assert fluid.enthalpy_j_kg(degc) - fluid.enthalpy_j_kg(cooled) == pytest.approx(heat, rel=1e-9)


def test_a_metered_litre_has_the_mass_of_its_temperature():
    assert THERMINOL_VP1.mass_flow_kg_s(60.0, 180.0) == pytest.approx(0.931, rel=0.001)
