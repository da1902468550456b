"""A power module: link to the node, PWM of its channels and the converters that measure their currents.

Each PWM period converts one channel of every converter, with chip select falling in the middle of the period, which is the
middle of every channel's on-time (see buck_pwm); a channel is measured 8,333 times a second. Currents go to the node as sampled.
Diode emulation: with its low side on, a buck conducts continuously whatever its duty, and below Vbus/Vin it would draw the bus
backwards through the string. So a channel's low side is released only above the mean current at which conduction is continuous anyway,
Vbus × (1 − duty) / (2 L f), for 63 V and 220 µH, and taken back below the same for 58 V: at a duty of 0.7 that is 0.43 and 0.40 A.
`driver_enable` and all gates are 0 unless the link is valid, the node enables, the converters are healthy and `run` is 1; `run` acts
on gates and `driver_enable` without a clock.
Area, iCE40 HX8K: 1,266 LC, 2 RAM with 12 channels, placed at 86 MHz; 1,067 LUT4, 914 carry, 1,135 FF, 2 RAM with 36.
"""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from thermogen_esf.points import PWM_COUNTS

from .ads7952 import CHANNELS as CONVERTER_CHANNELS
from .ads7952 import Ads7952Driver
from .buck_pwm import DITHER_BITS, BuckPwm
from .module_link import CURRENT_BITS, CURRENT_ZERO, ModuleStatus
from .module_link_slave import ModuleLinkSlave

CLOCK_HZ = 48_000_000


class Pcm(wiring.Component):
    """`channels` over `converters` ADS7952, 12 to each, the last one taking what is left."""

    def __init__(self, channels=12, converters=1, dead_time_ns=100):
        if not (converters - 1) * CONVERTER_CHANNELS < channels <= converters * CONVERTER_CHANNELS:
            raise ValueError(
                f"{channels} channels need {-(-channels // CONVERTER_CHANNELS)} converters of {CONVERTER_CHANNELS}, not {converters}"
            )
        self._channels = channels
        self._converters = converters
        self._dead_time_ns = dead_time_ns
        super().__init__(
            {
                "link_sclk": In(1),
                "link_cs_n": In(1, init=1),
                "link_copi": In(1),
                "link_cipo": Out(1),
                "run": In(1),
                "adc_sclk": Out(1),
                "adc_cs_n": Out(1, init=1),
                "adc_copi": Out(1),
                "adc_cipo": In(converters),
                "pwm_hi": Out(channels),
                "pwm_lo": Out(channels),
                "driver_enable": Out(1),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        channels = self._channels
        m.submodules.link = link = ModuleLinkSlave(CLOCK_HZ, channels)
        m.submodules.pwm = pwm = BuckPwm(CLOCK_HZ, channels, self._dead_time_ns)
        m.submodules.driver = driver = Ads7952Driver(CLOCK_HZ, self._converters)
        run = Signal()
        m.submodules.run = FFSynchronizer(self.run, run)
        released = Signal()
        m.d.comb += [
            link.link_sclk.eq(self.link_sclk),
            link.link_cs_n.eq(self.link_cs_n),
            link.link_copi.eq(self.link_copi),
            self.link_cipo.eq(link.link_cipo),
            released.eq(link.valid & link.enable & driver.healthy & run),
            pwm.run.eq(self.run),
            pwm.enable.eq(released),
            self.pwm_hi.eq(pwm.hi),
            self.pwm_lo.eq(pwm.lo),
            self.driver_enable.eq(released & self.run),
            pwm.duty_data.eq(link.duty_data),
            self.adc_sclk.eq(driver.adc_sclk),
            self.adc_cs_n.eq(driver.adc_cs_n),
            self.adc_copi.eq(driver.adc_copi),
            driver.adc_cipo.eq(self.adc_cipo),
        ]
        status = {
            ModuleStatus.LINK_VALID: link.valid,
            ModuleStatus.DRIVERS_ENABLED: released,
            ModuleStatus.CONVERTER_FAULT: ~driver.healthy,
            ModuleStatus.RUN: run,
        }
        m.d.comb += [link.status[flag.bit_length() - 1].eq(level) for flag, level in status.items()]

        # Scan: one conversion a period. The answer belongs to the channel commanded two frames before, so the order alone counts.
        scan = Signal(range(CONVERTER_CHANNELS))
        m.d.comb += [driver.start.eq(pwm.midpoint), driver.channel.eq(scan)]
        with m.If(pwm.midpoint):
            m.d.sync += scan.eq(Mux(scan == CONVERTER_CHANNELS - 1, 0, scan + 1))

        # Store: three clocks for each converter's sample, which also fetch the channel's duty (while the PWM does not) and form its edge.
        depth = 1 << (channels + CONVERTER_CHANNELS - 1).bit_length()
        m.submodules.currents = currents = Memory(shape=CURRENT_BITS, depth=depth, init=[CURRENT_ZERO] * channels)
        current_rd, current_wr = currents.read_port(), currents.write_port()
        m.d.comb += [current_rd.addr.eq(link.current_addr), link.current_data.eq(current_rd.data)]
        lane = Signal(range(self._converters + 1), init=self._converters)
        phase = Signal(range(3))
        channel = Signal(range(depth))
        sample = Signal(CURRENT_BITS)
        good = Signal()
        m.d.comb += [
            sample.eq(driver.samples[lane] if self._converters > 1 else driver.samples[0]),
            good.eq(driver.good.bit_select(lane, 1)),
            current_wr.addr.eq(channel),
            current_wr.data.eq(sample),
            link.duty_addr.eq(Mux(pwm.fetching, pwm.duty_addr, channel)),
        ]

        # The current at the edge of continuous conduction grows with the off-time: 1.5 steps of 2 mA a count for 63 V, 11/8 for 58 V.
        low_side = Signal(channels)
        held = low_side.bit_select(channel, 1)
        off_counts = Signal(9)
        edge, next_edge = Signal(10), Signal(10)
        m.d.sync += edge.eq(next_edge)
        m.d.comb += [
            off_counts.eq(PWM_COUNTS - link.duty_data[DITHER_BITS:]),
            next_edge.eq(off_counts + Mux(held, (off_counts >> 2) + (off_counts >> 3), off_counts >> 1)),
            pwm.low_side.eq(low_side),
        ]
        with m.If(driver.frame):
            m.d.sync += [lane.eq(0), channel.eq(driver.sample_channel), phase.eq(0)]
        with m.Elif(lane != self._converters):
            m.d.sync += phase.eq(phase + 1)
            with m.If(phase == 2):
                m.d.sync += [phase.eq(0), lane.eq(lane + 1), channel.eq(channel + CONVERTER_CHANNELS)]
                with m.If(good & (channel < channels)):
                    m.d.comb += current_wr.en.eq(1)
                    m.d.sync += held.eq(sample > CURRENT_ZERO + edge)
        return m
