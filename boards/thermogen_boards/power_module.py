"""The power module: a Lattice iCE40HX8K that switches 36 synchronous bucks and reads three converters.

Package: CT256, as on the manufacturer's breakout board, and only balls which that board brings out, so that every signal can be
tried there first (seven of them serve its USB bridge; see ice40_hx8k_breakout.py). Twelve channels and their converter form a group; a
group's 24 gate signals share one I/O bank, so that one bank's supply never carries more than twelve edges at a time and a group can be
left off the board as a whole.
Ball and bank of each pin: Project IceStorm's `8k-ct256` table, which the place-and-route tool is built from;
`gateware/tests/test_build_flow.py` has the tool accept every one of them.
"""

from __future__ import annotations

from amaranth.vendor import LatticeICE40Platform

from .pins import GATE_PULL_DOWN, SUPERVISOR_PULL_UP, Converter, Pin, check, resources

OSCILLATOR_HZ = 12_000_000
"""On the board; the PLL makes CLOCK_HZ from it."""

CLOCK_HZ = 48_000_000
"""480 counts in a 100 kHz PWM period."""

CHANNELS = 36
CHANNELS_PER_CONVERTER = 12
CONVERTER_COUNT = CHANNELS // CHANNELS_PER_CONVERTER

BANK_VOLTS = {0: 3.3, 1: 3.3, 2: 3.3, 3: 3.3}
"""All at 3.3 V: gate drivers, converters and link are 3.3 V parts."""

RESERVED = {
    "P11": "SPI_SDI, configuration from flash",
    "P12": "SPI_SDO, configuration from flash",
    "R11": "SPI_SCK, configuration from flash",
    "R12": "SPI_SS_B, configuration from flash",
}

_GATE_BALLS = {
    # bank: high and low side of twelve channels, each pair on neighbouring balls
    0: "A16 A15 B15 B13 B14 B12 B11 A11 B10 A10 C9 A9 B9 B8 A7 B7 C7 A6 C6 B6 C5 A5 C4 B5",
    1: "R15 P16 P15 N16 M15 M16 L16 K15 K16 K14 J14 G14 F14 J15 H14 H16 G15 G16 F15 F16 E14 E16 D15 D16",
    3: "R1 P1 P2 N3 N2 M2 M1 L3 L1 K3 K1 J2 J1 H2 G2 H1 F2 G1 E2 F1 D1 D2 C1 C2",
}


def _gates(side: str, offset: int) -> list[Pin]:
    """The gate signals of one side, in order of channel."""
    pins: list[Pin] = []
    for group, (bank, balls) in enumerate(_GATE_BALLS.items()):
        for position, ball in enumerate(balls.split()[offset::2]):
            channel = group * CHANNELS_PER_CONVERTER + position
            reason = f"{side} side of channel {channel}, next to its other side; bank {bank} with the rest of converter {group}'s channels"
            pins.append(Pin(f"pwm_{'hi' if offset == 0 else 'lo'}", "o", ball, bank, reason, GATE_PULL_DOWN))
    return pins


PINS: tuple[Pin, ...] = (
    Pin(
        "clk12", "i", "J3", 3, "a global-buffer pin; the breakout board feeds the same ball with the same frequency", clock_hz=OSCILLATOR_HZ
    ),
    Pin(
        "link.sclk",
        "i",
        "R9",
        2,
        "a global-buffer pin, for a later design that clocks from it; bank 2 faces the node's cable",
        "10 kohm down",
    ),
    Pin("link.cs_n", "i", "T9", 2, "next to R9; high when the cable is out", "10 kohm up"),
    Pin("link.copi", "i", "T8", 2, "next to the select: the four link wires arrive as one group", "10 kohm down"),
    Pin("link.cipo", "o", "T7", 2, "next to copi; driven through a buffer that cs_n enables"),
    Pin(
        "run",
        "i",
        "T6",
        2,
        "the node's fail-safe wire: 0 when the cable is out or the node unpowered, and then nothing switches",
        "2.2 kohm down",
    ),
    Pin(
        "supply_good",
        "i",
        "R6",
        2,
        "the supply supervisor's open drain: 0 when 3.3 V or the gate drivers' supply browns out, and then nothing switches; next to T6",
        SUPERVISOR_PULL_UP,
    ),
    Pin("adc.sclk", "o", "T11", 2, "bank 2: the converters are kept away from the three banks that switch gates"),
    Pin(
        "adc.cs_n",
        "o",
        "T10",
        2,
        "one select for all converters, so that they sample at one instant; must not fall by itself",
        "10 kohm up",
    ),
    Pin("adc.copi", "o", "R10", 2, "one command for all converters: they step through their inputs together"),
    Pin("adc.cipo", "i", "N12", 2, "answer of converter 0 (channels 0 to 11)"),
    Pin("adc.cipo", "i", "P13", 2, "answer of converter 1 (channels 12 to 23)"),
    Pin("adc.cipo", "i", "M11", 2, "answer of converter 2 (channels 24 to 35)"),
    Pin(
        "driver_enable",
        "o",
        "R5",
        2,
        "enable of all gate drivers, apart from the gate signals, so that one stuck pin cannot switch",
        GATE_PULL_DOWN,
    ),
    *_gates("high", 0),
    *_gates("low", 1),
)


def converters(channels: int) -> tuple[Converter, ...]:
    """One converter for each twelve channels; they share clock, command and select, and answer side by side."""
    return tuple(
        Converter(
            f"channels {first} to {first + CHANNELS_PER_CONVERTER - 1}",
            "ADS7952",
            select="adc.cs_n",
            answer="adc.cipo",
            answer_bit=first // CHANNELS_PER_CONVERTER,
            inputs=tuple(f"current of channel {first + position}" for position in range(CHANNELS_PER_CONVERTER)),
        )
        for first in range(0, channels, CHANNELS_PER_CONVERTER)
    )


CONVERTERS = converters(CHANNELS)


def attributes(_pin: Pin) -> dict[str, str]:
    """iCE40 names. The internal pull-up stays off after configuration: it would work against the resistors that hold things off."""
    return {"IO_STANDARD": "SB_LVCMOS"}


check(PINS, BANK_VOLTS, RESERVED)


class PowerModule(LatticeICE40Platform):
    """Amaranth platform of the power module."""

    device = "iCE40HX8K"
    package = "CT256"
    default_clk = "clk12"
    resources = resources(PINS, attributes)
    connectors = ()
