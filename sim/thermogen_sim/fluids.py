"""Heat transfer fluids: density, heat capacity and enthalpy over temperature, from CoolProp's tables (`fluid_table.py`).

Therminol VP-1 (eutectic of biphenyl and diphenyl oxide) is INCOMP::TVP1, ethylene glycol and water in equal masses INCOMP::MEG-50%:
I. H. Bell et al., "Pure and Pseudo-pure Fluid Thermophysical Property Evaluation and the Open-Source Thermophysical Property Library
CoolProp", Ind. Eng. Chem. Res. 53 (2014). Between rows density and heat capacity run in straight lines, beyond the table the last line goes
on; the enthalpy is the exact integral of that heat capacity, so that heat counted either way is the same heat.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import pairwise

from .fluid_table import HEADER, TABLE


@dataclass(frozen=True)
class Fluid:
    """A liquid tabulated over its temperature in degC, rows in rising order."""

    name: str
    degc: tuple[float, ...]
    kg_m3: tuple[float, ...]
    j_kgk: tuple[float, ...]
    _j_kg: tuple[float, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        enthalpies = [0.0]
        for (low, high), (before, after) in zip(pairwise(self.degc), pairwise(self.j_kgk), strict=True):
            enthalpies.append(enthalpies[-1] + (high - low) * 0.5 * (before + after))
        object.__setattr__(self, "_j_kg", tuple(enthalpies))

    def density_kg_m3(self, degc: float) -> float:
        """Density in kg/m3."""
        return self._between(self.kg_m3, degc)

    def heat_capacity_j_kgk(self, degc: float) -> float:
        """Specific heat capacity at constant pressure in J/(kg K)."""
        return self._between(self.j_kgk, degc)

    def enthalpy_j_kg(self, degc: float) -> float:
        """Specific enthalpy in J/kg above the table's first row."""
        row = self._row(degc)
        return self._j_kg[row] + (degc - self.degc[row]) * 0.5 * (self.j_kgk[row] + self._between(self.j_kgk, degc))

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

    def _row(self, degc: float) -> int:
        return min(max(bisect_right(self.degc, degc) - 1, 0), len(self.degc) - 2)

    def _between(self, values: tuple[float, ...], degc: float) -> float:
        row = self._row(degc)
        share = (degc - self.degc[row]) / (self.degc[row + 1] - self.degc[row])
        return values[row] + share * (values[row + 1] - values[row])


def _tabulated(name: str) -> Fluid:
    header, *lines = TABLE.read_text(encoding="ascii").splitlines()
    if header != HEADER:
        raise ValueError(
            f"{TABLE.name} begins with {header!r}, not with {HEADER!r}: write it again with `python -m thermogen_sim.fluid_table`"
        )
    rows = [line.split(",")[1:] for line in lines if line.startswith(f"{name},")]
    degc, density, heat_capacity = (tuple(float(row[column]) for row in rows) for column in range(3))
    return Fluid(name, degc, density, heat_capacity)


THERMINOL_VP1 = _tabulated("Therminol VP-1")
GLYCOL_50 = _tabulated("ethylene glycol 50/50")
