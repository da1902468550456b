"""A power module: link to the node, PWM of its channels, and the converters that measure their currents.

One conversion every 200 counts of 480 (100 of 240): its chip select falls in the middle of a slot's on-time, and the slots follow in
steps of five (0, 5, 10, 3 …), because 5 × 40 counts are those 200. So every channel is sampled 20,000 times a second in the middle of
its own on-time, one of each converter at once. Behind each current amplifier two equal poles at 5 kHz make that sample the true average in
continuous and discontinuous conduction, within 0.5 % of the rated current (`docs/decisions/0005-two-poles-before-the-converter.md`). Their
lag of 64 µs is short beside the 2 ms with which string and input capacitor can move. Currents go to the node as sampled.
A converter that does not answer, answers for another channel (`ads7952.py`) or has lost its reference (`reference_watch.py`) takes
its own channels' gates and no others, and the node reads 0 A of them. The order of release and the kill wire are `module_release.py`,
the low side is `diode_emulation.py`.
A clock that stops takes every watchdog of the module with it: a lost lock of the PLL turns the gates off at once (`products/pcm.py`), and
whatever the PLL says, the node hears no more answers and lets `run` fall 10 ms after the last, which needs no clock here.
Bound from a falling `run` to the last gate pin: 20 ns on HX8K, 40 ns on UP5K; a build whose placed path leaves less than 6 or 8 ns of that
to the two pads has no image (`products/pcm.py`).
Area with the product's top: 36 channels, 48 MHz: 2,895 of 7,680 LC and 4 RAM of HX8K, placed at 82.9 MHz. Without it: 12 channels,
24 MHz: 1,613 of 5,280 LC and 4 RAM of UP5K, placed at 35.5 MHz.
"""

from __future__ import annotations

from amaranth.hdl import C, Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .ads7952 import CHANNELS as CONVERTER_CHANNELS
from .ads7952 import PIPELINE_FRAMES, Ads7952Driver
from .buck_pwm import PHASES, BuckPwm
from .diode_emulation import DiodeEmulation
from .module_link import CURRENT_BITS, CURRENT_ZERO, ModuleStatus
from .module_link_slave import ModuleLinkSlave
from .module_release import ModuleRelease
from .reference_watch import ReferenceWatch

CLOCK_HZ = 48_000_000
CONVERSION_STEP = 5
"""Slots from one conversion to the next: five twelfths of a period, 4.17 µs, and prime to twelve, so that none is left out."""
CONVERTER_STATUS = (ModuleStatus.CONVERTER_0, ModuleStatus.CONVERTER_1, ModuleStatus.CONVERTER_2)


