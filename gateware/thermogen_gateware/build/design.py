"""What the flow builds: a top, the board it is for, and the clocks that must be met."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

MARGIN = 0.25
"""By how much every clock must be faster than it is used: the timing models of the open tools are measured, not guaranteed, and have
no corner for a hot or badly supplied part."""

TOP = "top"
"""Name of the top module and of all files in the work folder."""


@dataclass(frozen=True)
class ClockTarget:
    """One clock of a design and how fast it runs on the board."""

    clock: str
    """Name of the clock's wire in the top: `clk` for the domain `sync`, NAME_clk for the domain NAME. Give the wire the attribute
    `keep`, or the synthesiser may know it only by another name."""
    hz: float
    margin: float = MARGIN
    """By how much faster it must be; less than MARGIN is for no product."""


@dataclass(frozen=True)
class Design:
    """A top for a board. Both are made anew for each build: an Amaranth platform can be used once."""

    name: str
    """Also the name of the image file."""
    platform: Callable[[], Any]
    top: Callable[[], Any]
    targets: tuple[ClockTarget, ...]
    """The first is the clock that the placer works for; the report is checked against all."""
    pin_to_pin_ns: float | None = None
    """Longest way that an input without a clock may take to an output, between the pins' buffers; None where nothing hangs on it."""
    sources: str = ""
    """Dotted name of the module that the top comes from: what it imports is hashed. Empty where nobody asks which sources it were."""
    loader: tuple[str, ...] = ()
    """Arguments of openFPGALoader that name the board and where the image goes; empty where it knows no way."""
    loops: tuple[str, ...] = ()
    """Beginnings of the names of cells that are in a combinational loop on purpose (a ring oscillator's); any other loop ends the build."""
