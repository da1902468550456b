"""`thermogen-verify yield`: what each methodology gives for one site and year, before and after its discount, and why."""

from __future__ import annotations

from dataclasses import dataclass

from .catalogue import Quantity, Refusal, Rule, catalogue
from .methodology import BASIS_POINTS

HOURS_A_YEAR, DAYS_A_YEAR = 8_760, 365
MJ_PER_WATT_HOUR = 3_600_000
RAW_PER_CUBIC_FOOT = 86_400
FIXED = bytes(32)
"""In place of a baseline's evidence: a yield is a forecast, not a claim."""


@dataclass(frozen=True, slots=True)
class Site:
    """A site over a year: the reference is the full node at 80 %, 10 kW as the project's worked example rounds it."""

    power_w: int = 10_000
    capacity_percent: int = 80
    gas_cf_d: int = 27_600
    """Cubic feet a day at full power."""

    @property
    def energy_mj(self) -> int:
        """Electrical energy of a year, millijoule."""
        return self.power_w * self.capacity_percent * HOURS_A_YEAR * MJ_PER_WATT_HOUR // 100

    @property
    def gas(self) -> int:
        """Gas of a year, 1/86,400 cubic foot."""
        return self.gas_cf_d * self.capacity_percent * DAYS_A_YEAR * RAW_PER_CUBIC_FOOT // 100


REFERENCE = Site()


@dataclass(frozen=True, slots=True)
class Yield:
    """What a methodology gives; amounts in 1e-6 t CO2e, None where it refuses."""

    identifier: str
    gross: int | None
    net: int | None
    why: str

    def to_json(self) -> dict[str, object]:
        """As JSON types."""
        return {"methodology": self.identifier, "gross": self.gross, "net": self.net, "why": self.why}


def yields(site: Site) -> list[Yield]:
    """Every methodology of this release for a site, the least that computes first, those that refuse last."""
    found = [_yield(each, site) for each in catalogue().values()]
    return sorted(found, key=lambda each: (each.net is None, each.net or 0, each.identifier))


def _yield(methodology: Rule | Refusal, site: Site) -> Yield:
    if isinstance(methodology, Refusal):
        return Yield(methodology.identifier, None, None, methodology.reason)
    net, _ = methodology.amount(site.energy_mj, site.gas, 0, FIXED)
    quantity = site.energy_mj if methodology.quantity is Quantity.ENERGY else site.gas
    gross = quantity * methodology.parts_per_quantity * BASIS_POINTS // (methodology.parts_per_unit * (BASIS_POINTS - methodology.discount))
    needs = f" Needs: {methodology.evidence}" if methodology.evidence_required else ""
    return Yield(methodology.identifier, gross, net, f"{methodology.statement}{needs}")


def lines(site: Site) -> list[str]:
    """The report for a person."""
    kwh, thousand_cf = site.energy_mj // (MJ_PER_WATT_HOUR * 1_000), site.gas // (RAW_PER_CUBIC_FOOT * 1_000)
    head = f"{site.power_w / 1000:g} kW at {site.capacity_percent} %: {kwh:,} kWh and {thousand_cf:,} Mcf of gas a year"
    shown = [head, "", f"{'methodology':<20} {'t/site/year':>12} {'less discount':>14} {'1,000 sites':>12}"]
    for each in yields(site):
        if each.gross is None or each.net is None:
            shown.append(f"{each.identifier:<20} {'refuses':>12}")
        else:
            shown.append(f"{each.identifier:<20} {_rounded(each.gross):>12} {_rounded(each.net):>14} {_whole(each.gross * 1_000):>12}")
    shown.append("")
    for each in yields(site):
        shown += [f"{each.identifier}: {each.why}"]
    return [
        *shown,
        "",
        "Gas counts as methane at 60 degF and 101.325 kPa, 677 g/m3; at 25 degC (656.7 g/m3) the same counter would give 3 % less.",
        "A mint is after the discount, in grams rounded down, the rest carried over; the exact net is in --json.",
    ]


def _rounded(units: int) -> str:
    tenths = (units + 50_000) // 100_000
    return f"{tenths // 10:,}.{tenths % 10}"


def _whole(units: int) -> str:
    return f"{(units // 1_000_000 + 50) // 100 * 100:,}"
