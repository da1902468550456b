"""Heat that a litre of a loop's fluid carries, in exact integers.

Densities are polynomials in kg/m³ and heat capacities in J/(kg·K) of the temperature in °C, coefficients by rising power.
Their product is evaluated exactly and floored, so that everybody who recomputes gets the same number.

- `therminol-vp1`: the equations of the maker's bulletin (Eastman/Solutia, Therminol VP-1, liquid, 12 to 400 °C). They lie within
  0.3 % (density) and 0.4 % (heat capacity) of CoolProp's independent fit to the maker's table over 20 to 380 °C.
- `ethylene-glycol-50`: 50 % by volume in water, a quadratic and a line through the values of ASHRAE Handbook Fundamentals 2001 as
  CoolProp tabulates them (its fluid AEG), within 0.003 kg/m³ and 0.02 J/(kg·K) of those over 0 to 100 °C; above 100 °C extrapolated.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache

from ..points import POINT


@dataclass(frozen=True, slots=True)
class Fluid:
    """A heat transfer fluid; coefficients as decimal text so that they are exact."""

    name: str
    density: tuple[str, ...]
    """kg/m³, by rising power of °C."""
    heat_capacity: tuple[str, ...]
    """J/(kg·K), by rising power of °C."""


FLUIDS: dict[str, Fluid] = {
    fluid.name: fluid
    for fluid in (
        Fluid(
            "therminol-vp1",
            ("1083.25", "-0.90797", "0.00078116", "-0.000002367"),
            ("1498", "2.414", "0.0059591", "-0.000029879", "0.000000044172"),
        ),
        Fluid("ethylene-glycol-50", ("1081.11", "-0.33845", "-0.002429"), ("3203.4", "3.8587")),
    )
}
"""Fluids by the name that a trust list uses."""

TEMPERATURE_SCALE = POINT["hot_supply_temperature"].scale
"""Kelvin of one raw unit of a loop temperature; the same for the four of them."""


@cache
def volumetric_heat(fluid: str, raw_temperature: int) -> int:
    """J/(m³·K) of a fluid of FLUIDS at a temperature in a loop sensor's raw units, floored; KeyError for a fluid that is not there."""
    properties = FLUIDS[fluid]
    temperature = raw_temperature * TEMPERATURE_SCALE
    return int(_polynomial(properties.density, temperature) * _polynomial(properties.heat_capacity, temperature))


def _polynomial(coefficients: tuple[str, ...], x: Fraction) -> Fraction:
    value = Fraction(0)
    for coefficient in reversed(coefficients):
        value = value * x + Fraction(coefficient)
    return value
