"""The controller node on Lattice's CrossLink-NX evaluation board (LIFCL-40-EVN), with wires to the rest of the site.

The board has no 50 MHz oscillator and no Ethernet PHY: 12 MHz come on L13 (jumper JP2 fitted) and a PLL makes the node's clock of them.
Everything leaves on two connectors: the Raspberry Pi header (bank 6: modules and converter) and PMOD2 (bank 7: host link, pulse,
comparator), and PMOD0 and PMOD1 for the Ethernet PHY, to which no clock is brought out yet: its pins are there so that the same top can be
built. PMOD1's pins 7 to 9 go to an M41ST87W: in the open, so for trials and for no key that counts. Check that both banks have 3.3 V before
anything is connected. No resistor of the table is fitted there: they go on the adapter, and without them nothing may be connected that
switches power.
Pins of headers: the board's user guide, FPGA-EB-02028, as LiteX-Boards has them; banks: Project Oxide's `iodb.json`.
"""

from __future__ import annotations

from amaranth.vendor import LatticePlatform

from .controller_node import RESERVED, attributes, ethernet_pins, key_memory_pins, module_pins
from .pins import Pin, check, resources

OSCILLATOR_HZ = 12_000_000
"""On the board; the PLL makes the node's 50 MHz from it."""

BANK_VOLTS = {1: 3.3, 6: 3.3, 7: 3.3}

PINS: tuple[Pin, ...] = (
    Pin("clk12", "i", "L13", 1, "PCLKT1_2, wired to the board's 12 MHz oscillator by JP2", clock_hz=OSCILLATOR_HZ),
    Pin("host.sclk", "i", "K3", 7, "PMOD2 pin 7, the ball that the product uses", "10 kohm down"),
    Pin("host.cs_n", "i", "K4", 7, "PMOD2 pin 8, the ball that the product uses", "10 kohm up"),
    Pin("host.copi", "i", "K2", 7, "PMOD2 pin 3, the ball that the product uses"),
    Pin("host.cipo", "o", "K1", 7, "PMOD2 pin 4, the ball that the product uses"),
    Pin("pulse", "i", "J2", 7, "PMOD2 pin 1; the product's ball drives a lamp here", "10 kohm down"),
    Pin("ov_comparator", "i", "J1", 7, "PMOD2 pin 2; 1 = over-voltage, so that a wire that is off trips", "4.7 kohm up"),
    Pin("adc.sclk", "o", "M2", 6, "Raspberry Pi header pin 8, the ball that the product uses"),
    Pin("adc.cs_n", "o", "M3", 6, "Raspberry Pi header pin 7, the ball that the product uses", "10 kohm up"),
    Pin("adc.copi", "o", "M4", 6, "Raspberry Pi header pin 28, the ball that the product uses"),
    Pin("adc.cipo", "i", "M5", 6, "Raspberry Pi header pin 33, the ball that the product uses"),
    Pin("module_bus.sclk", "o", "L5", 6, "Raspberry Pi header pin 5; clock of all module links"),
    *module_pins(0, 6, "L6", "L1", "L2", "R2"),
    *module_pins(1, 6, "R1", "P2", "P1", "K7"),
    *module_pins(2, 6, "N4", "K6", "K5", "N7"),
    *ethernet_pins(),
    *key_memory_pins(),
    Pin("led_link", "o", "E17", 1, "green lamp of the board, lit by a low level", active_low=True),
    Pin("led_trip", "o", "F13", 1, "the next green lamp, lit by a low level", active_low=True),
)

check(PINS, BANK_VOLTS, RESERVED)


class CrossLinkNxEvn(LatticePlatform):
    """Amaranth platform of the controller node on the evaluation board."""

    device = "LIFCL-40"
    package = "BG400"
    speed = "9"
    grade = "C"
    default_clk = "clk12"
    resources = resources(PINS, attributes)
    connectors = ()
