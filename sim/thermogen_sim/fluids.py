"""Heat transfer fluids: density, heat capacity and enthalpy over temperature.

Therminol VP-1 (eutectic of biphenyl and diphenyl oxide), liquid, 12 to 400 degC: the polynomials of the manufacturer's technical
bulletin 7239115C. Ethylene glycol and water, equal masses, -10 to 95 degC: least-squares parabolas through the
correlations of A. Melinder, Properties of Secondary Working Fluids for Indirect Systems (IIR, 2010), within 0.4 kg/m3 and
2 J/(kg K).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


def _polynomial(coefficients: Sequence[float], x: float) -> float:
    total = 0.0
    for coefficient in reversed(coefficients):
        total = total * x + coefficient
    return total


@dataclass(frozen=True)
class Fluid:
    """A liquid whose properties are polynomials of its temperature in degC, lowest power first."""

    name: str
    density_coefficients: tuple[float, ...]
    heat_capacity_coefficients: tuple[float, ...]

    def density_kg_m3(self, degc: float) -> float:
        """Density in kg/m3."""
        return _polynomial(self.density_coefficients, degc)

    def heat_capacity_j_kgk(self, degc: float) -> float:
        """Specific heat capacity at constant pressure in J/(kg K)."""
        return _polynomial(self.heat_capacity_coefficients, degc)

    def enthalpy_j_kg(self, degc: float) -> float:
        """Specific enthalpy above 0 degC in J/kg, the integral of the heat capacity."""
        integral = [0.0, *(c / (n + 1) for n, c in enumerate(self.heat_capacity_coefficients))]
        return _polynomial(integral, degc)

    def cooled_degc(self, degc: float, heat_j_kg: float) -> float:
        """Temperature after `heat_j_kg` has been taken out of fluid that was at `degc` (negative: put in)."""
        target = self.enthalpy_j_kg(degc) - heat_j_kg
        cooled = degc - heat_j_kg / self.heat_capacity_j_kgk(degc)
        for _ in range(3):  # Newton; the heat capacity changes by 0.1 % per kelvin
            cooled -= (self.enthalpy_j_kg(cooled) - target) / self.heat_capacity_j_kgk(cooled)
        return cooled

    def mass_flow_kg_s(self, litres_per_minute: float, degc: float) -> float:
        """Mass flow of a volume flow that is metered at `degc`."""
        return litres_per_minute / 60_000.0 * self.density_kg_m3(degc)


THERMINOL_VP1 = Fluid(
    "Therminol VP-1",
    (1083.25, -0.90797, 0.00078116, -2.367e-6),
    (1498.0, 2.414, 5.9591e-3, -2.9879e-5, 4.4172e-8),
)

GLYCOL_50 = Fluid(
    "ethylene glycol 50/50",
    (1074.65, -0.459854, -1.77703e-3),
    (3202.74, 5.77643, -1.30791e-2),
)
