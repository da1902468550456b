"""The power module on Lattice's iCE40-HX8K breakout board (iCE40HX8K-B-EVN): all 36 channels.

The headers bring out 146 balls, so the whole module fits; it keeps the product's balls but for seven, which are wired to the board's USB
bridge (a UART whose outputs would fight the gates) and move to free ones. Eight gate signals also light the board's lamps.
No resistor of the table is fitted there: they go on the adapter, and without them nothing may be connected that switches power.
Pins of headers: the board's user guide, EB85, as amaranth-boards has them; banks: Project IceStorm's `8k-ct256` table.
"""

from __future__ import annotations

from dataclasses import replace

from amaranth.vendor import LatticeICE40Platform

from .pins import Pin, check, resources
from .power_module import BANK_VOLTS, CHANNELS, OSCILLATOR_HZ, attributes
from .power_module import PINS as PRODUCT_PINS
from .power_module import RESERVED as PRODUCT_RESERVED

_USB_BRIDGE = ["A16", "A15", "B15", "B13", "B14", "B12", "B10"]

RESERVED = PRODUCT_RESERVED | dict.fromkeys(_USB_BRIDGE, "the board's USB bridge")

_MOVED = {
    # ball of the product: ball and bank here
    "A16": ("C3", 0),
    "A15": ("B4", 0),
    "B15": ("B3", 0),
    "B13": ("A2", 0),
    "B14": ("T15", 2),
    "B12": ("T16", 2),
    "B10": ("A1", 0),
}


def _here(pin: Pin) -> Pin:
    if pin.ball not in _MOVED:
        return pin
    ball, bank = _MOVED[pin.ball]
    channel = pin.reason.partition(",")[0]
    return replace(pin, ball=ball, bank=bank, reason=f"{channel}, moved from {pin.ball}, which the board's USB bridge uses")


PINS: tuple[Pin, ...] = tuple(_here(pin) for pin in PRODUCT_PINS)

check(PINS, BANK_VOLTS, RESERVED)

__all__ = ["CHANNELS", "OSCILLATOR_HZ", "PINS", "Ice40Hx8kBreakout"]


class Ice40Hx8kBreakout(LatticeICE40Platform):
    """Amaranth platform of the power module on the breakout board."""

    device = "iCE40HX8K"
    package = "CT256"
    default_clk = "clk12"
    resources = resources(PINS, attributes)
    connectors = ()
