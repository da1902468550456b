"""Whether a site's sensors agree with one another and move, beyond the bounds of `plausibility`: for evidence that is sealed.

Exact integers, each with its numbers. Over a contiguous run:

1. Carnot: electrical energy ≤ Σ heat × (1 − Tc / Th) × 1.25 + nameplate × 30 s, at the loops' supplies in kelvin; 1.25 and 30 s as in
   `plausibility`. The modules' curve is lower; this bound needs to know nothing about modules.
2. Heat balance: heat into the cold loop + electrical energy lies from 0.6 to 1.25 of the heat out of the hot loop, less or plus two minutes
   of heat at nameplate for what lies between the loops. Below are losses of pipes and plates, above the errors of both loops' sensors.
3. Gas meter: the gas counter's difference is the flow's integral within 5 % and 1 % of a minute's flow at the meter's end of scale.
4. Power: the energy counter's difference is the power's integral within 5 % and nameplate × 30 s.
5. Movement: of the twelve inputs of the node's converter, at least one changes within any epoch of 30 leaves or more in which energy or
   gas is claimed. Twelve real inputs that stand still for five minutes are a recording or a broken converter.

Over all of a day, whatever lies between its batches, since a recording goes on after a restart:

6. Repetition: of such epochs none repeats the inputs of another, leaf for leaf, and in all that claim energy or gas no 30 leaves in a
   row, at least 15 of them different, come twice, wherever they begin. Inputs are means of a second, to a sixteenth of a converter's
   code: if of twelve real ones a reading that is new in such a stretch could be foreseen with one chance in 16 or less, the stretch comes
   again at a given place with 2^-60, and in a day, which has 8,640 leaves and 2^25 pairs of places, with 2^-35. Inputs that rest, or go
   to and fro between fewer readings, may do so for as long as they like, unless whole epochs that move are the same.

What is repeated with a count changed, or a leaf left out, within every 30 leaves is not seen, nor what was recorded on another day.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from ..points import POINT, SITE_INPUTS
from .check import Check, Reason, passed, refused
from .fluids import volumetric_heat
from .opened import OpenedBatch
from .plausibility import (
    FLOW_RAW_PER_M3_S,
    HEAT_TOLERANCE_PERCENT,
    JUNCTION_LAG_S,
    RATED_EFFICIENCY_PPM,
    RAW_PER_KELVIN,
    integral,
)
from .trust import SiteKey

ZERO_CELSIUS_RAW_TIMES_2 = 27_315
"""273.15 K in half raw units of a loop temperature."""
LEAST_BALANCE_PERCENT = 60
MOST_BALANCE_PERCENT = 125
BALANCE_LAG_S = 120
COUNTER_TOLERANCE_PERCENT = 5
LEAST_LEAVES = 30
"""Leaves of an epoch from which on standing still and repeating mean something: five minutes."""
STRETCH_LEAVES = 30
"""Leaves in a row that are compared with any others of the day: five minutes."""
LEAST_DIFFERENT = 15
"""Different readings of the twelve inputs from which on such leaves do not come twice by themselves."""
GAS_FLOOR = int(POINT["gas_flow"].maximum / POINT["gas_flow"].scale) * 60 // 100


def judge_consistency(run: Sequence[OpenedBatch], site: SiteKey) -> list[Check]:
    """The checks over a contiguous run of batches."""
    times = [time for batch in run for time in batch.columns.time]
    return [
        _carnot(run, times, site),
        _balance(run, times, site),
        _gas_meter(run, times),
        _power(run, times, site),
        _movement(run),
    ]


def judge_repetition(batches: Sequence[OpenedBatch]) -> Check:
    """Whether a site's inputs repeat themselves within a day; all its batches that are believed, in order, of however many runs."""
    name, claiming = "sensors do not repeat", [batch for batch in batches if _claims(batch)]
    return _same_epoch(name, claiming) or _same_stretch(name, claiming) or passed(name, f"{len(claiming)} epochs", epochs=len(claiming))


def _column(run: Sequence[OpenedBatch], point: str) -> list[int]:
    return [value for batch in run for value in batch.columns.raw[point]]


def _difference(run: Sequence[OpenedBatch], point: str) -> int:
    return run[-1].columns.raw[point][-1] - run[0].columns.raw[point][0]


