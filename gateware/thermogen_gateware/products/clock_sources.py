"""The clocks of a product: domains that the timing report knows, the PLLs, the node's internal oscillator.

References: Lattice TN1251 (iCE40 sysCLOCK PLL), FPGA-TN-02095 (Nexus sysCLOCK, OSCA). Each component is nothing but the vendor's
primitive, so that the rest of a product can be simulated with other clocks. What a product runs on has the ports `clk` and
`lock`, an asynchronous 1 while the clock can be trusted.
"""

from __future__ import annotations

from amaranth.hdl import C, ClockDomain, Const, Instance, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from ..build.workarounds import NEXUS_PLL_PARAMETERS
from .board_pins import BoardPins


def timed_domain(name: str, *, reset_less: bool = False) -> ClockDomain:
    """A clock domain whose wire keeps its name through synthesis, so that the timing report can be checked by it."""
    domain = ClockDomain(name, reset_less=reset_less)
    domain.clk.attrs["keep"] = 1
    return domain


class Oscillator50(wiring.Component):
    """The board's 50 MHz as they come in at pin `clk50`. Whether they do, they cannot say: `lock` is always 1."""

    def __init__(self, pins: BoardPins) -> None:
        self._reference = pins.input("clk50")
        super().__init__({"clk": Out(1), "lock": Out(1)})

    def elaborate(self, _platform):
        m = Module()
        m.d.comb += [self.clk.eq(self._reference), self.lock.eq(1)]
        return m


class _Ice40Pll(wiring.Component):
    """Reference × (DIVF + 1) / (2**DIVQ × (DIVR + 1)) with the VCO between 533 and 1066 MHz: 12 MHz × 64 = 768 MHz, / 2**DIVQ.

    The filter range belongs to a phase detector at 10 to 16 MHz; `icepll -i 12 -o 48` and `-o 24` give the same four.
    """

    DIVR, DIVF, FILTER_RANGE = 0, 63, 1
    DIVQ: int
    PRIMITIVE: str

    def __init__(self, reference: object, port: str) -> None:
        self._reference = {f"i_{port}": reference}
        super().__init__({"clk": Out(1), "lock": Out(1)})

    def elaborate(self, _platform):
        m = Module()
        m.submodules.pll = Instance(
            self.PRIMITIVE,
            p_FEEDBACK_PATH="SIMPLE",
            p_DIVR=Const(self.DIVR, 4),
            p_DIVF=Const(self.DIVF, 7),
            p_DIVQ=Const(self.DIVQ, 3),
            p_FILTER_RANGE=Const(self.FILTER_RANGE, 3),
            p_PLLOUT_SELECT="GENCLK",
            i_RESETB=C(1),
            i_BYPASS=C(0),
            o_PLLOUTGLOBAL=self.clk,
            o_LOCK=self.lock,
            **self._reference,
        )
        return m


class Pll48(_Ice40Pll):
    """48 MHz from the 12 MHz that come in at any pin `clk12`."""

    DIVQ = 4
    PRIMITIVE = "SB_PLL40_CORE"

    def __init__(self, pins: BoardPins) -> None:
        super().__init__(pins.input("clk12"), "REFERENCECLK")


class Pll24(_Ice40Pll):
    """24 MHz from the 12 MHz that come in at the PLL's own pad: on UP5K no other use of that pad leaves the PLL usable."""

    DIVQ = 5
    PRIMITIVE = "SB_PLL40_PAD"

    def __init__(self, pins: BoardPins) -> None:
        super().__init__(pins.pad("clk12"), "PACKAGEPIN")


class Pll50(wiring.Component):
    """50 MHz from the 12 MHz that come in at pin `clk12`, on LIFCL: × 100 = 1.2 GHz, / 24. The VCO has to be between 0.8 and 1.6 GHz."""

    MULTIPLIER, DIVIDER = 100, 24

    def __init__(self, pins: BoardPins) -> None:
        self._reference = pins.input("clk12")
        super().__init__({"clk": Out(1), "lock": Out(1)})

    def elaborate(self, _platform):
        m = Module()
        feedback = Signal()
        m.submodules.pll = Instance(
            "PLL",
            **{f"p_{name}": value for name, value in NEXUS_PLL_PARAMETERS.items()},
            # A division by N is written N - 1, and a second time as the delay that means no phase shift.
            p_DIVF=str(self.MULTIPLIER - 1),
            p_DELF=str(self.MULTIPLIER - 1),
            p_ENCLK_CLKOP="ENABLED",
            p_DIVA=str(self.DIVIDER - 1),
            p_DELA=str(self.DIVIDER - 1),
            p_PHIA="0",
            i_REFCK=self._reference,
            i_PLLRESET=C(0),
            i_FBKCK=feedback,
            o_CLKOS5=feedback,
            o_CLKOP=self.clk,
            o_LOCK=self.lock,
        )
        return m


class InternalOscillator(wiring.Component):
    """The oscillator inside LIFCL-40, 450 MHz divided by 256: as slow as it goes, and independent of everything on the board."""

    DIVIDER = 256
    HZ = 450e6 / DIVIDER

    def __init__(self) -> None:
        super().__init__({"clk": Out(1)})

    def elaborate(self, _platform):
        m = Module()
        m.submodules.oscillator = Instance("OSCA", p_HF_CLK_DIV=str(self.DIVIDER - 1), i_HFOUTEN=C(1), i_HFSDSCEN=C(0), o_HFCLKOUT=self.clk)
        return m
