"""The benchmark's table and plot, on a terminal and in `docs/`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .area import Cost
from .figures import TRACKERS, Figures
from .library import tracker_hash
from .offline import steady_share
from .scenarios import HEAT_W, Scenario

_HEAD = """# Maximum-power tracking, measured

Written by `make bench-mppt`. The tracker is its gateware (netlist `{gateware}`), compiled and clocked only when a sample arrives, in
front of an averaged converter (220 µH, 47 µF, 40 mΩ path, 12 bits of 2 mA a step behind two poles at 5 kHz, 10 kHz, duties one exchange
late) on a bus that swings between 46.5 and 50.5 V within 37 s. Strings: 48 ohm, 1.056 V/K. A figure is energy at the bus over the
energy that was available there within the converter's reach (duty at most 0.95).

- **Available** with given temperatures is the greatest output power at each instant. With given heat it is the offline optimum by dynamic
  programming over the plate's temperature, from where the counted part of the run began to a plate at least as warm as the run left it, so
  that emptying stored heat wins nothing.
- **Given heat**: each module's hot plate has 13.6 J/K (3.5 mm of aluminium under its 40 × 40 mm), which with 0.50 W/K makes a lag of
  25 s; the cold side is held at 50 °C. Most for ever is at {share:.3f} of the instantaneous open-circuit voltage ({power:.1f} W).
  `probe_phase` is set to 59 s for this plate.
- **Peers** run on the same converter and samples, average every sample between two decisions, and start knowing the open-circuit voltage:
  fixed-step perturb and observe at 10 Hz as the Libre Solar charge controllers do it (one timer count of 480, and five); incremental
  conductance at 10 Hz, two counts, with a sensor of the string's voltage; half of the open-circuit voltage, sampled for 256 ms every
  16 s as BQ25504 and SPV1050 do, regulated exactly. The gateware measures output current and bus voltage only.

"""


_LEVEL = 5e-5
"""A difference that is none: less than another seed makes."""
_BLOCK = 15
"""Rows of one second that a point of the plots of constant heat stands for."""


def _verdict(scenario: Scenario, own: Figures, others: Sequence[Figures]) -> str:
    short = []
    if own.harvested < scenario.aim:
        short.append(f"{100 * (scenario.aim - own.harvested):.2f} points under the aim")
    for other in others:
        if other.harvested > own.harvested + _LEVEL:
            short.append(f"behind {other.tracker}")
        elif other.harvested > own.harvested - _LEVEL:
            short.append(f"level with {other.tracker}")
    fractional = next(other for other in others if other.tracker.startswith("Voc/2"))
    if scenario.name == "constant heat" and own.harvested < fractional.harvested + 0.02:
        short.append(f"only {100 * (own.harvested - fractional.harvested):.2f} points over half of the open-circuit voltage")
    return "; ".join(short) or "reached"


def rows(scenarios: Sequence[Scenario], figures: Sequence[Figures]) -> list[list[str]]:
    """One row a scenario: name, aim, each tracker's per cent, verdict."""
    table = []
    for scenario in scenarios:
        mine = {figure.tracker: figure for figure in figures if figure.scenario == scenario.name}
        own, *others = (mine[tracker.name] for tracker in TRACKERS)
        table.append(
            [
                scenario.name,
                f"{100 * scenario.aim:.2f}",
                *(f"{100 * mine[tracker.name].harvested:.3f}" for tracker in TRACKERS),
                _verdict(scenario, own, others),
            ]
        )
    return table


def step_row(figures: Sequence[Figures]) -> list[str]:
    """Seconds to 99 % after the step, by tracker; that of a run which did not get there is its end."""
    found = {figure.tracker: figure.to_99_percent_s for figure in figures if figure.to_99_percent_s is not None}
    return [f"{found[tracker.name]:.2f}" for tracker in TRACKERS]


def ripple_row(figures: Sequence[Figures]) -> list[str]:
    """Per cent of rms about the mean of the string's voltage under constant temperatures, by tracker."""
    found = {figure.tracker: figure.ripple for figure in figures if figure.scenario == "constant, 1 LSB"}
    return [f"{100 * found[tracker.name]:.2f}" for tracker in TRACKERS]


