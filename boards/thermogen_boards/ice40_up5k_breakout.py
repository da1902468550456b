"""A reduced power module of 12 channels on Lattice's iCE40 UltraPlus breakout board (iCE40UP5K-B-EVN).

Twelve channels need 36 of UP5K's 39 pins: 24 gates, link 4, converter 4, run, driver enable, supply supervisor, clock. iCEBreaker has
24 of them on its connectors, this board all, and a 12 MHz oscillator on the PLL's own pad. Two rules follow from using nearly all: the
converter shares clock and data with the configuration flash, whose select is held high; and the supervisor sits on a lamp's pin,
which can only sink. Leave the four DIP switches open and fit J51 (oscillator). No resistor of the table is fitted there: they go on the
adapter, and without them nothing may be connected that switches power.
Pins of headers: the board's user guide, FPGA-UG-02001, as amaranth-boards has them; banks: Lattice's pinout of SG48.
"""

from __future__ import annotations

from amaranth.vendor import LatticeICE40Platform

from .pins import GATE_PULL_DOWN, SUPERVISOR_PULL_UP, Pin, check, resources
from .power_module import attributes, converters

OSCILLATOR_HZ = 12_000_000
"""On the board; the PLL makes CLOCK_HZ from it."""

CLOCK_HZ = 24_000_000
"""240 counts in a 100 kHz PWM period: UP5K is about three times slower than HX8K."""

CHANNELS = 12

BANK_VOLTS = {0: 3.3, 1: 3.3, 2: 3.3}

_GATE_PINS = {
    # bank: high and low side of each channel on neighbouring pins of a header
    0: "23 25 26 27 28 31 32 34 36 37 38 42",
    2: "44 45 46 47 48 2 3 4",
    1: "6 9 10 11",
}


def _bank_and_gates() -> list[tuple[int, str]]:
    return [(bank, ball) for bank, balls in _GATE_PINS.items() for ball in balls.split()]


def _gates(side: str, offset: int) -> list[Pin]:
    signal = f"pwm_{'hi' if offset == 0 else 'lo'}"
    return [
        Pin(signal, "o", ball, bank, f"{side} side of channel {channel}, next to its other side", GATE_PULL_DOWN)
        for channel, (bank, ball) in enumerate(_bank_and_gates()[offset::2])
    ]


PINS: tuple[Pin, ...] = (
    Pin("clk12", "i", "35", 0, "the PLL's own pad, wired to the board's 12 MHz oscillator by J51", clock_hz=OSCILLATOR_HZ),
    Pin("link.sclk", "i", "20", 1, "a global-buffer pin, for a later design that clocks from it", "10 kohm down"),
    Pin("link.cs_n", "i", "21", 1, "header C, next to the link's clock; high when the cable is out", "10 kohm up"),
    Pin("link.copi", "i", "19", 1, "header C: the four link wires arrive as one group", "10 kohm down"),
    Pin("link.cipo", "o", "18", 1, "header C; driven through a buffer that cs_n enables"),
    Pin(
        "run",
        "i",
        "13",
        1,
        "the node's fail-safe wire: 0 when the cable is out or the node unpowered, and then nothing switches",
        "2.2 kohm down",
    ),
    Pin(
        "supply_good",
        "i",
        "41",
        0,
        "the supply supervisor's open drain, on the red lamp's pin: both only sink; 0 in brown-out, and then nothing switches",
        SUPERVISOR_PULL_UP,
    ),
    Pin("adc.sclk", "o", "15", 1, "shared with the configuration flash, which is deselected"),
    Pin("adc.cs_n", "o", "12", 1, "own pin: high while the flash configures the FPGA over the shared wires", "10 kohm up"),
    Pin("adc.copi", "o", "14", 1, "shared with the configuration flash, which is deselected"),
    Pin("adc.cipo", "i", "17", 1, "shared with the configuration flash, which is deselected; channels 0 to 11"),
    Pin("flash.cs_n", "o", "16", 1, "select of the configuration flash, kept high so that its wires serve the converter", "10 kohm up"),
    Pin(
        "driver_enable",
        "o",
        "43",
        0,
        "enable of all gate drivers, apart from the gate signals, so that one stuck pin cannot switch",
        GATE_PULL_DOWN,
    ),
    *_gates("high", 0),
    *_gates("low", 1),
)

CONVERTERS = converters(CHANNELS)

check(PINS, BANK_VOLTS, {})


class Ice40Up5kBreakout(LatticeICE40Platform):
    """Amaranth platform of the reduced power module on the UltraPlus breakout board."""

    device = "iCE40UP5K"
    package = "SG48"
    default_clk = "clk12"
    resources = resources(PINS, attributes)
    connectors = ()
