"""What a run comes to: energy over available energy, time to 99 % after a step, ripple."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .bench import Conditions, Kind, Run, run
from .offline import most_joules
from .scenarios import Scenario


@dataclass(frozen=True)
class Peer:
    """A tracker to compare: `sensor` says what it measures besides the current."""

    name: str
    kind: Kind
    step_counts: int = 1
    sensor: str = ""


TRACKERS: tuple[Peer, ...] = (
    Peer("Thermogen Zero", Kind.GATEWARE, sensor="output current only"),
    Peer("P&O 10 Hz, 0.2 %", Kind.PERTURB_OBSERVE, 1, "output current; string voltage at the start"),
    Peer("P&O 10 Hz, 1 %", Kind.PERTURB_OBSERVE, 5, "output current; string voltage at the start"),
    Peer("IncCond 10 Hz, 0.4 %", Kind.INCREMENTAL_CONDUCTANCE, 2, "output current and string voltage"),
    Peer("Voc/2 every 16 s", Kind.FRACTIONAL_VOLTAGE, 1, "string voltage"),
)


@dataclass(frozen=True)
class Figures:
    """Of one tracker in one scenario. `ripple` is the string voltage's rms about its mean over 0.1 s (or the record's step), relative."""

    scenario: str
    tracker: str
    harvested: float
    to_99_percent_s: float | None
    ripple: float
    power_w: tuple[float, ...]
    share: tuple[float, ...]
    record_s: float


def _counted(scenario: Scenario, result: Run) -> slice:
    return slice(round(scenario.counted_from_s / result.record_s), None)


def _available_joules(scenario: Scenario, conditions: Conditions, result: Run, counted: slice) -> float:
    if not scenario.flux:
        return float(result.available_w[counted].sum() * result.record_s)
    # Per second of the counted part: the heat at its middle, from the plate as this run had it to at least as warm as this run left it.
    drive = np.array(conditions.drive)
    first = counted.start
    seconds = np.arange(first, len(result.output_w)) + 0.5
    heat = np.interp(seconds, np.arange(len(drive)) * conditions.drive_step_s, drive)
    start_k = conditions.hot_start_k if first == 0 else float(result.hot_k[first - 1])
    return most_joules(heat, result.record_s, start_k, result.hot_end_k, conditions.bus_mid_v)


def measure(scenario: Scenario, tracker: Peer) -> Figures:
    """Run one tracker through one scenario."""
    conditions = scenario.conditions
    result = run(conditions, tracker.kind, tracker.step_counts)
    counted = _counted(scenario, result)
    harvested = float(result.output_w[counted].sum() * result.record_s) / _available_joules(scenario, conditions, result, counted)
    to_99 = None
    if scenario.step_at_s is not None:
        at = round(scenario.step_at_s / result.record_s)
        short = np.flatnonzero(result.output_w[at:] < 0.99 * result.available_w[at:])
        to_99 = float((short[-1] + 1) * result.record_s) if len(short) else 0.0
    # Sampled states of all channels lie in the mean square: for one channel it is the ripple of its voltage.
    spread = np.sqrt(np.maximum(0.0, result.string_v2[counted] - result.string_v[counted] ** 2))
    usual = np.median(spread / np.maximum(result.string_v[counted], 1.0))
    return Figures(
        scenario.name,
        tracker.name,
        harvested,
        to_99,
        float(usual),
        tuple(result.output_w),
        tuple(result.string_v / np.maximum(result.open_v, 1.0)),
        result.record_s,
    )
