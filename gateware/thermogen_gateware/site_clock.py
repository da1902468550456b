"""Site time: UTC seconds counted by the 1 Hz pulse of a GPS receiver or RTC, checked against the crystal.

The crystal counts the second; the pulse only trims it. A second ends at the pulse where that comes within ±200 ppm of the crystal's,
and otherwise at that edge of the window which is nearer to the pulse, so that a pulse of any rate and phase moves site time (and
with it energy) by at most 200 ppm. Without a pulse for 1.5 s the crystal alone counts. Once after the time was set, the first pulse
that agrees with the crystal is taken as the next second's beginning whatever its phase: the host sets the second that is running.
Latency: three clocks from the pin to `second`. Area, LIFCL: 450 COMB, 127 FF.
"""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out
from thermogen_esf.points import TimeQuality

TOLERANCE_PPM = 200
JITTER_CLOCKS = 2
"""An edge is seen up to one clock late: two of them are off by one either way, and a pulse may shift against the crystal by one more."""


class SiteClock(wiring.Component):
    """Site time and what it is worth.

    `pulse` is asynchronous; its rising edge begins a second. `set` (one clock) makes `set_time` the time; while `armed` only a later
    time than the present one is taken. `second` is high for one clock as a second begins; `time`, `quality` and `uptime` are those of the
    new second by then. `quality` is a TimeQuality; `pulse_good` says whether the pulse began this second; `pulse_missing` and
    `pulse_out_of_tolerance` are faults.
    """

    def __init__(self, clocks_per_site_second: int = 50_000_000):
        self._clocks = clocks_per_site_second
        super().__init__(
            {
                "pulse": In(1),
                "set": In(1),
                "set_time": In(32),
                "armed": In(1),
                "second": Out(1),
                "time": Out(32),
                "valid": Out(1),
                "quality": Out(8),
                "uptime": Out(32),
                "pulse_good": Out(1),
                "pulse_missing": Out(1, init=1),
                "pulse_out_of_tolerance": Out(1),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        nominal = self._clocks
        tolerance = nominal * TOLERANCE_PPM // 1_000_000 + JITTER_CLOCKS
        shortest, longest = nominal - tolerance, nominal + tolerance
        missing_after = nominal * 3 // 2

        level, before = Signal(), Signal()
        m.submodules += FFSynchronizer(self.pulse, level)
        m.d.sync += before.eq(level)
        edge = Signal()
        m.d.comb += edge.eq(level & ~before)

        # Clocks of the interval that ends now, from pulse to pulse.
        interval = Signal(range(missing_after + 1), init=missing_after)
        interval_good = Signal()
        m.d.comb += interval_good.eq((interval >= shortest) & (interval <= longest))
        with m.If(edge):
            m.d.sync += [interval.eq(1), self.pulse_missing.eq(0)]
        with m.Elif(interval == missing_after):
            m.d.sync += self.pulse_missing.eq(1)
        with m.Else():
            m.d.sync += interval.eq(interval + 1)

        # Clocks of the second, were it to end now.
        length = Signal(range(longest + 1), init=1)
        pulse_follows = Signal()
        acquiring = Signal()
        limit = Signal.like(length)
        ends, by_pulse = Signal(), Signal()
        m.d.comb += [
            limit.eq(Mux(self.pulse_missing, nominal, Mux(pulse_follows, shortest, longest))),
            by_pulse.eq(edge & (length >= shortest)),
            ends.eq(by_pulse | (length >= limit)),
        ]
        m.d.sync += [length.eq(length + 1), self.second.eq(ends)]
        # A pulse in the second half of a second, too early to end it: this second is late, so it ends as soon as it may.
        with m.If(edge & (length > nominal // 2)):
            m.d.sync += pulse_follows.eq(1)

        confirmed = Signal()
        realigns = Signal()
        m.d.comb += [
            confirmed.eq(by_pulse & interval_good),
            realigns.eq(acquiring & edge & interval_good & ~ends),
        ]
        disagrees = Signal()
        with m.If(ends):
            m.d.sync += [
                length.eq(1),
                pulse_follows.eq(0),
                self.uptime.eq(self.uptime + 1),
                self.pulse_good.eq(confirmed),
                disagrees.eq(~confirmed),
            ]
        with m.If(realigns):
            # The second that the host set has ended here; the one of the crystal's phase is dropped, not counted as a short one.
            m.d.sync += [length.eq(1), pulse_follows.eq(0), self.pulse_good.eq(1), disagrees.eq(0)]
        with m.If(edge & interval_good):
            m.d.sync += acquiring.eq(0)

        next_time = Signal.like(self.time)
        m.d.comb += next_time.eq(self.time + (self.valid & (ends | realigns)))
        m.d.sync += self.time.eq(next_time)
        with m.If(self.set & (~self.armed | (self.set_time > next_time))):
            m.d.sync += [self.time.eq(self.set_time), self.valid.eq(1)]
            with m.If(~self.armed):
                m.d.sync += [length.eq(1), pulse_follows.eq(0), acquiring.eq(1)]

        m.d.comb += self.pulse_out_of_tolerance.eq(disagrees & ~self.pulse_missing & self.valid & ~acquiring)
        with m.If(~self.valid):
            m.d.comb += self.quality.eq(TimeQuality.UNSET)
        with m.Elif(self.pulse_missing):
            m.d.comb += self.quality.eq(TimeQuality.FREE_RUNNING)
        with m.Elif(self.pulse_good):
            m.d.comb += self.quality.eq(TimeQuality.PULSE)
        with m.Else():
            m.d.comb += self.quality.eq(TimeQuality.DEGRADED)
        return m
