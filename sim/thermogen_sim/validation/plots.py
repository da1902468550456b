"""The plots of docs/plant.md. The same versions give the same bytes: no date and no program's name goes into a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from ..models import run_switched
from .averaged import GRID, Comparison, Point, gates, steady
from .cases import CASES, COUNTS, PERIOD_S, WINDOW_S, WINDOWS
from .curves import (
    PUBLISHED_OPTIMUM,
    PUBLISHED_PERCENT,
    PUBLISHED_W_AT_180_K,
    RATED_K,
    constant_heat,
    efficiency_percent,
    matched,
    module_w,
    string,
)
from .sampling import RATED_A

mpl.use("Agg")
from matplotlib import pyplot as plt

_COLOURS = ("#1b6ca8", "#c8553d", "#3a7d44", "#7d5ba6")
_SIZE = (10.0, 5.6)


def _axes(rows: int, columns: int, size: tuple[float, float] = _SIZE) -> tuple[Any, Any]:
    figure, axes = plt.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False)
    for one in axes.flat:
        one.grid(alpha=0.3)
        one.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


def solvers(path: Path, powers: dict[str, dict[str, list[float]]]) -> None:
    """Power by case and solver, and how far the solvers are apart."""
    figure, axes = _axes(2, len(CASES), (14.0, 6.2))
    middles = (np.arange(WINDOWS) + 0.5) * WINDOW_S * 1e3
    for column, case in enumerate(CASES):
        by = powers[case.name]
        ours = np.array(by["switched model"])
        top, bottom = axes[0][column], axes[1][column]
        top.set_title(case.name.replace(", ", ",\n"), fontsize=9.5)
        top.step(middles, ours, where="mid", color=_COLOURS[0], label="switched model")
        for number, solver in enumerate(name for name in by if name != "switched model"):
            theirs = np.array(by[solver])
            top.plot(middles, theirs, "x+"[number], color=_COLOURS[number + 1], markersize=8, label=solver)
            bottom.plot(middles, 100.0 * (ours / theirs - 1.0), "x+"[number] + "-", color=_COLOURS[number + 1], label=solver)
        top.set_ylim(0.0, 1.15 * max(ours))
        for one in (top, bottom):
            one.axvline(4.0, color="0.6", linestyle=":")
            one.axvline(8.0, color="0.6", linestyle=":")
        bottom.set_ylim(-0.02, 0.02)
        bottom.set_xlabel("ms (load step at 4, temperature step at 8)", fontsize=8.5)
    axes[0][0].set_ylabel("W into the bus, mean of 1 ms")
    axes[1][0].set_ylabel("% difference (bound: 0.5)")
    axes[0][0].legend(loc="lower left", fontsize=9)
    _save(figure, path)


def averaged(path: Path, comparisons: list[Comparison]) -> None:
    """The averaged model's error over the duty."""
    figure, axes = _axes(1, 1)
    ax = axes[0][0]
    for number, difference_k in enumerate(sorted({point.difference_k for point in GRID})):
        for low_side, marker in ((False, "o"), (True, "^")):
            some = [one for one in comparisons if one.point.difference_k == difference_k and one.point.low_side == low_side]
            label = f"{difference_k:.0f} K, low side {'on' if low_side else 'off'}"
            duties = [one.point.duty_counts / COUNTS for one in some]
            line = "-" if low_side else "--"
            ax.plot(duties, [100.0 * one.error for one in some], marker + line, color=_COLOURS[number], label=label)
    for bound in (-0.1, 0.1):
        ax.axhline(bound, color="0.3", linewidth=1)
    ax.text(0.1, 0.102, "bound: 0.1 %", color="0.3", fontsize=9)
    ax.set_ylim(-0.12, 0.12)
    ax.set_xlabel("duty")
    ax.set_ylabel("% power of the averaged over the switched model")
    ax.legend(fontsize=9, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 0.12))
    _save(figure, path)


