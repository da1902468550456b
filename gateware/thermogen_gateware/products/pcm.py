"""The power module as it is flashed: `Pcm` on the pins of a board, with its clock from the PLL.

Power: gate signals and driver enable are 0 until the PLL has locked and the block RAMs are readable, and are gated off without a clock
the moment the lock is lost. Channels that the product does not use are driven off.
"""

from __future__ import annotations

from collections.abc import Callable

from amaranth.hdl import C, ClockSignal, Elaboratable, Module, ResetSignal, Signal
from amaranth.lib import wiring
from thermogen_boards import Ice40Hx8kBreakout, Ice40Up5kBreakout, PowerModule, ice40_up5k_breakout
from thermogen_boards.power_module import CHANNELS, CLOCK_HZ, CONVERTER_COUNT

from ..build.design import ClockTarget, Design
from ..pcm import Pcm
from ..power_on import PowerOn
from .board_pins import BoardPins
from .clock_sources import Pll24, Pll48, timed_domain

HOLD_S = 15e-6
"""Five times the 3 µs for which block RAMs have been seen to read as zero."""

ICE40_LOADER = ("--board", "ice40_generic")
"""How openFPGALoader calls every board that has its flash on a bridge wired as Lattice's; an image for iCE40 always goes to the flash."""


class PcmTop(Elaboratable):
    """The power module on its board. `core` has the ports of `Pcm`; `clock` makes what has the ports `clk` and `lock`, of `clock_hz`.

    `shared_flash`: the converter hangs on the wires of the configuration flash, which is kept deselected.
    """

    def __init__(
        self,
        core: wiring.Component | None = None,
        clock: Callable[[BoardPins], wiring.Component] = Pll48,
        clock_hz: int = CLOCK_HZ,
        shared_flash: bool = False,
    ) -> None:
        self._core = core or Pcm(CHANNELS, CONVERTER_COUNT)
        self._clock = clock
        self._hold_clocks = round(HOLD_S * clock_hz)
        self._shared_flash = shared_flash

    def elaborate(self, platform):
        m = Module()
        pins = BoardPins(m, platform)

        m.submodules.pll = pll = self._clock(pins)
        m.domains += timed_domain("sync")
        m.submodules.power_on = power_on = PowerOn(self._hold_clocks)
        m.d.comb += [
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
            pcm.supply_good.eq(pins.input("supply_good")),
            pcm.adc_cipo.eq(pins.input("adc", "cipo")),
        ]
        pins.output(pcm.link_cipo, "link", "cipo")
        pins.output(pcm.adc_sclk, "adc", "sclk")
        pins.output(pcm.adc_cs_n, "adc", "cs_n")
        pins.output(pcm.adc_copi, "adc", "copi")
        if self._shared_flash:
            pins.output(C(1), "flash", "cs_n")
        for signal, name in ((pcm.pwm_hi, "pwm_hi"), (pcm.pwm_lo, "pwm_lo"), (pcm.driver_enable, "driver_enable")):
            permitted = Signal(len(signal), name=f"{name}_permitted")
            m.d.comb += permitted.eq(signal & power_on.permit.replicate(len(signal)))
            pins.output(permitted, name)
        return m


def _reduced() -> PcmTop:
    hz = ice40_up5k_breakout.CLOCK_HZ
    return PcmTop(Pcm(ice40_up5k_breakout.CHANNELS, 1, clock_hz=hz), Pll24, hz, shared_flash=True)


def _design(platform: Callable[[], object], top: Callable[[], Elaboratable], clock_hz: float, kill_ns: float) -> Design:
    clocks = (ClockTarget("clk", clock_hz),)
    return Design("pcm", platform, top, clocks, pin_to_pin_ns=kill_ns, sources=__name__, loader=ICE40_LOADER)


KILL_NS, UP5K_KILL_NS = 14.0, 32.0
"""From the kill wire's buffer to the last gate's; the two pads have 6 and 8 ns of the bounds that `pcm.py` states."""

DESIGN = _design(PowerModule, PcmTop, CLOCK_HZ, KILL_NS)
"""What `thermogen-build pcm` builds."""

HX8K_BREAKOUT = _design(Ice40Hx8kBreakout, PcmTop, CLOCK_HZ, KILL_NS)

UP5K_BREAKOUT = _design(Ice40Up5kBreakout, _reduced, ice40_up5k_breakout.CLOCK_HZ, UP5K_KILL_NS)
