"""docs/plant.md: figures, bounds and plots, measured anew; and the parsing of a page, so that a test can say when it is stale."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from . import curves, plots
from .averaged import GRID, Comparison, compare
from .cases import CASES, circuit, switched_powers
from .conservation import balance
from .sampling import error_a
from .spice import SPICE_CASES, spice_powers
from .stiff import stiff_powers

SAMPLING_DUTIES = (0.30, 0.40, 0.50, 0.60, 0.70, 0.80, 0.90, 0.95)
SAMPLING_K = (96.0, 128.0, 150.0)
DAY_S = 86_400.0
DAY_SEED = 1


@dataclass(frozen=True)
class Figure:
    """One line of the page. `tolerance` is how far a fresh measurement may be off before the page is stale."""

    name: str
    value: float
    unit: str
    stands_against: str
    tolerance: float
    digits: int = 3

    def line(self) -> str:
        """As the page has it."""
        return f"| {self.name} | {self.value:.{self.digits}f} {self.unit} | {self.stands_against} |"


def parsed(page: str) -> dict[str, float]:
    """The figures of a page by name."""
    return {name: float(value) for name, value in re.findall(r"^\| ([^|]+) \| ([\d.]+) [^|]*\|", page, re.MULTILINE)}


def greatest_percent(ours: Iterable[float], theirs: Iterable[float]) -> float:
    """Greatest relative difference, in percent."""
    return max(abs(100.0 * (mine / other - 1.0)) for mine, other in zip(ours, theirs, strict=True))


def module_figures() -> list[Figure]:
    """What the owner has published."""
    volts, amps, watts = curves.rated_point()
    fraction, loss_percent = curves.constant_heat_optimum()
    return [
        Figure("module power at 180 K", curves.module_w(180.0), "W", "published: about 6 W", 0.001),
        *(
            Figure(f"module efficiency at {k:.0f} K", curves.efficiency_percent(k), "%", f"published: {published} %", 0.001)
            for k, published in curves.PUBLISHED_PERCENT.items()
        ),
        Figure("string power at 128 K", watts, "W", "rated: 95 W", 0.01, 2),
        Figure("string voltage at 128 K", volts, "V", "rated: 67.6 V", 0.01, 2),
        Figure("string current at 128 K", amps, "A", "rated: 1.41 A", 0.001),
        Figure("optimum under constant heat, over the open-circuit voltage", fraction, "", "published: near 0.60", 0.001),
        Figure("lost there by holding half the open-circuit voltage", loss_percent, "%", "published: 4 %", 0.01, 2),
    ]


def averaged_figure(comparisons: list[Comparison]) -> Figure:
    """The averaged model's worst point."""
    worst = 100.0 * max(abs(one.error) for one in comparisons)
    return Figure("averaged model against the switched one, power in steady state, worst of the grid", worst, "%", "bound: 0.1 %", 0.005)


def sampling_errors_a() -> dict[float, dict[float, float]]:
    """Sample less mean by temperature difference and duty."""
    return {k: {duty: error_a(duty, k) for duty in SAMPLING_DUTIES} for k in SAMPLING_K}


def sampling_figure(errors_a: dict[float, dict[float, float]]) -> Figure:
    """The worst sample."""
    worst = 1e3 * max(abs(error) for by_duty in errors_a.values() for error in by_duty.values())
    return Figure("sample in the middle of the on-time less the true mean, worst", worst, "mA", "bound: 9.9 mA", 0.02)


def conservation_figure() -> Figure:
    """A day's balance of the thermal plant."""
    unaccounted = 1e9 * abs(balance(DAY_S, DAY_SEED).unaccounted)
    return Figure("heat and work unaccounted for over a day", unaccounted, "billionths of the fuel's energy", "bound: 1,000", 1.0, 6)


