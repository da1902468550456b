"""Whether the physics allows what a site claims.

Bounds over a span of leaves of one boot, in exact integers so that everybody gets the same answer:

1. nameplate: electrical energy ≤ nameplate × time × 1.05. The 5 % are the channels' 12-bit currents and the bus divider.
2. heat: electrical energy ≤ Σ heat × module efficiency × time × 1.25 + nameplate × 30 s. Heat = flow × density × heat capacity ×
   (supply − return) of the hot loop. The modules' efficiency is interpolated between the published points (0 at 0 K) at hot supply −
   cold supply, which is more than what the junctions see: an upper bound. The 25 % are a pair of class B PT1000 at 200 °C (±1.8 K of a
   20 K glide, 9 %), the flow meter (1 %), the published points (5 %) and the fluid's properties (1 %), added and not squared, with
   something to spare; the 30 s are heat stored between the loop and the junctions.
3. gas: heat of the hot loop ≤ gas × 1,020,000 BTU/Mcf × 0.88 × 1.25 + stored heat. Stored heat is what the hot loop gives back when its
   supply cools, and one minute of heat at nameplate for the burner's modulation.
4. shunt, only where a leaf says that the channels' currents and the bus shunt disagree (CURRENT_SUM_MISMATCH): electrical energy ≤ energy
   through the bus shunt × 1.02 + 0.5 A × 58 V × time, which is what the gateware allows before it says so. Of two measurements that
   disagree the lesser one is believed.

These catch claims that are wrong by much, such as doubled energy. They do not catch a few per cent, nor sensors that are all
scaled together: that is what witnesses and calibration are for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ..points import Fault
from .check import Check, Reason, passed, refused
from .fluids import volumetric_heat
from .opened import OpenedBatch
from .trust import SiteKey

NAMEPLATE_TOLERANCE_PERCENT = 105
HEAT_TOLERANCE_PERCENT = 125
GAS_TOLERANCE_PERCENT = 125
SHUNT_TOLERANCE_PERCENT = 102
SHUNT_FLOOR_MW = 29_000
"""0.5 A at the bus's trip."""
JUNCTION_LAG_S = 30
"""Seconds at nameplate that the modules can give out of heat stored beyond the loop's sensors."""
BURNER_LAG_S = 60
"""Seconds of heat at nameplate by which the loop can lead or lag the burner."""

EFFICIENCY_POINTS: tuple[tuple[int, int], ...] = ((0, 0), (128, 36_000), (150, 41_000), (180, 50_000))
"""Temperature difference over the module in K and its efficiency in parts per million (bismuth telluride, 1.52 K/W at matched load); flat
beyond the last, which is the module's limit."""

RAW_PER_KELVIN = 50
"""Raw units of a loop temperature in one kelvin."""
FLOW_RAW_PER_M3_S = 6_000_000
"""Raw units of a loop flow (0.01 L/min) in one m³/s."""
GAS_RAW_PER_CUBIC_FOOT = 86_400
BTU_PER_CUBIC_FOOT = 1_020
MJ_PER_BTU = 1_055_056
"""mJ in one international-table BTU, rounded to the millijoule."""
BURNER_EFFICIENCY_PERCENT = 88
RATED_EFFICIENCY_PPM = 36_000
"""At the rated 128 K: nameplate over this is the heat at nameplate."""
LOOP_STORAGE_J_PER_K_W = 300
"""Heat in J that the hot loop gives back for each K of cooling and each W of nameplate: about 160 L of oil for 1 kW."""


_POINTS = (
    "electrical_energy",
    "bus_energy",
    "faults",
    "gas_volume",
    "hot_flow",
    "hot_supply_temperature",
    "hot_return_temperature",
    "cold_supply_temperature",
)


@dataclass(frozen=True, slots=True)
class Span:
    """Leaves of one boot, in order and without a gap."""

    times: Sequence[int]
    """Unix seconds."""
    raw: Mapping[str, Sequence[int]]
    """Raw values by point identifier, one for each time."""

    @classmethod
    def of(cls, batches: Sequence[OpenedBatch], before: OpenedBatch | None = None) -> Span:
        """All leaves of contiguous batches, begun with the last leaf of the batch before them where that is at hand."""
        times = [time for batch in batches for time in batch.columns.time]
        raw = {name: [value for batch in batches for value in batch.columns.raw[name]] for name in _POINTS}
        if before is not None:
            times.insert(0, before.columns.time[-1])
            for name, values in raw.items():
                values.insert(0, before.columns.raw[name][-1])
        return cls(times, raw)

    def difference(self, point: str) -> int:
        """A point's last value minus its first."""
        return self.raw[point][-1] - self.raw[point][0]

    @property
    def seconds(self) -> int:
        """Site seconds from the first leaf to the last."""
        return self.times[-1] - self.times[0]


def judge_span(span: Span, site: SiteKey) -> list[Check]:
    """The bounds."""
    heat_mw = heat_power_mw(span, site.hot_fluid)
    checks = [_nameplate(span, site), _heat(span, site, heat_mw), _gas(span, site, heat_mw)]
    doubted = sum(1 for faults in span.raw["faults"] if faults & Fault.CURRENT_SUM_MISMATCH)
    return [*checks, _shunt(span, doubted)] if doubted else checks


def judge_run(run: Sequence[OpenedBatch], site: SiteKey) -> list[Check]:
    """The bounds over a contiguous run of batches as a whole: each batch alone is granted the allowances for lag, the run has them once."""
    return judge_span(Span.of(run), site)


