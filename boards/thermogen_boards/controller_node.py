"""The controller node: a Lattice CrossLink-NX (LIFCL-40) beside a Linux module, three power modules on cables, one site converter.

Package: caBGA400, as on the manufacturer's evaluation board. The QFN72 has only 18 pins that bear 3.3 V, the node needs 26.
Part: industrial temperature (a well pad sees -40 °C), speed grade 8. What sets the grade is the large RAM that keeps the leaves: its
14.7 ns from clock to data in grade 7 leave 64 MHz, one wire from missing the 62.5 MHz that 50 MHz with its margin needs; grade 8 gives 75.
Ball, bank and function of each pin: the manufacturer's pinout as kept in Project Oxide's `iodb.json`, which the place-and-route
tool is built from; `gateware/tests/test_build_flow.py` has the tool accept every one of them.
"""

from __future__ import annotations

from amaranth.vendor import LatticePlatform

from .pins import GATE_PULL_DOWN, Converter, Pin, check, resources

CLOCK_HZ = 50_000_000
"""One oscillator feeds the FPGA and the Ethernet PHY's reference input, so that the two share one clock domain."""

MODULES = 3
"""Power modules that can be plugged in."""

BANK_VOLTS = {1: 3.3, 2: 3.3, 6: 3.3, 7: 3.3}
"""Banks in use. 0, 1, 2, 6 and 7 are wide-range banks; 3, 4 and 5 are high-performance banks, which end at 1.8 V and stay unused."""

RESERVED = {
    "D11": "INITN",
    "E11": "PROGRAMN",
    "D12": "DONE",
    "E12": "MCLK of the configuration flash",
    "E13": "MCSN of the configuration flash",
    "D13": "MOSI of the configuration flash",
    "D15": "MISO of the configuration flash",
    "D14": "MD2 of the configuration flash",
    "D16": "MD3 of the configuration flash",
    "E16": "MCSNO, the chained configuration select",
    "E19": "JTAG_EN",
    "F15": "TMS",
    "F17": "TDI",
    "F19": "TDO",
    "G18": "TCK",
}
"""Balls that configuration or JTAG use: a general-purpose signal there could stop a board from starting or being repaired."""


def module_pins(number: int, bank: int, cs_n: str, copi: str, cipo: str, run: str) -> list[Pin]:
    """The wires to one power module, all of its own but the clock: a module that shorts one disturbs no other."""
    where = f"module#{number}"
    return [
        Pin(
            f"{where}.cs_n",
            "o",
            cs_n,
            bank,
            f"select of power module {number}; own wire, so that a dead module disturbs no other",
            "10 kohm up",
        ),
        Pin(f"{where}.copi", "o", copi, bank, f"frames to power module {number}; own wire, because all modules are exchanged with at once"),
        Pin(
            f"{where}.cipo",
            "i",
            cipo,
            bank,
            f"answer of power module {number}; own wire, pulled low: an unplugged module reads as no frame",
        ),
        Pin(
            f"{where}.run",
            "o",
            run,
            bank,
            f"fail-safe wire to power module {number}: 1 = may run. Unconfigured, unpowered or unplugged it is 0",
            GATE_PULL_DOWN,
        ),
    ]


def ethernet_pins() -> list[Pin]:
    """The wires to the Ethernet PHY, a LAN8720A that gets `clk50` as its reference (REF_CLK In mode).

    Its data lines are straps while it is in reset: RXD0, RXD1 and CRS_DV high choose negotiation of all modes, RX_ER low is address 0. It
    stays in reset until the node drives `reset_n`, whatever an unconfigured pin pulls.

    Timing at 50 MHz, 20 ns, of the PHY (DS00002165, RMII with REF_CLK in) against flip-flops in the I/O cells, with oscillator branches of
    equal length (0.3 ns) and wires below 50 mm (0.4 ns):

    | way | PHY | left for the FPGA at its pins |
    | --- | --- | --- |
    | RXD, CRS_DV, RX_ER, set-up | valid 14 ns after the edge at the latest | 20 - 14 - 0.4 - 0.3 = 5.3 ns |
    | the same, hold | held for 3 ns | 3 - 0.3 = 2.7 ns |
    | TXD, TX_EN, set-up | wants 4 ns | clock to pin at most 20 - 4 - 0.4 - 0.3 = 15.3 ns |
    | the same, hold | wants 1.5 ns | clock to pin at least 1.5 + 0.3 = 1.8 ns |
    """
    where, bank = "ethernet", 7
    return [
        Pin(f"{where}.rxd", "i", "E10", bank, "bit 0; the PHY's pins leave to the left as one group, above the host link", "10 kohm up"),
        Pin(f"{where}.rxd", "i", "E9", bank, "bit 1, pair of E10, so that both bits have equal length", "10 kohm up"),
        Pin(f"{where}.crs_dv", "i", "E7", bank, "next to the data that it is valid for", "10 kohm up"),
        Pin(f"{where}.rx_er", "i", "E8", bank, "pair of E7; with a strap: the PHY's address is 0", "10 kohm down"),
        Pin(f"{where}.txd", "o", "D7", bank, "bit 0; from here on what the node drives"),
        Pin(f"{where}.txd", "o", "D8", bank, "bit 1, pair of D7, so that both bits have equal length"),
        Pin(f"{where}.tx_en", "o", "D6", bank, "next to its data; nothing is sent while nobody drives", "10 kohm down"),
        Pin(f"{where}.mdc", "o", "D5", bank, "pair of D6; slow, between the fast wires and the reset"),
        Pin(f"{where}.mdio", "io", "D4", bank, "next to its clock; both sides drive it, in turns", "1.5 kohm up"),
        Pin(f"{where}.reset_n", "o", "D3", bank, "pair of D4; in reset until the node has been configured", GATE_PULL_DOWN),
    ]


