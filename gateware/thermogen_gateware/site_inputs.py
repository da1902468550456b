"""The node's twelve inputs: scans its ADS7952, gives what protection needs at once and every input's mean over the site second.

The converter is scanned without pause, 12 channels in about 1,000 clocks (50,000 samples of each input in a product's second,
about ten in one of 10,000 clocks; a sum stops growing at 65,535 samples). At `pulse` the scan rests while each input's sum is
divided by its count (serial divider, to a sixteenth of a sample) and scaled by its gain and offset (one multiplier). An input without
a good sample in the second keeps its value, and `measured` says so. Between pulses each sample of the bus's voltage and current, the
ground fault current and the hot supply is scaled as it comes, for protection and tracker.
Values saturate at the limits of the point's 16 bits.
Latency: `done` at most 720 clocks after `pulse`. Area, LIFCL: 350 COMB, 527 FF, 3 EBR, 1 multiplier.
"""

from __future__ import annotations

from amaranth.hdl import Array, C, Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from thermogen_esf.points import SITE_INPUTS

from .ads7952 import Ads7952Driver
from .calibration import DEFAULT_CALIBRATION, SIGNED_INPUTS
from .divider import SerialDivider

INPUTS = len(SITE_INPUTS)
NEWEST = ("bus_voltage", "bus_current", "ground_fault_current", "hot_supply_temperature")
"""What is shown sample by sample; the scan visits them in this order."""
COUNT_BITS = 16
SUM_BITS = 12 + COUNT_BITS
FRACTION_BITS = 4
BLOCK_RAM = {"ram_style": "block"}


CALIBRATION = data.StructLayout({"gain": unsigned(16), "offset": signed(16)})
"""One input's row of the calibration table."""

ACCUMULATED = data.StructLayout({"sum": unsigned(SUM_BITS), "count": unsigned(COUNT_BITS)})
"""Samples of one input in this second."""