def efficiency_ppm(difference_raw: int) -> int:
    """Greatest efficiency, parts per million, at a temperature difference in raw units of 1/50 K; 0 where there is none."""
    for (low, low_ppm), (high, high_ppm) in pairwise(EFFICIENCY_POINTS):
        if difference_raw <= high * RAW_PER_KELVIN:
            above = max(0, difference_raw - low * RAW_PER_KELVIN)
            return low_ppm + (high_ppm - low_ppm) * above // ((high - low) * RAW_PER_KELVIN)
    return EFFICIENCY_POINTS[-1][1]


def heat_power_mw(span: Span, fluid: str) -> list[int]:
    """Heat that the hot loop leaves in the site at each leaf, mW; 0 where the return is not colder than the supply."""
    raw = span.raw
    powers = []
    for flow, supply, back in zip(raw["hot_flow"], raw["hot_supply_temperature"], raw["hot_return_temperature"], strict=True):
        heat_per_m3_k = volumetric_heat(fluid, (supply + back) // 2)
        powers.append(max(0, flow * heat_per_m3_k * (supply - back) * 1_000 // (FLOW_RAW_PER_M3_S * RAW_PER_KELVIN)))
    return powers


def integral(times: Sequence[int], values: Sequence[int]) -> int:
    """Trapezoids, floored: mW over seconds to mJ."""
    return (
        sum((later - earlier) * (low + high) for (earlier, later), (low, high) in zip(pairwise(times), pairwise(values), strict=True)) // 2
    )


def _nameplate(span: Span, site: SiteKey) -> Check:
    energy_mj, seconds = span.difference("electrical_energy"), span.seconds
    limit_mj = site.nameplate_w * 1_000 * seconds * NAMEPLATE_TOLERANCE_PERCENT // 100
    name, numbers = "energy within nameplate", {"energy_mj": energy_mj, "limit_mj": limit_mj, "seconds": seconds}
    text = f"{_joules(energy_mj)} in {seconds} s; {site.nameplate_w} W allow {_joules(limit_mj)}"
    return passed(name, text, **numbers) if energy_mj <= limit_mj else refused(name, Reason.ABOVE_NAMEPLATE, text, **numbers)


def _heat(span: Span, site: SiteKey, heat_mw: Sequence[int]) -> Check:
    raw = span.raw
    differences = (hot - cold for hot, cold in zip(raw["hot_supply_temperature"], raw["cold_supply_temperature"], strict=True))
    electrical_mw = [heat * efficiency_ppm(difference) // 1_000_000 for heat, difference in zip(heat_mw, differences, strict=True)]
    energy_mj = span.difference("electrical_energy")
    heat_mj = integral(span.times, heat_mw)
    modules_mj = integral(span.times, electrical_mw)
    limit_mj = modules_mj * HEAT_TOLERANCE_PERCENT // 100 + site.nameplate_w * 1_000 * JUNCTION_LAG_S
    name = "energy within heat and module efficiency"
    numbers = {"energy_mj": energy_mj, "limit_mj": limit_mj, "heat_mj": heat_mj, "modules_mj": modules_mj}
    text = (
        f"{_joules(energy_mj)} from {_joules(heat_mj)} of heat;"
        f" the modules' curve gives {_joules(modules_mj)}, with tolerance {_joules(limit_mj)}"
    )
    return passed(name, text, **numbers) if energy_mj <= limit_mj else refused(name, Reason.ABOVE_HEAT, text, **numbers)


def _gas(span: Span, site: SiteKey, heat_mw: Sequence[int]) -> Check:
    heat_mj = integral(span.times, heat_mw)
    gas_mj = span.difference("gas_volume") * BTU_PER_CUBIC_FOOT * MJ_PER_BTU * BURNER_EFFICIENCY_PERCENT // (GAS_RAW_PER_CUBIC_FOOT * 100)
    cooling_raw = max(0, -span.difference("hot_supply_temperature"))
    stored_mj = cooling_raw * LOOP_STORAGE_J_PER_K_W * site.nameplate_w * 1_000 // RAW_PER_KELVIN
    lag_mj = site.nameplate_w * 1_000_000_000 // RATED_EFFICIENCY_PPM * BURNER_LAG_S
    limit_mj = gas_mj * GAS_TOLERANCE_PERCENT // 100 + stored_mj + lag_mj
    name = "heat within gas"
    numbers = {"heat_mj": heat_mj, "limit_mj": limit_mj, "gas_mj": gas_mj, "stored_mj": stored_mj}
    text = f"{_joules(heat_mj)} of heat from {_joules(gas_mj)} of gas after the burner; with stored heat and tolerance {_joules(limit_mj)}"
    return passed(name, text, **numbers) if heat_mj <= limit_mj else refused(name, Reason.ABOVE_GAS, text, **numbers)


def _shunt(span: Span, doubted: int) -> Check:
    energy_mj, shunt_mj, seconds = span.difference("electrical_energy"), span.difference("bus_energy"), span.seconds
    limit_mj = max(0, shunt_mj) * SHUNT_TOLERANCE_PERCENT // 100 + SHUNT_FLOOR_MW * seconds
    name = "energy within the bus shunt's"
    numbers = {"energy_mj": energy_mj, "limit_mj": limit_mj, "shunt_mj": shunt_mj, "doubted_leaves": doubted}
    text = (
        f"{doubted} leaves say that channels and bus shunt disagree: {_joules(energy_mj)} by the channels,"
        f" {_joules(shunt_mj)} by the shunt, with tolerance {_joules(limit_mj)}"
    )
    return passed(name, text, **numbers) if energy_mj <= limit_mj else refused(name, Reason.ABOVE_SHUNT, text, **numbers)


def _joules(mj: int) -> str:
    return f"{mj // 1_000:,} J"