def key_memory_pins() -> list[Pin]:
    """The wires to the part that keeps the node's key, an M41ST87W (DocID9497): to the FPGA and to nothing else.

    Part and cell lie under a lid, their wires on inner layers. The tamper inputs go nowhere near the FPGA; the README has them.
    """
    where, bank = "key_memory", 7
    return [
        Pin(f"{where}.scl", "o", "E4", bank, "only ever pulled low; this bus has one part and no connector", "4.7 kohm up"),
        Pin(
            f"{where}.sda", "io", "E3", bank, "pair of E4; both sides pull it low: 4.7 kohm and 40 pF rise in 160 ns of 300", "4.7 kohm up"
        ),
        Pin(f"{where}.tamper_n", "i", "E2", bank, "IRQ/OUT of the part: low once it was tampered with", "10 kohm up"),
    ]


PINS: tuple[Pin, ...] = (
    Pin(
        "clk50",
        "i",
        "L13",
        1,
        "PCLKT1_2, a pin with its own path into the clock network; the evaluation board feeds the same ball. Shared with the Ethernet PHY",
        clock_hz=CLOCK_HZ,
    ),
    Pin("host.sclk", "i", "K3", 7, "PCLKT7_0; the host link leaves to the left, away from the module cables", "10 kohm down"),
    Pin("host.cs_n", "i", "K4", 7, "pair of K3, so that clock and select have equal length; idle while the Linux side boots", "10 kohm up"),
    Pin("host.copi", "i", "K2", 7, "next to the link's clock: the four wires leave as one group"),
    Pin("host.cipo", "o", "K1", 7, "pair of K2, so that the two data wires have equal length"),
    Pin("adc.sclk", "o", "M2", 6, "bank 6, on the analogue side of the board: no other bank switches near the site converter"),
    Pin("adc.cs_n", "o", "M3", 6, "pair of M2; the converter samples on its falling edge, so it must not fall by itself", "10 kohm up"),
    Pin("adc.copi", "o", "M4", 6, "next to the select: the four wires leave as one group"),
    Pin("adc.cipo", "i", "M5", 6, "pair of M4, so that the two data wires have equal length"),
    Pin("pulse", "i", "L20", 1, "1 Hz from GPS or RTC; PCLKT1_0, so that a later design may time-stamp its edge directly", "10 kohm down"),
    Pin(
        "ov_comparator",
        "i",
        "N14",
        2,
        "fast over-voltage comparator, open drain, 1 = over-voltage: a broken wire or a comparator without supply trips",
        "4.7 kohm up",
    ),
    Pin("module_bus.sclk", "o", "M17", 2, "clock of all module links, buffered per cable; bank 2 faces the cable connectors"),
    *module_pins(0, 2, "M19", "M18", "M20", "N19"),
    *module_pins(1, 2, "N20", "R18", "P19", "P20"),
    *module_pins(2, 2, "P17", "T20", "P18", "R17"),
    *ethernet_pins(),
    *key_memory_pins(),
    Pin("led_link", "o", "E17", 1, "link lamp, lit by a low level; where the evaluation board has one too", active_low=True),
    Pin("led_trip", "o", "F13", 1, "trip lamp, lit by a low level; next free ball to E17", active_low=True),
)

CONVERTERS: tuple[Converter, ...] = (
    Converter(
        "site inputs",
        "ADS7952",
        select="adc.cs_n",
        answer="adc.cipo",
        answer_bit=0,
        inputs=(
            "bus voltage",
            "bus current",
            "ground fault current",
            "hot supply temperature",
            "hot return temperature",
            "cold supply temperature",
            "cold return temperature",
            "hot flow",
            "cold flow",
            "gas flow",
            "gas pressure",
            "battery current",
        ),
    ),
)


def attributes(pin: Pin) -> dict[str, str]:
    """Nexus names: I/O type by bank voltage, and an internal pull that agrees with the resistor on the board."""
    settings = {"IO_TYPE": "LVCMOS33"}
    if pin.direction != "o" and not pin.clock_hz:
        settings["PULLMODE"] = "UP" if pin.pull.endswith("up") else "DOWN"
    return settings


check(PINS, BANK_VOLTS, RESERVED)


class ControllerNode(LatticePlatform):
    """Amaranth platform of the controller node."""

    device = "LIFCL-40"
    package = "BG400"
    speed = "8"
    grade = "I"
    default_clk = "clk50"
    resources = resources(PINS, attributes)
    connectors = ()