def sampling(path: Path, errors_a: dict[float, dict[float, float]]) -> None:
    """The error of a mid-on sample over the duty, by temperature difference."""
    figure, axes = _axes(1, 1)
    ax = axes[0][0]
    for number, (difference_k, by_duty) in enumerate(errors_a.items()):
        values = [1e3 * error for error in by_duty.values()]
        ax.plot(list(by_duty), values, "o-", color=_COLOURS[number], label=f"{difference_k:.0f} K")
    for sign in (-1, 1):
        ax.axhline(sign * 5.0 * RATED_A, color="0.3", linewidth=1)
    ax.text(0.3, 5.0 * RATED_A + 0.3, "bound: 0.5 % of the rated 1.98 A", color="0.3", fontsize=9)
    ax.axhspan(-1.0, 1.0, color="0.9", label="half a converter step")
    ax.set_ylim(-12, 12)
    ax.set_xlabel("duty")
    ax.set_ylabel("mA, sample in the middle of the on-time less true mean")
    ax.legend(fontsize=9, loc="lower right", bbox_to_anchor=(1.0, 0.12))
    _save(figure, path)


def waveforms(path: Path) -> None:
    """Two periods of inductor and amplifier in continuous and discontinuous conduction."""
    figure, axes = _axes(1, 2, (11.0, 4.6))
    for ax, point, title in zip(
        axes[0],
        (Point(355, True, 128.0), Point(180, False, 128.0)),
        ("continuous: duty 0.74, low side on", "discontinuous: duty 0.38, low side off"),
        strict=True,
    ):
        s = steady(point)
        mean_a = s.output_as[0] / s.seconds
        pattern, steps = gates(point), 400
        times, inductor, amplifier = [], [], []
        for period in range(2):
            began = type(s).from_buffer_copy(bytes(s))
            for step in range(steps):
                now = type(s).from_buffer_copy(bytes(began))
                run_switched(now, pattern, 0, (step + 0.5) * PERIOD_S / steps)
                times.append(1e6 * PERIOD_S * (period + (step + 0.5) / steps))
                inductor.append(now.inductor_a[0])
                amplifier.append(now.amplifier_a[0])
            run_switched(s, pattern, 1)
        ax.plot(times, inductor, color=_COLOURS[0], label="inductor")
        ax.plot(times, amplifier, color=_COLOURS[1], linewidth=2, label="amplifier behind both poles")
        ax.axhline(mean_a, color="0.3", linestyle=":", label="true mean")
        for middle in (5.0, 15.0):
            ax.axvline(middle, color="0.6", linestyle="--", linewidth=1, label="sample" if middle < 10 else None)
        ax.set_title(title, fontsize=10)
        ax.set_xlabel("µs")
    axes[0][0].set_ylabel("A")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=9)
    _save(figure, path)


def curves(path: Path) -> None:
    """The module's curves and the published points; where the optimum lies under constant temperatures and under constant heat."""
    figure, axes = _axes(1, 3, (14.0, 4.6))
    power, efficiency, optimum = axes[0]
    span = np.linspace(20.0, 190.0, 100)
    power.plot(span, [module_w(k) for k in span], color=_COLOURS[0], label="model")
    power.plot([180.0], [PUBLISHED_W_AT_180_K], "x", color=_COLOURS[1], markersize=10, label="published: about 6 W at 180 K")
    power.set_xlabel("K between the junctions")
    power.set_ylabel("W a module at matched load")
    power.legend(fontsize=9)
    efficiency.plot(span, [efficiency_percent(k) for k in span], color=_COLOURS[0], label="model, hot junction at 180 °C")
    efficiency.plot([*PUBLISHED_PERCENT], [*PUBLISHED_PERCENT.values()], "x", color=_COLOURS[1], markersize=10, label="published")
    efficiency.set_xlabel("K between the junctions")
    efficiency.set_ylabel("% efficiency at matched load")
    efficiency.legend(fontsize=9)

    fraction, watts = constant_heat()
    optimum.plot(fraction, watts / max(watts), color=_COLOURS[0], label="heat constant")
    hot, cold, _ = matched(RATED_K)
    one = string()
    open_circuit = float(one.open_circuit_v(hot, cold)[0])
    share = np.linspace(0.0, 1.0, 200)
    fixed = share * open_circuit * (1.0 - share) * open_circuit / float(one.electrical_ohm[0])
    optimum.plot(share, fixed / max(fixed), color=_COLOURS[2], label="temperatures constant")
    optimum.axvline(PUBLISHED_OPTIMUM, color=_COLOURS[1], linestyle="--", label="published: near 0.60")
    optimum.set_xlim(0.2, 1.0)
    optimum.set_ylim(0.5, 1.02)
    optimum.set_xlabel("string voltage over open-circuit voltage of the moment")
    optimum.set_ylabel("power over the most there is")
    optimum.legend(fontsize=9, loc="lower left")
    _save(figure, path)
