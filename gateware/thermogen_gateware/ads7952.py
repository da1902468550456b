"""Driver of ADS7952 converters (TI SLAS605) in manual mode, several in parallel on one clock, chip select and command line.

The falling chip select samples the input and starts the conversion; 16 SCLK then bring the sampled channel's number (4 bits) and the
12-bit result, most significant bit first, while the command for the frame after the next is shifted in. The converter changes
SDO and the driver COPI on the falling SCLK; SDO is taken at the end of the bit, a whole SCLK period after it changed. The range is
1 × Vref (2.5 V). Between frames chip select rests high for the converter's 325 ns of acquisition.
SCLK = clock / 4 (12.5 MHz at 50 MHz; at most 20 MHz). Latency: chip select falls one clock after `start`; `frame` comes 16 × 4 + 2
clocks after `start`; `busy` falls after the acquisition, 84 clocks at 50 MHz.
Area, one converter: 50 LUT4, 10 CCU2, 76 FF on LIFCL; 63 LUT4, 12 carry, 76 FF on iCE40.
"""

from __future__ import annotations

from amaranth.hdl import Array, C, Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

CHANNELS = 12
SCLK_MAX_HZ = 20_000_000
ACQUISITION_S = 325e-9

COMMAND_MANUAL = 0x1800
"""DI15…12 = 0001 manual mode, DI11 = 1 program the range; DI10…7 the channel, DI6 = 0 range 1 × Vref, DI5 = 0 powered, DI4 = 0
echo the channel's number."""
COMMAND_CHANNEL_BIT = 7

PIPELINE_FRAMES = 2
"""A channel commanded in frame n answers in frame n + 2."""

FRAMES_TO_TRUST = 16
"""Good frames in a row after which a converter is healthy: more than the channels, so that a stuck line never passes."""
SCORE_OF_BAD_FRAME, SCORE_TO_DISTRUST = 16, 32
"""A bad frame adds to a converter's score, a good one takes 1 away: two bad frames in a row end its health, and so does one in each scan of
twelve within five scans, because the samples of a channel that never answers rightly would otherwise stay as they were for ever. One
bad frame alone is a disturbance, and its sample is dropped anyway."""


class Ads7952Driver(wiring.Component):
    """One frame per `start` (ignored while `busy`), commanding `channel`.

    At `frame`: `samples[i]` of converter i belong to `sample_channel`, if `good[i]` says that the echoed number was the expected one.
    `healthy[i]`: converter i answers, and for the right channels. The others' health does not depend on it.
    """

    def __init__(self, clock_hz, converters=1):
        self._converters = converters
        self._divider = 2 * -(-clock_hz // (2 * SCLK_MAX_HZ))
        self._divider = max(self._divider, 4)
        self._acquisition_clocks = int(ACQUISITION_S * clock_hz) + 1
        super().__init__(
            {
                "start": In(1),
                "channel": In(4),
                "busy": Out(1),
                "frame": Out(1),
                "sample_channel": Out(4),
                "samples": Out(data.ArrayLayout(12, converters)),
                "good": Out(converters),
                "healthy": Out(converters),
                "adc_sclk": Out(1),
                "adc_cs_n": Out(1, init=1),
                "adc_copi": Out(1),
                "adc_cipo": In(converters),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        half = self._divider // 2
        phase = Signal(range(self._divider))
        bit = Signal(4)
        command = Signal(16)
        answers = Array(Signal(16, name=f"answer_{i}") for i in range(self._converters))
        commanded = Signal(4)
        previous = Signal(4)
        frames_seen = Signal(range(PIPELINE_FRAMES + 1))
        rest = Signal(range(self._acquisition_clocks + 1))

        m.d.comb += self.adc_copi.eq(command[-1])
        m.d.sync += self.frame.eq(0)
        with m.FSM():
            with m.State("REST"):
                m.d.comb += self.busy.eq(rest != 0)
                with m.If(rest != 0):
                    m.d.sync += rest.eq(rest - 1)
                with m.Elif(self.start):
                    m.d.sync += [
                        self.adc_cs_n.eq(0),
                        command.eq(C(COMMAND_MANUAL, 16) | (self.channel << COMMAND_CHANNEL_BIT)),
                        commanded.eq(self.channel),
                        previous.eq(commanded),
                        self.sample_channel.eq(previous),
                        phase.eq(0),
                        bit.eq(0),
                    ]
                    m.next = "SHIFT"
            with m.State("SHIFT"):
                m.d.comb += self.busy.eq(1)
                m.d.sync += phase.eq(phase + 1)
                with m.If(phase == half - 1):
                    m.d.sync += self.adc_sclk.eq(1)
                with m.If(phase == self._divider - 1):
                    m.d.sync += [phase.eq(0), bit.eq(bit + 1), self.adc_sclk.eq(0), command.eq(command << 1)]
                    m.d.sync += [answer.eq(Cat(self.adc_cipo[i], answer[:-1])) for i, answer in enumerate(answers)]
                    with m.If(bit == 15):
                        m.next = "CHECK"
            with m.State("CHECK"):
                m.d.comb += self.busy.eq(1)
                m.d.sync += [self.adc_cs_n.eq(1), rest.eq(self._acquisition_clocks), self.frame.eq(frames_seen == PIPELINE_FRAMES)]
                m.d.sync += self.good.eq(Cat(answer[12:] == self.sample_channel for answer in answers))
                m.d.sync += [self.samples[i].eq(answer[:12]) for i, answer in enumerate(answers)]
                with m.If(frames_seen != PIPELINE_FRAMES):
                    m.d.sync += frames_seen.eq(frames_seen + 1)
                m.next = "REST"

        for i in range(self._converters):
            good_frames = Signal(range(FRAMES_TO_TRUST + 1), name=f"good_frames_{i}")
            score = Signal(range(SCORE_TO_DISTRUST + 1), name=f"score_{i}")
            with m.If(self.frame):
                with m.If(self.good[i]):
                    m.d.sync += [score.eq(Mux(score == 0, 0, score - 1)), good_frames.eq(good_frames + (good_frames != FRAMES_TO_TRUST))]
                    with m.If(good_frames >= FRAMES_TO_TRUST - 1):
                        m.d.sync += self.healthy[i].eq(1)
                        with m.If(~self.healthy[i]):
                            m.d.sync += score.eq(0)
                with m.Else():
                    m.d.sync += good_frames.eq(0)
                    with m.If(score >= SCORE_TO_DISTRUST - SCORE_OF_BAD_FRAME):
                        m.d.sync += [score.eq(SCORE_TO_DISTRUST), self.healthy[i].eq(0)]
                    with m.Else():
                        m.d.sync += score.eq(score + SCORE_OF_BAD_FRAME)
        return m