def document(scenarios: Sequence[Scenario], figures: Sequence[Figures], costs: Sequence[Cost]) -> str:
    """`docs/mppt.md`."""
    share, power = steady_share(HEAT_W)
    names = [tracker.name for tracker in TRACKERS]
    lines = [_HEAD.format(share=share, power=power, gateware=tracker_hash()), "![Harvest by scenario and tracker](mppt.png)\n\n"]
    lines.append("| scenario | aim % | " + " | ".join(names) + " | |\n|" + " --- |" * (len(names) + 3) + "\n")
    lines += ["| " + " | ".join(row) + " |\n" for row in rows(scenarios, figures)]
    lines.append("| s to 99 % after a step | | " + " | ".join(step_row(figures)) + " | |\n")
    lines.append("| ripple of the string voltage, % rms | | " + " | ".join(ripple_row(figures)) + " | |\n\n")
    lines += [f"- **{scenario.name}**: {scenario.about}; counted from {scenario.counted_from_s:g} s.\n" for scenario in scenarios]
    lines.append(
        "\nThe ripple is the price of learning: ±1/128 of the voltage, by which the resistance is learnt, and ±1/64 of the load "
        "resistance, by which the slow optimum is found.\n"
    )
    lines.append("\n## Where it falls short\n\n")
    short = [f"- **{row[0]}**: {row[-1]}.\n" for row in rows(scenarios, figures) if row[-1] != "reached"]
    lines += short or ["Every aim of the table is reached.\n"]
    lines.append(
        "- The slow optimum needs heat that stands still for a search (five phases, each at least twice the lag): while the burner cycles "
        "faster than that, searches are thrown away and the ratio stays where it was. From power-up that is half of the open-circuit "
        "voltage, unless `ratio_start` says what the plate was found to want.\n"
        "- `probe_phase` must suit the site's lag. A phase much shorter than the lag finds a ratio between both optima.\n"
    )
    headings = "| channels | logic cells | registers | block RAM | multipliers | logic cells a channel | clocks a pass, at most | µs |"
    lines.append(f"\n## What it costs\n\n{headings}\n|" + " --- |" * 8 + "\n")
    lines += [
        f"| {c.channels} | {c.logic:,} | {c.registers:,} | {c.memories} | {c.multipliers} | {c.logic / c.channels:.0f} "
        f"| {c.pass_clocks} | {c.pass_clocks / 50:.1f} |\n"
        for c in costs
    ]
    lines.append(
        "\nLIFCL-40 (32,256 logic cells), after synthesis: LUT4, two for each carry pair and wide multiplexer, four for each distributed "
        "memory. A pass has 4,800 clocks.\n"
    )
    return "".join(lines)


def plot(scenarios: Sequence[Scenario], figures: Sequence[Figures], path: Path) -> None:
    """`docs/mppt.png`."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    colours = dict(zip((tracker.name for tracker in TRACKERS), ("#d1495b", "#8d99ae", "#2b6777", "#edae49", "#66a182"), strict=True))
    figure, ((bars, ramp), (heat, share)) = pyplot.subplots(2, 2, figsize=(14, 9), constrained_layout=True)
    width = 0.16
    for number, tracker in enumerate(TRACKERS):
        lost = [
            max(1e-3, 100 * (1 - f.harvested))
            for scenario in scenarios
            for f in figures
            if (f.scenario, f.tracker) == (scenario.name, tracker.name)
        ]
        bars.barh(np.arange(len(scenarios)) + (number - 2) * width, lost, width, label=tracker.name, color=colours[tracker.name])
    bars.set_yticks(range(len(scenarios)), [scenario.name for scenario in scenarios])
    bars.invert_yaxis()
    bars.set(xscale="log", xlabel="energy lost, % of what was available (shorter is better)", title="Harvest")
    bars.grid(axis="x", alpha=0.3)

    for tracker in TRACKERS:
        for f in figures:
            seconds = np.arange(len(f.power_w)) * f.record_s
            if (f.scenario, f.tracker) == ("ramp 8 s", tracker.name):
                ramp.plot(seconds, f.power_w, color=colours[tracker.name], linewidth=1.2)
            if (f.scenario, f.tracker) == ("constant heat", tracker.name):
                blocks = len(f.power_w) // _BLOCK
                minutes = np.arange(blocks) * _BLOCK * f.record_s / 60
                powers, shares = (np.array(values[: blocks * _BLOCK]).reshape(blocks, _BLOCK) for values in (f.power_w, f.share))
                heat.plot(minutes, powers.mean(axis=1), color=colours[tracker.name], linewidth=1.2)
                share.plot(minutes, np.median(shares, axis=1), color=colours[tracker.name], linewidth=1.2)
    ramp.set(xlabel="s", ylabel="W at the bus", title="Ramp of 8 s between 25 and 100 % of the rated power")
    best_share, best_w = steady_share(HEAT_W)
    heat.axhline(best_w, color="black", linestyle=":", label="best for ever")
    heat.set(xlabel="minutes", ylabel="W at the bus, means of 15 s", title="Constant heat: the power", ylim=(0.9 * best_w, 1.02 * best_w))
    share.axhline(best_share, color="black", linestyle=":", label="best for ever")
    share.set(
        xlabel="minutes",
        ylabel="string voltage / open-circuit voltage, medians of 15 s",
        title="Constant heat: where they work",
        ylim=(0.44, 0.66),
    )
    for axes in (ramp, heat, share):
        axes.grid(alpha=0.3)
    for axes in (heat, share):
        axes.legend(fontsize=8)
    figure.legend(*bars.get_legend_handles_labels(), loc="outside lower center", ncols=len(TRACKERS))
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