def loop_heat_mw(run: Sequence[OpenedBatch], loop: str, fluid: str) -> list[int]:
    """Heat that a loop (`hot`, `cold`) carries at each leaf, mW; 0 where it flows the wrong way."""
    flows, supplies, returns = (
        _column(run, f"{loop}_flow"),
        _column(run, f"{loop}_supply_temperature"),
        _column(run, f"{loop}_return_temperature"),
    )
    powers = []
    for flow, supply, back in zip(flows, supplies, returns, strict=True):
        glide = supply - back if loop == "hot" else back - supply
        heat = flow * volumetric_heat(fluid, (supply + back) // 2) * glide * 1_000 // (FLOW_RAW_PER_M3_S * RAW_PER_KELVIN)
        powers.append(max(0, heat))
    return powers


def _carnot(run: Sequence[OpenedBatch], times: Sequence[int], site: SiteKey) -> Check:
    hot, cold = _column(run, "hot_supply_temperature"), _column(run, "cold_supply_temperature")
    work = []
    for heat, above, below in zip(loop_heat_mw(run, "hot", site.hot_fluid), hot, cold, strict=True):
        kelvin = 2 * above + ZERO_CELSIUS_RAW_TIMES_2
        work.append(heat * max(0, 2 * (above - below)) // kelvin if kelvin > 0 else 0)
    energy, carnot = _difference(run, "electrical_energy"), integral(times, work)
    limit = carnot * HEAT_TOLERANCE_PERCENT // 100 + site.nameplate_w * 1_000 * JUNCTION_LAG_S
    name, numbers = "energy within Carnot", {"energy_mj": energy, "limit_mj": limit, "carnot_mj": carnot}
    text = f"{energy} mJ; a perfect engine between the loops gives {carnot} mJ, with tolerance {limit} mJ"
    return passed(name, text, **numbers) if energy <= limit else refused(name, Reason.ABOVE_CARNOT, text, **numbers)


def _balance(run: Sequence[OpenedBatch], times: Sequence[int], site: SiteKey) -> Check:
    hot = integral(times, loop_heat_mw(run, "hot", site.hot_fluid))
    cold = integral(times, loop_heat_mw(run, "cold", site.cold_fluid))
    out = cold + _difference(run, "electrical_energy")
    lag = site.nameplate_w * 1_000_000_000 // RATED_EFFICIENCY_PPM * BALANCE_LAG_S
    least, most = hot * LEAST_BALANCE_PERCENT // 100 - lag, hot * MOST_BALANCE_PERCENT // 100 + lag
    name, numbers = "loops' heat agrees", {"hot_mj": hot, "cold_mj": cold, "out_mj": out, "least_mj": least, "most_mj": most}
    text = f"{hot} mJ leave the hot loop, {out} mJ arrive as heat and electricity; believed are {least} to {most} mJ"
    return passed(name, text, **numbers) if least <= out <= most else refused(name, Reason.SENSORS_DISAGREE, text, **numbers)


def _gas_meter(run: Sequence[OpenedBatch], times: Sequence[int]) -> Check:
    counted, flowed = _difference(run, "gas_volume"), integral(times, _column(run, "gas_flow"))
    return _two_ways("gas counter agrees with flow", counted, flowed, GAS_FLOOR, "gas")


def _power(run: Sequence[OpenedBatch], times: Sequence[int], site: SiteKey) -> Check:
    counted, integrated = _difference(run, "electrical_energy"), integral(times, _column(run, "channel_power"))
    return _two_ways("energy counter agrees with power", counted, integrated, site.nameplate_w * 1_000 * JUNCTION_LAG_S, "mj")


def _two_ways(name: str, counted: int, integrated: int, floor: int, unit: str) -> Check:
    allowed = max(counted, integrated) * COUNTER_TOLERANCE_PERCENT // 100 + floor
    numbers = {f"counted_{unit}": counted, f"integrated_{unit}": integrated, f"allowed_{unit}": allowed}
    text = f"{counted} by the counter, {integrated} by the leaves' values, {allowed} apart are allowed"
    return (
        passed(name, text, **numbers) if abs(counted - integrated) <= allowed else refused(name, Reason.SENSORS_DISAGREE, text, **numbers)
    )


def _inputs(batch: OpenedBatch) -> list[tuple[int, ...]]:
    return list(zip(*(batch.columns.raw[point] for point in SITE_INPUTS), strict=True))


def _claims(batch: OpenedBatch) -> bool:
    """Whether a methodology can credit anything of it."""
    return any(_difference([batch], counter) > 0 for counter in ("electrical_energy", "gas_volume"))


def _claiming(batches: Sequence[OpenedBatch]) -> list[OpenedBatch]:
    """Epochs long enough to tell, in which energy or gas is claimed."""
    return [batch for batch in batches if len(batch.columns) >= LEAST_LEAVES and _claims(batch)]


def _movement(run: Sequence[OpenedBatch]) -> Check:
    name, claiming = "sensors move", _claiming(run)
    for batch in claiming:
        if len(set(_inputs(batch))) == 1:
            text = f"all {len(SITE_INPUTS)} inputs stand still through the {len(batch.columns)} leaves of epoch {batch.epoch}"
            return refused(name, Reason.FROZEN_SENSORS, text, epoch=batch.epoch, leaves=len(batch.columns))
    return passed(name, f"in each of {len(claiming)} epochs", epochs=len(claiming))


def _same_epoch(name: str, batches: Sequence[OpenedBatch]) -> Check | None:
    seen: dict[tuple[tuple[int, ...], ...], int] = {}
    for batch in _claiming(batches):
        inputs = tuple(_inputs(batch))
        earlier = seen.setdefault(inputs, batch.epoch)
        if earlier != batch.epoch and any(one != other for one, other in pairwise(inputs)):
            text = f"the inputs of epoch {batch.epoch} are those of epoch {earlier}, leaf for leaf"
            return refused(name, Reason.REPEATED_VALUES, text, epoch=batch.epoch, before=earlier)
    return None


def _same_stretch(name: str, batches: Sequence[OpenedBatch]) -> Check | None:
    places = [(batch.epoch, leaf) for batch in batches for leaf in range(len(batch.columns))]
    numbers: dict[tuple[int, ...], int] = {}
    readings = [numbers.setdefault(inputs, len(numbers)) for batch in batches for inputs in _inputs(batch)]
    seen: dict[tuple[int, ...], int] = {}
    for first in range(len(readings) - STRETCH_LEAVES + 1):
        stretch = tuple(readings[first : first + STRETCH_LEAVES])
        earlier = seen.setdefault(stretch, first)
        different = len(set(stretch)) if earlier != first else 0
        if different >= LEAST_DIFFERENT:
            (epoch, leaf), (before, before_leaf) = places[first], places[earlier]
            text = (
                f"the inputs of {STRETCH_LEAVES} leaves from leaf {leaf} of epoch {epoch} on are those from leaf {before_leaf} of epoch"
                f" {before} on, {different} of them different"
            )
            return refused(name, Reason.REPEATED_VALUES, text, epoch=epoch, leaf=leaf, before=before, before_leaf=before_leaf)
    return None