def solver_figures(powers: dict[str, dict[str, list[float]]]) -> list[Figure]:
    """The switched model's worst millisecond against each solver."""
    return [
        Figure(
            f"switched model against {solver}, power in each millisecond, worst",
            max(greatest_percent(by["switched model"], by[solver]) for by in powers.values() if solver in by),
            "%",
            "bound: 0.5 %",
            0.01,
            4,
        )
        for solver in ("scipy LSODA", "ngspice")
    ]


def write(directory: Path) -> None:
    """Measure everything and write plant.md and plant/*.png below `directory`."""
    pictures = directory / "plant"
    pictures.mkdir(exist_ok=True)
    powers: dict[str, dict[str, list[float]]] = {}
    for case in CASES:
        start = circuit(case)
        powers[case.name] = {"switched model": switched_powers(case, start), "scipy LSODA": stiff_powers(case, start)}
        if case in SPICE_CASES:
            powers[case.name]["ngspice"] = spice_powers(case, start)
    comparisons = [compare(point) for point in GRID]
    errors_a = sampling_errors_a()
    plots.solvers(pictures / "solvers.png", powers)
    plots.averaged(pictures / "averaged.png", comparisons)
    plots.sampling(pictures / "sampling.png", errors_a)
    plots.waveforms(pictures / "waveforms.png")
    plots.curves(pictures / "curves.png")

    electrical = solver_figures(powers)
    electrical += [averaged_figure(comparisons), sampling_figure(errors_a)]
    (directory / "plant.md").write_text(page(electrical, [conservation_figure()], module_figures()), encoding="utf-8")


_HEAD = "| figure | measured | stands against |\n| --- | --- | --- |"


def _table(figures: list[Figure]) -> str:
    return "\n".join([_HEAD, *(figure.line() for figure in figures)])


def page(electrical: list[Figure], thermal: list[Figure], module: list[Figure]) -> str:
    """The page's text."""
    return f"""# Is the plant right?

Generated by `python -m thermogen_sim.validation` (part of `make docs`); tests measure the figures again and fail where this page is stale.

## The circuit
{_table(electrical)}

**Switched model** (`native/switched.hpp`): string behind its ideal diode, C_in, half bridge with body diodes and dead time, L, path, bus
capacitor, battery and load of constant power, solved as a Taylor series between events. One channel runs through a load step and a
temperature step at fixed duty. **ngspice** gets the circuit as a netlist with its own switches and diodes; **LSODA** (scipy) gets the
equations, with every switch instant an event of the solver, each millisecond from the state in which the switched model begins it.
In the fourth case a thousandth of the duty is a hundredth of the power: ngspice lies 0.9 % off at the tolerances used here and 0.4 % at a
fifth of them, so there LSODA stands alone.

![power by the switched model, ngspice and LSODA, and the differences](plant/solvers.png)

**Averaged model** (`native/electrical.hpp`): one step a PWM period from the gates' on-times. It is what surrounds the compiled gateware
in `thermogen-sim`, `make run` and `make demo`. Its error is that of the mean power in steady state, at a battery of 50 V; while L and
C_in swing after a step the two stay within 0.5 % over a millisecond (tested).

![error of the averaged model over the duty](plant/averaged.png)

**Sampling**: behind two equal poles at 5 kHz the ripple that is left crosses its mean where the on-time has its middle, in continuous
and in discontinuous conduction.

![inductor current, amplifier and sample](plant/waveforms.png)

![error of the sample over the duty](plant/sampling.png)

## Heat
{_table(thermal)}

A day of 2 s steps; gas, weather and the strings' currents jump every ten minutes, between idle and short circuit. In: the fuel's energy.
Out: power at the strings' terminals, stack, radiator. Stored: four masses. Fluids are CoolProp's (`INCOMP::TVP1`, `INCOMP::MEG-50%`),
tabulated once; the constants in the evidence rules agree within 0.5 % for the oil, and within 5 % for glycol, which they mean by volume
and the plant by mass.

## The module
{_table(module)}

![module curves and published points](plant/curves.png)
"""