class SiteInputs(wiring.Component):
    """`site_inputs[n]` in the raw unit of point n of `SITE_INPUTS`, final from `done` to the next second's.

    `bus_mv` is the newest sample of the bus (strobe `bus_strobe`), 0 until the first; `bus_current`, `ground_fault` and `hot_supply` are
    likewise, and `scan_strobe` follows when all four have been sampled well in one scan. `measured[n]`: input n had a good sample in the
    second, final with `site_inputs`. `healthy`: the converter answers, and for the right
    channels.
    """

    def __init__(self, clock_hz):
        self._clock_hz = clock_hz
        super().__init__(
            {
                "pulse": In(1),
                "calibration_addr": In(4),
                "calibration_gain": In(16),
                "calibration_offset": In(signed(16)),
                "calibration_we": In(1),
                "site_inputs": Out(data.ArrayLayout(16, INPUTS)),
                "measured": Out(INPUTS),
                "done": Out(1),
                "bus_mv": Out(16),
                "bus_strobe": Out(1),
                "bus_current": Out(signed(16)),
                "ground_fault": Out(16),
                "hot_supply": Out(signed(16)),
                "scan_strobe": Out(1),
                "healthy": Out(1),
                "adc_sclk": Out(1),
                "adc_cs_n": Out(1, init=1),
                "adc_copi": Out(1),
                "adc_cipo": In(1),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        m.submodules.driver = driver = Ads7952Driver(self._clock_hz)
        m.d.comb += [
            self.adc_sclk.eq(driver.adc_sclk),
            self.adc_cs_n.eq(driver.adc_cs_n),
            self.adc_copi.eq(driver.adc_copi),
            driver.adc_cipo.eq(self.adc_cipo),
            self.healthy.eq(driver.healthy),
        ]

        rows = [{"gain": row.gain, "offset": row.offset} for row in DEFAULT_CALIBRATION.values()]
        depth = 1 << (INPUTS - 1).bit_length()
        m.submodules.table = table = Memory(shape=CALIBRATION, depth=depth, init=rows, attrs=BLOCK_RAM)
        table_rd, table_wr = table.read_port(), table.write_port()
        m.d.comb += [
            table_wr.addr.eq(self.calibration_addr),
            table_wr.data.gain.eq(self.calibration_gain),
            table_wr.data.offset.eq(self.calibration_offset),
            table_wr.en.eq(self.calibration_we & (self.calibration_addr < INPUTS)),
        ]
        m.submodules.sums = sums = Memory(shape=ACCUMULATED, depth=depth, init=[], attrs=BLOCK_RAM)
        sums_rd, sums_wr = sums.read_port(), sums.write_port()
        # Block RAM answers late in its clock: what follows has the next one to itself.
        row, accumulated = Signal(CALIBRATION), Signal(ACCUMULATED)
        m.d.sync += [row.eq(table_rd.data), accumulated.eq(sums_rd.data)]
        m.submodules.divider = divider = SerialDivider(SUM_BITS + FRACTION_BITS, COUNT_BITS)

        # Scan: the driver rests only while the second is closed.
        closing = Signal()
        with m.If(self.pulse):
            m.d.sync += closing.eq(1)
        with m.If(~driver.busy & ~closing):
            m.d.comb += driver.start.eq(1)
            m.d.sync += driver.channel.eq(Mux(driver.channel == INPUTS - 1, 0, driver.channel + 1))

        # One path from mean to point: (mean16 × gain + half) / 65536 + offset.
        channel = Signal(4)
        sample = Signal(12)
        mean = Signal(12 + FRACTION_BITS)
        product = Signal(32)
        scaled, below = Signal(signed(18)), Signal()
        is_signed = Signal()
        value = Signal(16)
        m.d.comb += [
            table_rd.addr.eq(channel),
            sums_rd.addr.eq(channel),
            sums_wr.addr.eq(channel),
            is_signed.eq(C(SIGNED_INPUTS, INPUTS).bit_select(channel, 1)),
            # Half a unit rounds: it carries into the sum from the bit below.
            Cat(below, scaled).eq(Cat(product[15:], C(0, 2)).as_signed() + Cat(C(1, 1), row.offset).as_signed()),
        ]
        too_high, too_low, lower_bits = Signal(), Signal(), Signal(15)
        m.d.comb += [
            too_high.eq(~scaled[17] & (scaled[16] | (is_signed & scaled[15]))),
            too_low.eq(scaled[17] & ~(is_signed & scaled[16] & scaled[15])),
            lower_bits.eq((scaled[:15] | too_high.replicate(15)) & ~too_low.replicate(15)),
            value.eq(Cat(lower_bits, Mux(too_high | too_low, too_high ^ is_signed, scaled[15]))),
            divider.dividend.eq(Cat(C(0, FRACTION_BITS), accumulated.sum)),
            divider.divisor.eq(accumulated.count),
        ]

        outputs = Array(Signal(16, name=f"input_{n}") for n in range(INPUTS))
        m.d.comb += [self.site_inputs[n].eq(output) for n, output in enumerate(outputs)]
        fresh = Signal(len(NEWEST) - 1)
        m.d.sync += [self.done.eq(0), self.bus_strobe.eq(0), self.scan_strobe.eq(0)]
        m.d.sync += product.eq(mean * row.gain)
        # A sum and its count begin again with nothing added to nothing.
        adds, clears, sampled, was_sampled = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [sums_wr.data.sum.eq(accumulated.sum + sample), sums_wr.data.count.eq(accumulated.count + adds)]
        with m.FSM():
            with m.State("IDLE"):
                with m.If(driver.frame):
                    m.d.sync += [
                        channel.eq(driver.sample_channel),
                        sample.eq(driver.samples[0]),
                        mean.eq(driver.samples[0] << FRACTION_BITS),
                    ]
                    with m.If(driver.good[0]):
                        m.next = "FETCH"
                with m.Elif(closing & ~driver.busy):
                    m.d.sync += channel.eq(0)
                    m.next = "LOAD"
            with m.State("FETCH"):
                m.next = "FETCHED"
            with m.State("FETCHED"):
                m.next = "ADD"
            with m.State("ADD"):
                m.d.comb += [adds.eq(1), sums_wr.en.eq(~accumulated.count.all())]
                m.next = "MULTIPLY"
            with m.State("MULTIPLY"):
                m.next = "NEWEST"
            with m.State("NEWEST"):
                newest = (self.bus_mv, self.bus_current, self.ground_fault, self.hot_supply)
                with m.Switch(channel):
                    for place, (identifier, output) in enumerate(zip(NEWEST, newest, strict=True)):
                        with m.Case(SITE_INPUTS.index(identifier)):
                            m.d.sync += output.eq(value)
                            if identifier != NEWEST[-1]:
                                m.d.sync += fresh[place].eq(1)
                            else:
                                m.d.sync += [self.scan_strobe.eq(fresh.all()), fresh.eq(0)]
                with m.If(channel == SITE_INPUTS.index(NEWEST[0])):
                    m.d.sync += self.bus_strobe.eq(1)
                m.next = "IDLE"
            # Closing the second.
            with m.State("LOAD"):
                m.next = "LOADED"
            with m.State("LOADED"):
                m.next = "DIVIDE"
            with m.State("DIVIDE"):
                # Begun for nothing, the divider would still be at it when the next input wants it.
                m.d.comb += [divider.start.eq(sampled), clears.eq(1), sampled.eq(accumulated.count != 0)]
                m.d.sync += [self.measured.bit_select(channel, 1).eq(sampled), was_sampled.eq(sampled)]
                m.next = "CLEAR"
            with m.State("CLEAR"):
                m.d.comb += sums_wr.en.eq(1)
                m.next = "NEXT"
                with m.If(was_sampled):
                    m.next = "WAIT"
            with m.State("WAIT"), m.If(divider.done):
                m.d.sync += mean.eq(divider.quotient)
                m.next = "SCALE"
            with m.State("SCALE"):
                m.next = "STORE"
            with m.State("STORE"):
                m.d.sync += outputs[channel].eq(value)
                m.next = "NEXT"
            with m.State("NEXT"):
                with m.If(channel == INPUTS - 1):
                    m.d.sync += [closing.eq(0), self.done.eq(1)]
                    m.next = "IDLE"
                with m.Else():
                    m.d.sync += channel.eq(channel + 1)
                    m.next = "LOAD"
        with m.If(clears):
            m.d.sync += [accumulated.eq(0), sample.eq(0)]
        return m