class Pcm(wiring.Component):
    """`channels` over `converters` ADS7952, 12 to each, the last one taking what is left.

    `clock_hz` is 48 or 24 MHz. Asynchronous are the link's pins, `run` (0: kill) and `supply_good` (0: brown-out).
    """

    def __init__(self, channels=12, converters=1, dead_time_ns=100, clock_hz=CLOCK_HZ):
        if not (converters - 1) * CONVERTER_CHANNELS < channels <= converters * CONVERTER_CHANNELS:
            raise ValueError(
                f"{channels} channels need {-(-channels // CONVERTER_CHANNELS)} converters of {CONVERTER_CHANNELS}, not {converters}"
            )
        if converters > len(CONVERTER_STATUS):
            raise ValueError(f"the status byte has room for {len(CONVERTER_STATUS)} converters, not {converters}")
        self._channels = channels
        self._converters = converters
        self._dead_time_ns = dead_time_ns
        self._clock_hz = clock_hz
        super().__init__(
            {
                "link_sclk": In(1),
                "link_cs_n": In(1, init=1),
                "link_copi": In(1),
                "link_cipo": Out(1),
                "run": In(1),
                "supply_good": In(1),
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
        channels, converters = self._channels, self._converters
        m.submodules.release = release = ModuleRelease(self._clock_hz, converters)
        link = ModuleLinkSlave(self._clock_hz, channels)
        pwm = BuckPwm(self._clock_hz, channels, self._dead_time_ns)
        emulation = DiodeEmulation(channels)
        driver = Ads7952Driver(self._clock_hz, converters)
        reference = ReferenceWatch(converters)
        with_reset = ResetInserter(release.reset)
        m.submodules.link = with_reset(link)
        m.submodules.pwm = with_reset(pwm)
        m.submodules.emulation = with_reset(emulation)
        m.submodules.driver = with_reset(driver)
        m.submodules.reference = with_reset(reference)

        m.d.comb += [
            link.link_sclk.eq(self.link_sclk),
            link.link_cs_n.eq(self.link_cs_n),
            link.link_copi.eq(self.link_copi),
            self.link_cipo.eq(link.link_cipo),
            link.bootstrap_pulses.eq(emulation.pulses),
            release.run.eq(self.run),
            release.supply_good.eq(self.supply_good),
            release.link_valid.eq(link.valid),
            release.link_enable.eq(link.enable),
            release.applied.eq(link.applied),
            release.believed.eq(reference.believed),
            pwm.run.eq(release.gate),
            pwm.enable.eq(release.enable),
            self.pwm_hi.eq(pwm.hi),
            self.pwm_lo.eq(pwm.lo),
            self.driver_enable.eq(release.driver_enable),
            self.adc_sclk.eq(driver.adc_sclk),
            self.adc_cs_n.eq(driver.adc_cs_n),
            self.adc_copi.eq(driver.adc_copi),
            driver.adc_cipo.eq(self.adc_cipo),
            reference.answers.eq(driver.healthy),
        ]
        status = {
            ModuleStatus.LINK_VALID: link.valid,
            ModuleStatus.DRIVERS_ENABLED: release.enable.any(),
            ModuleStatus.CONVERTER_FAULT: ~reference.believed.all(),
            ModuleStatus.RUN: release.running,
            ModuleStatus.KILLED: release.killed,
        }
        status |= {flag: ~believed for flag, believed in zip(CONVERTER_STATUS, reference.believed, strict=False)}
        m.d.comb += link.status.eq(Cat(status.get(ModuleStatus(1 << bit), C(0, 1)) for bit in range(8)))

        self._convert(m, pwm, driver)
        to_link, to_emulation = self._store(m, driver)
        # A converter that is not believed leaves stale samples behind, and a dead one answers for channel 0; its gates are off.
        told = Signal()
        m.d.sync += told.eq(reference.believed.bit_select(self._converter_of(link.current_addr), 1))
        m.d.comb += [
            to_link.addr.eq(link.current_addr),
            link.current_data.eq(Mux(told, to_link.data, CURRENT_ZERO)),
            to_emulation.addr.eq(pwm.channel),
        ]

        # Prepare: the channel that the PWM is about to give a new period.
        converter = Signal(range(max(converters, 2)))
        m.d.comb += [
            converter.eq(self._converter_of(pwm.channel)),
            link.duty_addr.eq(pwm.channel),
            emulation.channel.eq(pwm.channel),
            emulation.prepared.eq(pwm.prepared),
            emulation.enabled.eq(release.enable.bit_select(converter, 1)),
            emulation.duty_data.eq(link.duty_data),
            emulation.current_data.eq(to_emulation.data),
            pwm.duty_data.eq(link.duty_data),
            pwm.low_side.eq(emulation.low_side),
            pwm.bootstrap.eq(emulation.bootstrap),
            reference.strobe.eq(pwm.prepared),
            reference.converter.eq(converter),
            reference.current.eq(to_emulation.data),
            reference.resting.eq(emulation.resting),
        ]
        return m

    def _converter_of(self, channel):
        return sum((channel >= CONVERTER_CHANNELS * number for number in range(1, self._converters)), start=C(0, 1))

    def _convert(self, m, pwm, driver):
        """Start a conversion in the middle of each slot's turn; what it commands is sampled two conversions later."""
        slot = Signal(range(PHASES))
        ahead = PIPELINE_FRAMES * CONVERSION_STEP
        m.d.comb += [
            driver.start.eq(pwm.midpoint & (pwm.midpoint_slot == slot)),
            driver.channel.eq(Mux(slot < PHASES - ahead, slot + ahead, slot - (PHASES - ahead))),
        ]
        with m.If(driver.start):
            m.d.sync += slot.eq(Mux(slot < PHASES - CONVERSION_STEP, slot + CONVERSION_STEP, slot - (PHASES - CONVERSION_STEP)))

    def _store(self, m, driver):
        """Write the samples of good frames, one converter's after the other's; read ports for the link and for diode emulation."""
        channels, converters = self._channels, self._converters
        depth = 1 << (CONVERTER_CHANNELS * converters - 1).bit_length()
        m.submodules.currents = currents = Memory(shape=CURRENT_BITS, depth=depth, init=[CURRENT_ZERO] * depth)
        write = currents.write_port()
        lane = Signal(range(converters + 1), init=converters)
        channel = Signal(range(depth))
        m.d.comb += [
            write.addr.eq(channel),
            write.data.eq(driver.samples[lane]),
            write.en.eq(Cat(driver.good, C(0, 1)).bit_select(lane, 1) & (channel < channels)),
        ]
        with m.If(driver.frame):
            m.d.sync += [lane.eq(0), channel.eq(driver.sample_channel)]
        with m.Elif(lane != converters):
            m.d.sync += [lane.eq(lane + 1), channel.eq(channel + CONVERTER_CHANNELS)]
        return currents.read_port(), currents.read_port()
