"""The power module as it is flashed: `Pcm` on the pins of `PowerModule`, at 48 MHz from the PLL.

Power: gate signals and driver enable are 0 until the PLL has locked and the block RAMs are readable, and are gated off without a clock
the moment the lock is lost. Channels that the product does not use are driven off.
"""

from __future__ import annotations

from amaranth.hdl import ClockSignal, Elaboratable, Module, ResetSignal, Signal
from amaranth.lib import wiring
from thermogen_boards import PowerModule
from thermogen_boards.power_module import CHANNELS_PER_CONVERTER, CLOCK_HZ

from ..build.design import ClockTarget, Design
from ..pcm import Pcm
from .board_pins import BoardPins
from .clock_sources import Pll48, timed_domain
from .power_on import PowerOn

CHANNELS = 12
CONVERTERS = CHANNELS // CHANNELS_PER_CONVERTER

HOLD_CLOCKS = round(15e-6 * CLOCK_HZ)
"""Five times the 3 µs for which block RAMs have been seen to read as zero."""


class PcmTop(Elaboratable):
    """The power module on its board. `core` has the ports of `Pcm`, `pll` the ports `reference`, `clk` and `lock`."""

    def __init__(self, core: wiring.Component | None = None, pll: wiring.Component | None = None) -> None:
        self._core = core or Pcm(CHANNELS, CONVERTERS)
        self._pll = pll or Pll48()

    def elaborate(self, platform):
        m = Module()
        pins = BoardPins(m, platform)

        m.submodules.pll = pll = self._pll
        m.domains += timed_domain("sync")
        m.submodules.power_on = power_on = PowerOn(HOLD_CLOCKS)
        m.d.comb += [
            pll.reference.eq(pins.input("clk12")),
            ClockSignal("sync").eq(pll.clk),
            power_on.clk.eq(ClockSignal("sync")),
            power_on.good.eq(pll.lock),
            ResetSignal("sync").eq(power_on.reset),
        ]

        m.submodules.pcm = pcm = self._core
        m.d.comb += [
            pcm.link_sclk.eq(pins.input("link", "sclk")),
            pcm.link_cs_n.eq(pins.input("link", "cs_n")),
            pcm.link_copi.eq(pins.input("link", "copi")),
            pcm.run.eq(pins.input("run")),
            pcm.adc_cipo.eq(pins.input("adc", "cipo")),
        ]
        pins.output(pcm.link_cipo, "link", "cipo")
        pins.output(pcm.adc_sclk, "adc", "sclk")
        pins.output(pcm.adc_cs_n, "adc", "cs_n")
        pins.output(pcm.adc_copi, "adc", "copi")
        for signal, name in ((pcm.pwm_hi, "pwm_hi"), (pcm.pwm_lo, "pwm_lo"), (pcm.driver_enable, "driver_enable")):
            permitted = Signal(len(signal), name=f"{name}_permitted")
            m.d.comb += permitted.eq(signal & power_on.permit.replicate(len(signal)))
            pins.output(permitted, name)
        return m


DESIGN = Design("pcm", PowerModule, PcmTop, (ClockTarget("clk", CLOCK_HZ),))
"""What `thermogen-build pcm` builds."""
