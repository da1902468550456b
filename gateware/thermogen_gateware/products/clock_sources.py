"""The clocks of a product: domains that the timing report knows, the power module's PLL, the node's internal oscillator.

References: Lattice TN1251 (iCE40 sysCLOCK PLL), FPGA-TN-02095 (Nexus sysCLOCK, OSCA). Each component is nothing but the vendor's
primitive, so that the rest of a product can be simulated with other clocks.
"""

from __future__ import annotations

from amaranth.hdl import C, ClockDomain, Const, Instance, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


def timed_domain(name: str, *, reset_less: bool = False) -> ClockDomain:
    """A clock domain whose wire keeps its name through synthesis, so that the timing report can be checked by it."""
    domain = ClockDomain(name, reset_less=reset_less)
    domain.clk.attrs["keep"] = 1
    return domain


class Pll48(wiring.Component):
    """48 MHz from 12 MHz on iCE40; `lock` is asynchronous to both.

    Output = reference × (DIVF + 1) / (2**DIVQ × (DIVR + 1)) with the VCO between 533 and 1066 MHz: 12 MHz × 64 = 768 MHz, / 16 = 48 MHz.
    The filter range belongs to a phase detector at 10 to 16 MHz; `icepll -i 12 -o 48` gives the same four.
    """

    DIVR, DIVF, DIVQ, FILTER_RANGE = 0, 63, 4, 1

    def __init__(self) -> None:
        super().__init__({"reference": In(1), "clk": Out(1), "lock": Out(1)})

    def elaborate(self, _platform):
        m = Module()
        m.submodules.pll = Instance(
            "SB_PLL40_CORE",
            p_FEEDBACK_PATH="SIMPLE",
            p_DIVR=Const(self.DIVR, 4),
            p_DIVF=Const(self.DIVF, 7),
            p_DIVQ=Const(self.DIVQ, 3),
            p_FILTER_RANGE=Const(self.FILTER_RANGE, 3),
            p_PLLOUT_SELECT="GENCLK",
            i_REFERENCECLK=self.reference,
            i_RESETB=C(1),
            i_BYPASS=C(0),
            o_PLLOUTGLOBAL=self.clk,
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
